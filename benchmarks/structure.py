"""Whether passages are found better with their headers: title, section path and lead-in.

    python -m benchmarks.structure --questions benchmarks/data/real_pdfs.jsonl
    python -m benchmarks.structure --retrievers lexical          (minutes instead of an hour)

The PDFs that the questions name are read and cut once, into one index for each variant of what goes
with a passage. A hit answers a question if it is on a page that the question names and holds one of
its answers, or most words of its quote. A question is won or lost, at k, against no header at all.

A question is a line of JSON: question, answers, document (a file's name), page, also (other pages),
quote, kind; those without a document are left out.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import result, table
from ragctx.chunking import chunk_document
from ragctx.embedding import Embedder, Vectors, load_embedder, text_tokens
from ragctx.headers import fitted
from ragctx.index.index import Index
from ragctx.pdf.process import Limits
from ragctx.pdf.read import read_pdf
from ragctx.records import Chunk, Document, Hit
from ragctx.retrieval import search
from ragctx.text.words import words_of

CUTS = (1, 5, 20)
QUOTED = 0.7
"""The share of a quote's words that a passage must hold to count as the place of it."""
RETRIEVERS = ("lexical", "dense", "hybrid")
VARIANTS: Mapping[str, Callable[[Chunk], Chunk]] = {
    "no header": lambda chunk: replace(chunk, title="", section=(), lead_in=""),
    "title": lambda chunk: replace(chunk, section=(), lead_in=""),
    "section": lambda chunk: replace(chunk, title="", lead_in=""),
    "lead-in": lambda chunk: replace(chunk, title="", section=()),
    "section and lead-in": lambda chunk: replace(chunk, title=""),
    "all": lambda chunk: chunk,
}
Ranks = NDArray[np.float64]


@dataclass(frozen=True)
class Question:
    """A question with an answer, and where it stands."""

    text: str
    kind: str
    document: str
    pages: frozenset[int]
    answers: tuple[str, ...]
    quote: str

    def is_answered_by(self, hit: Hit) -> bool:
        """Whether the hit is on a page that is named and holds an answer, or the quote."""
        first, last = hit.chunk.first_page or 0, hit.chunk.last_page or 0
        on_page = any(first <= page <= last for page in self.pages)
        if hit.document != self.document or not on_page:
            return False
        words, quoted = set(words_of(hit.chunk.text)), words_of(self.quote)
        plain = f" {' '.join(words_of(hit.chunk.text))} "
        said = any(f" {' '.join(words_of(answer))} " in plain for answer in self.answers)
        held = sum(word in words for word in quoted)
        return held >= QUOTED * len(quoted) or (said and held >= 0.5 * QUOTED * len(quoted))


def load(file: Path) -> list[Question]:
    """The questions of a file that have an answer."""
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    return [
        Question(
            text=row["question"],
            kind=row["kind"],
            document=row["document"],
            pages=frozenset({row["page"], *row.get("also", ())}),
            answers=tuple(row["answers"]),
            quote=row["quote"],
        )
        for row in rows
        if row.get("document")
    ]


def build(
    folder: Path,
    documents: Sequence[tuple[Document, Sequence[Chunk]]],
    vectors_of: Callable[[Sequence[Chunk]], Vectors],
    embedder: Embedder,
) -> Index:
    """An index of the documents."""
    index = Index.create(folder, embedder=embedder)
    with index.writer() as writer:
        for document, chunks in documents:
            vectors = vectors_of(chunks)
            writer.put(document.path, document, chunks, vectors, recipe="benchmark")
    return index


def unembedded(embedder: Embedder) -> Callable[[Sequence[Chunk]], Vectors]:
    """The same vector for every chunk, where nobody will look at it."""

    def vectors_of(chunks: Sequence[Chunk]) -> Vectors:
        vectors = np.zeros((len(chunks), embedder.dim), np.float32)
        vectors[:, 0] = 1
        return vectors

    return vectors_of


def embedding(embedder: Embedder) -> Callable[[Sequence[Chunk]], Vectors]:
    """Embeds chunks as `ragctx ingest` does, equal texts once."""
    known: dict[str, Vectors] = {}

    def vectors_of(chunks: Sequence[Chunk]) -> Vectors:
        count, limit = embedder.tokenizer.count, text_tokens(embedder)
        texts = [fitted(chunk, count, limit) for chunk in chunks]
        new = [text for text in dict.fromkeys(texts) if text not in known]
        known.update(zip(new, embedder.encode(new), strict=True))
        return np.array([known[text] for text in texts], np.float32).reshape(-1, embedder.dim)

    return vectors_of


