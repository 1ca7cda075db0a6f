"""Reads one PDF in a process of its own: a request on standard input, messages on standard output.

The messages are those of `ragctx.pdf.messages`, one a line. The process may hang, crash or run out
of memory at any point: its parent (`ragctx.pdf.process`) sees to that, and keeps what was sent
before.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import TextIO

from ragctx.bounded import end_with_parent, limit_memory
from ragctx.errors import PdfError
from ragctx.pdf.cut_maps import may_be_cut
from ragctx.pdf.messages import (
    BrokenMessage,
    LookMessage,
    Message,
    OpenMessage,
    PageMessage,
    RequestMessage,
    one_line,
    quietly,
)
from ragctx.pdf.soundness import soundness_of

Send = Callable[[Message], None]

DAMAGED = "the file is damaged, perhaps in this page; text may be missing"
MAX_WARNINGS = 20
"""How many different warnings of a library are kept for a file. Chosen by hand."""


def main() -> None:
    """Serve one request."""
    request: RequestMessage = json.loads(sys.stdin.readline())
    end_with_parent()
    limit_memory(int(request["memory_bytes"]))
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # C libraries may print, too
    send = _sender(stream)
    heard = _Heard()
    logging.getLogger().addHandler(heard)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        _serve(request, send)
    send({"kind": "end", "warnings": heard.messages})
    stream.flush()
    os._exit(0)  # taking the libraries down in order can take long, and nobody waits for it


def _sender(stream: TextIO) -> Send:
    def send(message: Message) -> None:
        stream.write(json.dumps(message) + "\n")
        stream.flush()

    return send


class _Heard(logging.Handler):
    """Keeps what libraries log and warn, each message once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record's message, on one line of at most 200 characters."""
        message = " ".join(record.getMessage().split())[:200]
        if len(self.messages) < MAX_WARNINGS and message not in self.messages:
            self.messages.append(message)


def _serve(request: RequestMessage, send: Send) -> None:
    try:
        _read(request, send)
    except PdfError as error:
        send({"kind": "failed", "status": error.status, "message": str(error)})
    except MemoryError:
        reason = f"needs more than the {request['memory_bytes']} bytes of memory allowed"
        send({"kind": "failed", "status": "too_large", "message": reason})
    except Exception as error:
        send({"kind": "failed", "status": "corrupt", "message": one_line(error)})


def _library(reader: str) -> ModuleType:
    if reader == "pypdf":
        from ragctx.pdf import pypdf_reader

        return pypdf_reader
    from ragctx.pdf import pdfium_reader

    return pdfium_reader


def _read(request: RequestMessage, send: Send) -> None:
    if request["mend_fonts"] and not may_be_cut(request["path"]):
        return
    library = _library(request["reader"])
    gc.freeze()
    gc.enable()
    send({"kind": "started"})
    source = _mended(request) if request["mend_fonts"] else request["path"]
    if source is None:
        return
    document = library.open_document(source, request["password"])
    opening: OpenMessage = library.opening(document)
    send(opening)
    if request["look"] is not None:
        wanted = [i for i in request["only"] or [] if i >= request["first"]]
        _look(document, wanted, request["look"], send)
        return
    damage_of = _damage(request)
    pages: Iterable[int] = range(min(opening["pages"], request["max_pages"]))
    for i in pages if request["only"] is None else request["only"]:
        if i >= request["first"]:
            send({"kind": "begin", "page": i})
            send(_page(library, document, i, damage_of))
    if request["structure"]:
        send({"kind": "begin", "page": -1})
        send(library.structure(document))


def _look(document: object, pages: Iterable[int], look: LookMessage, send: Send) -> None:
    """Send where the glyphs of the pages are, and pictures of them."""
    from ragctx.pdf import pdfium_picture, pdfium_reader

    for i in pages:
        send({"kind": "begin", "page": i})
        try:
            send(pdfium_reader.read_sheet(document, i))
            if look["scale"] is not None:
                send(pdfium_picture.draw(document, i, look["scale"], look["marks"]))
        except Exception as error:
            send(_broken(i, error))


def _mended(request: RequestMessage) -> bytes | None:
    from ragctx.pdf.font_maps import with_mended_fonts

    return with_mended_fonts(request["path"], request["password"])


def _damage(request: RequestMessage) -> Callable[[int], str]:
    """What is wrong with a page's content; opens the file again unless its streams are sound.

    pdfium gives no access to streams, and gives what it could inflate without a word.
    """
    soundness = soundness_of(request["path"])
    if soundness.is_certain:
        return lambda i: ""
    from ragctx.pdf import pypdf_reader

    if request["reader"] != "pypdf":  # what it says on the way is not about the text
        logging.getLogger("pypdf").propagate = False
    unknown = "" if soundness.encrypted else DAMAGED
    try:
        document = pypdf_reader.open_document(request["path"], request["password"])
    except Exception:
        return lambda i: unknown
    otherwise = DAMAGED if soundness.shared else ""

    def damage(i: int) -> str:
        broken = quietly(lambda: pypdf_reader.holds_broken(document, i, soundness.broken), None)
        if broken is None:
            return unknown
        return "its content is damaged in the file; text may be missing" if broken else otherwise

    return damage


def _page(
    library: ModuleType, document: object, i: int, damage_of: Callable[[int], str]
) -> Message:
    try:
        message: PageMessage = library.read_page(document, i)
        message["damage"] = damage_of(i)
        is_certain = message["damage"] not in ("", DAMAGED)
        message["doubtful"] = message["doubtful"] or is_certain
    except Exception as error:
        return _broken(i, error)
    return message


def _broken(i: int, error: Exception) -> BrokenMessage:
    if isinstance(error, MemoryError):
        error = MemoryError("needs more memory than is allowed")
    return {"kind": "broken", "page": i, "message": one_line(error)}


if __name__ == "__main__":
    main()
