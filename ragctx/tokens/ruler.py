"""Where the tokens of a long text are, so that any stretch of it is counted in no time."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate

from ragctx.tokens.tokenizer import Tokenizer, reads_words_alone

_BLOCK = 20_000
"""Characters encoded at a time. Chosen by hand: any size gives almost the same tokens."""
_BLANK = " \t\n\r"
_WORD = re.compile(rf"[^{_BLANK}]+")


class Ruler:
    """Where each token of a text ends.

    A tokenizer that reads every word alone (`ReadsWordsAlone`) is given each word of the text once,
    however often it occurs; any other the whole text, block by block.

    >>> from ragctx.tokens.load import load_tokenizer
    >>> ruler = Ruler("Tin melts. Tin is soft.", load_tokenizer())
    >>> ruler.index(4), ruler.count(11, 23), ruler.end(1)
    (1, 4, 8)
    """

    def __init__(self, text: str, tokenizer: Tokenizer) -> None:
        self._text = text
        self._tokenizer = tokenizer
        self._counts_words = reads_words_alone(tokenizer)
        # Of each part, a word or a block: where it starts, and where in it its tokens end.
        self._starts, self._lasts = (_words if self._counts_words else _blocks)(text, tokenizer)
        self._before = [0, *accumulate(map(len, self._lasts))]  # tokens before each part

    def index(self, offset: int) -> int:
        """How many tokens end before `offset`.

        The difference of two may be off by a token or so for the text between them on its own,
        unless the tokenizer encodes words alike wherever they are.
        """
        part = bisect_left(self._starts, offset) - 1
        if part < 0:
            return 0
        return self._before[part] + bisect_left(self._lasts[part], offset - self._starts[part])

    def end(self, token: int) -> int | None:
        """Where a token ends, counted from 0; None if there are not as many."""
        if token >= self._before[-1]:
            return None
        part = bisect_right(self._before, token) - 1
        return self._starts[part] + self._lasts[part][token - self._before[part]] + 1

    def count(self, start: int, end: int) -> int:
        """`tokenizer.count(text[start:end])`, exactly."""
        if self._counts_words and self._parts_words(start) and self._parts_words(end):
            return self.index(end) - self.index(start)
        return self._tokenizer.count(self._text[start:end])

    def _parts_words(self, offset: int) -> bool:
        around = self._text[max(0, offset - 1) : offset + 1]
        return len(around) < 2 or around[0] in _BLANK or around[1] in _BLANK


Lasts = tuple[int, ...]
"""The last character of each token, counted from where the part begins."""


def _lasts_in(text: str, tokenizer: Tokenizer) -> Lasts:
    offsets = tokenizer.encode_with_offsets(text).offsets
    return tuple(sorted([max(end - 1, 0) for _, end in offsets]))


def _blocks(text: str, tokenizer: Tokenizer) -> tuple[list[int], list[Lasts]]:
    """Where blocks start that make up the text, and the tokens of each."""
    spans = list(_spans(text))
    lasts = [_lasts_in(text[start:end], tokenizer) for start, end in spans]
    return [start for start, _ in spans], lasts


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Spans of about `_BLOCK` characters, cut at line ends or spaces where there are any."""
    start = 0
    while start < len(text):
        end = min(start + _BLOCK, len(text))
        if end < len(text):
            half = start + _BLOCK // 2
            break_at = max(text.rfind("\n", half, end), text.rfind(" ", end - 200, end))
            end = break_at if break_at > start else end
        yield start, end
        start = end


def _words(text: str, tokenizer: Tokenizer) -> tuple[list[int], list[Lasts]]:
    """Where the words of the text start, and the tokens of each."""
    words = _WORD.findall(text)
    lasts = _lasts_of_words(dict.fromkeys(words), tokenizer)
    return [match.start() for match in _WORD.finditer(text)], [lasts[word] for word in words]


def _lasts_of_words(words: Iterable[str], tokenizer: Tokenizer) -> dict[str, Lasts]:
    found: dict[str, Lasts] = {}
    for group in _groups(words):
        lasts = _lasts_in(" ".join(group), tokenizer)
        start = first = 0
        for word in group:
            end = start + len(word)
            stop = bisect_left(lasts, end, first)
            found[word] = tuple([last - start for last in lasts[first:stop]])
            start, first = end + 1, stop
    return found


def _groups(words: Iterable[str]) -> Iterator[list[str]]:
    """The words, as many together as make up about `_BLOCK` characters."""
    group: list[str] = []
    size = 0
    for word in words:
        group.append(word)
        size += len(word) + 1
        if size >= _BLOCK:
            yield group
            group, size = [], 0
    if group:
        yield group
