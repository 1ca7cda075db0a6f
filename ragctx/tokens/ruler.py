"""Where the tokens of a long text are, so that any stretch of it is counted in no time."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator

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
    (1, 4, 9)
    """

    def __init__(self, text: str, tokenizer: Tokenizer) -> None:
        self._text = text
        self._tokenizer = tokenizer
        self._counts_words = reads_words_alone(tokenizer)
        read = _lasts_by_words if self._counts_words else _lasts_by_blocks
        self._lasts = sorted(read(text, tokenizer))  # offset of each token's last character

    def index(self, offset: int) -> int:
        """How many tokens end before `offset`.

        The difference of two may be off by a token or so for the text between them on its own,
        unless the tokenizer encodes words alike wherever they are.
        """
        return bisect_left(self._lasts, offset)

    def end(self, token: int) -> int | None:
        """Where a token ends, counted from 0; None if there are not as many."""
        return self._lasts[token] + 1 if token < len(self._lasts) else None

    def count(self, start: int, end: int) -> int:
        """`tokenizer.count(text[start:end])`, exactly."""
        if self._counts_words and self._parts_words(start) and self._parts_words(end):
            return self.index(end) - self.index(start)
        return self._tokenizer.count(self._text[start:end])

    def _parts_words(self, offset: int) -> bool:
        around = self._text[max(0, offset - 1) : offset + 1]
        return len(around) < 2 or around[0] in _BLANK or around[1] in _BLANK


def _lasts_by_blocks(text: str, tokenizer: Tokenizer) -> Iterator[int]:
    for start, end in _blocks(text):
        for _, token_end in tokenizer.encode_with_offsets(text[start:end]).offsets:
            yield start + max(token_end - 1, 0)


def _blocks(text: str) -> Iterator[tuple[int, int]]:
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


def _lasts_by_words(text: str, tokenizer: Tokenizer) -> Iterator[int]:
    lasts = _lasts_of_words(dict.fromkeys(_WORD.findall(text)), tokenizer)
    return (word.start() + last for word in _WORD.finditer(text) for last in lasts[word[0]])


def _lasts_of_words(words: Iterable[str], tokenizer: Tokenizer) -> dict[str, tuple[int, ...]]:
    """Where in each word its tokens end."""
    found: dict[str, tuple[int, ...]] = {}
    for group in _groups(words):
        offsets = tokenizer.encode_with_offsets(" ".join(group)).offsets
        lasts = sorted(max(token_end - 1, 0) for _, token_end in offsets)
        start = first = 0
        for word in group:
            end = start + len(word)
            stop = bisect_left(lasts, end, first)
            found[word] = tuple(last - start for last in lasts[first:stop])
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
