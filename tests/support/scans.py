"""Scanned pages made byte by byte, and an OCR engine that knows what is on them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

from ragctx.pdf.geometry import Box
from ragctx.pdf.ocr import OcrLine
from tests.support.pdf_files import lines, pdf_bytes, stream


def scan(path: Path, *, pages: int = 1, text: Sequence[int] = (), box: str = "0 0 612 792") -> Path:
    """A PDF of pages that are pictures, but pages `text`, counted from 1, have text instead."""
    kids = b" ".join(b"%d 0 R" % (5 + 2 * i) for i in range(pages))
    pixels = zlib.compress(bytes(range(256)))
    picture = b"/Type/XObject/Subtype/Image/Width 16/Height 16/ColorSpace/DeviceGray"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, pages),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
        stream(pixels, picture + b"/BitsPerComponent 8/Filter/FlateDecode"),
    ]
    for number in range(1, pages + 1):
        content = b"%s 0 0 %s 0 0 cm /Im Do" % (box.split()[2].encode(), box.split()[3].encode())
        if number in text:
            content = lines(f"Page {number} has text of its own, which needs no engine at all.")
        objects += [
            b"<</Type/Page/Parent 2 0 R/MediaBox[%s]/Contents %d 0 R/Resources"
            b"<</Font<</F1 3 0 R>>/XObject<</Im 4 0 R>>>>>>" % (box.encode(), 6 + 2 * (number - 1)),
            stream(content),
        ]
    path.write_bytes(pdf_bytes(objects))
    return path


class FakeEngine:
    """Finds the same lines in every picture; `seen` holds the pictures that it was shown."""

    def __init__(self, *found: OcrLine) -> None:
        self.found = found
        self.seen: list[bytes] = []

    def read(self, png: bytes) -> Sequence[OcrLine]:
        self.seen.append(png)
        return self.found


def found(text: str, box: Box, confidence: float = 0.9) -> OcrLine:
    return OcrLine(text=text, box=box, confidence=confidence)
