"""Questions that were written for this reader, about documents of the kind that it is asked about.

`training/questions` has two kinds of text files. Those of documents contain invented ones, made for
this: reports, forms, manuals, papers, laws, with their tables. The others say which paragraphs of
the text corpora were asked about. Both are cut into chunks as ingestion cuts documents.

    @document Title of an invented document
    @passage
    Row label | 1,234 | 2,345
    ? How much ...?
    = 1,234
    = another answer, in the words of the passage
    ?? a question that sounds as if it were answered here, and nothing in the document does

    @paragraphs deb-git-doc 4411 4412
    ? ...
"""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ragctx.chunking import chunk_document
from ragctx.records import Chunk, Document, Page
from ragctx.tokens.tokenizer import Tokenizer
from training.data import occurrences

FILES = {"written_documents": "documents-*.txt", "written_texts": "texts-*.txt"}
"""The question sets, and the files of each."""
CHUNK_TOKENS = 180
"""Of a chunk's own text, in the embedder's tokens, as ingestion cuts unless told otherwise."""

HELD_OUT = 12
"""One of so many documents is not trained on."""
BESIDE = 4
"""Paragraphs asked about one after another, which a page holds each, that make up a document."""
_CELLS = re.compile(r" *\| *")


@dataclass(kw_only=True)
class WrittenPassage:
    """A page, and what is asked of it: questions with their answers, in the page's words.

    Nothing in its document answers the questions that are `unanswered`.
    """

    text: str
    questions: list[tuple[str, list[str]]] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class WrittenDocument:
    """A document that questions were written about; without a title, of a text corpus."""

    name: str
    title: str
    passages: list[WrittenPassage] = field(default_factory=list)

    @property
    def is_held_out(self) -> bool:
        """Whether it is kept for scoring."""
        return zlib.crc32(self.name.encode()) % HELD_OUT == 0

    def whole(self) -> Document:
        """The document as reading a file would have given it."""
        pages = tuple(
            Page(number=i, label=str(i), text=passage.text)
            for i, passage in enumerate(self.passages, start=1)
        )
        id_ = hashlib.sha256(self.name.encode()).hexdigest()[:16]
        return Document(id=id_, path=self.name, title=self.title, pages=pages)


def written_documents(path: Path, texts: Path) -> list[WrittenDocument]:
    """The documents of a file; `texts` is the folder of the text corpora.

    Raises:
        ValueError: a line that belongs nowhere, or an answer that its passage does not contain.
    """
    documents: list[WrittenDocument] = []
    paragraphs = _Corpora(texts)
    lines: list[str] | None = None  # of the passage that is being read
    for number, line in enumerate(path.read_text("utf-8").split("\n"), start=1):
        kind, _, rest = line.partition(" ")
        if kind == "@document":
            documents.append(WrittenDocument(name=f"{path.stem} {rest}", title=rest))
        elif kind in ("@passage", "@paragraphs"):
            lines = [] if kind == "@passage" else None
            if kind == "@paragraphs":
                _beside(documents, path.stem)
            text = "" if kind == "@passage" else paragraphs.text(rest)
            documents[-1].passages.append(WrittenPassage(text=text))
        elif kind == "?":
            passage, lines = _ended(documents[-1].passages[-1], lines), None
            passage.questions.append((rest, []))
        elif kind == "??":
            passage, lines = _ended(documents[-1].passages[-1], lines), None
            passage.unanswered.append(rest)
        elif kind == "=":
            documents[-1].passages[-1].questions[-1][1].append(rest)
        elif lines is not None:
            lines.append(line)
        elif line.strip():
            raise ValueError(f"{path.name}, line {number}: belongs to nothing: {line[:60]}")
    _require_answers(path, documents)
    return documents


def _beside(documents: list[WrittenDocument], stem: str) -> None:
    """Begin another document of a corpus where the one before has its pages."""
    if not documents or len(documents[-1].passages) == BESIDE:
        documents.append(WrittenDocument(name=f"{stem} {len(documents)}", title=""))


def _ended(passage: WrittenPassage, lines: Sequence[str] | None) -> WrittenPassage:
    """The passage with its text, once that has ended."""
    if lines is not None:
        passage.text = _CELLS.sub("\t", "\n".join(lines)).strip()
    return passage


def _require_answers(path: Path, documents: Sequence[WrittenDocument]) -> None:
    for document in documents:
        for passage in document.passages:
            for question, answers in passage.questions:
                if not answers or not all(occurrences(passage.text, one) for one in answers):
                    raise ValueError(f"{path.name}: not answered by its passage: {question}")


class _Corpora:
    """Paragraphs of text corpora, by their numbers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lines: dict[str, list[str]] = {}

    def text(self, told: str) -> str:
        """The paragraphs that a line tells: the name of a corpus, and their numbers from 0."""
        name, *numbers = told.split()
        if name not in self._lines:
            with gzip.open(self._folder / f"{name}.txt.gz", "rt", encoding="utf-8") as lines:
                self._lines[name] = [line.strip() for line in lines]
        return "\n".join(self._lines[name][int(number)] for number in numbers)


def all_written(folder: Path, name: str, texts: Path) -> Iterator[WrittenDocument]:
    """The documents of a set of `FILES`."""
    for path in sorted(folder.glob(FILES[name])):
        yield from written_documents(path, texts)


def written_rows(
    folder: Path, name: str, texts: Path, tokenizer: Tokenizer, *, held_out: bool = False
) -> Iterator[dict[str, Any]]:
    """The rows of a set of `FILES`, of the documents that are trained on or of those held out."""
    for document in all_written(folder, name, texts):
        if document.is_held_out == held_out:
            yield from rows_of(document, tokenizer)


def rows_of(document: WrittenDocument, tokenizer: Tokenizer) -> Iterator[dict[str, Any]]:
    """The questions as rows of a question set: each with the chunk that holds its answer.

    Those that nothing answers are dealt out among the chunks of their passage.
    """
    whole = document.whole()
    chunks = chunk_document(whole, tokenizer, max_tokens=CHUNK_TOKENS)
    start = 0
    for passage in document.passages:
        start = whole.text.index(passage.text, start)
        for question, answers in passage.questions:
            first, end = (start + at for at in occurrences(passage.text, answers[0])[0])
            for chunk in chunks:
                if chunk.start <= first and end <= chunk.end:
                    yield _row(chunk, question, [one for one in answers if one in chunk.text])
        near = [
            chunk
            for chunk in chunks
            if chunk.start < start + len(passage.text) and start < chunk.end
        ]
        for i, question in enumerate(passage.unanswered):
            yield _row(near[i % len(near)], question, [])
        start += len(passage.text)


def _row(chunk: Chunk, question: str, answers: list[str]) -> dict[str, Any]:
    lead_in = f"{chunk.lead_in}\n" if chunk.lead_in else ""
    return {
        "context": lead_in + chunk.text,
        "question": question,
        "answers": answers,
        "answerable": bool(answers),
    }
