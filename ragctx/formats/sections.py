r"""One text of many blocks, cut into sections that are read as pages are.

A section begins at each heading and holds what is under it. What is longer than a page is cut into
parts at the ends of paragraphs, and so is a text without headings. The text is only cut at line
ends, and each of these becomes the separator between two sections: so the sections joined are the
text, and its offsets stay.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ragctx.formats.blocks import Block
from ragctx.pdf.characters import clean_characters, clean_line
from ragctx.pdf.hidden_text import marked
from ragctx.records import PAGE_SEPARATOR, Section
from ragctx.text.wording import SECTION_SEPARATOR

SECTION_CHARACTERS = 4000
"""A longer section is cut into parts. Chosen by hand: a printed page has 2,000 to 3,500."""
SPARE = 1.25
"""A section may be longer by this factor, rather than leave a few lines to a part of their own."""
LONGEST_LINE = 2000
"""Characters of a line; longer ones are broken between words. Chosen by hand: a paragraph of half
a page."""
MAX_LABEL, MAX_HEADING = 120, 200
"""Characters of a section's label and of a heading that are kept: both go into prompts. Chosen by
hand."""

_BLANK = re.compile(r"\n{3,}")
_BREAKS = str.maketrans("", "", "\x02\xad\ufffe")  # hyphens that only a page's line end needs


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """The blocks as one text: where headings begin, and where nobody sees what is written."""

    text: str
    headings: tuple[Section, ...] = ()  # with the depths that the file gives
    openings: tuple[int, ...] = ()  # offsets at which a section must begin
    unseen: tuple[tuple[int, str], ...] = ()  # (offset, text), kept or not
    is_cut: bool = False  # whether there was more than may be read


def flow_of(blocks: Iterable[Block], *, keep: bool, max_characters: int) -> Flow:
    """The text of the blocks, an empty line between them; of longer texts, the beginning.

    What nobody sees is left out, or kept as a block of its own that says so in each of its lines.
    """
    pieces: list[str] = []
    headings, openings, unseen = list[Section](), list[int](), list[tuple[int, str]]()
    at, is_cut = 0, False
    for block in blocks:
        is_cut = is_cut or at + len(block.text) > max_characters
        text = clean_block(block.text[: max(0, max_characters - at)])
        if not text:
            continue
        if block.hidden:
            unseen.append((at, text))
            if not keep:
                continue
            text = marked([text])
        gap = "" if not pieces else "\n" if block.tight else "\n\n"
        at += len(gap)
        if block.depth is not None:
            headings.append(Section(clean_line(text)[:MAX_HEADING], at, block.depth))
        elif block.opens:
            openings.append(at)
        pieces += [gap, text]
        at += len(text)
    return Flow(
        text="".join(pieces),
        headings=tuple(headings),
        openings=tuple(openings),
        unseen=tuple(unseen),
        is_cut=is_cut,
    )


def clean_block(text: str) -> str:
    r"""A block's text as it goes into the document: characters as people type them, short lines.

    >>> clean_block("  for x in y:\n\tprint(x)  \x00\n\n\n\nef\ufb01cient\n")
    '  for x in y:\n\tprint(x)\n\nefficient'
    """
    text = clean_characters(text.translate(_BREAKS)).replace("\f", "\n")
    text = "\n".join(line.rstrip() for line in text.split("\n"))
    text = _BLANK.sub("\n\n", text).strip("\n")
    if len(text) <= LONGEST_LINE:
        return text if text.strip() else ""
    return "\n".join(piece for line in text.split("\n") for piece in broken(line))


_STOP = re.compile(r"[。！？｡]|\s")


def broken(line: str) -> Iterator[str]:
    """A line in pieces of `LONGEST_LINE` characters at most, broken between words if it has any.

    >>> [len(piece) for piece in broken("tin " * 1000)]
    [1999, 1999]
    """
    start = 0
    while len(line) - start > LONGEST_LINE:
        furthest = start + LONGEST_LINE
        stops = list(_STOP.finditer(line, start + LONGEST_LINE // 2, furthest + 1))
        end = stops[-1].end() if stops else furthest
        end = min(end, furthest)
        yield line[start:end].rstrip()
        start = end + (line[end] == " ")
    yield line[start:].rstrip()


def outlined(headings: Sequence[Section]) -> list[Section]:
    """The headings with their depths from 0; one above all others is the title, and in no path.

    >>> headings = [Section("Pump", 0, 1), Section("Use", 9, 2), Section("Care", 20, 3)]
    >>> [heading.depth for heading in outlined(headings)]
    [0, 0, 1]
    """
    if not headings:
        return []
    least = min(heading.depth for heading in headings)
    if [heading.depth for heading in headings].count(least) == 1 and headings[0].depth == least:
        title, below = replace(headings[0], depth=0), headings[1:]
        least = min((heading.depth for heading in below), default=0)
        return [title, *(replace(heading, depth=heading.depth - least) for heading in below)]
    return [replace(heading, depth=heading.depth - least) for heading in headings]


# ---- cutting -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A section: where it begins in the text, and the headings that it is under."""

    start: int
    path: tuple[str, ...] = ()
    part: int = 1  # of those that the section is cut into

    def label(self, number: int) -> str:
        """What the section is called: its headings, else its number.

        >>> Cut(start=0, path=("Installing", "Linux"), part=2).label(7), Cut(start=0).label(7)
        ('Installing › Linux, part 2', '7')
        """
        if not self.path:
            return str(number)
        part = f", part {self.part}" if self.part > 1 else ""
        shown, most = self.path, MAX_LABEL - len(part)
        while len(shown) > 1 and len(SECTION_SEPARATOR.join(shown)) > most:
            shown = shown[1:]
        words = SECTION_SEPARATOR.join(shown)
        return (words if len(words) <= most else f"{words[: most - 1]}…") + part


