"""Text files that pass for PDFs: a form feed ends a page, and a first line can name a failure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ragctx.errors import PdfError
from ragctx.records import Document, Page


def write(path: Path, *pages: str) -> Path:
    """A file of some pages. "!encrypted" as its text makes it one that cannot be read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\f".join(pages), encoding="utf-8")
    return path


class TextReader:
    """Stands in for `read_pdf`; `read` lists the names of the files it was given."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def __call__(
        self,
        path: Path,
        *,
        document_id: str,
        password: str | None = None,
        reader: str = "auto",
        hidden: str = "drop",
        limits: object = None,
        ocr: object = None,
        processes: int = 1,
        readers: object = None,
        on_page: Callable[[int, int], None] | None = None,
    ) -> Document:
        self.read.append(path.name)
        text = path.read_text(encoding="utf-8")
        if text == "!interrupt":
            raise KeyboardInterrupt
        if text.startswith("!") and password is None:
            raise PdfError(f"{path.name} is {text[1:]}; do something", status=text[1:])
        pages = [
            Page(number=number, label=str(number), text=page, status="ok" if page else "scanned")
            for number, page in enumerate(text.split("\f"), start=1)
        ]
        for page in pages:
            if on_page:
                on_page(page.number, len(pages))
        good = sum(bool(page.text) for page in pages)
        status = "ok" if good == len(pages) else "partial" if good else "no_text"
        return Document(
            id=document_id, path=str(path), pages=tuple(pages), status=status, reader="text"
        )
