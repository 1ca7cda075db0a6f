"""The bundled reader's network: chunks encoded alone, a question that reads them all.

The mask: a chunk's tokens see their own chunk, both ways; question tokens see every chunk and the
question, both ways; answer tokens see all of that and the answer so far. What a chunk leaves
depends on nothing else, and its keys can be turned to any position: the cached chunk is not an
approximation of the model but the model itself (Block-Attention, arXiv 2409.15355; TurboRAG,
arXiv 2410.07590).

One look at everything is cheap but blind on one side: no passage ever sees the question. So the few
chunks that the first look finds most likely are looked at again: from what they were after the
first `ALONE` layers they go through the others, and through one more, together with the question
(late interaction; DeFormer, Cao et al., ACL 2020). The cost does not grow with the prompt, and it
is the same wherever a passage stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ragctx.generator.reader.kv_cache import Past
from ragctx.generator.reader.rope import angles, rotate
from ragctx.transformer import Embeddings, Layer, Shape, attend

ALONE = 4
"""Layers that a chunk passes alone in both looks."""

MAX_SPAN_TOKENS = 96
"""The longest answer span the end pointer can reach: a sentence or two."""


class Encoded(NamedTuple):
    """A batch of chunks, each encoded alone, at positions counted from the chunk's own start."""

    keys: tuple[Tensor, ...]  # per layer (B, heads, T, head_width), before rotation
    values: tuple[Tensor, ...]  # per layer (B, heads, T, head_width)
    early: Tensor  # (B, T, width): after the first layers, where the second look begins
    states: Tensor  # (B, T, width): before the last layer, where the first look points


class Asked(NamedTuple):
    """The states of a question's tokens as each layer of the second look sees them.

    The last token is [MASK], whose state is the answer's first.
    """

    seen: Tensor  # (…, live layers + 1, T, width): before each live layer, and after the last one

    @property
    def last(self) -> Tensor:
        """(…, T, width): the last states."""
        return self.seen[..., -1, :, :]

    @property
    def answer(self) -> Tensor:
        """(…, width): the last state of [MASK]."""
        return self.seen[..., -1, -1, :]

    def row(self, i: int) -> Asked:
        """The i-th of several questions."""
        return Asked(self.seen[i])


