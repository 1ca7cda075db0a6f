"""Where on its page a quote is: the boxes of its words, line by line.

A quote is compared by its letters and digits alone, in one form: what reading changed (a hyphen
joined, a ligature, an accent composed, spaces and line ends) makes no difference. Its lines need
not have been drawn one after another, since reading puts columns and tables in order; but each of
them is a whole line, except that the first may begin and the last may end anywhere. Pure.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from ragctx.pdf.geometry import Box
from ragctx.pdf.reading import GlyphLine

MAX_LETTERS = 20_000
"""Letters of a quote that are looked for: several pages of text."""
MAX_LINE_LETTERS = 2000
"""Letters at a line's end that may be a quote's beginning: longer lines are no lines of text."""


MAX_BEGINNINGS = 100
"""Places at which a quote may begin that are considered."""


class _Line(NamedTuple):
    """A line's letters, and for each of them the index of its glyph."""

    letters: str
    glyphs: tuple[int, ...]
    line: GlyphLine


class _Part(NamedTuple):
    """A stretch of line number `line`, letters `start` to `end`, that holds a part of the quote."""

    line: int
    start: int
    end: int


class _Path(NamedTuple):
    """How the quote was found up to some letter, with how many jumps between lines.

    A path that only begins may do so at several places; which one is chosen by what follows.
    """

    jumps: int
    part: _Part
    before: _Path | None
    elsewhere: tuple[_Part, ...] = ()


def boxes_of(quote: str, lines: Sequence[GlyphLine]) -> tuple[Box, ...]:
    """The boxes of a quote on a page, one for each line that it is on; none if it is not there.

    Of several places the one is taken that is drawn most nearly in one go, and of these the first.

    >>> line = GlyphLine(text=("e", "ﬃ", "c", "t"), boxes=tuple((x, 0, x + 1, 2) for x in range(4)))
    >>> boxes_of("EFFI-", [line]), boxes_of("ct", [line]), boxes_of("cat", [line])
    (((0, 0, 2, 2),), ((2, 0, 4, 2),), ())
    """
    sought = letters_of(quote)[:MAX_LETTERS]
    lettered = [one for one in map(_lettered, lines) if one.letters]
    parts = _parts(sought, lettered) if sought else []
    return tuple(_box_of(lettered[part.line], part) for part in parts)


def letters_of(text: str) -> str:
    """The letters and digits of a text in the form in which they are compared.

    >>> letters_of("Straße, ﬁne re-use: 10²")
    'strassefinereuse102'
    """
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(filter(str.isalnum, folded)).replace("ı", "i")


def _lettered(line: GlyphLine) -> _Line:
    letters = [letters_of(text) for text in line.text]
    glyphs = tuple(i for i, some in enumerate(letters) for _ in some)
    return _Line("".join(letters), glyphs, line)


def _box_of(line: _Line, part: _Part) -> Box:
    first, last = line.glyphs[part.start], line.glyphs[part.end - 1]
    lefts, tops, rights, bottoms = zip(*line.line.boxes[first : last + 1], strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def _parts(sought: str, lines: Sequence[_Line]) -> list[_Part]:
    """The stretches of lines that hold the quote, in its order; none if it is not there."""
    for i, line in enumerate(lines):
        at = line.letters.find(sought)
        if at >= 0:
            return [_Part(i, at, at + len(sought))]
    path, parts = _over_lines(sought, lines), []
    while path is not None:
        parts.append(path.part)
        path = path.before
    return parts[::-1]


def _over_lines(sought: str, lines: Sequence[_Line]) -> _Path | None:
    """The path with the fewest jumps to the end of a quote that is over several lines.

    For every letter of the quote at which a line may end, the best path there is kept. Time grows
    with the quote's length and with the number of different lengths of lines.
    """
    places: dict[str, list[int]] = {}
    for i, line in enumerate(lines):
        places.setdefault(line.letters, []).append(i)
    lengths, ordered = sorted({len(letters) for letters in places}), sorted(places)
    best = _beginnings(sought, lines)
    for at in range(1, len(sought)):
        if path := best.get(at):
            for end, places_there in _goings_on(sought, at, places, lengths, ordered):
                further = _further(path, places_there, end - at)
                if end not in best or further.jumps < best[end].jumps:
                    best[end] = further
    return best.get(len(sought))


def _beginnings(sought: str, lines: Sequence[_Line]) -> dict[int, _Path]:
    """The lines whose last letters are the quote's first, by how many letters that are."""
    found: dict[int, list[_Part]] = {}
    for i, (letters, _, _) in enumerate(lines):
        for length in range(1, min(len(letters), len(sought) - 1, MAX_LINE_LETTERS) + 1):
            if letters.endswith(sought[:length]):
                found.setdefault(length, []).append(_Part(i, len(letters) - length, len(letters)))
    return {
        length: _Path(0, parts[0], None, tuple(parts[1:MAX_BEGINNINGS]))
        for length, parts in found.items()
    }


def _goings_on(
    sought: str,
    at: int,
    places: Mapping[str, list[int]],
    lengths: Sequence[int],
    ordered: Sequence[str],
) -> Iterator[tuple[int, Sequence[int]]]:
    """Up to which letters the quote goes on from `at` on one more line, and the lines that do so.

    They are lines that hold just the next letters, and lines that begin with all that is left.
    """
    for length in lengths:
        if at + length >= len(sought):
            break
        if there := places.get(sought[at : at + length]):
            yield at + length, there
    rest = sought[at:]
    for letters in islice(ordered, bisect_left(ordered, rest), None):
        if not letters.startswith(rest):
            break
        yield len(sought), places[letters]


def _further(path: _Path, lines: Sequence[int], length: int) -> _Path:
    """The path, gone on in that of the lines that is drawn next, or else after, or before."""
    for part in (path.part, *path.elsewhere):
        following = part.line + 1
        at = bisect_left(lines, following)
        if at < len(lines) and lines[at] == following:
            return _Path(path.jumps, _Part(following, 0, length), path._replace(part=part))
    at = bisect_left(lines, path.part.line)
    line = lines[at] if at < len(lines) else lines[-1]
    return _Path(path.jumps + 1, _Part(line, 0, length), path)
