"""Question files: ragctx's own, Lost in the Middle's, SQuAD's, key-value retrieval's.

A file is plain or gzip, UTF-8 or UTF-16, JSON lines or one JSON document; its layout is known by
the first record. SQuAD's questions may also be one a row, as Hugging Face keeps them, with
"answers": {"text": [...], "answer_start": [...]}.
ragctx's own layout is one object a line, of which only "question" is required:

    {"id", "question", "answers": [...], "answerable",
     "context", "title",                            one passage that holds the answer, or
     "ctxs": [{"title", "text", "isgold", "hasanswer", "score"}],         several, or
     "document", "page" or "pages": [first, last],  where an indexed document holds it
     "excluded": [chunk ids], "synthetic"}

Unknown keys are ignored. See docs/compare.md.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO, Any, TypeVar

from ragctx.errors import InputError
from ragctx.paths import decoded, expanded
from ragctx.text.well_formed import well_formed

JsonObject = Mapping[str, Any]
"""A record of a question file, as JSON gives it."""
Parsed = TypeVar("Parsed")

_GZIP = b"\x1f\x8b"
_MAX_BYTES = 2**30  # of a file, unpacked; chosen by hand
_MAX_RATIO, _SMALL = 100, 2**24  # times its size that a file over 16 MiB is unpacked to; by hand
_BLOCK = 2**20  # bytes read at a time
_MAX_QUESTIONS = 1_000_000  # of a file; chosen by hand
_MAX_PAGE = 2**31  # more than any document has


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPassage:
    """A passage that comes with a question. `score` is a retriever's, where the file has one."""

    text: str
    title: str = ""
    is_gold: bool = False
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledQuestion:
    """A question, its accepted answers, and what is known about where the answer is.

    `pages` are the first and last page in `document`, from 1; (0, 0) where they are unknown.
    """

    id: str
    question: str
    answers: tuple[str, ...]
    answerable: bool = True
    passages: tuple[LabelledPassage, ...] = ()
    document: str = ""
    pages: tuple[int, int] = (0, 0)
    excluded: tuple[str, ...] = ()  # chunk ids that must not be in the prompt
    synthetic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionSet:
    """The questions of one file, or some of them. `sha256` is of its bytes.

    `total` counts the file's questions; 0 where that is not known.
    """

    path: str
    sha256: str
    layout: str
    questions: tuple[LabelledQuestion, ...]
    total: int = 0


def read_questions(path: str | Path) -> QuestionSet:
    """Read a question file in any of the four layouts.

    Raises InputError for a file that is missing, has none of these layouts, or has a record that
    does not fit its layout; the message names the record.
    """
    path = expanded(path)
    try:
        with path.open("rb") as stream:
            raw = _bounded(stream, _MAX_BYTES)
        text = decoded(_unpacked(raw))
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(f"the questions in {str(path)!r} cannot be read: {error}") from None
    layout, questions = _parse(text, str(path))
    if not questions:
        raise InputError(f"{str(path)!r} holds no question; write one JSON object a line")
    return QuestionSet(
        path=str(path),
        sha256=hashlib.sha256(raw).hexdigest(),
        layout=layout,
        questions=_distinct(questions),
        total=len(questions),
    )


def _bounded(stream: IO[bytes] | gzip.GzipFile, most: int) -> bytes:
    """All that is left of a stream. Raises ValueError if that is more than `most` bytes."""
    data = bytearray()
    while block := stream.read(_BLOCK):
        data += block
        if len(data) > most:
            raise ValueError(f"there are more than {most} bytes; split the file")
    return bytes(data)


def _unpacked(raw: bytes) -> bytes:
    if not raw.startswith(_GZIP):
        return raw
    most = min(_MAX_BYTES, max(_SMALL, _MAX_RATIO * len(raw)))
    with gzip.open(BytesIO(raw)) as stream:
        return _bounded(stream, most)


