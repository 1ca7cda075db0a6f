"""Document to chunks: exact offsets, exact token counts, breaks where a reader would make them.

The text is encoded once to know where its tokens are, cut into sentences (and those that are too
long into pieces), and the pieces are grouped so that the sum of two costs is smallest: chunks that
are far from full, and breaks at bad places. Every chunk is then counted on its own, because a
tokenizer may encode a text differently without its surroundings.
"""

from __future__ import annotations

import math
import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ragctx.arguments import require_kind, require_whole
from ragctx.errors import InputError
from ragctx.headers import with_context
from ragctx.lead_ins import LeadIns
from ragctx.records import Chunk, Document
from ragctx.text.sentences import Sentence, split_sentences
from ragctx.tokens.load import as_tokenizer
from ragctx.tokens.ruler import Ruler
from ragctx.tokens.tokenizer import Tokenizer

CHARACTERS_PER_TOKEN = 16
"""No chunk has more than `max_tokens` times this many characters. Some tokenizers make one unknown
token of a word of 10,000 characters: short for the embedder, ruinous for the prompt. Chosen by
hand: English has about 4 characters a token, and hardly a word of more than 16."""

_BREAK_COSTS = {
    "heading": 0.0,  # just before a heading
    "paragraph": 0.1,
    "line": 0.15,
    "sentence": 0.3,
    "wrapped line": 0.6,
    "clause": 0.7,
    "word": 1.0,
    "character": 2.0,
}
"""What a break costs, in the unit of `plan_cuts`: a chunk that is half full costs 0.25, an almost
empty one 1. Chosen by hand."""
_ORPHAN_COST = 0.8
"""What a break between a heading (or "as follows:") and what it announces costs. Chosen by hand."""
_WITHIN_COST = 0.5
"""What a break within a table or a list costs at least, if all of it would fit. Chosen by hand."""

Span = tuple[int, int]


def chunk_document(
    document: Document,
    tokenizer: str | Path | Tokenizer,
    *,
    max_tokens: int = 180,
    overlap_tokens: int = 0,
    headers: bool = True,
) -> list[Chunk]:
    r"""Cut a document into chunks, in order, that hold every character that is not whitespace.

    Args:
        document: what `read_pdf` gave; chunks may cross its pages.
        tokenizer: the embedder's, whose tokens are counted, or its name (`load_tokenizer`).
        max_tokens: no chunk has more tokens, special tokens not counted. Keep it at or below the
            embedder's `max_seq_length` minus the special tokens it adds.
        overlap_tokens: repeat up to this many tokens of whole sentences from the chunk before,
            where a chunk begins with a sentence; at most half of `max_tokens`.
        headers: tell each chunk the document's title, the headings above it, and what it goes on
            from (`ragctx.headers`).

    Raises:
        InputError: a limit is out of range, or too small for a single character.

    >>> from ragctx.records import Page
    >>> from ragctx.tokens.load import load_tokenizer
    >>> pages = (
    ...     Page(number=1, label="i", text="Cats sleep a lot. They"),
    ...     Page(number=2, label="1", text="hunt at night."),
    ... )
    >>> chunks = chunk_document(
    ...     Document(id="d1", path="a.pdf", pages=pages), load_tokenizer(), max_tokens=8
    ... )
    >>> [(c.id, c.text, c.token_count, c.first_page, c.last_page) for c in chunks]
    [('d1:0-17', 'Cats sleep a lot.', 5, 1, 1), ('d1:18-37', 'They\nhunt at night.', 5, 1, 2)]
    """
    require_kind("document", document, Document, "give what read_pdf returns")
    _check_limits(max_tokens, overlap_tokens)
    text, tokenizer = document.text, as_tokenizer(tokenizer)
    ruler = Ruler(text, tokenizer)
    units = _units(text, ruler, max_tokens - overlap_tokens)
    lead_ins = LeadIns(text)
    costs = _costs(text, units, {section.start for section in document.sections})
    costs = _held_together(costs, units, lead_ins, max_tokens - overlap_tokens)
    sizes = [(unit.first_token, unit.last_token, unit.start, unit.end) for unit in units]
    cuts = plan_cuts(sizes, costs, max_tokens - overlap_tokens)
    spans: list[tuple[Span, int]] = []
    for first, last in pairwise(cuts):
        boundaries = [unit.start for unit in units[first + 1 : last]]
        whole = (units[first].start, units[last - 1].end)
        spans += _fit(text, whole, boundaries, ruler, max_tokens)
    if overlap_tokens:
        starts = [unit.start for unit in units if unit.begins_sentence]
        spans = _overlap(
            text=text,
            spans=spans,
            sentence_starts=starts,
            ruler=ruler,
            max_tokens=max_tokens,
            overlap_tokens=overlap_tokens,
        )
    chunks = [_chunk(document, span, count) for span, count in spans]
    return [with_context(chunk, document, lead_ins) for chunk in chunks] if headers else chunks


