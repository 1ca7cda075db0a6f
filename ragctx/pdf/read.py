"""PDF files to Documents, safely: the file is read by another process, under limits.

A PDF may be truncated, encrypted, enormous, self-referring or made to hang its reader. Whatever it
does, it does to a process that is watched and, if need be, killed (`ragctx.pdf.process`); the pages
read before that are kept.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from ragctx.arguments import require_function, require_kind
from ragctx.errors import InputError, PdfError
from ragctx.paths import sha256_of
from ragctx.pdf.document import document_from, sound_characters
from ragctx.pdf.ligatures import seems_to_lack_letters
from ragctx.pdf.names import READERS, PdfReader
from ragctx.pdf.page_tree import written_pages
from ragctx.pdf.parts import read_in_parts
from ragctx.pdf.process import Limits, Request, read
from ragctx.pdf.reading import Failure, Reading
from ragctx.records import Document

OnPage: TypeAlias = Callable[[int, int], None]


def read_pdf(
    path: str | Path,
    *,
    document_id: str | None = None,
    password: str | None = None,
    reader: PdfReader = "auto",
    limits: Limits | None = None,
    processes: int = 1,
    on_page: OnPage | None = None,
) -> Document:
    """Read a PDF's text, page by page, with labels, outline and title.

    Args:
        path: the file.
        document_id: its `file_id`, if it was hashed already; else it is hashed here.
        password: for encrypted files; those with an empty user password need none.
        reader: which library gives the text.
        limits: time, memory and size one file may cost.
        processes: how many may read a long file at once, each a part of its pages.
        on_page: called with the number of the page just read and the number of pages.

    Returns:
        A document whose `status` is "ok", "partial" (some pages gave nothing: each page's status
        gives the reason), or "no_text" (nothing to read: it needs OCR, or is blank). Its `id`
        depends on the file's bytes alone.

    Raises:
        PdfError: no document comes of it; its `status` tells why ("encrypted", "corrupt",
            "timeout", "too_large", "unreadable").
        InputError: `reader` is not one of `READERS`.

    >>> document = read_pdf(Path("manual.pdf"))  # doctest: +SKIP
    >>> document.page_of(1200).label  # doctest: +SKIP
    'xii'
    """
    require_kind("path", path, (str, os.PathLike), "give the path of a PDF")
    path, limits = Path(path), limits or Limits()
    require_kind("limits", limits, Limits, "give Limits(file_timeout_s=…, …)")
    if password is not None:
        require_kind("password", password, str, "give a text")
    if on_page is not None:
        require_function("on_page", on_page, "give a function of a page's number and their number")
    if reader not in READERS:
        raise InputError(f"reader is {reader!r}; valid: {', '.join(READERS)}")
    head = _first_bytes(path, limits)
    document_id = document_id or _hashed(path)
    library = "pypdf" if reader == "pypdf" else "pdfium"
    deadline = time.monotonic() + limits.file_timeout_s
    request = Request(
        path=path.absolute(), password=password, reader=library, limits=limits, deadline=deadline
    )
    reading = read_in_parts(request, on_page, processes)
    if library == "pdfium":
        _mend_ligatures(reading, request)
    if reader == "auto":
        reading = _with_second_opinion(reading, request, on_page)
    _check(reading, path, head)
    return document_from(reading, document_id, str(path), limits.max_pages)


def file_id(path: Path) -> str:
    """A document's id: the first 16 hex digits of the SHA-256 of the file's bytes.

    Raises:
        OSError: the file cannot be read.
    """
    return sha256_of(path)[:16]


def require_size(path: Path, limits: Limits) -> None:
    """Raise PdfError ("too_large") for a file above the limit: ask before reading it to hash it.

    Raises OSError if there is no such file.
    """
    size = path.stat().st_size
    if size > limits.max_file_bytes:
        raise PdfError(
            f"{path.name} has {size} bytes, more than the {limits.max_file_bytes} allowed; "
            "split it, or raise Limits.max_file_bytes",
            status="too_large",
        )


def _hashed(path: Path) -> str:
    try:
        return file_id(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _first_bytes(path: Path, limits: Limits) -> bytes:
    """The file's first 1,024 bytes: a PDF has "%PDF" among them.

    Raises:
        PdfError: it is not a file, too large, empty, or cannot be read.
    """
    try:
        if path.exists() and not path.is_file():
            raise PdfError(f"{path.name} is not a file; name a PDF", status="unreadable")
        require_size(path, limits)
        with path.open("rb") as stream:
            head = stream.read(1024)
    except OSError as error:
        raise _unreadable(path, error) from error
    if not head:
        raise PdfError(f"{path.name} is empty (0 bytes); get it again", status="corrupt")
    return head


def _unreadable(path: Path, error: OSError) -> PdfError:
    return PdfError(
        f"{path.name} cannot be read ({error.strerror or error}); check the path and its "
        "permissions",
        status="unreadable",
    )


def _mend_ligatures(reading: Reading, request: Request) -> None:
    """Put in the pages of a copy with mended fonts, if letters seem to be missing and it helps."""
    if seems_to_lack_letters("\n".join(page.raw_text for page in reading.pages.values())):
        mended = read(replace(request, mend_fonts=True))
        reading.pages |= {i: page for i, page in mended.pages.items() if i in reading.pages}


def _with_second_opinion(reading: Reading, request: Request, on_page: OnPage | None) -> Reading:
    """The reading, with pypdf's pages where pdfium failed or gave less sound text."""
    if not reading.count:
        hopeless = reading.failure is not None and reading.failure.status != "corrupt"
        second = reading if hopeless else read(replace(request, reader="pypdf"), on_page)
        return second if second.count else reading
    if _may_miscount(reading, request):
        leaves = read(replace(request, reader="pypdf", only=())).count
        if leaves not in (0, reading.count):
            by_leaves = read(replace(request, reader="pypdf"), on_page)
            return by_leaves if by_leaves.pages else reading
    broken = {i for i, status in reading.lost.items() if status == "corrupt"}
    doubtful = {
        i
        for i, page in reading.pages.items()
        # Beside pages that cannot be read, one without anything on it may be broken as well.
        if page.doubtful or (broken and not page.raw_text.strip() and not page.pictures)
    }
    if doubtful | broken:
        only = tuple(sorted(doubtful | broken))
        second = read(replace(request, reader="pypdf", only=only))
        for i, page in second.pages.items():
            if i in broken or sound_characters(page) > sound_characters(reading.pages[i]):
                reading.pages[i] = page
                reading.lost.pop(i, None)
    return reading


