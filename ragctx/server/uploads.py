"""Documents that come in: written beside the index under a name that is only a name."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

from ragctx.errors import InputError
from ragctx.file_formats import SUFFIXES, text_format_of
from ragctx.index.address import IndexPlace, PostgresAddress
from ragctx.paths import DEFAULT_INDEX, unfinished_beside

MAX_NAME_BYTES = 200
_FIRST_BYTES = 1024  # in which a PDF says that it is one


def file_name_of(name: str) -> str:
    """The name of an uploaded file. Raises InputError if it is more than a name.

    >>> file_name_of("manual.pdf")
    'manual.pdf'
    >>> file_name_of("../manual.pdf")
    Traceback (most recent call last):
    ragctx.errors.InputError: '../manual.pdf' is no file name; give one such as manual.pdf
    """
    is_plain = name.isprintable() and not set(name) & set('/\\:*?"<>|') and not name.startswith(".")
    if not is_plain or not 0 < len(name.encode("utf-8", "replace")) <= MAX_NAME_BYTES:
        raise InputError(f"{name[:80]!r} is no file name; give one such as manual.pdf")
    if not name.lower().endswith(SUFFIXES):
        endings = ", ".join(SUFFIXES)
        raise InputError(f"{name[:80]!r} is not the name of a document; it ends in {endings}")
    return name


def folder_for(index_path: IndexPlace) -> Path:
    """Where the files are kept that are uploaded to an index; for a database, below indexes/."""
    if isinstance(index_path, PostgresAddress):
        return DEFAULT_INDEX.with_name(f"postgresql-{index_path.schema}-uploads")
    return index_path.with_name(f"{index_path.name}-uploads")


class Arrival(NamedTuple):
    """A file that has come whole, and where it is to be."""

    unfinished: Path
    path: Path


async def received(chunks: AsyncIterator[bytes], path: Path) -> Arrival:
    """Write a file beside `path`: all of it, or nothing. See also `tidy`.

    Raises:
        InputError: it has the name of a PDF, and is none.
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = unfinished_beside(path)
    try:
        first = b""
        with unfinished.open("wb") as file:
            async for chunk in chunks:
                if len(first) < _FIRST_BYTES:
                    first += chunk[:_FIRST_BYTES]
                    if len(first) >= _FIRST_BYTES:
                        _require_pdf(first, path.name)
                file.write(chunk)
        _require_pdf(first, path.name)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    return Arrival(unfinished, path)


def tidy(folder: Path) -> tuple[Path, ...]:
    """Remove what servers that were killed left half written; the documents that are there.

    Call it before anything is received.
    """
    for unfinished in folder.glob(".*.part"):
        if not _is_written_elsewhere(unfinished):
            unfinished.unlink(missing_ok=True)
    return tuple(sorted(p for p in folder.glob("*") if p.name.lower().endswith(SUFFIXES)))


def _is_written_elsewhere(unfinished: Path) -> bool:
    """Whether the process that writes it, by its name, is another one that goes on."""
    process = re.search(r"\.(\d+)-\d+-[0-9a-f]+\.part\Z", unfinished.name)
    if process is None or int(process[1]) == os.getpid():
        return False
    try:
        os.kill(int(process[1]), 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is somebody else's
        pass
    return True


def _require_pdf(first: bytes, name: str) -> None:
    if text_format_of(name) is None and b"%PDF-" not in first[:_FIRST_BYTES]:
        raise InputError(f"{name!r} is not a PDF: it does not begin with %PDF-")
