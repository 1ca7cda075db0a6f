"""Numbers of things and of pages, in words for people."""

from __future__ import annotations

from collections.abc import Sequence

from ragctx.text.display import one_line

_LABEL_WIDTH = 40  # characters of page labels that are shown: more than real ones have


def counted(count: int, one: str, many: str = "") -> str:
    """A number with its noun.

    >>> counted(1, "page"), counted(1234, "page"), counted(2, "index", "indexes")
    ('1 page', '1,234 pages', '2 indexes')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def pages_words(first: int | None, last: int | None, labels: Sequence[str] = ()) -> str:
    """Page numbers, with the pages' own labels where those differ; "" where they are not known.

    >>> pages_words(3, 3), pages_words(3, 4), pages_words(3, 3, ("3",)), pages_words(12, 12, ("x",))
    ('page 3', 'pages 3–4', 'page 3', 'page 12 (“x”)')
    >>> pages_words(None, None)
    ''
    """
    if first is None or last is None:
        return ""
    words = f"page {first}" if first == last else f"pages {first}–{last}"
    numbers = tuple(str(page) for page in range(first, last + 1))
    if not labels or tuple(labels) == numbers:
        return words
    label = labels[0] if len(labels) == 1 else f"{labels[0]}–{labels[-1]}"
    return f"{words} (“{one_line(label, _LABEL_WIDTH)}”)"


def bytes_words(count: int) -> str:
    """A size for people.

    >>> bytes_words(0), bytes_words(1023), bytes_words(1536), bytes_words(2**31)
    ('0 B', '1023 B', '1.5 KiB', '2.0 GiB')
    """
    size, units = float(count), iter(("B", "KiB", "MiB", "GiB"))
    unit = next(units)
    while size >= 1024 and unit != "GiB":
        size, unit = size / 1024, next(units)
    return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"
