"""Writing token by token: one row through the network, over a KV cache that grows in place.

A step costs what its operations cost to start and what its weights and keys cost to read, so there
are few of them: queries, keys and values are one product, both rotations are one, the queries'
scale is in their weights, and keys are kept as the product with a query reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ragctx.generator.reader.int8_kernels import RowProduct, row_product
from ragctx.generator.reader.kv_cache import Past
from ragctx.generator.reader.network import ReaderNetwork
from ragctx.generator.reader.rope import rotate
from ragctx.transformer import Layer

RowNorm = Callable[[Tensor], Tensor]
Matrix = Callable[[Tensor, Tensor], RowProduct]
"""(weight, bias) -> their product with a row."""


class _Block(NamedTuple):
    asking: RowProduct  # queries, scaled, keys and values
    output: RowProduct
    output_norm: RowNorm
    up: RowProduct
    down: RowProduct
    down_norm: RowNorm


class Stepper:
    """A network as it writes."""

    def __init__(
        self,
        network: ReaderNetwork,
        product: Matrix = row_product,
    ) -> None:
        self.network = network
        self.blocks = [_block(layer, product) for layer in network.shared()]
        scale = network.shape.width**-0.5
        self.start = product(network.start.weight * scale, network.start.bias * scale)
        self.transform = product(network.transform.weight, network.transform.bias)
        self.vocabulary = product(network.embeddings.tokens.weight, network.vocabulary_bias)

    def start_scores(self, state: Tensor, context: Tensor) -> Tensor:
        """As the network's, for one state (width,)."""
        return context @ self.start(state)

    def vocabulary_scores(self, state: Tensor) -> Tensor:
        """As the network's, for one state (width,)."""
        return self.vocabulary(self.network.transform_norm(F.gelu(self.transform(state))))

    def over(self, past: Past, position: int, spare: int) -> Steps:
        """Steps behind `past`, at most `spare`, the first of them at `position`."""
        return Steps(self, past, position, spare)


class Steps:
    """One answer being written: call it with each token, it gives the token's state (width,)."""

    def __init__(self, stepper: Stepper, past: Past, position: int, spare: int) -> None:
        if past.mask is not None or past.keys[0].shape[0] != 1:
            raise ValueError("only a single past without padding can be written behind")
        self.stepper, self.length, self.begun = stepper, past.length, past.length
        self.keys = [F.pad(k[0].transpose(1, 2), (0, spare)).contiguous() for k in past.keys]
        self.values = [F.pad(v[0], (0, 0, 0, spare)) for v in past.values]
        places = torch.arange(position, position + spare, device=past.keys[0].device)
        self.turns = [turn[:, None] for turn in stepper.network.rotation(places)]

    def __call__(self, token: int) -> Tensor:
        """Read one token more."""
        network, end = self.stepper.network, self.length + 1
        cos, sin = (turn[self.length - self.begun] for turn in self.turns)
        heads, each = network.shape.heads, network.shape.head_width
        state: Tensor = network.embeddings(torch.tensor([token], device=cos.device))[0]
        for block, keys, values in zip(self.stepper.blocks, self.keys, self.values, strict=True):
            asking = block.asking(state).view(3, heads, each)
            query, key = rotate(asking[:2], cos, sin)
            keys[:, :, self.length], values[:, self.length] = key, asking[2]
            shares = torch.bmm(query[:, None], keys[:, :, :end]).softmax(-1)
            attended = torch.bmm(shares, values[:, :end]).flatten()
            state = block.output_norm(state + block.output(attended))
            state = block.down_norm(state + block.down(F.gelu(block.up(state))))
        self.length = end
        return state


def _block(layer: Layer, product: Matrix) -> _Block:
    scale = (layer.query.out_features // layer.heads) ** -0.5
    thirds = (layer.query.weight * scale, layer.key.weight, layer.value.weight)
    biases = (layer.query.bias * scale, layer.key.bias, layer.value.bias)
    return _Block(
        asking=product(torch.cat(thirds), torch.cat(biases)),
        output=product(layer.output.weight, layer.output.bias),
        output_norm=_norm(layer.output_norm),
        up=product(layer.up.weight, layer.up.bias),
        down=product(layer.down.weight, layer.down.bias),
        down_norm=_norm(layer.down_norm),
    )


def _norm(norm: nn.LayerNorm) -> RowNorm:
    shape, weight, bias, epsilon = norm.normalized_shape, norm.weight, norm.bias, norm.eps
    return lambda row: F.layer_norm(row, shape, weight, bias, epsilon)


class Writer(Protocol):
    """What scores the next token: the network, or a `Stepper` of it."""

    def vocabulary_scores(self, state: Tensor, /) -> Tensor:
        """Of each vocabulary token, to be written: (vocabulary,)."""

    def start_scores(self, state: Tensor, context: Tensor, /) -> Tensor:
        """Of each position of the context, to be copied: (N,)."""


class Likeliest:
    """The likeliest next token, written or copied (greedy).

    One softmax over the vocabulary and the context's positions (See et al. 2017, arXiv 1704.04368,
    without its gate), in which a position's share goes to the token that stands there. To find the
    largest, only the shares of tokens that stand in the context need to be summed.
    """

    def __init__(
        self, writer: Writer, context: Tensor, content: Tensor, context_ids: Tensor
    ) -> None:
        self.writer = writer
        # turned in memory: a product with one vector reads it so in half the time
        self.context = context[content].T.contiguous().T
        self.tokens, self.which = torch.unique(context_ids[content], return_inverse=True)

    def __call__(self, state: Tensor) -> int:
        """The token that a state (width,) is followed by."""
        scores = self.writer.vocabulary_scores(state)
        if len(self.tokens):
            copy = self.writer.start_scores(state, self.context)
            most = copy.max()
            sums = torch.zeros_like(self.tokens, dtype=copy.dtype)
            sums.index_add_(0, self.which, (copy - most).exp())
            either = torch.logaddexp(scores[self.tokens], sums.log() + most)
            scores = scores.index_copy(0, self.tokens, either)
        return int(scores.cpu().numpy().argmax())  # torch's own takes ten times as long


def write(
    state: Tensor,
    step: Callable[[int], Tensor],
    next_token: Callable[[Tensor], int],
    *,
    stop: int,
    max_new_tokens: int,
) -> tuple[int, ...]:
    """Decode token by token until `stop` or `max_new_tokens`.

    `state` is the answer's first state; `next_token` chooses a token from a state, and `step` gives
    the state behind it: it is called at most `max_new_tokens` - 1 times.
    """
    written: list[int] = []
    while (token := next_token(state)) != stop:
        written.append(token)
        if len(written) == max_new_tokens:
            break
        state = step(token)
    return tuple(written)
