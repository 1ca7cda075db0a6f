"""Writing token by token: each new token is read over the keys and values of all before it.

A step reads one token, whatever came before: its cost grows with the length of the cache, because
that is what the token attends to, and not with its square. The cache holds 2 * layers * width
numbers for each position (`KVCache.nbytes`): 9.2 kB in float16, 4.6 MB for a prompt of 500 tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ragctx.generator.reader.network import ReaderNetwork, Reading
from ragctx.generator.reader.passages import Mask
from ragctx.generator.reader.softmax import Floats


class LikeliestToken:
    """Chooses the likeliest next token, written or copied (greedy decoding).

    One softmax over the vocabulary and the context's positions (See et al. 2017, arXiv 1704.04368,
    without its gate), in which a position's share goes to the token at that position. `context` (N,
    width) are the states of the positions, `content` (N,) tells which may be copied.
    """

    def __init__(
        self, network: ReaderNetwork, context: Floats, content: Mask, context_ids: Sequence[int]
    ) -> None:
        self.network = network
        self.context = context[content]
        self.tokens: NDArray[np.int64] = np.array(context_ids, dtype=np.int64)[content]

    def __call__(self, state: Floats) -> int:
        """The id of the token that follows a state (width,)."""
        scores = self.network.vocabulary_scores(state)
        if len(self.tokens):
            copied = self.network.start_scores(state, self.context)
            np.logaddexp.at(scores, self.tokens, copied)
        return int(scores.argmax())


def decode_tokens(
    network: ReaderNetwork,
    read: Reading,
    next_token: Callable[[Floats], int],
    *,
    offset: int,
    stop: int,
    max_new_tokens: int,
) -> tuple[int, ...]:
    """Decode token by token until `stop` or `max_new_tokens`; return the ids without `stop`.

    `read` is what reading the question gave, of `offset` tokens: the answer continues its segment.
    `next_token` chooses a token from a state.
    """
    written: list[int] = []
    while (token := next_token(read.states.answer)) != stop:
        written.append(token)
        if len(written) == max_new_tokens:
            break
        read = network.read([token], read.kv_cache, offset=offset + len(written) - 1)
    return tuple(written)
