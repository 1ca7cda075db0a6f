"""The bundled reader's network: passages encoded alone, a question that reads all of them.

The attention mask: a passage's tokens see their own passage, in both directions; question tokens
see every passage and the question, in both directions; answer tokens see all of that and the answer
so far. So what a passage leaves in the cache depends on nothing else, and its keys can be rotated
to any position: a cached passage is not an approximation of the model but the model itself
(Block-Attention, arXiv 2409.15355; TurboRAG, arXiv 2410.07590).

The first pass over all passages is cheap, but no passage sees the question in it. So the few
passages that it finds likeliest take a second pass: starting from their states after the first
`ALONE` layers, they go through the remaining layers and one more together with the question (late
interaction; DeFormer, Cao et al., ACL 2020). The cost does not grow with the prompt, and it does
not depend on where in the prompt a passage is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ragctx.generator.reader.network import ALONE, MAX_SPAN_TOKENS
from training.kv_cache import KVCache
from training.rope import angles, rotate
from training.transformer import Embeddings, Layer, Shape, attend


class EncodedBatch(NamedTuple):
    """B passages, each encoded alone, at positions counted from the passage's own start."""

    keys: tuple[Tensor, ...]  # per layer (B, heads, T, head_width), before rotation
    values: tuple[Tensor, ...]  # per layer (B, heads, T, head_width)
    early: Tensor  # (B, T, width): after the first `ALONE` layers, where the second pass begins
    states: Tensor  # (B, T, width): before the last layer; the first pass points at these


class QuestionStates(NamedTuple):
    """The states of a question's tokens before each layer of the second pass, and after the last.

    The last token is [MASK], whose state is the first one of the answer.
    """

    by_layer: Tensor  # (…, second-pass layers + 1, T, width)

    @property
    def last(self) -> Tensor:
        """(…, T, width): the states after the last layer."""
        return self.by_layer[..., -1, :, :]

    @property
    def answer(self) -> Tensor:
        """(…, width): the state of [MASK] after the last layer."""
        return self.by_layer[..., -1, -1, :]

    def row(self, i: int) -> QuestionStates:
        """The i-th question of a batch."""
        return QuestionStates(self.by_layer[i])