def ranks(index: Index, embedder: Embedder, questions: Sequence[Question], name: str) -> Ranks:
    """Rank of the first hit that answers each question; infinite where none of 20 does."""
    found = []
    for question in questions:
        hits = search(index, embedder, question.text, CUTS[-1], retriever=name)
        found.append(min((h.rank for h in hits if question.is_answered_by(h)), default=np.inf))
    return np.array(found)


def scores(own: Ranks, without: Ranks) -> dict[str, Any]:
    """Recall at each cut, and what is won and lost against `without`."""
    measured: dict[str, Any] = {f"recall@{k}": round(float((own <= k).mean()), 4) for k in CUTS}
    for k in CUTS:
        won, lost = (own <= k) & ~(without <= k), (without <= k) & ~(own <= k)
        measured[f"won/lost@{k}"] = [int(won.sum()), int(lost.sum())]
    return measured


def main() -> None:
    """Measure and print."""
    here = Path(__file__).parents[1]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=here.parent / "shared/data/pdf")
    parser.add_argument("--questions", type=Path, default=here / "benchmarks/data/real_pdfs.jsonl")
    parser.add_argument(
        "--max-pages", type=int, default=10_000, help="only documents with so many pages at most"
    )
    parser.add_argument("--retrievers", nargs="+", choices=RETRIEVERS, default=list(RETRIEVERS))
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    options = parser.parse_args()
    questions, embedder = load(options.questions), load_embedder()
    files = {path.name: path for path in sorted(options.data.rglob("*.pdf"))}
    began = perf_counter()
    limits = Limits(max_pages=options.max_pages + 1)
    read = [
        read_pdf(files[name], limits=limits) for name in sorted({q.document for q in questions})
    ]
    documents = [document for document in read if len(document.pages) <= options.max_pages]
    questions = [q for q in questions if q.document in {document.name for document in documents}]
    chunks = [chunk_document(document, embedder.tokenizer) for document in documents]
    seconds = {"read and cut": perf_counter() - began}
    lexical_only = options.retrievers == ["lexical"]
    vectors_of = unembedded(embedder) if lexical_only else embedding(embedder)
    ranked: dict[tuple[str, str], Ranks] = {}
    for variant in dict.fromkeys(["no header", *options.variants]):
        began = perf_counter()
        made = [
            (document, [VARIANTS[variant](chunk) for chunk in of_document])
            for document, of_document in zip(documents, chunks, strict=True)
        ]
        with tempfile.TemporaryDirectory() as folder:
            index = build(Path(folder) / "index", made, vectors_of, embedder)
            for name in options.retrievers:
                ranked[variant, name] = ranks(index, embedder, questions, name)
        seconds[variant] = perf_counter() - began
    is_table = np.array([question.kind == "table" for question in questions])
    groups = {"all": np.ones(len(questions), bool), "table": is_table, "not table": ~is_table}
    measured = {
        group: {
            f"{name}, {variant}": scores(own[members], ranked["no header", name][members])
            for (variant, name), own in ranked.items()
        }
        for group, members in groups.items()
    }
    for group, of_group in measured.items():
        print_scores(f"{group} ({int(groups[group].sum())})", of_group)
    result(
        "structure",
        n=len(questions),
        documents=len(documents),
        pages=sum(len(document.pages) for document in documents),
        chunks=sum(map(len, chunks)),
        with_section=sum(bool(c.section) for of_document in chunks for c in of_document),
        with_lead_in=sum(bool(c.lead_in) for of_document in chunks for c in of_document),
        embedder=embedder.id,
        scores=measured,
        seconds={name: round(value, 1) for name, value in seconds.items()},
    )


def print_scores(title: str, of_group: Mapping[str, dict[str, Any]]) -> None:
    """One table: a row for each retriever and variant."""
    header = (title, *(f"recall@{k}" for k in CUTS), *(f"won/lost@{k}" for k in CUTS))
    rows = [
        (
            name,
            *(f"{s[f'recall@{k}']:.3f}" for k in CUTS),
            *("{}/{}".format(*s[f"won/lost@{k}"]) for k in CUTS),
        )
        for name, s in of_group.items()
    ]
    table(header, rows)
    table(("",), [])


if __name__ == "__main__":
    main()
