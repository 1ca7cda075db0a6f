"""PDFs made byte by byte, so that a test says what is in them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path


def pdf_bytes(objects: Sequence[bytes]) -> bytes:
    """A file of these objects, numbered from 1; the first is the catalog."""
    out, offsets = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    return out + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF"
        % (size, table, size, len(out))
    )


def stream(content: bytes, entries: bytes = b"") -> bytes:
    return b"<<%s/Length %d>>stream\n%s\nendstream" % (entries, len(content), content)


def document(contents: Sequence[bytes], *, catalog: bytes = b"", page: bytes = b"") -> bytes:
    """A file with one page for each content stream, in Helvetica (/F1), on US letter."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * i) for i in range(len(contents)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R%s>>" % catalog,
        b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, len(contents)),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    ]
    for i, content in enumerate(contents):
        objects += [
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents %d 0 R"
            b"/Resources<</Font<</F1 3 0 R>>>>%s>>" % (5 + 2 * i, page),
            stream(content),
        ]
    return pdf_bytes(objects)


def lines(*texts: str, x: float = 72, y: float = 700, size: float = 10, step: float = 12) -> bytes:
    """Content: these lines, one under the other."""
    shown = (
        b"BT /F1 %g Tf %g %g Td (%s) Tj ET\n" % (size, x, y - i * step, _escaped(text))
        for i, text in enumerate(texts)
    )
    return b"".join(shown)


def _escaped(text: str) -> bytes:
    safe = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return safe.encode("cp1252")


def write(path: Path, contents: Sequence[bytes], **more: bytes) -> Path:
    path.write_bytes(document(contents, **more))
    return path


def encrypted(data: bytes, user: str, owner: str = "owner", algorithm: str = "AES-256") -> bytes:
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(data)))
    writer.encrypt(user, owner, algorithm=algorithm)
    made = io.BytesIO()
    writer.write(made)
    return made.getvalue()
