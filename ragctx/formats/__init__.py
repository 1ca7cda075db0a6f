"""Documents without pages: plain text, Markdown, HTML and Word, read in sections.

- `read`: a file to a Document, in another process under limits (`process`, `worker`)
- `plain`, `markdown`, `html`, `docx`: one reader a format; each gives `blocks`
- `encoding`: bytes to text; `unseen`: what of an HTML page nobody sees
- `sections`, `document`: from blocks to a Document whose pages are sections

Needs the extra `ragctx[text]`, but for plain text in UTF-8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragctx.lazy import handed_on

if TYPE_CHECKING:
    from ragctx.formats.read import read_document as read_document
else:
    __getattr__, __dir__, __all__ = handed_on(__name__, {"read_document": "ragctx.formats.read"})
