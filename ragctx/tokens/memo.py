"""Token ids of texts read before: a passage is tokenised once, however often prompts hold it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from ragctx.arguments import require_kind

REMEMBERED_TEXTS = 4096
"""How many texts' ids are kept, the most recently used: 40 MB at most if each has 256 tokens."""

LONGEST_CHARACTERS = 10_000
"""A longer text is not a passage, and its ids are not kept."""


class RememberingEncoder:
    """A function from text to token ids, with a memory for the texts it saw last.

    The function must give equal ids for equal text. Threads may share an encoder.

    >>> asked = []
    >>> encoder = RememberingEncoder(lambda text: asked.append(text) or [len(text)])
    >>> encoder.encode("tin"), encoder.count("tin"), asked
    ([3], 1, ['tin'])
    """

    def __init__(self, encode: Callable[[str], list[int]], texts: int = REMEMBERED_TEXTS) -> None:
        self._encode = encode
        self._known = lru_cache(maxsize=texts)(lambda text: tuple(encode(text)))

    def encode(self, text: str) -> list[int]:
        """The ids, as a list of the caller's own."""
        return list(self._ids(text))

    def count(self, text: str) -> int:
        """How many ids there are."""
        return len(self._ids(text))

    def _ids(self, text: str) -> Sequence[int]:
        require_kind("text", text, str, "give one text")
        return self._known(text) if len(text) <= LONGEST_CHARACTERS else self._encode(text)
