"""A tokenizer that remembers: in a sweep the same passages are tokenised under every condition."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from ragctx.tokens import Encoding, Tokenizer

TEXTS = 4096
"""How many texts are remembered; the least recently used is forgotten first."""


class MemoTokenizer:
    """Gives what the tokenizer it stands before gives, and asks it once for each text.

    >>> from ragctx.tokens import load_tokenizer
    >>> memo = MemoTokenizer(load_tokenizer("bundled"))
    >>> memo.encode("Hello") == memo.encode("Hello") == [7592]
    True
    """

    def __init__(self, tokenizer: Tokenizer, texts: int = TEXTS) -> None:
        self.name = tokenizer.name
        self.chat_frame = tokenizer.chat_frame
        self._tokenizer = tokenizer
        self._ids = lru_cache(texts)(lambda text: tuple(tokenizer.encode(text)))
        self._markup = lru_cache(texts)(lambda text: tuple(tokenizer.encode_markup(text)))
        self._encoding = lru_cache(texts)(tokenizer.encode_with_offsets)

    def encode(self, text: str) -> list[int]:
        """Ids of somebody else's text."""
        return list(self._ids(text))

    def encode_markup(self, text: str) -> list[int]:
        """Ids of our own text."""
        return list(self._markup(text))

    def encode_with_offsets(self, text: str) -> Encoding:
        """The ids `encode` gives, with the characters each covers."""
        return self._encoding(text)

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of some ids."""
        return self._tokenizer.decode(token_ids)

    def count(self, text: str) -> int:
        """`len(encode(text))`."""
        return len(self._ids(text))
