"""Answer a file of questions, one a line, as one JSON object a line in the same order."""

from __future__ import annotations

import io
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO

import click

from ragctx.cli.exit_codes import FAILED, OK, Interrupted, say
from ragctx.cli.output import write_json
from ragctx.cli.progress import phase_progress
from ragctx.errors import InputError, RagctxError
from ragctx.paths import encoding_of
from ragctx.records import Answer
from ragctx.text.well_formed import well_formed
from ragctx.text.wording import counted
from ragctx.views import View

_MAX_LINE = 2**20  # bytes: far more than any question; chosen by hand
_MAX_FILE = 2**28  # bytes of a file that is not UTF-8 and is read whole; chosen by hand


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a batch. `id` is the "id" of a line that is a JSON object, if it has one."""

    number: int
    question: str
    id: object = None


def run_batch(file: str, ask: Callable[[str], Answer], view: Callable[[Answer], View]) -> int:
    """Answer every line of `file` ("-": standard input). A bad line becomes a row with an error.

    A bar on a terminal shows the time left if the results go elsewhere and the file has an end.
    Returns exit code 1 only if no line could be answered, though there were some.
    """
    counts: Counter[str] = Counter()
    try:
        total = _count_lines(file)
        with phase_progress() if total else nullcontext(_no_progress) as progress:
            progress("answering", 0, total)
            for number, raw in _lines(file):
                row = _row(number, raw, ask, view)
                counts["error" if "error" in row else "answered"] += 1
                write_json(row)
                progress("answering", counts.total(), total)
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
    return Line(number, well_formed(" ".join(question.split())), parsed.get("id"))


def _finite(digits: str) -> float:
    """The number; JSON allows 1e999, which no answer could be written with."""
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits:.40} is too large")
    return value


def _lines(file: str) -> Iterator[tuple[int, bytes]]:
    """Every line that is not blank, with its number.

    As bytes of UTF-8, so that a line that is not UTF-8 does not end the batch. A file in UTF-16,
    as Windows writes it, becomes UTF-8; what does not decode in it becomes U+FFFD.
    """
    with click.open_file(file, "rb") as stream:
        lines: IO[bytes] = stream
        raw = lines.readline(_MAX_LINE + 1)
        encoding = encoding_of(raw)
        if not encoding.startswith("utf-8"):
            text = (raw + stream.read(_MAX_FILE)).decode(encoding, "replace")
            lines = io.BytesIO(text.encode("utf-8", "replace"))
            raw = lines.readline(_MAX_LINE + 1)
        for number in count(1):
            if not raw:
                return
            if len(raw) > _MAX_LINE:
                raise InputError(f"line {number} has more than {_MAX_LINE} bytes; write one a line")
            if raw.strip():
                yield number, raw
            raw = lines.readline(_MAX_LINE + 1)


def _count_lines(file: str) -> int:
    """How many questions there are; 0 where that cannot be known, or a bar would be in the way."""
    if sys.stdout.isatty() or not Path(file).is_file():  # standard input, a pipe
        return 0
    return sum(1 for _ in _lines(file))


def _no_progress(what: str, done: float, total: int) -> None:
    """No bar."""


def _row(
    number: int, raw: bytes, ask: Callable[[str], Answer], view: Callable[[Answer], View]
) -> View:
    place: View = {"line": number}
    try:
        line = parse_line(number, raw)
        place |= {"question": line.question} | ({} if line.id is None else {"id": line.id})
        return {**place, **view(ask(line.question))}
    except RagctxError as error:
        return {**place, "error": str(error)}
    except Exception as error:  # one question that makes a model fail must not stop the others
        return {**place, "error": f"unexpected {type(error).__name__}: {error}"}
