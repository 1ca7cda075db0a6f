"""Reads one PDF in a process of its own: `python -m ragctx.pdf_worker`, spoken to in JSON lines.

On standard input one request; on standard output one message per line: `open`, then a `page` for
each, then `structure`, or `failed`. The process may hang, crash or run out of memory at any point:
the parent (`ragctx.pdf`) sees to that, and keeps what was said before.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any, TextIO

Message = dict[str, Any]
Send = Callable[[Message], None]

FEW_CHARACTERS = 24
"""A page with less text than this gets a second opinion."""
MANY_WARNINGS = 20
MANY_HEADINGS = 5000


def main() -> None:
    """Serve one request."""
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _limit_memory(int(request["memory_bytes"]))
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as stream:
        # what C libraries print must not be taken for messages
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        _read(request, _sender(stream))


def _sender(stream: TextIO) -> Send:
    def send(message: Message) -> None:
        stream.write(json.dumps(message) + "\n")
        stream.flush()

    return send


def _die_with_parent() -> None:
    sys.stdin.read()  # the parent never writes again: this ends when the parent does
    os._exit(1)


def _limit_memory(memory_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # not on Windows; the time limits still hold there
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def _read(request: Message, send: Send) -> None:
    heard = _Heard()
    logging.getLogger().addHandler(heard)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if request["reader"] == "pypdf":
                _read_by_pypdf(request, send)
            else:
                _read_by_pdfium(request, send)
        except _Failed as failure:
            send({"kind": "failed", "status": failure.status, "message": str(failure)})
        except MemoryError:
            send({"kind": "failed", "status": "too_large", "message": "needs too much memory"})
        except Exception as error:
            send({"kind": "failed", "status": "corrupt", "message": _line(error)})
    said = [*heard.messages, *(str(warning.message) for warning in caught)]
    send({"kind": "end", "warnings": list(dict.fromkeys(said))[:MANY_WARNINGS]})


class _Failed(Exception):
    """No document comes of this file, for a reason we know."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Heard(logging.Handler):
    """Keeps what libraries log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record's message."""
        if len(self.messages) < 10 * MANY_WARNINGS:
            self.messages.append(record.getMessage()[:200])


# ---- pdfium for text, pypdf for structure ----------------------------------------------------


def _read_by_pdfium(request: Message, send: Send) -> None:
    import pypdfium2 as pdfium

    try:
        document = pdfium.PdfDocument(request["path"], password=request["password"])
        count = len(document)
    except pdfium.PdfiumError as error:
        if "password" in str(error).lower():
            raise _Failed("encrypted", _password_message(request)) from error
        if "security" in str(error).lower():
            raise _Failed("encrypted", "is encrypted in a way that cannot be opened") from error
        raise _Failed("corrupt", _line(error)) from error
    send({"kind": "open", "pages": count, "reader": "pdfium"})
    second = _SecondOpinion(request)
    for i in range(request["first"], min(count, request["max_pages"])):
        send({"kind": "begin", "page": i})
        send(_pdfium_page(document, i, second if request["reader"] == "auto" else None))
    if request["structure"]:
        attachments = _quietly(document.count_attachments, 0)
        xfa = _quietly(document.get_formtype, 0) in (2, 3)
        send({"kind": "extras", "attachments": attachments, "xfa": xfa})
        send({"kind": "begin", "page": -1})
        send(_structure(second.reader()))


def _pdfium_page(document: Any, i: int, second: _SecondOpinion | None) -> Message:
    text, pictures, reader = "", False, "pdfium"
    label = _quietly(lambda: document.get_page_label(i), "")
    broken = ""
    try:
        page = document[i]
        text = page.get_textpage().get_text_range()
        if len(text.strip()) < FEW_CHARACTERS:
            pictures = _has_pictures(page)
    except Exception as error:
        broken = _line(error)
    if second is not None and (broken or _doubtful(text)):
        other = second.text(i)
        if _worth(other) > _worth(text):
            text, reader, broken = other, "pypdf", ""
    return {
        "kind": "page", "page": i, "text": text, "label": label, "pictures": pictures,
        "reader": reader, "broken": broken,
    }  # fmt: skip


def _has_pictures(page: Any) -> bool:
    import pypdfium2.raw as raw

    return any(item.type == raw.FPDF_PAGEOBJ_IMAGE for item in page.get_objects(max_depth=3))


