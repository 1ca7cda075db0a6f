"""Answer a file of questions, one a line, as one JSON object a line in the same order."""

from __future__ import annotations

import io
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import click

from ragctx.cli.exit_codes import FAILED, OK, Interrupted, say
from ragctx.cli.output import write_json
from ragctx.cli.progress import question_progress
from ragctx.errors import InputError, RagctxError
from ragctx.paths import encoding_of
from ragctx.records import Answer
from ragctx.text.well_formed import well_formed
from ragctx.views import View, counted


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
        with question_progress() if total else nullcontext(_no_progress) as progress:
            progress(0, total)
            for number, raw in _lines(file):
                row = _row(number, raw, ask, view)
                counts["error" if "error" in row else "answered"] += 1
                write_json(row)
                progress(counts.total(), total)
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
        parsed = json.loads(text) if text.startswith("{") else {"question": text}
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


def _lines(file: str) -> Iterator[tuple[int, bytes]]:
    """Every line that is not blank, with its number.

    As bytes of UTF-8, so that a line that is not UTF-8 does not end the batch. A file in UTF-16,
    as Windows writes it, becomes UTF-8; what does not decode in it becomes U+FFFD.
    """
    with click.open_file(file, "rb") as stream:
        lines: Iterable[bytes]
        first = stream.readline()
        encoding = encoding_of(first)
        if encoding.startswith("utf-8"):
            lines = chain((first,), stream)
        else:
            text = (first + stream.read()).decode(encoding, "replace")
            lines = io.BytesIO(text.encode("utf-8", "replace"))
        for number, raw in enumerate(lines, start=1):
            if raw.strip():
                yield number, raw


def _count_lines(file: str) -> int:
    """How many questions there are; 0 where that cannot be known, or a bar would be in the way."""
    if sys.stdout.isatty() or not Path(file).is_file():  # standard input, a pipe
        return 0
    return sum(1 for _ in _lines(file))


def _no_progress(done: int, total: int) -> None:
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
