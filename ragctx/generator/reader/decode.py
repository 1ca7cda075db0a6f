"""Decoding token by token: one row through the network, over a KV cache that grows in place.

A step costs what its operations cost to start and what its weights and keys cost to read. So there
are few operations: queries, keys and values are one product, both rotations are one, the scale of
the queries is folded into their weights, and keys are stored in the order in which the product with
a query reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ragctx.generator.reader.int8_kernels import RowProduct, row_product
from ragctx.generator.reader.kv_cache import KVCache
from ragctx.generator.reader.network import ReaderNetwork
from ragctx.generator.reader.rope import rotate
from ragctx.transformer import Layer

RowNorm = Callable[[Tensor], Tensor]
"""(width,) -> (width,), normalised."""

MakeRowProduct = Callable[[Tensor, Tensor], RowProduct]
"""(weight, bias) -> their product with a row."""


class _Block(NamedTuple):
    """One layer as it is applied to a single row."""

    query_key_value: RowProduct  # the queries are scaled
    output: RowProduct
    output_norm: RowNorm
    up: RowProduct
    down: RowProduct
    down_norm: RowNorm


class Decoder:
    """A network prepared for decoding: its matrices are ready to be multiplied with single rows."""

    def __init__(self, network: ReaderNetwork, product: MakeRowProduct = row_product) -> None:
        self.network = network
        self.blocks = [_block(layer, product) for layer in network.shared()]
        scale = network.shape.width**-0.5
        self.start = product(network.start.weight * scale, network.start.bias * scale)
        self.transform = product(network.transform.weight, network.transform.bias)
        self.vocabulary = product(network.embeddings.tokens.weight, network.vocabulary_bias)

    def start_scores(self, state: Tensor, context: Tensor) -> Tensor:
        """`ReaderNetwork.start_scores` for one state (width,)."""
        return context @ self.start(state)

    def vocabulary_scores(self, state: Tensor) -> Tensor:
        """`ReaderNetwork.vocabulary_scores` for one state (width,)."""
        return self.vocabulary(self.network.transform_norm(F.gelu(self.transform(state))))

    def steps_after(self, kv_cache: KVCache, position: int, max_steps: int) -> DecodeSteps:
        """Prepare at most `max_steps` steps after what is cached, the first at `position`."""
        return DecodeSteps(self, kv_cache, position, max_steps)


class DecodeSteps:
    """One answer being decoded: call it with each token to get that token's state (width,).

    Raises ValueError unless the cache holds a single row without padding.
    """

    def __init__(self, decoder: Decoder, kv_cache: KVCache, position: int, max_steps: int) -> None:
        if kv_cache.mask is not None or kv_cache.keys[0].shape[0] != 1:
            raise ValueError("decoding needs a KV cache of a single row without padding")
        self.decoder = decoder
        self.begin = self.length = kv_cache.length
        # (heads, head_width, positions) and (heads, positions, head_width), with room for the steps
        self.keys = [
            F.pad(keys[0].transpose(1, 2), (0, max_steps)).contiguous() for keys in kv_cache.keys
        ]
        self.values = [F.pad(values[0], (0, 0, 0, max_steps)) for values in kv_cache.values]
        positions = torch.arange(position, position + max_steps, device=kv_cache.keys[0].device)
        self.rotations = [part[:, None] for part in decoder.network.rotation(positions)]

    def __call__(self, token: int) -> Tensor:
        """Run one more token through the network."""
        network, end = self.decoder.network, self.length + 1
        cos, sin = (part[self.length - self.begin] for part in self.rotations)
        heads, head_width = network.shape.heads, network.shape.head_width
        state: Tensor = network.embeddings(torch.tensor([token], device=cos.device))[0]
        for block, keys, values in zip(self.decoder.blocks, self.keys, self.values, strict=True):
            query_key_value = block.query_key_value(state).view(3, heads, head_width)
            query, key = rotate(query_key_value[:2], cos, sin)
            keys[:, :, self.length], values[:, self.length] = key, query_key_value[2]
            weights = torch.bmm(query[:, None], keys[:, :, :end]).softmax(-1)
            attended = torch.bmm(weights, values[:, :end]).flatten()
            state = block.output_norm(state + block.output(attended))
            state = block.down_norm(state + block.down(F.gelu(block.up(state))))
        self.length = end
        return state


def _block(layer: Layer, product: MakeRowProduct) -> _Block:
    scale = (layer.query.out_features // layer.heads) ** -0.5
    weights = (layer.query.weight * scale, layer.key.weight, layer.value.weight)
    biases = (layer.query.bias * scale, layer.key.bias, layer.value.bias)
    return _Block(
        query_key_value=product(torch.cat(weights), torch.cat(biases)),
        output=product(layer.output.weight, layer.output.bias),
        output_norm=_norm(layer.output_norm),
        up=product(layer.up.weight, layer.up.bias),
        down=product(layer.down.weight, layer.down.bias),
        down_norm=_norm(layer.down_norm),
    )


def _norm(norm: nn.LayerNorm) -> RowNorm:
    shape, weight, bias, epsilon = norm.normalized_shape, norm.weight, norm.bias, norm.eps
    return lambda row: F.layer_norm(row, shape, weight, bias, epsilon)


class NextTokenScorer(Protocol):
    """What scores the next token: a `ReaderNetwork`, or a `Decoder` of it."""

    def vocabulary_scores(self, state: Tensor, /) -> Tensor:
        """(vocabulary,): score of writing each token of the vocabulary."""

    def start_scores(self, state: Tensor, context: Tensor, /) -> Tensor:
        """(N,): score of copying the token at each position of the context."""


class LikeliestToken:
    """Chooses the likeliest next token, written or copied (greedy decoding).

    One softmax over the vocabulary and the context's positions (See et al. 2017, arXiv 1704.04368,
    without its gate), in which a position's share goes to the token at that position. To find the
    largest share, only those of tokens that occur in the context need to be summed.
    """

    def __init__(
        self, scorer: NextTokenScorer, context: Tensor, content: Tensor, context_ids: Tensor
    ) -> None:
        self.scorer = scorer
        # column by column in memory: the product with one vector reads that in half the time
        self.context = context[content].T.contiguous().T
        self.tokens, self.token_of_position = torch.unique(
            context_ids[content], return_inverse=True
        )

    def __call__(self, state: Tensor) -> int:
        """The id of the token that follows a state (width,)."""
        scores = self.scorer.vocabulary_scores(state)
        if len(self.tokens):
            copy = self.scorer.start_scores(state, self.context)
            highest = copy.max()
            sums = torch.zeros_like(self.tokens, dtype=copy.dtype)
            sums.index_add_(0, self.token_of_position, (copy - highest).exp())
            either = torch.logaddexp(scores[self.tokens], sums.log() + highest)
            scores = scores.index_copy(0, self.tokens, either)
        return int(scores.cpu().numpy().argmax())  # torch's own argmax takes ten times as long


def decode_tokens(
    state: Tensor,
    step: Callable[[int], Tensor],
    next_token: Callable[[Tensor], int],
    *,
    stop: int,
    max_new_tokens: int,
) -> tuple[int, ...]:
    """Decode token by token until `stop` or `max_new_tokens`; return the ids without `stop`.

    `state` is the state from which the first token is chosen; `next_token` chooses a token from a
    state, and `step` returns the state of the token: it is called at most `max_new_tokens` - 1
    times.
    """
    written: list[int] = []
    while (token := next_token(state)) != stop:
        written.append(token)
        if len(written) == max_new_tokens:
            break
        state = step(token)
    return tuple(written)