class TorchNetwork(nn.Module):
    """Six layers for passages, questions and answers, one more for the second pass, and heads.

    The second pass begins after `alone` of the shared layers; 0 is full attention over passage and
    question. The names of its parts are those of the tensors in the weights file.
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

    def encode(self, token_ids: Tensor, mask: Tensor | None = None) -> EncodedBatch:
        """Encode each row of `token_ids` (B, T) alone.

        `mask` (B, T) is True where there is a token; None means everywhere.
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
        return EncodedBatch(
            keys=(*keys, k), values=(*values, v), early=before[self.alone], states=states
        )

    def read(
        self,
        token_ids: Tensor,
        positions: Tensor,
        kv_cache: KVCache,
        visible: Tensor | None = None,
    ) -> tuple[QuestionStates, KVCache]:
        """Run new tokens over what is cached; return their states and the longer cache.

        `token_ids` and `positions` are (B, T); `visible` (T, T) tells which new tokens see which
        (None: all see all, as the tokens of a question do).
        """
        states = self.embeddings(token_ids)
        cos, sin = self.rotation(positions[:, None, :])
        mask = _read_mask(kv_cache, token_ids.shape, visible, token_ids.device)
        keys, values, before = [], [], [states]
        for i, layer in enumerate(self.shared()):
            q, k, v = layer.project(states)
            q, k = rotate(q, cos, sin), rotate(k, cos, sin)
            k, v = kv_cache.followed_by(i, k, v)
            keys.append(k)
            values.append(v)
            attended = attend(q, k, v, mask)
            states = layer.finish(states, attended)
            before.append(states)
        return self.question_states(before), kv_cache.replaced(keys, values)

    def question_states(self, states: list[Tensor]) -> QuestionStates:
        """Keep, of the states before each layer and after the last, those for the second pass."""
        return QuestionStates(torch.stack(states[self.alone :], -3))

    def second_pass(self, passages: Sequence[Tensor], question: QuestionStates) -> list[Tensor]:
        """For each passage, the states (T, width) of its tokens after they have seen the question.

        `passages` are the `early` states (T, width) of `encode`; `question` includes [MASK]. It is
        taken to follow each passage directly, wherever the two are in the prompt.
        """
        question_tokens = question.last.shape[-2]
        rotations = [
            self.rotation(torch.arange(len(passage) + question_tokens, device=passage.device))
            for passage in passages
        ]
        states = [passage[None] for passage in passages]
        by_layer = question.by_layer.unbind(-3)
        for layer, question_in in zip(self.second_pass_layers(), by_layer, strict=True):
            keys_values = layer.keys_values(question_in[None])
            states = [
                _with_question(layer, passage, keys_values, rotation)
                for passage, rotation in zip(states, rotations, strict=True)
            ]
        return [passage[0] for passage in states]

    def shared(self) -> list[Layer]:
        """The layers that passages, questions and answers have in common."""
        return [layer for layer in self.layers if isinstance(layer, Layer)]

    def second_pass_layers(self) -> list[Layer]:
        """The layers of the second pass: the later shared ones, and its own."""
        return [*self.shared()[self.alone :], self.second]

    def rotation(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines of `positions` for `rotate`, at this network's head width."""
        return angles(positions, self.shape.head_width)

    def start_scores(self, answer_state: Tensor, context: Tensor) -> Tensor:
        """Score of each context position as the next one to copy: (..., width), (N, width) -> N."""
        return self.start_query(answer_state) @ context.transpose(-1, -2)

    def start_query(self, answer_state: Tensor) -> Tensor:
        """The vector whose dot product with a position's state is that position's start score."""
        return self._scaled(self.start(answer_state))

    def relevance_scores(self, first_states: Tensor) -> Tensor:
        """What all starts in a passage gain or lose together: (..., width) -> (...).

        `first_states` are the states of passages' first tokens, [CLS], after the second pass.
        """
        scores: Tensor = self.relevance(first_states)
        return scores[..., 0]

    def null_score(self, answer_state: Tensor) -> Tensor:
        """Score of "not in these passages", on the scale of `start_scores`: (..., 1)."""
        score: Tensor = self.null(answer_state)
        return score

    def second_null_score(self, answer_state: Tensor) -> Tensor:
        """`null_score` of the second pass."""
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


def question_mask(length: int) -> Tensor:
    """(T, T): question tokens see the question in both directions; [MASK], the last, sees all."""
    visible = torch.ones(length, length, dtype=torch.bool)
    visible[:-1, -1] = False
    return visible


def _with_question(
    layer: Layer,
    states: Tensor,
    question: tuple[Tensor, Tensor],
    rotation: tuple[Tensor, Tensor],
) -> Tensor:
    """A passage's next states; it sees itself and the keys and values of the question after it.

    `rotation` covers the passage's positions and then the question's.
    """
    question_keys, question_values = question
    own_rotation = rotation[0][: states.shape[1]], rotation[1][: states.shape[1]]
    q, k, v = layer.project(states)
    keys = rotate(torch.cat((k, question_keys), 2), *rotation)
    values = torch.cat((v, question_values), 2)
    attended = attend(rotate(q, *own_rotation), keys, values, None)
    return layer.finish(states, attended)


def _read_mask(
    kv_cache: KVCache, size: torch.Size, visible: Tensor | None, device: torch.device
) -> Tensor | None:
    """(B, 1, T, N + T): which cached and new positions each new token sees; None if all."""
    if kv_cache.mask is None and visible is None:
        return None
    batch, new = size
    cached = torch.ones(batch, kv_cache.length, dtype=torch.bool, device=device)
    if kv_cache.mask is not None:
        cached[:, : kv_cache.mask.shape[1]] = kv_cache.mask
    if visible is None:
        visible = torch.ones(new, new, dtype=torch.bool, device=device)
    rows = cached[:, None, :].expand(batch, new, kv_cache.length)
    return torch.cat((rows, visible.expand(batch, new, new)), dim=-1)[:, None]
