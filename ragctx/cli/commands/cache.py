"""`ragctx cache info|clear`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragctx.cli import options
from ragctx.cli.exit_codes import say
from ragctx.cli.help import Group, examples
from ragctx.cli.output import console, shown_path, table, write_json
from ragctx.errors import StoreError
from ragctx.paths import cache_dir
from ragctx.text.display import one_line
from ragctx.text.wording import bytes_words, counted

if TYPE_CHECKING:
    from ragctx.index.cache import CachedIndex

_NAMED = 3  # documents of an index that are named in the table; all are in --json


@examples("ragctx cache info", "ragctx cache info --json", "ragctx cache clear --yes")
@click.group("cache", cls=Group)
def cache_command() -> None:
    """Show what is kept to save time, or remove it.

    The cache is in $RAGCTX_CACHE_DIR, else $XDG_CACHE_HOME/ragctx, else ~/.cache/ragctx. The PDFs
    that `ask` was given take 2 GiB at most, or $RAGCTX_CACHE_BYTES; those used longest ago go
    first.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One part of the cache: what it holds, how much, and the most it may hold."""

    name: str
    path: str
    entries: int
    bytes: int
    max_bytes: int | None


@cache_command.command("info")
@options.json_option
def info_command(as_json: bool) -> None:
    """Show what is in the cache, how large it is, and where."""
    from ragctx.index.cache import IndexCache

    parts = _parts()
    indexes = [
        (entry, _documents(entry.folder)) for entry in reversed(IndexCache().entries())
    ]  # the one used last first
    if as_json:
        shown = [
            {
                "path": str(entry.folder),
                "bytes": entry.bytes,
                "used": _time(entry),
                "documents": documents,
            }
            for entry, documents in indexes
        ]
        write_json({"path": str(cache_dir()), "parts": list(map(asdict, parts)), "indexes": shown})
        return
    grid = table("kept", "entries", "size", "at most", numbers=("entries", "size", "at most"))
    for part in parts:
        bound = "" if part.max_bytes is None else bytes_words(part.max_bytes)
        grid.add_row(part.name, f"{part.entries:,}", bytes_words(part.bytes), bound)
    console().print(f"cache: {cache_dir()}", soft_wrap=True)
    console().print(grid)
    if indexes:
        _print_indexes(indexes)


def _print_indexes(indexes: Sequence[tuple[CachedIndex, Sequence[str]]]) -> None:
    grid = table("documents of `ask`", "size", "last used (UTC)", numbers=("size",))
    for entry, documents in indexes:
        names = ", ".join(map(shown_path, documents[:_NAMED])) or "none could be read"
        more = f" and {len(documents) - _NAMED:,} more" if len(documents) > _NAMED else ""
        grid.add_row(names + more, bytes_words(entry.bytes), _time(entry)[:16].replace("T", " "))
    console().print(grid)


@cache_command.command("clear")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.json_option
def clear_command(yes: bool, as_json: bool) -> None:
    """Remove what `ask` and `compare` kept: indexes of PDFs, and answers.

    What another process uses stays. Position profiles, which `probe` measured, stay, and so do the
    indexes of `ingest`.
    """
    from ragctx.evaluation.answer_cache import AnswerCache, answers_path
    from ragctx.index.cache import IndexCache
    from ragctx.index.noted import forget_indexes

    indexes, answers, _ = _parts()
    if not yes:
        _confirm(indexes, answers)
    forget_indexes()
    cache = IndexCache()
    removed = cache.clear()
    left = len(cache.entries())
    forgotten = AnswerCache().clear() if answers_path().exists() else 0
    if as_json:
        write_json({"indexes": removed, "answers": forgotten, "indexes_in_use": left})
        return
    console().print(
        f"removed {counted(removed, 'index', 'indexes')}, {counted(forgotten, 'answer')}"
    )
    if left:
        say(f"{counted(left, 'index', 'indexes')} in use or not removable: kept")


def _confirm(indexes: _Part, answers: _Part) -> None:
    if sys.stdin is None or not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked here; to remove without asking, give --yes.")
    click.confirm(
        f"Remove {counted(indexes.entries, 'index', 'indexes')} ({bytes_words(indexes.bytes)}) and "
        f"{counted(answers.entries, 'answer')} ({bytes_words(answers.bytes)}) from {cache_dir()}?",
        abort=True,
        err=True,
    )


def _parts() -> tuple[_Part, _Part, _Part]:
    from ragctx.evaluation import answer_cache
    from ragctx.evaluation.profiles import profile_path
    from ragctx.index.cache import IndexCache

    cache = IndexCache()
    entries = cache.entries()
    answers = answer_cache.answers_path()
    profiles = profile_path("").parent
    files = sorted(profiles.glob("*.json"))
    return (
        _Part(
            name="indexes",
            path=str(cache.folder),
            entries=len(entries),
            bytes=sum(entry.bytes for entry in entries),
            max_bytes=cache.max_bytes,
        ),
        _Part(
            name="answers",
            path=str(answers),
            entries=_answers(answers),
            bytes=sum(map(_size, answers.parent.glob(f"{answers.name}*"))),
            max_bytes=answer_cache.MAX_BYTES,
        ),
        _Part(
            name="profiles",
            path=str(profiles),
            entries=len(files),
            bytes=sum(map(_size, files)),
            max_bytes=None,
        ),
    )


def _answers(path: Path) -> int:
    from ragctx.evaluation.answer_cache import AnswerCache

    if not path.exists():
        return 0
    try:
        return AnswerCache().count()
    except StoreError as error:
        say(f"warning: {error}")
        return 0


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0


def _documents(folder: Path) -> list[str]:
    from ragctx.index.index import Index

    with suppress(StoreError):
        return [one_line(source.path) for source in Index.open(folder).sources()]
    return []


def _time(entry: CachedIndex) -> str:
    """When an index was last used: UTC, ISO 8601."""
    return datetime.fromtimestamp(entry.used, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
