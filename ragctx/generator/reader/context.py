"""What the bundled reader takes from a prompt: the passages one after another, then the question.

The tokens of all passages side by side are the *context*. Positions in it are counted from the
first passage's first token.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ragctx.errors import TemplateError
from ragctx.generator.reader.cells import parts_cells
from ragctx.generator.reader.passages import CachedPassage, Mask, Tokens
from ragctx.generator.reader.rows import Row, rows_of
from ragctx.generator.reader.softmax import Floats
from ragctx.records import CopiedSpan, Prompt
from ragctx.tables import TAB

if TYPE_CHECKING:
    from ragctx.generator.reader.spans import Span
    from ragctx.tokens.tokenizer import Tokenizer


def split_prompt(prompt: Prompt) -> tuple[list[Tokens], Tokens]:
    """The passages' ids, and the ids after the last passage: question, [SEP], [MASK].

    Raises TemplateError if the template puts anything before a passage.
    """
    passages = [segment.token_ids for segment in prompt.passages]
    kinds = [segment.kind for segment in prompt.segments]
    last = max((i for i, kind in enumerate(kinds) if kind == "passage"), default=-1)
    before = [s for s in prompt.segments[: last + 1] if s.kind != "passage" and s.token_ids]
    if before:
        raise TemplateError(
            f"the bundled reader reads passages first, but the template puts {before[0].text!r} "
            "before them; use --template reader"
        )
    rest = [token for segment in prompt.segments[last + 1 :] for token in segment.token_ids]
    return passages, tuple(rest)


def passage_starts(prompt: Prompt) -> list[int]:
    """The position of each passage's first token, and, last, the length of the context."""
    return list(accumulate((len(p.token_ids) for p in prompt.passages), initial=0))


def passage_at(prompt: Prompt, position: int) -> int:
    """The number of the passage that holds a position of the context, from 0."""
    return bisect_right(passage_starts(prompt), position) - 1


_NUMBERED = re.compile(r"^\d{1,3}(?:\.\d{1,3})+\.?(?=[ \t]{1,4}[A-Z])", re.MULTILINE)
_ASKS_PLACE = re.compile(
    r"\b(?:section|chapter|page|rule|article|figure|table|part|appendix|number|version)s?\b",
    re.IGNORECASE,
)


class Layout(NamedTuple):
    """How each passage of a prompt is laid out: masks (T,) of its tokens, and its tables' rows.

    `own` is True at the tokens of the passage's own text, False at headers and markers; `content`
    at those that an answer may contain: not at what sets the cells of a table apart, nor at the
    names of its columns, nor at the number of a heading ("5.11 Uploads"), unless the question may
    ask for one. At those of `begins` another figure of a cell begins: an answer that contains one
    begins there.
    """

    own: list[Mask]
    content: list[Mask]
    begins: list[Mask]
    rows: list[list[Row]]


def layout_of(prompt: Prompt, tokenizer: Tokenizer) -> Layout:
    """The layout of a prompt's passages."""
    layout = Layout([], [], [], [])
    asks_place = _ASKS_PLACE.search(prompt.question) is not None
    for passage in prompt.passages:
        own = np.zeros(len(passage.token_ids), dtype=np.bool_)
        own[passage.token_start : passage.token_end] = True
        content, begins = own.copy(), np.zeros_like(own)
        rows, text = [], passage.own_text
        numbers = [] if asks_place else [number.span() for number in _NUMBERED.finditer(text)]
        if TAB in text or "...." in text or numbers:
            offsets = tokenizer.encode_with_offsets(text).offsets
            for i, (start, end) in enumerate(offsets, passage.token_start):
                content[i] &= not parts_cells(text[start:end])
                content[i] &= not any(first <= start < last for first, last in numbers)
            rows = rows_of(text, offsets, passage.token_start)
            begins[[i for row in rows for i in row.figures]] = True
            content[[i for row in rows for i in row.header]] = False
        layout.own.append(own)
        layout.content.append(content)
        layout.begins.append(begins)
        layout.rows.append(rows)
    return layout


def context_of(
    prompt: Prompt, passages: Sequence[CachedPassage], tokenizer: Tokenizer
) -> tuple[Floats, Mask]:
    """The passages' states side by side (N, width), and which of the N an answer may contain."""
    states = np.concatenate([passage.states for passage in passages]).astype(np.float32)
    return states, np.concatenate(layout_of(prompt, tokenizer).content)


def similarities_of(prompt: Prompt) -> list[float | None]:
    """Each passage's cosine to the question, as its search computed it; None where unknown."""
    return [passage.hit.similarity for passage in prompt.passages if passage.hit]


def locate(
    prompt: Prompt, spans: Sequence[Span], tokenizer: Tokenizer
) -> list[tuple[CopiedSpan, str]]:
    """Each span of the context as characters of a passage's own text, and these characters."""
    passages, starts = prompt.passages, passage_starts(prompt)

    @cache
    def offsets(number: int) -> Sequence[tuple[int, int]]:
        return tokenizer.encode_with_offsets(passages[number].own_text).offsets

    located = []
    for span in spans:
        number = bisect_right(starts, span.first) - 1
        own_start = starts[number] + passages[number].token_start
        start = offsets(number)[span.first - own_start][0]
        end = offsets(number)[span.last - own_start][1]
        text = passages[number].own_text[start:end]
        located.append((CopiedSpan(number, start, end), text))
    return located


def tokens_at(prompt: Prompt, span: CopiedSpan, tokenizer: Tokenizer) -> tuple[int, ...]:
    """The tokens of a passage's own text that the characters of a span touch."""
    passage = prompt.passages[span.passage]
    own_ids = passage.token_ids[passage.token_start : passage.token_end]
    offsets = tokenizer.encode_with_offsets(passage.own_text).offsets
    pairs = zip(own_ids, offsets, strict=True)
    return tuple(token for token, (a, b) in pairs if a < span.end and b > span.start)
