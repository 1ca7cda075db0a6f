"""How the command line ends: exit codes, and every error as one line on standard error."""

from __future__ import annotations

import os
import sys
import traceback
from io import TextIOWrapper

import click

from ragctx.errors import InputError, RagctxError
from ragctx.text.display import escape_unsafe, one_line

OK, FAILED, MISUSED, ABSTAINED, INTERRUPTED = 0, 1, 2, 3, 130
BROKEN_PIPE = 141  # what a shell reports for a process that SIGPIPE ended


class Interrupted(Exception):
    """Ctrl-C, with one line about what was kept."""


def exit_code_of(error: BaseException) -> int:
    """Report an exception on standard error, in one line, and return its exit code."""
    if os.environ.get("RAGCTX_DEBUG"):
        trace = "".join(traceback.format_exception(error))
        print(escape_unsafe(trace), file=sys.stderr, end="")
    if isinstance(error, BrokenPipeError):
        _hush()
    code, line = _verdict(error)
    if code == INTERRUPTED and sys.stderr.isatty():
        print(file=sys.stderr)  # the terminal has just written ^C
    if line:
        say(line)
    return code


def say(line: str) -> None:
    """Print one line on standard error, whatever files, servers and names put into it."""
    print(one_line(line), file=sys.stderr, flush=True)


def prepare_streams() -> None:
    """A character that cannot be read or shown becomes a question mark, not an error."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def _hush() -> None:
    """Discard what is still to be written: whoever read our output is gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _verdict(error: BaseException) -> tuple[int, str]:
    if isinstance(error, BrokenPipeError):
        return BROKEN_PIPE, ""
    if isinstance(error, (Interrupted, KeyboardInterrupt, click.Abort)):
        return INTERRUPTED, f"interrupted: {error}" if str(error) else "interrupted"
    if isinstance(error, click.UsageError):
        return MISUSED, f"error: {error.format_message()}{_see(error)}"
    if isinstance(error, click.ClickException):
        return FAILED, f"error: {error.format_message()}"
    if isinstance(error, RagctxError):
        return MISUSED if isinstance(error, InputError) else FAILED, f"error: {error}"
    if isinstance(error, OSError) and error.filename is not None:
        reason = error.strerror or type(error).__name__
        return FAILED, f"error: {reason}: {error.filename!r}; check the path and its permissions"
    detail = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return FAILED, f"error: unexpected {detail}; set RAGCTX_DEBUG=1 to see where it comes from"


def _see(error: click.UsageError) -> str:
    return f" See: {error.ctx.command_path} --help" if error.ctx else ""