def parse_own(row: JsonObject) -> LabelledQuestion:
    """A record in ragctx's own layout, or in that of Lost in the Middle, which is a part of it.

    >>> row = {"question": "How hot?", "answers": ["232 degrees"], "context": "Tin melts at ..."}
    >>> parse_own(row).passages[0].is_gold
    True
    """
    answers = _answers(row)
    passages = tuple(_passage(passage) for passage in row.get("ctxs") or ())
    answerable = bool(row.get("answerable", answers and not row.get("is_impossible")))
    if not passages and row.get("context"):
        passages = (
            LabelledPassage(
                text=_required_text(row, "context"),
                title=_optional_text(row, "title"),
                is_gold=answerable,
            ),
        )
    pages = row.get("pages") or [row.get("page") or 0] * 2
    return LabelledQuestion(
        id=str(row.get("id", "")),
        question=_required_text(row, "question"),
        answers=answers,
        answerable=answerable,
        passages=passages,
        document=_optional_text(row, "document"),
        pages=(_page(pages[0]), _page(pages[-1])),
        excluded=_texts(row.get("excluded") or (), "excluded"),
        synthetic=bool(row.get("synthetic", False)),
    )


def parse_key_value(row: JsonObject) -> LabelledQuestion:
    """A record of the key-value retrieval task: every pair becomes a passage of its own.

    >>> row = {"ordered_kv_records": [["k1", "v1"], ["k2", "v2"]], "key": "k2", "value": "v2"}
    >>> question = parse_key_value(row)
    >>> question.question, question.passages[1]
    ('What is the value of "k2"?', LabelledPassage(text='"k2": "v2"', title='', is_gold=True, ...))
    """
    key, value = _required_text(row, "key"), _required_text(row, "value")
    passages = tuple(
        LabelledPassage(text=f'"{name}": "{content}"', is_gold=name == key)
        for name, content in row["ordered_kv_records"]
    )
    return LabelledQuestion(
        id=key, question=f'What is the value of "{key}"?', answers=(value,), passages=passages
    )


def parse_squad(document: JsonObject) -> list[LabelledQuestion]:
    """Every question of a SQuAD file (1.1 or 2.0), with its paragraph."""
    return [
        LabelledQuestion(
            id=str(qa.get("id", "")),
            question=_required_text(qa, "question"),
            answers=_answers(qa),
            answerable=not qa.get("is_impossible", False),
            passages=(
                LabelledPassage(
                    text=_required_text(paragraph, "context"),
                    title=_optional_text(article, "title"),
                    is_gold=not qa.get("is_impossible"),
                ),
            ),
        )
        for article in document["data"]
        for paragraph in article["paragraphs"]
        for qa in paragraph["qas"]
    ]


def _parse(text: str, path: str) -> tuple[str, list[LabelledQuestion]]:
    """The layout of a file and its questions."""
    try:
        document = json.loads(text) if text.lstrip()[:1] in "{[" else None
    except ValueError:
        document = None  # several documents: one a line
    except RecursionError:
        raise InputError(f"{path!r} is nested too deeply to be a question file") from None
    articles = document.get("data") if isinstance(document, dict) else None
    if isinstance(articles, list) and not any(_is_article(article) for article in articles):
        document = articles  # one row a question, below "data"
    if isinstance(document, dict) and "data" in document:
        return "squad", _checked(partial(parse_squad, document), path, "the SQuAD document")
    if isinstance(document, list):
        rows = [(f"record {number}", row) for number, row in enumerate(document, start=1)]
    else:
        rows = list(_lines(text, path))
    questions = []
    layout = ""
    if len(rows) > _MAX_QUESTIONS:
        raise InputError(f"{path!r} holds more than {_MAX_QUESTIONS} questions; split the file")
    for where, row in rows:
        if not isinstance(row, dict):
            raise InputError(f"{where} of {path!r} is not a JSON object, but {row!r:.60}")
        layout = layout or _layout(row)
        parse = parse_key_value if layout == "key-value" else parse_own
        questions.append(_checked(partial(parse, row), path, where))
    return layout, questions


