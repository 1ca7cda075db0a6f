"""Answer a file of questions, one a line, as one JSON object a line in the same order."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

import click

from ragctx.cli.exit_codes import FAILED, OK, Interrupted, say
from ragctx.cli.output import write_json
from ragctx.cli.session import Session
from ragctx.errors import InputError, RagctxError
from ragctx.records import Answer
from ragctx.views import View, counted

_MAX_LINE = 2**20  # bytes: far more than any question; chosen by hand


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a batch. `id` is the "id" of a line that is a JSON object, if it has one."""

    number: int
    question: str
    id: object = None


def run_batch(file: str, session: Session, view: Callable[[Answer], View]) -> int:
    """Answer every line of `file` ("-": standard input). A bad line becomes a row with an error.

    Returns exit code 1 only if no line could be answered, though there were some.
    """
    counts: Counter[str] = Counter()
    try:
        for number, raw in _lines(file):
            row = _row(number, raw, session, view)
            counts["error" if "error" in row else "answered"] += 1
            write_json(row)
    except KeyboardInterrupt:
        raise Interrupted(f"{counted(counts.total(), 'line')} answered and written") from None
    if counts["error"]:
        say(f"{counted(counts['error'], 'line')} of {counts.total()} could not be answered")
    return FAILED if counts["error"] and not counts["answered"] else OK


def parse_line(number: int, raw: bytes) -> Line:
    r"""The question of a line: the text itself, or "question" of a JSON object.

    >>> parse_line(1, b'{"id": 7, "question": "How long?"}\n')
    Line(number=1, question='How long?', id=7)
    >>> parse_line(2, b"How long?\n").question
    'How long?'
    """
    try:
        text = raw.decode("utf-8-sig").strip()
        is_json = text.startswith("{")
        parsed = json.loads(text, parse_float=_finite) if is_json else {"question": text}
    except ValueError as error:  # broken UTF-8, broken JSON
        raise InputError(
            f"line {number} cannot be read ({error}); write UTF-8 text or JSON"
        ) from None
    except RecursionError:
        raise InputError(f"line {number} is nested too deeply; write one flat object") from None
    question = parsed.get("question")
    if not isinstance(question, str) or not question.strip():
        raise InputError(
            f'line {number} has no question; write {{"question": "..."}} or the question itself'
        )
    return Line(number, " ".join(question.split()), parsed.get("id"))


def _finite(digits: str) -> float:
    """The number; JSON allows 1e999, which no answer could be written with."""
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits:.40} is too large")
    return value


def _lines(file: str) -> Iterator[tuple[int, bytes]]:
    """Every line that is not blank, with its number.

    As bytes, so that a line that is not UTF-8 does not end the batch.
    """
    with click.open_file(file, "rb") as stream:
        for number in count(1):
            raw = stream.readline(_MAX_LINE + 1)
            if not raw:
                return
            if len(raw) > _MAX_LINE:
                raise InputError(f"line {number} has more than {_MAX_LINE} bytes; write one a line")
            if raw.strip():
                yield number, raw


def _row(number: int, raw: bytes, session: Session, view: Callable[[Answer], View]) -> View:
    place: View = {"line": number}
    try:
        line = parse_line(number, raw)
        place |= {"question": line.question} | ({} if line.id is None else {"id": line.id})
        return {**place, **view(session.ask(line.question))}
    except RagctxError as error:
        return {**place, "error": str(error)}
    except Exception as error:  # one question that makes a model fail must not stop the others
        return {**place, "error": f"unexpected {type(error).__name__}: {error}"}
