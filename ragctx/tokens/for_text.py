"""A tokenizer for text that somebody else sends to a model."""

from __future__ import annotations

from collections.abc import Sequence

from ragctx.tokens.tokenizer import Encoding, Tokenizer


class TextTokenizer:
    """`tokenizer` without its chat template: what is counted is one text, as a whole.

    A program that puts a prompt into a message of its own gets its text, and the chat template goes
    around that message, not around the prompt.

    >>> from ragctx.tokens.load import load_tokenizer
    >>> TextTokenizer(load_tokenizer("bundled")).count("Tin melts.")
    4
    """

    chat_frame: tuple[str, str] | None = None
    retokenised = True

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.name = tokenizer.name
        self._tokenizer = tokenizer

    def encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(text)

    def encode_markup(self, text: str) -> list[int]:
        return self._tokenizer.encode_markup(text)

    def encode_with_offsets(self, text: str) -> Encoding:
        return self._tokenizer.encode_with_offsets(text)

    def decode(self, token_ids: Sequence[int]) -> str:
        return self._tokenizer.decode(token_ids)

    def count(self, text: str) -> int:
        return self._tokenizer.count(text)
