"""The names of readers and settings: light, so that the command line may know them for its help."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

PdfReader: TypeAlias = Literal["auto", "pdfium", "pypdf"]
"""`auto`: pdfium, and pypdf where pdfium fails or is in doubt."""
READERS: tuple[PdfReader, ...] = get_args(PdfReader)
HiddenText: TypeAlias = Literal["drop", "keep"]
"""What becomes of text that nobody sees: left out, or kept at the end of its page, marked."""
HIDDEN_TEXT: tuple[HiddenText, ...] = get_args(HiddenText)

OcrUse: TypeAlias = Literal["never", "auto", "always"]
"""`auto`: for pages that have no sound text; `always`: for every page."""
OCR_USES: tuple[OcrUse, ...] = get_args(OcrUse)
