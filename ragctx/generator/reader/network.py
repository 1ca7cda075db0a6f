"""The bundled reader's network: passages encoded alone, a question that reads all of them.

The attention mask: a passage's tokens see their own passage, in both directions; question tokens
see every passage and the question, in both directions; answer tokens see all of that and the answer
so far. So what a passage leaves in the cache depends on nothing else, and its keys can be rotated
to any position: a cached passage is not an approximation of the model but the model itself
(Block-Attention, arXiv 2409.15355; TurboRAG, arXiv 2410.07590).

The first pass over all passages is cheap, but no passage sees the question in it. So the few
passages that it finds likeliest take a second pass: starting from their states after the first
layers, they go through the remaining layers and one more together with the question (late
interaction; DeFormer, Cao et al., ACL 2020). The cost does not grow with the prompt, and it does
not depend on where in the prompt a passage is.

Both passes are graphs (`ragctx.runtime`); the heads on top, a few products with vectors, are numpy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ragctx.generator.reader.kv_cache import KVCache
from ragctx.generator.reader.passages import Array, CachedPassage, Tokens
from ragctx.generator.reader.rope import angles
from ragctx.runtime import Graph, Weights
from ragctx.threads import each, thread_count

Floats = NDArray[np.float32]

ALONE = 4
"""Layers that a passage goes through without the question in both passes. Chosen between 3 and 4 on
2,091 held-out questions; the differences were within noise (training/LOG.md)."""

MAX_SPAN_TOKENS = 96
"""Longest answer span that the end pointer can reach, in tokens: a sentence or two."""

TOKENS, SCALE = "embeddings.tokens.weight", ".scale"
"""Name of the token embeddings, and what is added for the name of a matrix's scales."""

