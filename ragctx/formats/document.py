"""From what was read of a file without pages to a Document: sections, labels, status, warnings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ragctx.file_formats import TextFormat
from ragctx.formats.blocks import Content
from ragctx.formats.sections import (
    Cut,
    Flow,
    cuts_of,
    flow_of,
    outlined,
    pages_text,
    section_numbers,
)
from ragctx.pdf.characters import clean_line
from ragctx.pdf.hidden_text import MARK
from ragctx.pdf.names import HiddenText
from ragctx.pdf.process import MAX_CHARACTERS, Limits
from ragctx.records import Document, Heading, Page, Section

EMPTY = "the file holds no text"
"""The warning of a document without any."""
MAX_TITLE = 500
"""Characters of a title that are kept, as of PDFs."""
_NUMBERED = 10  # sections that a warning names


def document_of(
    content: Content,
    document_id: str,
    path: str,
    *,
    format: TextFormat,
    hidden: HiddenText = "drop",
    limits: Limits | None = None,
) -> Document:
    """The document with this content; of one beyond the limits, the beginning.

    >>> from ragctx.formats.plain import read_plain
    >>> content = read_plain(b"Tin melts.\\fLead melts.", "a.txt")
    >>> document = document_of(content, "d1", "a.txt", format="text")
    >>> [(page.label, page.text) for page in document.pages], document.text
    ([('1', 'Tin melts.\\n'), ('2', 'Lead melts.')], 'Tin melts.\\n\\nLead melts.')
    """
    flow = flow_of(content.blocks, keep=hidden == "keep", max_characters=MAX_CHARACTERS)
    every = cuts_of(flow)
    cuts = _within(every, limits or Limits())
    is_whole = content.is_whole and not flow.is_cut and len(cuts) == len(every)
    text = flow.text if len(cuts) == len(every) else flow.text[: every[len(cuts)].start - 1]
    sections = tuple(section for section in outlined(flow.headings) if section.start < len(text))
    return Document(
        id=document_id,
        path=path,
        pages=_pages(text, cuts),
        title=_title(content, sections),
        outline=tuple(
            Heading(title=section.title, page=number, depth=section.depth)
            for section in sections
            for number in section_numbers(cuts, [section.start])
        ),
        status="no_text" if not text.strip() else "ok" if is_whole else "partial",
        reader=format,
        warnings=tuple(_notes(flow, text, every, cuts, hidden)) + content.notes,
        sections=sections,
    )


def _within(cuts: Sequence[Cut], limits: Limits) -> list[Cut]:
    """The sections that the limits allow; at least the first."""
    return list(cuts[: max(1, limits.max_pages)])


def _pages(text: str, cuts: Sequence[Cut]) -> tuple[Page, ...]:
    return tuple(
        Page(
            number=number,
            label=cut.label(number),
            text=own,
            status="ok" if own.strip() else "empty",
        )
        for number, (cut, own) in enumerate(zip(cuts, pages_text(text, cuts), strict=True), 1)
    )


def _title(content: Content, sections: Sequence[Section]) -> str:
    """The title that the file gives; else its first heading, if that is the outermost."""
    title = clean_line(content.title)[:MAX_TITLE]
    if title or not sections or sections[0].depth > 0:
        return title
    return sections[0].title


def _notes(
    flow: Flow, text: str, every: Sequence[Cut], cuts: Sequence[Cut], hidden: HiddenText
) -> Iterator[str]:
    if not text.strip():
        yield EMPTY
    if flow.is_cut:
        yield f"more than {MAX_CHARACTERS} characters; the rest is left out"
    if len(cuts) < len(every):
        yield f"only the first {len(cuts)} of {len(every)} sections were read"
    if flow.unseen:
        fate = "left out" if hidden == "drop" else f"kept as [{MARK}: …]"
        total = sum(len(unseen) for _, unseen in flow.unseen)
        numbers = section_numbers(cuts, (at for at, _ in flow.unseen))
        named = ", ".join(map(str, numbers[:_NUMBERED]))
        more = " …" if len(numbers) > _NUMBERED else ""
        yield f"text that nobody sees {fate}: {total} characters, in sections {named}{more}"