def _is_article(value: Any) -> bool:
    return isinstance(value, dict) and "paragraphs" in value


def _layout(row: JsonObject) -> str:
    if "ordered_kv_records" in row:
        return "key-value"
    return "ragctx" if "context" in row or "ctxs" not in row else "lost-in-the-middle"


def _lines(text: str, path: str) -> Iterator[tuple[str, Any]]:
    """(Name, JSON value) of every line that is not blank."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield f"line {number}", json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"line {number} of {path!r} is not JSON: {error}") from None


def _checked(parse: Callable[[], Parsed], path: str, where: str) -> Parsed:
    """What `parse` returns; what it raises becomes an InputError that names `where` in `path`."""
    try:
        return parse()
    except InputError as error:
        raise InputError(f"{where} of {path!r} {error}") from None
    except (
        KeyError,
        TypeError,
        ValueError,
        OverflowError,
        IndexError,
        AttributeError,
        RecursionError,
    ) as error:
        raise InputError(
            f"{where} of {path!r} does not fit its layout ({type(error).__name__}: {error}); see "
            "docs/compare.md for the four layouts"
        ) from None


def _passage(row: JsonObject) -> LabelledPassage:
    score = row.get("score")
    is_gold = bool(row.get("isgold", row.get("is_gold", False)))
    return LabelledPassage(
        text=_required_text(row, "text"),
        title=_optional_text(row, "title"),
        is_gold=is_gold,
        score=None if score is None else _finite(score),
    )


def _required_text(row: JsonObject, name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        raise InputError(f'has no "{name}": it must be text')
    value = well_formed(value)  # JSON can escape halves of characters
    return value if name in ("text", "context") else " ".join(value.split())


def _optional_text(row: JsonObject, name: str) -> str:
    value = row.get(name) or ""
    if not isinstance(value, str):
        raise InputError(f'has a "{name}" that is not text: {value!r:.40}')
    return value


def _page(value: Any) -> int:
    page = int(value)
    if not 0 <= page <= _MAX_PAGE:
        raise InputError(f"has the page {value!r:.40}, which no document has")
    return page


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise InputError(f"has the score {value!r:.40}, which is not a number")
    return number


def _answers(row: JsonObject) -> tuple[str, ...]:
    """The accepted answers of a record, each once, in whichever of the usual ways it keeps them."""
    values = row.get("answers") or row.get("answer") or ()
    if isinstance(values, str) and not row.get("answers"):
        values = (values,)
    if isinstance(values, Mapping):
        values = values.get("text") or ()
    if isinstance(values, list):
        values = [value.get("text") if isinstance(value, Mapping) else value for value in values]
    texts = dict.fromkeys(_texts(values, "answers"))
    answers = tuple(text for text in texts if text.strip())
    if texts and not answers and row.get("answerable", True):
        raise InputError('has only blank "answers"; write [] where the documents hold no answer')
    return answers


def _texts(values: Any, name: str) -> tuple[str, ...]:
    texts = tuple(values)
    if not all(isinstance(value, str) for value in texts) or isinstance(values, str):
        raise InputError(f'has "{name}" that are not a list of texts')
    return tuple(map(well_formed, texts))


def _distinct(questions: list[LabelledQuestion]) -> tuple[LabelledQuestion, ...]:
    """The questions with distinct ids.

    A missing id becomes the question's number in the file; a repeated one gets it as a suffix.
    """
    seen: set[str] = set()
    distinct = []
    for number, question in enumerate(questions, start=1):
        name = well_formed(question.id) or str(number)
        if name in seen:
            name = f"{name}#{number}"
        seen.add(name)
        distinct.append(replace(question, id=name))
    return tuple(distinct)
