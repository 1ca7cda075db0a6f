"""The names of the PDF readers and of the uses of OCR: light, for the help of the command line."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

PdfReader: TypeAlias = Literal["auto", "pdfium", "pypdf"]
"""`auto`: pdfium, and pypdf where pdfium fails or is in doubt."""
READERS: tuple[PdfReader, ...] = get_args(PdfReader)

OcrUse: TypeAlias = Literal["never", "auto", "always"]
"""`auto`: for pages that have no sound text; `always`: for every page."""
OCR_USES: tuple[OcrUse, ...] = get_args(OcrUse)
