"""Word documents and words for the tests of text formats, and slow ways to read both."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from html.parser import HTMLParser

WORD = re.compile(r"\bw\d+\b")
"""The words that generated documents are made of: nothing else looks like one."""


def words_of(text: str) -> list[str]:
    """The generated words in a text, in order."""
    return WORD.findall(text)


class PlainExtraction(HTMLParser):
    """All text between tags but scripts and styles: obviously right, and blind to what is shown."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._silent += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.pieces.append(data)


def plain_extraction(html: str) -> str:
    """The text of an HTML page by the standard library alone."""
    parser = PlainExtraction()
    parser.feed(html)
    parser.close()
    return " ".join(parser.pieces)


def docx_text(docx: bytes) -> str:
    """The text of a Word document's body: what is between `<w:t>` tags, by a regular expression."""
    with zipfile.ZipFile(io.BytesIO(docx)) as package:
        body = package.read("word/document.xml").decode()
    return " ".join(re.findall(r"<w:t(?: [^>]*)?>([^<]*)</w:t>", body))


def with_part(docx: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """A Word document with one of its parts changed."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(docx)) as old, zipfile.ZipFile(made, "w", 8) as new:
        for entry in old.infolist():
            data = old.read(entry)
            new.writestr(entry.filename, change(data) if entry.filename == name else data)
    return made.getvalue()


def with_body(docx: bytes, xml: str) -> bytes:
    """A Word document with this XML in the place of its first paragraph "here"."""
    place = re.compile(rb"<w:p>(?:(?!</w:p>).)*here(?:(?!</w:p>).)*</w:p>", re.DOTALL)
    return with_part(docx, "word/document.xml", lambda old: place.sub(xml.encode(), old, count=1))
