"""Before a PDF is read: is it a file, of a size that is allowed; and why nothing came of it."""

from __future__ import annotations

import os
from pathlib import Path

from ragctx.arguments import require_kind
from ragctx.errors import PdfError
from ragctx.pdf.process import Limits
from ragctx.pdf.reading import Failure, Reading


def require_pdf(
    path: str | Path, password: str | None, limits: Limits | None
) -> tuple[Path, Limits]:
    """The path and the limits, the default ones for None.

    Raises InputError if one of the three is of another kind.
    """
    require_kind("path", path, (str, os.PathLike), "give the path of a PDF")
    limits = limits or Limits()
    require_kind("limits", limits, Limits, "give Limits(file_timeout_s=…, …)")
    if password is not None:
        require_kind("password", password, str, "give a text")
    return Path(path), limits


def require_size(path: Path, limits: Limits) -> None:
    """Raise PdfError ("too_large") for a file above the limit: ask before reading it to hash it.

    Raises OSError if there is no such file.
    """
    size = path.stat().st_size
    if size > limits.max_file_bytes:
        raise PdfError(
            f"{path.name} has {size} bytes, more than the {limits.max_file_bytes} allowed; "
            "split it, or raise Limits.max_file_bytes",
            status="too_large",
        )


def first_bytes(path: Path, limits: Limits) -> bytes:
    """The file's first 1,024 bytes: a PDF has "%PDF" among them.

    Raises:
        PdfError: it is not a file, too large, empty, or cannot be read.
    """
    try:
        if path.exists() and not path.is_file():
            raise PdfError(f"{path.name} is not a file; name a PDF", status="unreadable")
        require_size(path, limits)
        with path.open("rb") as stream:
            head = stream.read(1024)
    except OSError as error:
        raise unreadable(path, error) from error
    if not head:
        raise PdfError(f"{path.name} is empty (0 bytes); get it again", status="corrupt")
    return head


def unreadable(path: Path, error: OSError) -> PdfError:
    """The error for a file that the system does not let us read."""
    return PdfError(
        f"{path.name} cannot be read ({error.strerror or error}); check the path and its "
        "permissions",
        status="unreadable",
    )


def why_unread(reading: Reading, path: Path, head: bytes) -> PdfError:
    """The error for a file of which nothing was read, with the reason that helps most.

    `head` are its first bytes.
    """
    if reading.count:
        status = "timeout" if "timeout" in reading.lost.values() else "corrupt"
        why = "; ".join(reading.warnings[:1])
        return PdfError(f"{path.name}: none of its pages could be read ({why})", status=status)
    failure = reading.failure or Failure("corrupt", "")
    if failure.status == "timeout":
        message = f"{path.name} {failure.message}; raise Limits.file_timeout_s"
        return PdfError(message, status="timeout")
    if failure.status != "corrupt":
        return PdfError(f"{path.name} {failure.message}", status=failure.status)
    if b"%PDF" not in head:
        begins = head[:12].decode("latin-1")
        return PdfError(
            f"{path.name} is not a PDF: it begins with {begins!r}; get the PDF itself, or make one "
            f"of it, for example: libreoffice --convert-to pdf {path.name}",
            status="corrupt",
        )
    why = f" ({failure.message.rstrip('.')})" if failure.message else ": it has no pages"
    return PdfError(
        f"{path.name} is damaged{why}; get it again, or repair it: qpdf {path.name} repaired.pdf",
        status="corrupt",
    )
