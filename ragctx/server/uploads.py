"""PDFs that come in: written beside the index under a name that is only a name."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from ragctx.errors import InputError
from ragctx.index.address import IndexPlace, PostgresAddress
from ragctx.paths import DEFAULT_INDEX

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
    if not name.lower().endswith(".pdf"):
        raise InputError(f"{name[:80]!r} is not the name of a PDF; give one such as manual.pdf")
    return name


def folder_for(index_path: IndexPlace) -> Path:
    """Where the PDFs are kept that are uploaded to an index; for a database, below indexes/."""
    if isinstance(index_path, PostgresAddress):
        return DEFAULT_INDEX.with_name(f"postgresql-{index_path.schema}-uploads")
    return index_path.with_name(f"{index_path.name}-uploads")


async def received(chunks: AsyncIterator[bytes], folder: Path, name: str) -> Path:
    """Write a PDF into the folder, all of it or nothing, in place of one of this name.

    Raises:
        InputError: it is not a PDF.
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".upload-", dir=folder)
    try:
        first = b""
        with os.fdopen(handle, "wb") as file:
            async for chunk in chunks:
                if len(first) < _FIRST_BYTES:
                    first += chunk[:_FIRST_BYTES]
                    if len(first) >= _FIRST_BYTES:
                        _require_pdf(first, name)
                file.write(chunk)
        _require_pdf(first, name)
        path = folder / name
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def _require_pdf(first: bytes, name: str) -> None:
    if b"%PDF-" not in first[:_FIRST_BYTES]:
        raise InputError(f"{name!r} is not a PDF: it does not begin with %PDF-")
