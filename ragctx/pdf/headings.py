"""Finds a document's headings among its rows, and where they stand in its text.

An outline in the file is believed if most of its titles stand on the pages that they name, and only
for those. Beside it, and without it, a heading is what looks like one: a row or a few of their own,
in larger type than the body's, or bold where the body is not, or numbered in capitals. What looks
so and is none: a table's head, a caption, a running head, a bold paragraph, a line of code.

How deep a heading is, the outline tells, or else its type and its number: larger type is above
smaller, "3" above "3.2".

The thresholds were chosen by hand on the PDFs of the test collection.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from ragctx.pdf.row import Row, same_row
from ragctx.records import PAGE_SEPARATOR, Heading, Page, Section
from ragctx.text.line_shapes import begins_bullet

LARGER = 1.12
"""A row in type this much larger than the body's is set off by its size."""
SMALLEST = 0.95
"""Rows in smaller type than this share of the body's are no headings: labels, heads of tables."""
MAX_ROWS, MAX_WORDS, MAX_CHARACTERS = 3, 20, 160
"""What a heading has at most."""
BESIDE = 5
"""Rows before and after a row in which one beside it is sought: a cell has neighbours."""
MAX_REPEATS = 4
"""A heading that stands on more pages than this is a running head, or a part of a form."""
BELIEVED = 0.6
"""The share of an outline's titles that must stand on their pages."""
DENSE = 0.3
"""An outline with this many found titles for each page needs no other headings beside it."""
TITLE = 1.3
"""A title is in type this much larger than the body's, at least."""
MAX_TITLE, MAX_TITLE_PARTS = 200, 4
"""Characters of a heading or title that are kept, and headings that make up a title."""
MIN_PROSE = 6
"""Words of a row that is text, and no line of a cover."""
MIN_UNDER = 3
"""Rows that are under what is printed across a page, or above what is printed below the text."""
MAX_DEPTH = 8
"""Depths that are told apart."""

