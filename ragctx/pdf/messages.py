"""What the reading process and both readers share: the shape of messages, limits, small words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from ragctx.errors import PdfError

Message: TypeAlias = dict[str, Any]
"""What goes over the pipe as one line of JSON; `kind` says what it is."""

MAX_PAGE_CHARACTERS = 1_000_000
"""Of a page with more characters than this, the rest is left out."""
MAX_HEADINGS = 5000
"""Of an outline with more headings than this, the rest is left out."""

NOTHING: list[Any] = []
"""What a list is when it cannot be had."""

T = TypeVar("T")


def no_password(password: str | None) -> PdfError:
    """The error for a file that needs a password, or another one."""
    if password:
        said = "is encrypted and the password given does not open it; pass the right --password"
    else:
        said = "is encrypted; pass its password: --password PASSWORD"
    return PdfError(said, status="encrypted")


def quietly(call: Callable[[], T], otherwise: T) -> T:
    """What `call` gives, or `otherwise`: for what a document can do without."""
    try:
        return call()
    except Exception:
        return otherwise


def one_line(error: BaseException) -> str:
    """What an error says, on one line of at most 200 characters.

    >>> one_line(ValueError("bad\\n  stream"))
    'bad stream'
    """
    return (" ".join(str(error).split()) or type(error).__name__)[:200]