class ReaderNetwork(nn.Module):
    """Six layers shared by chunks, questions and answers; a layer for the second look; heads.

    The second look begins after `alone` of them; 0 is full attention over chunk and question.
    """

    def __init__(self, shape: Shape, alone: int = ALONE) -> None:
        super().__init__()
        self.shape = shape
        self.alone = min(alone, shape.layers - 1)
        self.embeddings = Embeddings(shape)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.second = Layer(replace(shape, feed_forward=shape.feed_forward // 2))
        width = shape.width
        self.start = nn.Linear(width, width)
        self.end = nn.Linear(width, width)
        self.end_given_start = nn.Linear(width, width, bias=False)
        self.length_bias = nn.Parameter(torch.zeros(MAX_SPAN_TOKENS))
        self.null = nn.Linear(width, 1)
        self.null_again = nn.Linear(width, 1)
        self.relevance = nn.Linear(width, 1)
        self.transform = nn.Linear(width, width)
        self.transform_norm = nn.LayerNorm(width, eps=shape.epsilon)
        self.vocabulary_bias = nn.Parameter(torch.zeros(shape.vocabulary))

    def encode(self, token_ids: Tensor, mask: Tensor | None = None) -> Encoded:
        """Encode each row of `token_ids` (B, T) alone.

        `mask` (B, T) is True where there is a token; None: everywhere.
        """
        states = self.embeddings(token_ids)
        cos, sin = self.rotation(torch.arange(token_ids.shape[1], device=token_ids.device))
        visible = None if mask is None else mask[:, None, None, :]
        keys, values, before = [], [], [states]
        *alone, last = self.shared()
        for layer in alone:
            q, k, v = layer.project(states)
            keys.append(k)
            values.append(v)
            attended = attend(rotate(q, cos, sin), rotate(k, cos, sin), v, visible)
            states = layer.finish(states, attended)
            before.append(states)
        k, v = last.keys_values(states)
        return Encoded(
            keys=(*keys, k), values=(*values, v), early=before[self.alone], states=states
        )

    def read(
        self, token_ids: Tensor, positions: Tensor, past: Past, visible: Tensor | None = None
    ) -> tuple[Asked, Past]:
        """Run new tokens over what was read; gives their states and the longer past.

        `token_ids` and `positions` are (B, T); `visible` (T, T) says which new tokens see which
        (None: all see all, as the tokens of a question do).
        """
        states = self.embeddings(token_ids)
        cos, sin = self.rotation(positions[:, None, :])
        mask = _read_mask(past, token_ids.shape, visible, token_ids.device)
        keys, values, before = [], [], [states]
        for i, layer in enumerate(self.shared()):
            q, k, v = layer.project(states)
            q, k = rotate(q, cos, sin), rotate(k, cos, sin)
            k, v = past.extend(i, k, v)
            keys.append(k)
            values.append(v)
            attended = attend(q, k, v, mask)
            states = layer.finish(states, attended)
            before.append(states)
        return self.asked(before), past.grown(keys, values)

    def asked(self, before: list[Tensor]) -> Asked:
        """What the second look needs of all states: before each layer, and after the last."""
        return Asked(torch.stack(before[self.alone :], -3))

    def look_again(self, chunks: Sequence[Tensor], asked: Asked) -> list[Tensor]:
        """For each chunk the states (T, width) of its tokens after they have seen the question.

        `chunks` are the `early` states (T, width) of `encode`, `asked` is the question, [MASK]
        included. It is taken to follow each chunk directly, wherever both stand in the prompt.
        """
        length = asked.last.shape[-2]
        turns = [self.rotation(torch.arange(len(c) + length, device=c.device)) for c in chunks]
        states = [chunk[None] for chunk in chunks]
        for layer, question in zip(self.live(), asked.seen.unbind(-3), strict=True):
            behind = layer.keys_values(question[None])
            states = [
                _seen_with(layer, own, behind, turn)
                for own, turn in zip(states, turns, strict=True)
            ]
        return [own[0] for own in states]

    def shared(self) -> list[Layer]:
        """The layers that chunks, questions and answers have in common."""
        return [layer for layer in self.layers if isinstance(layer, Layer)]

    def live(self) -> list[Layer]:
        """The layers of the second look: the later shared ones, and its own."""
        return [*self.shared()[self.alone :], self.second]

    def rotation(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines for `positions` at this network's head width."""
        return angles(positions, self.shape.head_width)

    def start_scores(self, answer_state: Tensor, context: Tensor) -> Tensor:
        """Score of each context position as the next one to copy: (..., width), (N, width) -> N."""
        return self.start_query(answer_state) @ context.transpose(-1, -2)

    def start_query(self, answer_state: Tensor) -> Tensor:
        """The vector whose dot product with a position's state is its `start_scores`."""
        return self._scaled(self.start(answer_state))

    def relevance_scores(self, frames: Tensor) -> Tensor:
        """What all starts in a chunk gain or lose together: (..., width) -> (...).

        `frames` are the states of chunks' first tokens, [CLS], after the second look.
        """
        scores: Tensor = self.relevance(frames)
        return scores[..., 0]

    def null_score(self, answer_state: Tensor) -> Tensor:
        """Score of "not in these passages", on the scale of `start_scores`: (..., 1)."""
        score: Tensor = self.null(answer_state)
        return score

    def null_again_score(self, answer_state: Tensor) -> Tensor:
        """`null_score` for the second look."""
        score: Tensor = self.null_again(answer_state)
        return score

    def end_scores(self, answer_state: Tensor, first: Tensor, following: Tensor) -> Tensor:
        """Scores of where the span ends, given where it starts.

        `answer_state` and `first` (the start token's state) are (..., width), `following`
        (..., M, width) are the states of the start token and the M - 1 tokens after it.
        """
        query = self._scaled(self.end(answer_state) + self.end_given_start(first))
        scores = (following @ query.unsqueeze(-1)).squeeze(-1)
        return scores + self.length_bias[: following.shape[-2]]

    def vocabulary_scores(self, answer_state: Tensor) -> Tensor:
        """Scores of writing each vocabulary token, on the scale of `start_scores`."""
        transformed = self.transform_norm(F.gelu(self.transform(answer_state)))
        return F.linear(transformed, self.embeddings.tokens.weight, self.vocabulary_bias)

    def _scaled(self, query: Tensor) -> Tensor:
        scaled: Tensor = query * self.shape.width**-0.5
        return scaled


def _seen_with(
    layer: Layer, states: Tensor, behind: tuple[Tensor, Tensor], turn: tuple[Tensor, Tensor]
) -> Tensor:
    """A chunk's next states; it sees itself and the keys and values that stand `behind` it."""
    near = turn[0][: states.shape[1]], turn[1][: states.shape[1]]
    q, k, v = layer.project(states)
    keys = rotate(torch.cat((k, behind[0]), 2), *turn)
    attended = attend(rotate(q, *near), keys, torch.cat((v, behind[1]), 2), None)
    return layer.finish(states, attended)


def _read_mask(
    past: Past, size: torch.Size, visible: Tensor | None, device: torch.device
) -> Tensor | None:
    if past.mask is None and visible is None:
        return None
    batch, new = size
    seen = torch.ones(batch, past.length, dtype=torch.bool, device=device)
    if past.mask is not None:
        seen[:, : past.mask.shape[1]] = past.mask
    own = torch.ones(new, new, dtype=torch.bool, device=device) if visible is None else visible
    rows = seen[:, None, :].expand(batch, new, past.length)
    return torch.cat((rows, own.expand(batch, new, new)), dim=-1)[:, None]