_NUMBERED = re.compile(
    r"(?:(?:chapter|part|section|article|appendix|annex|item|note|title|schedule|exhibit|step)\s+)?"
    r"(?:(?P<number>\d{1,3}(?:\.\d{1,3}){0,5})|[A-Z](?P<letters>(?:\.\d{1,3}){1,5})|[A-Z]|[IVXLC]{1,7})"
    r"[.:)]?\s+(?=\S*[^\W\d_])",
    re.IGNORECASE,
)
_CAPTION = re.compile(
    r"(?:table|figure|fig\.?|exhibit|chart|box|listing|algorithm|page)\s*\d", re.I
)
_ABBREVIATED = re.compile(r"\b(?:inc|corp|ltd|co|jr|sr|etc|u\.s)\.\Z", re.IGNORECASE)
_LEADER = re.compile(r"\.{4}|(?:\. ){3}")
_CODE = re.compile(r"[{}<>=\\|;$#@]|\(\)|::|--|^[a-z_]+\(")
_LETTER_WORD = re.compile(r"[^\W\d_]{3,}")
_WORDS = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A heading on a page (from 0): its title, its words as the page has them, its depth (from 0).

    The two differ where the page has capitals and the outline does not.
    """

    page: int
    title: str
    words: str
    depth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """Rows that look like a heading: `rows[start:stop]` of a page."""

    page: int
    start: int
    stop: int
    title: str
    size: float
    bold: bool

    @property
    def rank(self) -> tuple[float, bool, int]:
        """What comes first is above what comes later."""
        return -round(2 * self.size) / 2, not self.bold, number_depth(self.title)


def number_depth(title: str) -> int:
    """How deep a heading's number says that it is; 0 for one without.

    >>> [number_depth(title) for title in ("3 Results", "3.2 Ablations", "A.1.2 Data", "Results")]
    [0, 1, 2, 0]
    """
    match = _NUMBERED.match(title)
    if not match:
        return 0
    return (match["number"] or match["letters"] or "").count(".")


@dataclass(frozen=True, slots=True)
class Headings:
    """Headings in order, and the title that the first page has in large type, or ""."""

    title: str
    found: tuple[Found, ...]


def find_headings(pages: Sequence[Sequence[Row]], outline: Sequence[Heading]) -> Headings:
    """The headings of a document.

    Args:
        pages: rows of each page in reading order, without running lines.
        outline: what the file says of itself, which may be wrong.
    """
    body = _body(pages)
    told = _found_of_outline(pages, outline)
    seen = [
        candidate
        for i, rows in enumerate(pages)
        for candidate in _without_contents(list(_candidates(i, rows, body)))
    ]
    title = _title(seen, body, pages)
    seen = [c for c in _without_cover(_without_repeats(seen)) if c not in title]
    words = " ".join(candidate.title for candidate in title)[:MAX_TITLE]
    if told and len(told) >= DENSE * len(pages):
        return Headings(words, _in_order(told))
    return Headings(words, _in_order([*told, *_beside(told, seen)]))


def _title(
    candidates: Sequence[_Candidate], body: _Body, pages: Sequence[Sequence[Row]]
) -> list[_Candidate]:
    """What makes up the title: on the first page, in larger type than any later heading.

    It ends where text begins, or the first numbered heading: in a document of one page, all of its
    headings may be as large.
    """
    first = min((candidate.page for candidate in candidates), default=0)
    if first > 0:
        return []
    later = max((c.size for c in candidates if c.page > first), default=0.0)
    least = max(later + 0.6, TITLE * body.size)
    large = [c for c in candidates if c.page == first and c.size >= least]
    parts = [c for c in large if not _is_below_text(c, pages[first])][:MAX_TITLE_PARTS]
    for k, (a, b) in enumerate(pairwise(parts), start=1):
        between = pages[first][a.stop : b.start]
        if _NUMBERED.match(b.title) or any(map(_is_prose, between)):
            return parts[:k]
    return parts


def _is_below_text(candidate: _Candidate, rows: Sequence[Row]) -> bool:
    """Whether lines of text stand above a heading, and none below it: "DRAFT" is no title there.

    (It may have been drawn first.)
    """
    place = rows[candidate.start]
    text = [row for row in rows if row.turn == place.turn and _is_prose(row)]
    above = sum(row.bottom <= place.top + 0.5 * row.height for row in text)
    return above >= MIN_UNDER and above == len(text)


def _is_prose(row: Row) -> bool:
    return len(row.text.split()) >= MIN_PROSE and any(map(str.islower, row.text))


def _without_cover(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """The candidates without those of the first page whose type no later heading has.

    Addresses, dates and numbers of a cover would stand above the whole document.
    """
    first = min((candidate.page for candidate in candidates), default=0)
    later = {c.rank for c in candidates if c.page > first}
    return [c for c in candidates if not later or c.page > first or c.rank in later]


def _beside(told: Sequence[Found], seen: Sequence[_Candidate]) -> list[Found]:
    """What looks like headings beside those of the outline, below the deepest of them."""
    taken = {(found.page, _key(found.title)) for found in told}
    seen = [candidate for candidate in seen if (candidate.page, _key(candidate.title)) not in taken]
    ranks = {rank: k for k, rank in enumerate(sorted({candidate.rank for candidate in seen}))}
    below = 1 + max((found.depth for found in told), default=-1)
    return [
        Found(
            page=candidate.page,
            title=candidate.title[:MAX_TITLE],
            words=candidate.title,
            depth=below + min(ranks[candidate.rank], MAX_DEPTH),
        )
        for candidate in seen
    ]


def _in_order(found: Sequence[Found]) -> tuple[Found, ...]:
    return tuple(sorted(found, key=lambda heading: heading.page))  # stable


# ---- what the outline says ---------------------------------------------------------------------


def _key(title: str) -> str:
    """What two spellings of a title have in common: its words, without its number."""
    match = _NUMBERED.match(title)
    rest = title[match.end() :] if match else title
    return _letters(rest or title)


def _letters(text: str) -> str:
    """The words of a text without what is between them."""
    return "".join(_WORDS.findall(text.casefold()))


def _found_of_outline(pages: Sequence[Sequence[Row]], outline: Sequence[Heading]) -> list[Found]:
    """The outline's titles that stand where they should; none if too few do."""
    found = []
    lines = _Lines(pages)
    for heading in outline:
        words = lines.find(heading) if 1 <= heading.page <= len(pages) else None
        if words is not None:
            title = heading.title if words.isupper() and not heading.title.isupper() else words
            found.append(
                Found(
                    page=heading.page - 1,
                    title=title[:MAX_TITLE],
                    words=words,
                    depth=heading.depth,
                )
            )
    return found if len(found) >= BELIEVED * len(outline) else []


