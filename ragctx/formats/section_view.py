"""What is read in a section, and what is left out: to see what went wrong there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ragctx.errors import InputError
from ragctx.formats.document import document_of
from ragctx.formats.read import read_content_of
from ragctx.formats.sections import cuts_of, flow_of, section_numbers
from ragctx.pdf.process import MAX_CHARACTERS, Limits
from ragctx.pdf.quotes import letters_of
from ragctx.records import Page


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionView:
    """A section as it is read. `left_out` are the texts in it that nobody sees."""

    path: str
    page: Page
    reader: str
    left_out: tuple[str, ...]


def section_view(
    path: str | Path, section: int | str, *, limits: Limits | None = None
) -> SectionView:
    """What is read in a section of a document that has no pages.

    Args:
        path: the document.
        section: its number, from 1, or its label ("Installing › Linux"); a text that is both is
            the number.
        limits: time, memory and size that the file may cost.

    Raises:
        DocumentError: the file cannot be read; its `status` tells why.
        MissingExtraError: what reads its format is not installed.
        InputError: there is no such section.
    """
    format, content = read_content_of(path, limits=limits)
    document = document_of(content, "", str(path), format=format, limits=limits)
    page = _found(Path(path), str(section), document.pages)
    flow = flow_of(content.blocks, keep=False, max_characters=MAX_CHARACTERS)
    cuts = cuts_of(flow)
    left_out = (text for at, text in flow.unseen if section_numbers(cuts, [at]) == [page.number])
    return SectionView(path=str(path), page=page, reader=format, left_out=tuple(left_out))


def _found(path: Path, section: str, pages: Sequence[Page]) -> Page:
    if section.isdecimal() and len(section) < 10 and 1 <= int(section) <= len(pages):
        return pages[int(section) - 1]
    found = [page for page in pages if page.label.casefold() == section.casefold()]
    if not found:
        raise InputError(
            f"{path.name} has no section {section!r}; its sections are numbered 1 to {len(pages)}"
        )
    return found[0]


def quote_in(text: str, quote: str) -> tuple[int, int] | None:
    """Where a quote stands in a text, by its letters and digits alone; None if it does not.

    >>> quote_in("It melts\\nat 232 degrees.", "Melts at 232"), quote_in("It melts.", "boils")
    ((3, 15), None)
    """
    letters, offsets = [], []
    for offset, character in enumerate(text):
        own = letters_of(character)
        letters.append(own)
        offsets += [offset] * len(own)
    sought = letters_of(quote)
    at = "".join(letters).find(sought)
    return (offsets[at], offsets[at + len(sought) - 1] + 1) if sought and at >= 0 else None
