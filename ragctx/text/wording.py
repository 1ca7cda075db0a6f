"""Numbers of things, of pages and of sections, in words for people."""

from __future__ import annotations

from collections.abc import Sequence

from ragctx.file_formats import Unit
from ragctx.text.display import one_line

SECTION_SEPARATOR = " › "
"""Between the headings above a section, where they stand for a page number."""
_LABEL_WIDTH = 40  # characters of page labels that are shown: more than real ones have
_HEADINGS_WIDTH = 160  # the same of a section's headings


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


def place_words(unit: Unit, first: int | None, last: int | None, labels: Sequence[str] = ()) -> str:
    """Pages or sections, from their numbers and labels; "" where they are not known.

    >>> place_words("page", 3, 3, ("iii",)), place_words("section", 3, 3, ("Use",))
    ('page 3 (“iii”)', '§ Use')
    """
    return (pages_words if unit == "page" else sections_words)(first, last, labels)


def section_words(path: Sequence[str]) -> str:
    """The headings above a passage, where they stand for a page.

    >>> section_words(("Installing", "Linux"))
    '§ Installing › Linux'
    """
    return f"§ {one_line(SECTION_SEPARATOR.join(path), _HEADINGS_WIDTH)}"


def sections_words(first: int | None, last: int | None, labels: Sequence[str] = ()) -> str:
    """The headings of sections, where these are known; else their numbers.

    >>> sections_words(2, 2, ("Installing › Linux",)), sections_words(2, 4, ("Use", "Care", "4"))
    ('§ Installing › Linux', '§ Use – section 4')
    >>> sections_words(2, 3), sections_words(None, None)
    ('sections 2–3', '')
    """
    if first is None or last is None:
        return ""
    if not any(label for number, label in enumerate(labels, first) if label != str(number)):
        return f"section {first}" if first == last else f"sections {first}–{last}"
    ends = {first: labels[0], last: labels[-1]}
    return " – ".join(
        f"section {number}" if label == str(number) else section_words((label,))
        for number, label in ends.items()
    )


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