@dataclass(frozen=True)
class _Lines:
    """The rows of pages by what titles have in common with them."""

    pages: Sequence[Sequence[Row]]

    @cached_property
    def _of_page(self) -> dict[int, Mapping[str, str]]:
        return {}

    def find(self, heading: Heading) -> str | None:
        """The heading as its page has it: in one row, or over two or three; None if it lacks it."""
        page = heading.page - 1
        if page not in self._of_page:
            self._of_page[page] = _runs(self.pages[page])
        key = _key(heading.title)
        return self._of_page[page].get(key) if key else None


def _runs(rows: Sequence[Row]) -> dict[str, str]:
    """Every row, and every two and three that follow each other, by `_key`; the first of each."""
    runs: dict[str, str] = {}
    words = [_words_of([row]) for row in rows]
    letters = list(map(_letters, words))
    for length in range(1, MAX_ROWS + 1):
        for i in range(len(rows) - length + 1):
            text = " ".join(words[i : i + length])
            if len(text) <= MAX_CHARACTERS:
                numbered = _NUMBERED.match(text) is not None
                key = _key(text) if numbered else "".join(letters[i : i + length])
                runs.setdefault(key, text)
    return runs


# ---- what looks like a heading -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Body:
    """The type that most of the text is set in."""

    size: float
    bold: bool


def _body(pages: Sequence[Sequence[Row]]) -> _Body:
    amounts: Counter[tuple[float, bool]] = Counter()
    for rows in pages:
        for row in rows:
            amounts[(round(2 * row.size) / 2, row.bold)] += len(row.text)
    (size, bold), _ = amounts.most_common(1)[0] if amounts else ((1.0, False), 0)
    return _Body(size, bold)


def _candidates(page: int, rows: Sequence[Row], body: _Body) -> Iterator[_Candidate]:
    i = 0
    while i < len(rows):
        stop = i + 1
        if _stands_out(rows, i, body):
            while stop < len(rows) and _goes_on(rows[stop - 1], rows[stop], rows, stop, body):
                stop += 1
            title = _words_of(rows[i:stop])
            is_across = any(_is_across(row, rows) for row in rows[i:stop])
            if stop - i <= MAX_ROWS and is_title(title) and not is_across:
                yield _Candidate(
                    page=page,
                    start=i,
                    stop=stop,
                    title=title,
                    size=rows[i].size,
                    bold=rows[i].bold,
                )
        i = stop


def _is_across(row: Row, rows: Sequence[Row]) -> bool:
    """Whether a row is printed over several others: "DRAFT"."""
    under = (
        row.top < (other.top + other.bottom) / 2 < row.bottom
        and row.left < (other.left + other.right) / 2 < row.right
        for other in rows
        if other is not row
    )
    return sum(under) >= MIN_UNDER


def _words_of(rows: Sequence[Row]) -> str:
    return " ".join(" ".join(row.text.split()) for row in rows)


def _stands_out(rows: Sequence[Row], i: int, body: _Body) -> bool:
    """Whether a row is set off from the body by its type, and has nothing beside it."""
    row = rows[i]
    if not row.is_placed or row.in_table or row.turn != rows[0].turn:
        return False
    larger = row.size >= LARGER * body.size
    bold = row.bold and not body.bold and row.size >= SMALLEST * body.size
    capitals = row.text.isupper() and _NUMBERED.match(row.text) is not None
    if not (larger or bold or capitals):
        return False
    around = rows[max(0, i - BESIDE) : i + BESIDE + 1]
    return not any(other is not row and same_row(other, row) for other in around)


