"""Checks of a question file: rows that cannot be used, and rows that would falsify a measurement.

A row is a JSON object on a line of its own with `question`, `answers`, `answerable` (by default
true) and `context`, or `ctxs` as in the files of Lost in the Middle; other keys are ignored.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ragctx.errors import InputError
from ragctx.evaluation.questions.oddities import oddities
from ragctx.evaluation.questions.phrasing import GAP
from ragctx.evaluation.text_match import alike_to_earlier, copied_words, holds_any, plain
from ragctx.index.index import Index
from ragctx.index.protocol import Snapshot
from ragctx.records import Chunk

NEARLY = 0.8
"""The Jaccard similarity of their words from which two questions with the same passage and answer
are near duplicates; chosen by hand."""
_GZIP = b"\x1f\x8b"

PROBLEMS = {
    "malformed": "cannot be read as a question",
    "duplicate id": "has the id of another row",
    "duplicate": "asks what another row asks of the same passage",
    "near duplicate": "asks in almost the same words for the same answer",
    "contradiction": "gives other answers than a row with the same question and passage",
    "unanswerable": "has no passage with the answer",
    "answerable after all": "is to be refused, but has answers",
    "odd question": "cannot be understood by itself, or is no question that a person would ask",
    "answer in question": "tells the answer in the question",
    "copied sentence": "repeats a sentence of its passage word by word",
    "answer elsewhere": "has a passage that holds the answer but is not marked so",
    "leaked": "stands in a file it must be kept apart from",
    "stale": "does not fit the index",
}
"""What a check can find: the kind of problem and its meaning, as the rest of a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionProblem:
    """A problem with the row on a line, counted from 1; `kind` is a key of `PROBLEMS`.

    A `remark` is not a fault: a cloze question repeats a sentence of its passage by nature.
    """

    line: int
    id: str
    kind: str
    message: str
    remark: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionRow:
    """A row of a question file. `others` are the texts of passages that are not marked as gold."""

    line: int
    id: str
    question: str
    answers: tuple[str, ...]
    answerable: bool
    gold: tuple[str, ...]
    others: tuple[str, ...] = ()
    cloze: bool = False
    context: str = ""  # the text of `chunk`
    chunk: str = ""  # id of the chunk of an index that the row was made from, if it was
    document_id: str = ""  # of the chunk's document
    place: tuple[int, int] | None = None  # start and end of the answer in the document's text


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of a check: how many rows could be read, and the problems in order of lines."""

    rows: int
    problems: tuple[QuestionProblem, ...] = field(default_factory=tuple)

    @property
    def faults(self) -> tuple[QuestionProblem, ...]:
        """The problems that are more than remarks."""
        return tuple(problem for problem in self.problems if not problem.remark)


def check_questions(
    path: str | Path, *, index: Index | None = None, apart_from: Sequence[str | Path] = ()
) -> Checked:
    """Check a question file for everything in `PROBLEMS`.

    Args:
        path: a JSONL file, plain or gzip.
        index: the one the questions were made from; rows that name a chunk are compared with it.
        apart_from: files for training or choosing; this one must share no passage or question with
            them.

    Raises:
        InputError: a file cannot be read as lines.
        OSError: a file is missing or may not be read.
    """
    rows, problems = _read(path)
    for row in rows:
        problems += _alone(row)
    problems += [*_same_ids(rows), *_repeated(rows), *_nearly_repeated(rows)]
    for other in apart_from:
        problems += _leaked(rows, other)
    if index is not None:
        problems += _stale(rows, index)
    order = list(PROBLEMS)
    problems.sort(key=lambda problem: (problem.line, order.index(problem.kind)))
    return Checked(len(rows), tuple(problems))


# ---- Reading ---------------------------------------------------------------------------------


def _read(path: str | Path) -> tuple[list[QuestionRow], list[QuestionProblem]]:
    rows, problems = [], []
    for number, raw in _lines(path):
        try:
            rows.append(parse_row(number, raw))
        except InputError as error:
            problems.append(
                QuestionProblem(line=number, id="", kind="malformed", message=str(error))
            )
    return rows, problems


def _lines(path: str | Path) -> Iterator[tuple[int, bytes]]:
    """Every line that is not blank, with its number from 1."""
    with open(path, "rb") as file:
        is_packed = file.read(len(_GZIP)) == _GZIP
        file.seek(0)
        stream = gzip.GzipFile(fileobj=file) if is_packed else file
        try:
            yield from ((number, raw) for number, raw in enumerate(stream, 1) if raw.strip())
        except (EOFError, gzip.BadGzipFile) as error:
            raise InputError(f"{str(path)!r} is damaged ({error}); write it again") from None


def parse_row(line: int, raw: bytes) -> QuestionRow:
    """One row from a line of the file. Raises InputError with what is wrong about it.

    >>> parse_row(1, b'{"question": "Where?", "answers": ["Rome"], "context": "In Rome."}').gold
    ('In Rome.',)
    """
    try:
        row = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON: {error}") from None
    if not isinstance(row, dict):
        raise InputError(f"a JSON {type(row).__name__}, not an object")
    question, answers, answerable = row.get("question"), row.get("answers", []), True
    if isinstance(answers, dict):  # SQuAD's rows as Hugging Face keeps them
        answers = answers.get("text", [])
        answerable = bool(answers)
    if not isinstance(question, str) or not question.strip():
        raise InputError('no "question"')
    if not isinstance(answers, list) or not all(isinstance(a, str) and a.strip() for a in answers):
        raise InputError('"answers" is not a list of texts')
    answerable = row.get("answerable", answerable)
    if not isinstance(answerable, bool):
        raise InputError('"answerable" is neither true nor false')
    if answerable and not answers:
        raise InputError('answerable, but "answers" is empty')
    gold, others = _passages(row)
    return QuestionRow(
        line=line,
        id=str(row.get("id", "")),
        question=question,
        answers=tuple(answers),
        answerable=answerable,
        gold=gold,
        others=others,
        cloze=row.get("kind") == "cloze",
        context=_text(row, "context"),
        chunk=_text(row, "chunk"),
        document_id=str(row.get("document_id") or ""),
        place=_place(row),
    )


def _passages(row: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The texts of the gold passages, and of those that are not gold and not known to answer."""
    ctxs = row.get("ctxs")
    if ctxs is None:
        context = _text(row, "context")
        return ((context,) if context.strip() else (), ())
    if not isinstance(ctxs, list) or not all(
        isinstance(p, dict) and _text(p, "text") for p in ctxs
    ):
        raise InputError('"ctxs" is not a list of passages with a "text"')
    gold = tuple(passage["text"] for passage in ctxs if passage.get("isgold"))
    return gold, tuple(p["text"] for p in ctxs if not p.get("isgold") and not p.get("hasanswer"))


