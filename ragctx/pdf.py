"""PDF files to Documents, safely: the file is read by another process, under limits.

A PDF may be truncated, encrypted, enormous, self-referring or made to hang its reader. Whatever it
does, it does to a process that is watched and, if need be, killed; the pages read before count. A
page that kills its reader costs that page: a new process goes on after it.
"""

from __future__ import annotations

import hashlib
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from ragctx.errors import InputError, PdfError
from ragctx.normalise import garbled_share, normalise_pages
from ragctx.records import Document, Heading, Page, PageStatus, PdfStatus

PdfReader: TypeAlias = Literal["auto", "pdfium", "pypdf"]
"""`auto`: pdfium, and pypdf where pdfium fails or gives less."""
READERS: tuple[PdfReader, ...] = ("auto", "pdfium", "pypdf")

MAX_RESTARTS = 8
"""How many pages of one file may kill their reader before the rest is given up."""
SPECKS = 12
"""A page with a picture and fewer characters than this is a scan with specks, not text."""
PLATES = 0.1
"""Up to this share of pages may be pictures (a cover, plates) in a document that is otherwise text."""
_WORKER = (sys.executable, "-m", "ragctx.pdf_worker")
_XFA = "the form is XFA (made for one vendor's viewer): only its notice page could be read"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost."""

    page_timeout_s: float = 20.0
    file_timeout_s: float = 900.0
    memory_bytes: int = 3 * 2**30
    max_pages: int = 20_000
    max_file_bytes: int = 2**30


def read_pdf(
    path: Path,
    *,
    password: str | None = None,
    reader: PdfReader = "auto",
    limits: Limits | None = None,
    on_page: Callable[[int, int], None] | None = None,
    worker: Sequence[str] = _WORKER,
) -> Document:
    """Read a PDF's text, page by page, with labels, outline and title.

    Args:
        path: the file.
        password: for encrypted files; those with an empty user password need none.
        reader: which library gives the text.
        limits: time, memory and size one file may cost.
        on_page: called with the number of the page just read and the number of pages.
        worker: the command that reads; tests put another in its place.

    Returns:
        A document whose `status` is "ok", "partial" (some pages gave nothing: each page's status
        says why), or "no_text" (no text layer: it needs OCR).

    Raises:
        PdfError: no document comes of it; its `status` says why ("encrypted", "corrupt",
            "timeout", "too_large", "unreadable").
        InputError: `reader` is not one of `READERS`.
    """
    limits = limits or Limits()
    if reader not in READERS:
        raise InputError(f"reader is {reader!r}; valid: {', '.join(READERS)}")
    document_id = _check_file(path, limits)
    run = _Run(path, password, reader, limits, on_page, worker)
    run.read()
    if run.count is None and reader == "auto" and run.failure[0] == "corrupt":
        second = _Run(path, password, "pypdf", limits, on_page, worker)
        second.read()
        run = second if second.count else run
    if run.count is None:
        status, message = run.failure
        raise PdfError(f"{path.name} {message}", status=status)
    if not run.count:
        raise PdfError(f"{path.name} is damaged: it has no pages", status="corrupt")
    return _document(document_id, path, run)


def _check_file(path: Path, limits: Limits) -> str:
    """The file's id; PdfError when it is none of a reader's business."""
    digest = hashlib.sha256()
    try:
        size = path.stat().st_size
        if size > limits.max_file_bytes:
            raise PdfError(
                f"{path.name} has {size} bytes, more than the {limits.max_file_bytes} allowed; "
                "split it, or raise Limits.max_file_bytes",
                status="too_large",
            )
        with path.open("rb") as stream:
            head = stream.read(1024)
            digest.update(head)
            while block := stream.read(2**20):
                digest.update(block)
    except OSError as error:
        reason = error.strerror or str(error)
        raise PdfError(
            f"{path.name} cannot be read ({reason}); check the path and its permissions",
            status="unreadable",
        ) from error
    if size == 0:
        raise PdfError(f"{path.name} is empty (0 bytes); get it again", status="corrupt")
    if size < 64 and b"%PDF" not in head:
        raise PdfError(f"{path.name} is not a PDF ({size} bytes)", status="corrupt")
    return digest.hexdigest()[:16]


@dataclass
class _Run:
    """One reading of one file, over as many processes as it takes."""

    path: Path
    password: str | None
    reader: PdfReader
    limits: Limits
    on_page: Callable[[int, int], None] | None
    worker: Sequence[str]
    count: int | None = None  # pages; None until the file was opened
    pages: dict[int, dict[str, Any]] = field(default_factory=dict)
    lost: dict[int, PageStatus] = field(default_factory=dict)
    structure: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    late: bool = False  # whether the last process was killed for its silence
    failure: tuple[PdfStatus, str] = ("corrupt", "is damaged")

    def read(self) -> None:
        """Read pages until all are read, lost, or the limits are reached."""
        deadline = time.monotonic() + self.limits.file_timeout_s
        for _ in range(MAX_RESTARTS):
            first = max([*self.pages, *self.lost], default=-1) + 1
            at = self._one_process(first, deadline)
            if at is None or self.count is None:
                return
            if at < 0:  # only the structure was left
                self.warnings.append("labels and outline could not be read in time")
                return
            self.lost[at] = "timeout" if self.late else "corrupt"
            if time.monotonic() >= deadline:
                break
        self._give_up()

    def _give_up(self) -> None:
        known = max([*self.pages, *self.lost], default=-1)
        for i in range(known + 1, min(self.count or 0, self.limits.max_pages)):
            self.lost[i] = "timeout"

    def _one_process(self, first: int, deadline: float) -> int | None:
        """Run one worker from page `first`; the page it was at when it was lost, None if it ended."""
        at, self.late = first, False
        process = subprocess.Popen(
            self.worker, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, encoding="utf-8",
        )  # fmt: skip
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps(self._request(first)) + "\n")
            process.stdin.flush()
            for message in _messages(process, self.limits.page_timeout_s, deadline):
                if message["kind"] == "begin":
                    at = message["page"]
                if self._take(message):
                    return None
        except BrokenPipeError:
            pass
        finally:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    _close(stream)
        if self.count is None:
            self.failure = ("timeout", _TOO_SLOW) if self.late else ("corrupt", _CRASHED)
        return at

    def _request(self, first: int) -> dict[str, Any]:
        return {
            "path": str(self.path), "password": self.password, "reader": self.reader,
            "first": first, "max_pages": self.limits.max_pages,
            "memory_bytes": self.limits.memory_bytes, "structure": not self.structure,
        }  # fmt: skip

    def _take(self, message: dict[str, Any]) -> bool:
        """Note a message; True when it is the last."""
        kind = message["kind"]
        if kind == "open":
            self.count = message["pages"]
        elif kind == "page":
            self.pages[message["page"]] = message
            if self.on_page and self.count:
                self.on_page(message["page"] + 1, self.count)
        elif kind == "structure":
            self.structure.update(message)
        elif kind == "extras":
            self._note_extras(message)
        elif kind == "failed":
            self.failure = (message["status"], _described(message))
            if self.count is not None:
                self.warnings.append(message["message"])
        elif kind == "late":
            self.late = True
        elif kind == "end":
            self.warnings += message["warnings"]
            return True
        return False

    def _note_extras(self, message: dict[str, Any]) -> None:
        if message["attachments"]:
            self.warnings.append(f"{message['attachments']} embedded file(s) left out")
        shown = "".join(str(page["text"]) for page in self.pages.values())
        if message["xfa"] and "please wait" in shown.lower():
            self.warnings.append(_XFA)


_TOO_SLOW = "took too long to open; raise Limits.file_timeout_s"
_CRASHED = "is damaged: its reader crashed on it"


def _described(message: dict[str, Any]) -> str:
    if message["status"] == "corrupt":
        return f"is damaged or no PDF: {message['message']}"
    return str(message["message"])


def _messages(
    process: subprocess.Popen[str], page_timeout_s: float, deadline: float
) -> Iterator[dict[str, Any]]:
    """What the worker says, until it ends, or says nothing for too long."""
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_pump, args=(process, lines), daemon=True).start()
    while True:
        patience = min(page_timeout_s, deadline - time.monotonic())
        try:
            line = lines.get(timeout=max(0.0, patience))
        except queue.Empty:
            yield {"kind": "late"}
            return
        if line is None:
            return
        yield json.loads(line)


def _pump(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    assert process.stdout is not None
    try:
        for line in process.stdout:
            lines.put(line)
    except ValueError:  # closed while reading: the process was killed
        pass
    lines.put(None)


def _close(stream: Any) -> None:
    try:
        stream.close()
    except OSError:
        pass


# ---- from messages to a document -------------------------------------------------------------


def _document(document_id: str, path: Path, run: _Run) -> Document:
    count = min(run.count or 0, run.limits.max_pages)
    texts = normalise_pages([_with_fields(run, i) for i in range(count)])
    labels = run.structure.get("labels") or []
    pages = tuple(
        Page(i + 1, _label(run, labels, i), texts[i], _page_status(run, i, texts[i]))
        for i in range(count)
    )
    warnings = list(dict.fromkeys(run.warnings))
    if (run.count or 0) > count:
        warnings.insert(0, f"only the first {count} of {run.count} pages were read")
    status = _status(pages, truncated=(run.count or 0) > count or _XFA in warnings)
    if status == "no_text":
        scanned = any(page.status == "scanned" for page in pages)
        warnings.insert(0, "no text layer, OCR needed" if scanned else "every page is blank")
    readers = sorted({message["reader"] for message in run.pages.values()})
    outline = tuple(Heading(t, p, d) for t, p, d in run.structure.get("outline") or ())
    return Document(
        document_id, str(path), pages, str(run.structure.get("title") or ""), outline, status,
        "+".join(readers), tuple(warnings),
    )  # fmt: skip


def _with_fields(run: _Run, i: int) -> str:
    """The page's text, and the values of its form fields that it does not show."""
    text = str(run.pages[i]["text"]) if i in run.pages else ""
    fields = [(name, v) for page, name, v in run.structure.get("fields") or () if page == i]
    lines = [f"{name}: {value}" if name else value for name, value in fields if value not in text]
    return "\n".join([text, *lines]) if lines else text


def _label(run: _Run, labels: list[str], i: int) -> str:
    given = labels[i] if i < len(labels) else ""
    label = given or str(run.pages.get(i, {}).get("label") or "")
    return label.strip()[:40] or str(i + 1)


def _page_status(run: _Run, i: int, text: str) -> PageStatus:
    if i in run.lost:
        return run.lost[i]
    message = run.pages.get(i)
    if message is None or message["broken"]:
        return "corrupt"
    if not text.strip():
        return "scanned" if message["pictures"] else "empty"
    if message["pictures"] and len(text) < SPECKS:
        return "scanned"
    return "garbled" if garbled_share(text) > 0.3 else "ok"


def _status(pages: Sequence[Page], *, truncated: bool) -> PdfStatus:
    scans = sum(page.status == "scanned" for page in pages)
    fine = ("ok", "empty", "scanned") if scans <= len(pages) * PLATES else ("ok", "empty")
    if not any(page.text.strip() for page in pages):
        lost = any(page.status in ("timeout", "corrupt") for page in pages)
        return "partial" if lost else "no_text"
    sound = all(page.status in fine for page in pages)
    return "ok" if sound and not truncated else "partial"