def _doubtful(text: str) -> bool:
    from ragctx.normalise import garbled_share

    return len(text.strip()) < FEW_CHARACTERS or garbled_share(text) > 0.1


def _worth(text: str) -> float:
    from ragctx.normalise import garbled_share

    return len("".join(text.split())) * (1 - garbled_share(text)) ** 4


class _SecondOpinion:
    """pypdf on the same file, opened when first needed; never an error."""

    def __init__(self, request: Message) -> None:
        self._request = request
        self._reader: Any = None
        self._tried = False

    def reader(self) -> Any:
        """The pypdf reader, or None if it cannot open the file."""
        if not self._tried:
            self._tried = True
            self._reader = _quietly(lambda: _open_pypdf(self._request), None)
        return self._reader

    def text(self, i: int) -> str:
        """pypdf's text of page i, "" if there is none."""
        reader = self.reader()
        return _quietly(lambda: str(reader.pages[i].extract_text()), "") if reader else ""


def _open_pypdf(request: Message) -> Any:
    import pypdf

    reader = pypdf.PdfReader(request["path"], strict=False)
    if reader.is_encrypted and not reader.decrypt(request["password"] or ""):
        raise _Failed("encrypted", _password_message(request))
    return reader


def _read_by_pypdf(request: Message, send: Send) -> None:
    reader = _open_pypdf(request)
    count = len(reader.pages)
    send({"kind": "open", "pages": count, "reader": "pypdf"})
    for i in range(request["first"], min(count, request["max_pages"])):
        send({"kind": "begin", "page": i})
        text, broken, pictures = "", "", False
        try:
            page = reader.pages[i]
            text = str(page.extract_text())
            pictures = not text.strip() and "/XObject" in (page.get("/Resources") or {})
        except Exception as error:
            broken = _line(error)
        send(
            {
                "kind": "page", "page": i, "text": text, "label": "", "pictures": pictures,
                "reader": "pypdf", "broken": broken,
            }  # fmt: skip
        )
    if request["structure"]:
        send({"kind": "begin", "page": -1})
        send(_structure(reader))


def _structure(reader: Any) -> Message:
    """Page labels, outline, title and filled-in fields, as far as they can be had."""
    if reader is None:
        return {"kind": "structure", "labels": [], "outline": [], "title": "", "fields": []}
    title = _quietly(lambda: str((reader.metadata or {}).get("/Title") or ""), "")
    return {
        "kind": "structure",
        "labels": _quietly(lambda: [str(label) for label in reader.page_labels], []),
        "outline": _quietly(lambda: _outline(reader, reader.outline, 0)[:MANY_HEADINGS], []),
        "title": title.strip(),
        "fields": _quietly(lambda: _fields(reader), []),
    }


def _outline(reader: Any, items: Any, depth: int) -> list[tuple[str, int, int]]:
    found: list[tuple[str, int, int]] = []
    for item in items:
        if isinstance(item, list):
            found += _outline(reader, item, depth + 1) if depth < 20 else []
            continue
        number = _quietly(lambda item=item: reader.get_destination_page_number(item), None)
        if number is not None and number >= 0:
            found.append((str(item.title), int(number) + 1, depth))
    return found


def _fields(reader: Any) -> list[tuple[int, str, str]]:
    """(page, name, value) of form fields that hold text."""
    if "/AcroForm" not in reader.trailer["/Root"]:
        return []
    found = []
    for i, page in enumerate(reader.pages):
        for reference in page.get("/Annots") or ():
            field = reference.get_object()
            value = field.get("/V") or (field.get("/Parent") or {}).get("/V")
            if field.get("/Subtype") == "/Widget" and isinstance(value, str) and value.strip():
                if not value.startswith("/"):
                    found.append((i, str(field.get("/TU") or field.get("/T") or ""), str(value)))
    return found


def _password_message(request: Message) -> str:
    if request["password"]:
        return "is encrypted and the password given does not open it; check --password"
    return "is encrypted; give its password: --password PASSWORD"


def _quietly(call: Callable[[], Any], otherwise: Any) -> Any:
    """What `call` gives, or `otherwise`: for what a document can do without."""
    try:
        return call()
    except (Exception, RecursionError):
        return otherwise


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:200]


if __name__ == "__main__":
    main()