def _goes_on(a: Row, b: Row, rows: Sequence[Row], i: int, body: _Body) -> bool:
    """Whether the heading whose row is `a` goes on in `b`, row i."""
    alike = abs(a.size - b.size) < 0.6 and a.bold == b.bold
    near = -0.3 * a.height < b.top - a.bottom < 0.8 * a.height
    return alike and near and _NUMBERED.match(b.text) is None and _stands_out(rows, i, body)


def is_title(text: str) -> bool:
    """Whether words can be a heading: few, begun like one, no sentence, no caption, no code.

    >>> [is_title(text) for text in ("3.2 Ablations", "Table 2: Results", "Tin is soft.", "x = 1")]
    [True, False, False, False]
    """
    match = _NUMBERED.match(text)
    rest = text[match.end() :] if match else text
    words = rest.split()
    if not 0 < len(words) <= MAX_WORDS or len(text) > MAX_CHARACTERS or begins_bullet(text):
        return False
    if _LETTER_WORD.search(rest) is None or _CAPTION.match(text) or _CODE.search(text):
        return False
    letters = sum(map(str.isalpha, rest))
    if letters < 0.5 * len(rest.replace(" ", "")) or rest[0].islower():
        return False
    ends = rest[-1] in ".,:;" and not _ABBREVIATED.search(rest)
    return not ends and _LEADER.search(text) is None


MIN_CONTENTS = 3
_ENDS_IN_PAGE = re.compile(r"\s(\d{1,4})\Z")


def _without_contents(candidates: Sequence[_Candidate]) -> Sequence[_Candidate]:
    """The candidates of one page without the entries of a table of contents.

    That is what ends in page numbers that never fall, three times or more.
    """
    entries = {
        k: found for k, c in enumerate(candidates) if (found := _ENDS_IN_PAGE.search(c.title))
    }
    numbers = [int(found[1]) for found in entries.values()]
    if len(numbers) < MIN_CONTENTS or numbers != sorted(numbers):
        return candidates
    return [candidate for k, candidate in enumerate(candidates) if k not in entries]


def _without_repeats(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    pages: dict[str, set[int]] = {}
    for candidate in candidates:
        pages.setdefault(_key(candidate.title), set()).add(candidate.page)
    return [c for c in candidates if len(pages[_key(c.title)]) <= MAX_REPEATS]


def believed_title(title: str, first_page: str) -> bool:
    """Whether a file's title stands on its first page: most of its words do.

    >>> believed_title("On Tin", "Tin. A report on metals"), believed_title("doc1.docx", "Tin")
    (True, False)
    """
    words = set(_LETTER_WORD.findall(title.casefold()))
    known = words & set(_LETTER_WORD.findall(first_page.casefold()))
    return len(known) > 0.5 * len(words)


# ---- where headings stand in the text ----------------------------------------------------------


def sections_of(pages: Sequence[Page], headings: Sequence[Found]) -> tuple[Section, ...]:
    """The headings with their offsets in the document's text; those not found in it are left out.

    Args:
        pages: the document's, whose texts are joined by `PAGE_SEPARATOR`.
        headings: in order of their pages.
    """
    sections: dict[int, Section] = {}
    offsets = _page_offsets(pages)
    for heading in headings:
        start = _place(pages[heading.page].text, heading.words)
        if start is not None:
            at = offsets[heading.page] + start
            sections.setdefault(at, Section(heading.title, at, heading.depth))
    return tuple(sections[at] for at in sorted(sections))


def _page_offsets(pages: Sequence[Page]) -> list[int]:
    offsets, offset = [], 0
    for page in pages:
        offsets.append(offset)
        offset += len(page.text) + len(PAGE_SEPARATOR)
    return offsets


def _place(text: str, words: str) -> int | None:
    """Where a line of the text begins with these words, whatever white space is between them."""
    pattern = r"\s+".join(map(re.escape, words.split()))
    found = re.search(rf"^{pattern}", text, re.MULTILINE)
    return found.start() if found else None