def cuts_of(flow: Flow) -> list[Cut]:
    """Where each section begins, in order: the first at 0. None of them is longer than a page."""
    cuts: list[Cut] = []
    sections = [*_sections(flow)]
    ends = [section.start - 1 for section in sections[1:]] + [len(flow.text)]
    for section, end in zip(sections, ends, strict=True):
        starts = [section.start, *_parts(flow.text, section.start, end)]
        cuts += [replace(section, start=at, part=part) for part, at in enumerate(starts, 1)]
    return cuts


def pages_text(text: str, cuts: Sequence[Cut]) -> list[str]:
    """The text of each section; joined by `PAGE_SEPARATOR` they are the text."""
    starts = [cut.start for cut in cuts]
    ends = [start - len(PAGE_SEPARATOR) for start in starts[1:]] + [len(text)]
    return [text[start:end] for start, end in zip(starts, ends, strict=True)]


def section_numbers(cuts: Sequence[Cut], offsets: Iterable[int]) -> list[int]:
    """The numbers, from 1, of the sections that these offsets are in, each once, in order."""
    starts = [cut.start for cut in cuts]
    return sorted({max(1, bisect_right(starts, offset)) for offset in offsets})


def _sections(flow: Flow) -> Iterator[Cut]:
    """Sections of any length: at headings, and where a block opens one.

    A heading right below a higher one goes on with its section.
    """
    begun = Cut(start=0)
    for start, path in _beginnings(flow):
        if start > begun.start:
            yield begun
        begun = Cut(start=start, path=path)
    yield begun


def _beginnings(flow: Flow) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Where sections begin, perhaps one several times, and the headings that each is under."""
    paths = _paths(outlined(flow.headings))
    start, before = 0, None
    path: tuple[str, ...] = ()
    marks: list[tuple[int, int]] = [(at, -1) for at in flow.openings]
    marks += [(heading.start, i) for i, heading in enumerate(flow.headings)]
    for at, i in sorted(marks):
        if i < 0:
            start, before = at, None
        else:
            heading = flow.headings[i]
            if not _goes_on(flow.text, before, heading):
                start = at
            path, before = paths[i], heading
        yield start, path


def _goes_on(text: str, before: Section | None, heading: Section) -> bool:
    """Whether a heading stands right below a higher one."""
    if before is None or heading.depth <= before.depth:
        return False
    end = text.find("\n", before.start)
    return not text[end : heading.start].strip()


def _paths(headings: Iterable[Section]) -> list[tuple[str, ...]]:
    """The titles above each heading, the outermost first, and its own."""
    paths: list[tuple[str, ...]] = []
    above: list[Section] = []
    for heading in headings:
        while above and above[-1].depth >= heading.depth:
            above.pop()
        above.append(heading)
        paths.append(tuple(section.title for section in above))
    return paths


def _parts(text: str, start: int, end: int) -> Iterator[int]:
    """Where the further parts of a section begin that is longer than a page."""
    while end - start > SECTION_CHARACTERS * SPARE:
        low, high = start + SECTION_CHARACTERS // 2, start + SECTION_CHARACTERS
        at = text.rfind("\n\n", low, high) + 1 or text.rfind("\n", start + 1, high)
        if at <= start:  # cannot be: no line is as long
            return
        start = at + 1
        yield start