def plan_cuts(
    sizes: Sequence[tuple[int, int, int, int]], costs: Sequence[float], limit: int
) -> list[int]:
    """The cheapest grouping of units into chunks: indices [0, …, n] that delimit the chunks.

    A chunk of units i…j-1 costs `costs[j-1]`, for the break after it, and (1 - fill)², where fill
    is its share of `limit`. Exact dynamic programming, the idea of Knuth and Plass (1981) for
    breaking paragraphs into lines. A unit above the limit makes a chunk of its own.

    Args:
        sizes: per unit the index of its first token, of the token after its last, and the same for
            its characters.
        costs: what a break after each unit costs.
        limit: tokens a chunk may have.
    """
    best, previous = [0.0], [0]
    for j in range(1, len(sizes) + 1):
        _, token_end, _, end = sizes[j - 1]
        cheapest, chosen = math.inf, j - 1
        for i in range(j - 1, -1, -1):  # the one hot loop: nothing is called in it
            token_start, _, start, _ = sizes[i]
            fill = (token_end - token_start) / limit
            if end - start > (token_end - token_start) * CHARACTERS_PER_TOKEN:
                fill = -(-(end - start) // CHARACTERS_PER_TOKEN) / limit  # as _limited_size
            if fill > 1:
                if i < j - 1:
                    break
                fill = 1.0
            cost = best[i] + (1 - fill) * (1 - fill)
            if cost <= cheapest:  # of equal ones the longer chunk
                cheapest, chosen = cost, i
        best.append(cheapest + costs[j - 1])
        previous.append(chosen)
    cuts = [len(sizes)]
    while cuts[-1] > 0:
        cuts.append(previous[cuts[-1]])
    return cuts[::-1]


def _limited_size(tokens: int, characters: int) -> int:
    """Tokens, or more where they are unusually long (see `CHARACTERS_PER_TOKEN`)."""
    return max(tokens, math.ceil(characters / CHARACTERS_PER_TOKEN))


def _check_limits(max_tokens: int, overlap_tokens: int) -> None:
    require_whole("max_tokens", max_tokens)
    require_whole("overlap_tokens", overlap_tokens)
    if max_tokens < 1:
        raise InputError(f"max_tokens is {max_tokens}. Give at least 1; 180 is the default.")
    if not 0 <= overlap_tokens <= max_tokens // 2:
        raise InputError(
            f"overlap_tokens is {overlap_tokens}. Give 0 to {max_tokens // 2}, half of "
            f"max_tokens ({max_tokens})."
        )


def _chunk(document: Document, span: Span, token_count: int) -> Chunk:
    start, end = span
    return Chunk(
        id=f"{document.id}:{start}-{end}",
        document_id=document.id,
        start=start,
        end=end,
        first_page=document.page_of(start).number,
        last_page=document.page_of(end - 1).number,
        text=document.text[start:end],
        token_count=token_count,
    )


# ---- How large a span is ---------------------------------------------------------------------


def _size(ruler: Ruler, start: int, end: int) -> int:
    """How many tokens a span counts towards a chunk's limit."""
    return _limited_size(ruler.index(end) - ruler.index(start), end - start)


def _furthest(ruler: Ruler, start: int, limit: int) -> int:
    """The largest end for which `_size(ruler, start, end) <= limit`, on a token's end."""
    by_characters = start + limit * CHARACTERS_PER_TOKEN
    by_tokens = ruler.end(ruler.index(start) + limit - 1)
    return by_characters if by_tokens is None else min(by_tokens, by_characters)


# ---- Units: what a chunk is made of ----------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unit:
    """A sentence, a line, or a piece of one too long for a chunk."""

    start: int
    end: int
    first_token: int
    last_token: int  # one past
    after: str  # a key of _BREAK_COSTS
    begins_sentence: bool


TINY = 16
"""Neighbours that together have at most the limit divided by this many tokens become one unit.
Chosen by hand: a chunk then has at most some 32 units, which bounds the time of `plan_cuts`."""


def _units(text: str, ruler: Ruler, limit: int) -> list[_Unit]:
    units: list[_Unit] = []
    for sentence in split_sentences(text):
        begins = True
        for start, end, after in _pieces(text, sentence, ruler, limit):
            if begins:  # empty cells before it belong to a row of a table
                start = _row_start(text, start)
            units.append(
                _Unit(
                    start=start,
                    end=end,
                    first_token=ruler.index(start),
                    last_token=ruler.index(end),
                    after=after,
                    begins_sentence=begins,
                )
            )
            begins = False
    return _merge_tiny(units, limit // TINY)


def _row_start(text: str, start: int) -> int:
    """Where the line begins, if there are only tabs before `start`; else `start`."""
    at = start
    while at > 0 and text[at - 1] == "\t":
        at -= 1
    return at if at == 0 or text[at - 1] == "\n" else start


def _pieces(
    text: str, sentence: Sentence, ruler: Ruler, limit: int
) -> Iterator[tuple[int, int, str]]:
    """(start, end, kind of break after) of the pieces of a sentence: one, if it is not too long."""
    start = sentence.start
    while sentence.end - start > 1 and _size(ruler, start, sentence.end) > limit:
        furthest = min(_furthest(ruler, start, limit), sentence.end - 1)
        cut, after = _last_break(text, start, max(furthest, start + 1))
        yield start, _trim_end(text, start, cut), after
        start = _skip_space(text, cut)
    yield start, sentence.end, sentence.after


_WRAP = re.compile(r"\n")
_CLAUSE = re.compile(r"[,;:)\]—–](?=\s)|[，、；：]")
_SPACE = re.compile(r"\s+")


def _last_break(text: str, start: int, furthest: int) -> tuple[int, str]:
    """The best place to end a piece, in the latter half of `text[start:furthest]`, and its kind."""
    half = start + (furthest - start + 1) // 2
    for kind, pattern in (("wrapped line", _WRAP), ("clause", _CLAUSE), ("word", _SPACE)):
        ends = [
            match.end() if kind == "clause" else match.start()
            for match in pattern.finditer(text, max(half, start + 1), furthest + 1)
        ]
        ends = [end for end in ends if end <= furthest]
        if ends:
            return ends[-1], kind
    return _between_characters(text, start, furthest), "character"


def _between_characters(text: str, start: int, furthest: int) -> int:
    """The last offset up to `furthest` that does not part a letter from its accents.

    Up to 32 characters before `furthest` are tried: no letter has more accents in a cleaned text.
    """
    for cut in range(furthest, max(start, furthest - 32), -1):
        if not (_clings(text[cut]) or text[cut - 1] == "\u200d"):
            return cut
    return furthest


def _clings(character: str) -> bool:
    """Whether a character belongs to the one before: marks, joiners, variation selectors."""
    return character == "\u200d" or unicodedata.category(character) in ("Mn", "Me", "Mc")


def _merge_tiny(units: list[_Unit], tokens: int) -> list[_Unit]:
    """Join neighbouring units of a few words, so that planning stays linear.

    A heading is not joined to the paragraph before it.
    """
    merged: list[_Unit] = []
    for unit in units:
        last = merged[-1] if merged else unit
        joined = _limited_size(unit.last_token - last.first_token, unit.end - last.start)
        before_heading = last.after == "paragraph" and unit.after == "line"
        if merged and joined <= tokens and not before_heading:
            merged[-1] = _Unit(
                start=last.start,
                end=unit.end,
                first_token=last.first_token,
                last_token=unit.last_token,
                after=unit.after,
                begins_sentence=last.begins_sentence,
            )
        else:
            merged.append(unit)
    return merged


# ---- What a break costs ----------------------------------------------------------------------


def _costs(text: str, units: list[_Unit], sections: Set[int]) -> list[float]:
    """The cost of a break after each unit. Headings stay with what follows.

    `sections` are the offsets at which headings were found; others are guessed.
    """
    headings = [unit.start in sections or _is_heading(text, unit) for unit in units]
    costs = []
    for i, unit in enumerate(units):
        heading_follows = i + 1 < len(units) and headings[i + 1]
        if (headings[i] and not heading_follows) or text[unit.end - 1] in ":：":
            costs.append(_ORPHAN_COST)
        elif heading_follows and not headings[i] and unit.after in ("paragraph", "line"):
            costs.append(_BREAK_COSTS["heading"])
        else:
            costs.append(_BREAK_COSTS[unit.after])
    return costs


def _held_together(
    costs: list[float], units: Sequence[_Unit], lead_ins: LeadIns, limit: int
) -> list[float]:
    """The costs, raised for breaks after what opens a table or list, and within those that fit."""
    ends = [unit.end for unit in units]
    costs = [
        _ORPHAN_COST if unit.end in lead_ins.openings else cost
        for unit, cost in zip(units, costs, strict=True)
    ]
    for start, end in lead_ins.together:
        first, last = bisect_right(ends, start), bisect_left(ends, end)
        if first < last < len(units) and (
            units[last].last_token - units[first].first_token <= limit
        ):
            for i in range(first, last):
                costs[i] = max(costs[i], _WITHIN_COST)
    return costs


def _is_heading(text: str, unit: _Unit) -> bool:
    """Whether a unit is a short line of its own that begins like a title, without a full stop.

    Chosen by hand: up to 100 characters, 12 words, and one number among them.
    """
    line = text[unit.start : unit.end]
    if unit.after not in ("line", "paragraph") or len(line) > 100 or line[-1] in ".!?。,;，、":
        return False
    words = line.split()
    numbers = sum(not any(map(str.isalpha, word)) for word in words)
    letter = next((character for character in line if character.isalpha()), "")
    return bool(letter) and not letter.islower() and len(words) <= 12 and numbers <= 1


# ---- Exactness -------------------------------------------------------------------------------


def _fit(
    text: str, span: Span, boundaries: list[int], ruler: Ruler, max_tokens: int
) -> list[tuple[Span, int]]:
    """The span with its exact token count; in two or more parts if that is above the limit."""
    start, end = span
    count = ruler.count(start, end)
    if count <= max_tokens:
        return [(span, count)]
    middle = (start + end) // 2
    if boundaries:
        cut = min(boundaries, key=lambda boundary: abs(boundary - middle))
    elif end - start > 1:
        cut, _ = _last_break(text, start, max(middle, start + 1))
    else:
        raise InputError(
            f"max_tokens is {max_tokens}, but the character {text[start]!r} alone takes {count} "
            f"tokens. Give at least {count}."
        )
    left = (start, _trim_end(text, start, cut))
    right = (_skip_space(text, cut), end)
    before = [boundary for boundary in boundaries if boundary < cut]
    after = [boundary for boundary in boundaries if boundary > cut]
    return [
        *_fit(text, left, before, ruler, max_tokens),
        *_fit(text, right, after, ruler, max_tokens),
    ]


def _overlap(
    text: str,
    spans: list[tuple[Span, int]],
    sentence_starts: list[int],
    ruler: Ruler,
    max_tokens: int,
    overlap_tokens: int,
) -> list[tuple[Span, int]]:
    """Begin each chunk with whole sentences of the one before, as many as the limits allow."""
    extended = spans[:1]
    for ((before, _), _), ((start, end), count) in pairwise(spans):
        here = bisect_left(sentence_starts, start)
        first = bisect_left(sentence_starts, before + 1)
        whole = here < len(sentence_starts) and sentence_starts[here] == start
        chosen = ((start, end), count)
        for earlier in sentence_starts[first:here] if whole else ():
            if _size(ruler, earlier, start) <= overlap_tokens:
                longer = ruler.count(earlier, end)
                if longer <= max_tokens:
                    chosen = ((earlier, end), longer)
                    break
        extended.append(chosen)
    return extended


def _trim_end(text: str, start: int, end: int) -> int:
    while end > start and text[end - 1].isspace():
        end -= 1
    return end


def _skip_space(text: str, start: int) -> int:
    while start < len(text) and text[start].isspace():
        start += 1
    return start
