"""PDFs: read in another process under limits, into text that follows the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragctx.lazy import handed_on

if TYPE_CHECKING:
    from ragctx.pdf.names import PdfReader as PdfReader
    from ragctx.pdf.process import Limits as Limits
    from ragctx.pdf.read import read_pdf as read_pdf
    from ragctx.pdf.readers import ForkedReaders as ForkedReaders
else:
    __getattr__, __dir__, __all__ = handed_on(
        __name__,
        {
            "ForkedReaders": "ragctx.pdf.readers",
            "Limits": "ragctx.pdf.process",
            "PdfReader": "ragctx.pdf.names",
            "read_pdf": "ragctx.pdf.read",
        },
    )
