"""PDF files to Documents, safely: the file is read by another process, under limits.

A PDF may be truncated, encrypted, enormous, self-referring or made to hang its reader. Whatever it
does, it does to a process that is watched and, if need be, killed (`ragctx.pdf.process`); the pages
read before that are kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from ragctx.arguments import require_function
from ragctx.errors import InputError
from ragctx.paths import sha256_of
from ragctx.pdf.document import document_from
from ragctx.pdf.names import HIDDEN_TEXT, READERS, HiddenText, PdfReader
from ragctx.pdf.ocr import Ocr, with_ocr
from ragctx.pdf.opening import first_bytes, require_pdf, unreadable, why_unread
from ragctx.pdf.parts import read_in_parts
from ragctx.pdf.process import Limits, Request
from ragctx.pdf.readers import ForkedReaders, Readers
from ragctx.pdf.reading import OnPage, PageText, Reading
from ragctx.pdf.rows_ahead import RowsAhead
from ragctx.pdf.second_looks import with_better_pages
from ragctx.records import Document


def read_pdf(
    path: str | Path,
    *,
    document_id: str | None = None,
    password: str | None = None,
    reader: PdfReader = "auto",
    hidden: HiddenText = "drop",
    limits: Limits | None = None,
    ocr: Ocr | None = None,
    processes: int = 1,
    readers: Readers | None = None,
    on_page: OnPage | None = None,
) -> Document:
    """Read a PDF's text, page by page, with labels, outline and title.

    Args:
        path: the file.
        document_id: its `file_id`, if it was hashed already; else it is hashed here.
        password: for encrypted files; those with an empty user password need none.
        reader: which library gives the text.
        hidden: what becomes of text that nobody sees on the page (white on white, in a layer that
            is off): it is left out, or kept in lines of their own after the page's other text, as
            "[hidden: …]". `Document.warnings` tells how much there is on which pages. Only pdfium
            tells it from other text.
        limits: time, memory and size one file may cost.
        ocr: what reads pages without sound text from their picture; None: nothing does.
        processes: how many may read a long file at once, each a part of its pages.
        readers: where they come from; for one file after the other, `ForkedReaders` saves each
            the tenth of a second that a process takes to start.
        on_page: called with the number of the page just read and the number of pages.

    Returns:
        A document whose `status` is "ok", "ocr" (nothing is missing, and pages were read by OCR),
        "partial" (some pages gave nothing: each page's status gives the reason), or "no_text"
        (nothing to read: it needs OCR, or is blank). Its `id` depends on the file's bytes alone.

    Raises:
        PdfError: no document comes of it; its `status` tells why ("encrypted", "corrupt",
            "timeout", "too_large", "unreadable").
        InputError: `reader` is not one of `READERS`, or `hidden` not one of `HIDDEN_TEXT`.

    >>> document = read_pdf(Path("manual.pdf"))  # doctest: +SKIP
    >>> document.page_of(1200).label  # doctest: +SKIP
    'xii'
    """
    if hidden not in HIDDEN_TEXT:
        raise InputError(f"hidden is {hidden!r}; valid: {', '.join(HIDDEN_TEXT)}")
    limits = limits or Limits()
    with RowsAhead() as ahead:
        reading = read_pages(
            path,
            password=password,
            reader=reader,
            limits=limits,
            ocr=ocr,
            processes=processes,
            readers=readers,
            on_page=on_page,
            on_text=ahead.add,
        )
        document_id = document_id or _hashed(Path(path))
        return document_from(
            reading,
            document_id,
            str(Path(path)),
            max_pages=limits.max_pages,
            hidden=hidden,
            rows=ahead.rows,
        )


def read_pages(
    path: str | Path,
    *,
    password: str | None = None,
    reader: PdfReader = "auto",
    limits: Limits | None = None,
    ocr: Ocr | None = None,
    processes: int = 1,
    readers: Readers | None = None,
    on_page: OnPage | None = None,
    on_text: Callable[[PageText], None] | None = None,
) -> Reading:
    """What the libraries give of a PDF's pages, at least one: `read_pdf` makes a Document of it.

    `on_text` is given each page as it is read, before some pages are looked at again.

    Raises:
        PdfError, InputError: as `read_pdf` does.
    """
    path, limits = require_pdf(path, password, limits)
    if on_page is not None:
        require_function("on_page", on_page, "give a function of a page's number and their number")
    if reader not in READERS:
        raise InputError(f"reader is {reader!r}; valid: {', '.join(READERS)}")
    head = first_bytes(path, limits)

    def told(page: PageText, pages: int) -> None:
        if on_text is not None:
            on_text(page)
        if on_page is not None:
            on_page(page.page + 1, pages)

    with ExitStack() as until_read:
        request = Request(
            path=path.absolute(),
            password=password,
            reader="pypdf" if reader == "pypdf" else "pdfium",
            limits=limits,
            deadline=time.monotonic() + limits.file_timeout_s,
            readers=readers or until_read.enter_context(ForkedReaders()),
        )
        reading = read_in_parts(request, told, processes)
        if request.reader == "pdfium":
            reading = with_better_pages(reading, request, told, both_libraries=reader == "auto")
    if not reading.pages:
        raise why_unread(reading, path, head)
    if ocr is not None:
        reading = with_ocr(reading, ocr, path, password=password, limits=limits, on_page=on_page)
    return reading


def file_id(path: Path) -> str:
    """A document's id: the first 16 hex digits of the SHA-256 of the file's bytes.

    Raises:
        OSError: the file cannot be read.
    """
    return sha256_of(path)[:16]


def _hashed(path: Path) -> str:
    try:
        return file_id(path)
    except OSError as error:
        raise unreadable(path, error) from error