HIDDEN = np.float32(-1e9)
"""Added to the attention score of a token that must not be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """The sizes of a reader that its graphs do not tell."""

    layers: int = 6  # for passages, questions and answers alike
    alone: int = ALONE  # of these, what a passage goes through without the question in both passes
    heads: int = 12
    head_width: int = 32
    epsilon: float = 1e-12  # of layer normalisation
    cached: type[np.floating[Any]] = np.float16  # precision that passages are kept in


class QuestionStates(NamedTuple):
    """The states of a question's tokens before each layer of the second pass, and after the last.

    The last token is [MASK], whose state is the first one of the answer.
    """

    by_layer: Floats  # (second-pass layers + 1, T, width)

    @property
    def last(self) -> Floats:
        """(T, width): the states after the last layer."""
        states: Floats = self.by_layer[-1]
        return states

    @property
    def answer(self) -> Floats:
        """(width,): the state of [MASK] after the last layer."""
        state: Floats = self.by_layer[-1, -1]
        return state


class Reading(NamedTuple):
    """What reading new tokens gave: their states, and the cache with their keys and values."""

    states: QuestionStates
    kv_cache: KVCache


class ReaderGraphs(NamedTuple):
    """The graphs that `training.graphs` writes for the reader."""

    first: Graph  # the first pass without its last layer
    last: Graph  # that layer
    second: Graph  # the second pass


class ReaderNetwork:
    """The graphs of both passes, and the heads.

    `weights` are those of `reader.safetensors`, dequantised but for the token embeddings: of these,
    which are half of all, a prompt needs few.
    """

    def __init__(
        self,
        graphs: ReaderGraphs,
        weights: Weights,
        architecture: Architecture = Architecture(),
    ) -> None:
        self.architecture = architecture
        self._graphs, self._weights = graphs, weights
        self._table, self._scale = weights[TOKENS], weights.get(TOKENS + SCALE)

    # ---- the passes ------------------------------------------------------------------------------

    def encode(self, passages: Sequence[Tokens]) -> list[CachedPassage]:
        """Encode each passage alone: bit for bit the same, whatever is encoded with it.

        Batches would add up in another order. The difference is 1e-7, but rounding can amplify it
        until another answer is chosen.
        """
        return list(each(self._encoded, passages, thread_count()))

    def read_question(self, question: Tokens, kv_cache: KVCache) -> QuestionStates:
        """The states of a question's tokens after all that is cached; it ends with [MASK]."""
        return self._read(question, kv_cache, visible=question_mask(len(question)))[0]

    def read(
        self,
        token_ids: Sequence[int],
        kv_cache: KVCache,
        *,
        offset: int = 0,
        visible: NDArray[np.bool_] | None = None,
    ) -> Reading:
        """Run new tokens over what is cached; also return the longer cache.

        The last `offset` cached positions and the new ones are one segment. `visible` (T, T) tells
        which new tokens see which (None: all see all).
        """
        states, cached = self._read(token_ids, kv_cache, offset=offset, visible=visible)
        layers = self.architecture.layers
        longer = kv_cache.followed_by(cached[:layers], cached[layers:], kv_cache.end - offset)
        return Reading(states, longer)

    def second_pass(self, passages: Sequence[Array], question: QuestionStates) -> list[Floats]:
        """For each passage, the states (T, width) of its tokens after they have seen the question.

        `passages` are their `early` states (T, width); `question` includes [MASK]. It is taken to
        follow each passage directly, wherever the two are in the prompt.
        """
        return list(each(partial(self._with_question, question), passages, thread_count()))

    def embedded(self, token_ids: Sequence[int]) -> Floats:
        """(T, width): the embeddings of tokens, before any layer."""
        rows = self._table[list(token_ids)]
        if self._scale is None:
            return rows
        return rows * self._scale[list(token_ids), None]

    def _encoded(self, passage: Tokens) -> CachedPassage:
        layers, kind = self.architecture.layers, self.architecture.cached
        positions = self._positions(len(passage), self.empty_cache)
        cached, states = self._but_last(passage, self.empty_cache, positions)
        return CachedPassage(
            keys=np.stack(cached[:layers]),
            values=np.stack(cached[layers:]),
            early=states[0].astype(kind),
            states=states[-1].astype(kind),
        )

    def _read(
        self,
        token_ids: Sequence[int],
        kv_cache: KVCache,
        *,
        offset: int = 0,
        visible: NDArray[np.bool_] | None = None,
    ) -> tuple[QuestionStates, list[Array]]:
        """States of new tokens, and their keys in every layer and then their values; see `read`."""
        positions = self._positions(len(token_ids), kv_cache, offset=offset, visible=visible)
        cached, states = self._but_last(token_ids, kv_cache, positions)
        last = _of_layers(kv_cache, [self.architecture.layers - 1])
        inputs = {"before": states[-1], **positions, **last}
        return QuestionStates(np.stack(states + self._graphs.last.run(["after"], inputs))), cached

    def _but_last(
        self, token_ids: Sequence[int], kv_cache: KVCache, positions: Mapping[str, Floats]
    ) -> tuple[list[Array], list[Floats]]:
        """All but the last layer: keys in every layer and then values; states from `alone` on."""
        layers = range(self.architecture.layers)
        kept = [f"{kind}.{i}" for kind in ("keys", "values") for i in layers]
        states = [f"states.{i}" for i in layers[self.architecture.alone :]]
        past = _of_layers(kv_cache, layers[:-1])
        inputs = {"embeddings": self.embedded(token_ids), **positions, **past}
        found = self._graphs.first.run([*kept, *states], inputs)
        return found[: len(kept)], found[len(kept) :]

    def _positions(
        self,
        new: int,
        kv_cache: KVCache,
        *,
        offset: int = 0,
        visible: NDArray[np.bool_] | None = None,
    ) -> dict[str, Floats]:
        """Where `new` tokens and all cached ones are, and who sees whom, as the graphs take it."""
        positions = {
            "": offset + np.arange(new),
            "at_": kv_cache.end + np.arange(new),
            "start_": kv_cache.starts,
        }
        found: dict[str, Floats] = {}
        for name, where in positions.items():
            cos, sin = angles(where, self.architecture.head_width)
            found |= {f"{name}cos": cos, f"{name}sin": sin}
        bias = np.zeros((new, new), dtype=np.float32)
        if visible is not None:
            bias[~visible] = HIDDEN
        return {**found, "bias": bias}

    def _with_question(self, question: QuestionStates, passage: Array) -> Floats:
        total = len(passage) + question.last.shape[0]
        cos, sin = angles(np.arange(total), self.architecture.head_width)
        before = {f"question.{i}": states for i, states in enumerate(question.by_layer)}
        inputs = {"passage": passage.astype(np.float32), "cos": cos, "sin": sin, **before}
        (states,) = self._graphs.second.run(["states"], inputs)
        return states

    @cached_property
    def empty_cache(self) -> KVCache:
        """A cache of no positions."""
        sizes = (self.architecture.heads, 0, self.architecture.head_width)
        empty = tuple(
            np.zeros(sizes, dtype=self.architecture.cached) for _ in range(self.architecture.layers)
        )
        return KVCache(keys=empty, values=empty, starts=np.zeros(0, dtype=np.int64), end=0)

    # ---- the heads -------------------------------------------------------------------------------

    def start_scores(self, answer_state: Floats, context: Floats) -> Floats:
        """Score of each context position as the next one to copy: (width,), (N, width) -> (N,)."""
        return context @ self._scaled(self._linear("start", answer_state))

    def relevance_scores(self, first_states: Floats) -> Floats:
        """What all starts in a passage gain or lose together: (P, width) -> (P,).

        `first_states` are the states of passages' first tokens, [CLS], after the second pass.
        """
        scores: Floats = self._linear("relevance", first_states)[..., 0]
        return scores

    def null_score(self, answer_state: Floats) -> Floats:
        """Score of "not in these passages", on the scale of `start_scores`: (1,)."""
        return self._linear("null", answer_state)

    def second_null_score(self, answer_state: Floats) -> Floats:
        """`null_score` of the second pass."""
        return self._linear("null_again", answer_state)

    def end_scores(self, answer_state: Floats, following: Floats) -> Floats:
        """Scores (…, M) of where a span ends, given where it starts.

        `answer_state` is (width,), `following` (…, M, width) are the states of the start token and
        of the M - 1 tokens after it.
        """
        given = following[..., 0, :] @ self._weights["end_given_start.weight"].T
        query = self._scaled(self._linear("end", answer_state) + given)
        scores: Floats = (following @ query[..., None])[..., 0]
        return scores + self._weights["length_bias"][: following.shape[-2]]

    def vocabulary_scores(self, answer_state: Floats) -> Floats:
        """Scores (vocabulary,) of writing each token, on the scale of `start_scores`."""
        hidden = _gelu(self._linear("transform", answer_state))
        centred = hidden - hidden.mean()
        normed = centred / np.sqrt((centred**2).mean() + self.architecture.epsilon)
        norm = "transform_norm"
        normed = normed * self._weights[f"{norm}.weight"] + self._weights[f"{norm}.bias"]
        scores: Floats = self._vocabulary @ normed.astype(np.float32)
        return scores + self._weights["vocabulary_bias"]

    @cached_property
    def _vocabulary(self) -> Floats:
        """(vocabulary, width): the embeddings of all tokens."""
        return self.embedded(range(len(self._table)))

    def _linear(self, name: str, states: Floats) -> Floats:
        product: Floats = states @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]
        return product

    def _scaled(self, query: Floats) -> Floats:
        scaled: Floats = query * np.float32(query.shape[-1] ** -0.5)
        return scaled


def _of_layers(kv_cache: KVCache, layers: Iterable[int]) -> dict[str, Array]:
    """What is cached for some layers, as the graphs take it."""
    return {
        f"cached_{kind}.{i}": parts[i]
        for kind, parts in (("keys", kv_cache.keys), ("values", kv_cache.values))
        for i in layers
    }


def question_mask(length: int) -> NDArray[np.bool_]:
    """(T, T): question tokens see the question in both directions; [MASK], the last, sees all."""
    visible = np.ones((length, length), dtype=np.bool_)
    visible[:-1, -1] = False
    return visible


def _gelu(states: Floats) -> Floats:
    """Gaussian error linear units, exactly, one number after the other: for short vectors."""
    halves = [0.5 * (1 + math.erf(x / math.sqrt(2))) for x in states.tolist()]
    return states * np.array(halves, dtype=np.float32)