def _text(row: dict[str, Any], key: str) -> str:
    value = row.get(key, "")
    if not isinstance(value, str):
        raise InputError(f'"{key}" is not text')
    return value


def _place(row: dict[str, Any]) -> tuple[int, int] | None:
    start, end = row.get("start"), row.get("end")
    if type(start) is int and type(end) is int and 0 <= start < end:
        return start, end
    return None


# ---- Checking one row ------------------------------------------------------------------------


def _alone(row: QuestionRow) -> Iterator[QuestionProblem]:
    """Problems that a row has by itself."""
    if odd := oddities(row.question):
        yield _problem(row, "odd question", "; ".join(odd))
    if not row.answerable:
        if holds_any(" ".join(row.gold), row.answers):
            yield _problem(row, "answerable after all", f"{row.answers[0]!r} is in its passage")
        return
    if row.gold and not any(holds_any(text, row.answers) for text in row.gold):
        yield _problem(row, "unanswerable", f"{row.answers[0]!r} is in no gold passage")
    if holds_any(row.question, row.answers):
        answer = next(answer for answer in row.answers if holds_any(row.question, [answer]))
        yield _problem(row, "answer in question", f"{answer!r}")
    question = row.question.replace(GAP, row.answers[0])
    copied = max((copied_words(question, text) for text in row.gold), default=0)
    if copied:
        message = f"{copied} words in a row are its passage's"
        yield _problem(row, "copied sentence", message, remark=row.cloze)
    holding = sum(holds_any(text, row.answers) for text in row.others)
    if holding:
        yield _problem(row, "answer elsewhere", f"{holding} of {len(row.others)} other passages")


def _problem(row: QuestionRow, kind: str, message: str, *, remark: bool = False) -> QuestionProblem:
    return QuestionProblem(line=row.line, id=row.id, kind=kind, message=message, remark=remark)


# ---- Checking rows together ------------------------------------------------------------------


