"""Token ids of texts read before: a passage is tokenised once, however often prompts hold it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

REMEMBERED_TEXTS = 2048
"""How many texts' ids are kept, those used last: about 20 MB when each is 256 tokens."""

LONGEST_CHARACTERS = 10_000
"""A longer text is no passage, and not kept."""


def remembering(
    encode: Callable[[str], list[int]], texts: int = REMEMBERED_TEXTS
) -> Callable[[str], list[int]]:
    """`encode`, which must give equal ids for equal text, with a memory for the last `texts`.

    >>> asked = []
    >>> encode = remembering(lambda text: asked.append(text) or [len(text)])
    >>> encode("tin"), encode("tin"), asked
    ([3], [3], ['tin'])
    """
    known = lru_cache(maxsize=texts)(lambda text: tuple(encode(text)))

    def encode_remembering(text: str) -> list[int]:
        return list(known(text)) if len(text) <= LONGEST_CHARACTERS else encode(text)

    return encode_remembering