def _may_miscount(reading: Reading, request: Request) -> bool:
    """Whether the page tree may be wrong: pdfium goes by its counts, pypdf by its leaves."""
    return "corrupt" in reading.lost.values() or written_pages(request.path) > reading.count


def _check(reading: Reading, path: Path, head: bytes) -> None:
    """Raise PdfError if nothing was read, for the reason that helps most."""
    if reading.pages:
        return
    if reading.count:
        status = "timeout" if "timeout" in reading.lost.values() else "corrupt"
        why = "; ".join(reading.warnings[:1])
        raise PdfError(f"{path.name}: none of its pages could be read ({why})", status=status)
    failure = reading.failure or Failure("corrupt", "")
    if failure.status == "timeout":
        message = f"{path.name} {failure.message}; raise Limits.file_timeout_s"
        raise PdfError(message, status="timeout")
    if failure.status != "corrupt":
        raise PdfError(f"{path.name} {failure.message}", status=failure.status)
    if b"%PDF" not in head:
        begins = head[:12].decode("latin-1")
        raise PdfError(
            f"{path.name} is not a PDF: it begins with {begins!r}; get the PDF itself, or make one "
            f"of it, for example: libreoffice --convert-to pdf {path.name}",
            status="corrupt",
        )
    why = f" ({failure.message.rstrip('.')})" if failure.message else ": it has no pages"
    raise PdfError(
        f"{path.name} is damaged{why}; get it again, or repair it: qpdf {path.name} repaired.pdf",
        status="corrupt",
    )