def _same_ids(rows: Iterable[QuestionRow]) -> Iterator[QuestionProblem]:
    first: dict[str, int] = {}
    for row in rows:
        if row.id and first.setdefault(row.id, row.line) != row.line:
            yield _problem(row, "duplicate id", f"line {first[row.id]} has it too")


def _key(row: QuestionRow) -> tuple[str, str]:
    """(Question, gold passages) as words: equal for rows that differ in details only."""
    return plain(row.question), plain(" ".join(row.gold))


def _repeated(rows: Iterable[QuestionRow]) -> Iterator[QuestionProblem]:
    first: dict[tuple[str, str], QuestionRow] = {}
    for row in rows:
        earlier = first.setdefault(_key(row), row)
        if earlier is row:
            continue
        same = _share_answer(earlier, row)
        yield _problem(row, "duplicate" if same else "contradiction", f"line {earlier.line}")


def _nearly_repeated(rows: Iterable[QuestionRow]) -> Iterator[QuestionProblem]:
    """Rows whose question is nearly that of another row with the same passage and an answer of it.

    Equal questions are looked at once: they are duplicates, and would be compared in pairs.
    """
    alike: dict[tuple[str, str], dict[str, QuestionRow]] = {}  # (passage, answer) -> by question
    for row in rows:
        question, passage = _key(row)
        for answer in _plain_answers(row) or ("",):
            alike.setdefault((passage, answer), {}).setdefault(question, row)
    seen: set[int] = set()  # lines
    for by_question in alike.values():
        together = list(by_question.values())
        for i, j in alike_to_earlier(list(by_question), NEARLY):
            one, other = together[i], together[j]
            if other.line not in seen:
                seen.add(other.line)
                yield _problem(other, "near duplicate", f"line {one.line}: {one.question}")


def _plain_answers(row: QuestionRow) -> frozenset[str]:
    return frozenset(map(plain, row.answers))


def _share_answer(one: QuestionRow, other: QuestionRow) -> bool:
    """Whether two rows have an answer in common, or both none."""
    these, those = _plain_answers(one), _plain_answers(other)
    return bool(these & those) or not (these or those)


def _leaked(rows: Iterable[QuestionRow], path: str | Path) -> Iterator[QuestionProblem]:
    """Rows whose passage, or whose question together with an answer, is in the other file too."""
    passages: set[str] = set()
    asked: set[tuple[str, str]] = set()
    for row in _read(path)[0]:
        passages.update(map(plain, row.gold))
        asked.update((_key(row)[0], plain(answer)) for answer in row.answers)
    for row in rows:
        if any(plain(text) in passages for text in row.gold):
            yield _problem(row, "leaked", f"its passage is in {path}")
        elif any((_key(row)[0], plain(answer)) in asked for answer in row.answers):
            yield _problem(row, "leaked", f"the question with its answer is in {path}")


def _stale(rows: Iterable[QuestionRow], index: Index) -> Iterator[QuestionProblem]:
    """Rows whose chunk, or the answer in it, is not in the index as the row describes it."""
    named = [row for row in rows if row.chunk]
    with index.snapshot() as snapshot:
        chunks = _chunks_named(named, snapshot)
    for row in named:
        chunk = chunks.get(row.chunk)
        if chunk is None:
            yield _problem(row, "stale", f"the index has no chunk {row.chunk}")
        elif chunk.text != row.context:
            yield _problem(row, "stale", f"the chunk {row.chunk} has another text by now")
        elif row.place and not _is_answer(_between(chunk, *row.place), row):
            yield _problem(row, "stale", f"the answer is not at {row.place[0]}–{row.place[1]}")


def _chunks_named(rows: Sequence[QuestionRow], snapshot: Snapshot) -> dict[str, Chunk]:
    """The chunks that rows name, by id; where a row names no document, all are searched."""
    wanted = {row.chunk for row in rows}
    if all(row.document_id for row in rows):
        documents = dict.fromkeys(row.document_id for row in rows)
    else:
        documents = dict.fromkeys(source.document_id for source in snapshot.sources())
    return {
        chunk.id: chunk
        for document_id in documents
        for chunk in snapshot.chunks(document_id)
        if chunk.id in wanted
    }


def _between(chunk: Chunk, start: int, end: int) -> str:
    """What a chunk holds between two offsets into its document's text."""
    return chunk.text[max(start - chunk.start, 0) : max(end - chunk.start, 0)]


def _is_answer(text: str, row: QuestionRow) -> bool:
    return " ".join(text.split()) in row.answers
