"""Where the answer stands: one look at all passages, a second at the few that look likeliest.

The first look costs the same whatever was cached; it ranks the passages. The second lets the tokens
of `LOOKED` passages see the question (`ReaderNetwork.look_again`), and chooses the span. Both know
beforehand what the search knew: see `Prior`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor

from ragctx.generator.reader.context import contents
from ragctx.generator.reader.network import MAX_SPAN_TOKENS, Asked, ReaderNetwork
from ragctx.generator.reader.passages import Segment
from ragctx.generator.reader.proximity import Nearness, nearness
from ragctx.generator.reader.spans import Span, best_spans, start_log_probabilities
from ragctx.records import Hit, Prompt

LOOKED = 3
"""How many passages are looked at a second time."""


TYPICAL_COSINE = 0.45
"""What stands for a cosine that is not known: null is weighed against passages of such cosines.

Without it the reader refused half of the questions whose passages came from another retriever.
"""


@dataclass(frozen=True, slots=True)
class Prior:
    """What a passage is worth before it is read, as log-odds.

    A passage of retrieval rank r and cosine c to the question gets c * `similarity` - log(r) *
    `rank`; where no cosine is known, as of another retriever's hits, only the rank counts. 0 and 0
    trust the reader alone; `rank` 1 is Zipf's law. `nearness` is what it is worth to stand at the
    question's words (see there).
    """

    rank: float = 0.0
    similarity: float = 0.0
    nearness: float = 0.0

    def of(self, hit: Hit | None) -> float:
        """The log-odds of a hit."""
        if hit is None:
            return 0.0
        cosine = TYPICAL_COSINE if math.isnan(hit.similarity) else hit.similarity
        return self.similarity * cosine - self.rank * math.log(max(1, hit.rank))

    def of_tokens(self, prompt: Prompt, near: Nearness) -> Tensor:
        """(N,): the log-odds of each token of the prompt's passages to begin the answer."""
        worth = torch.tensor([self.of(passage.hit) for passage in prompt.passages])
        lengths = torch.tensor([len(passage.token_ids) for passage in prompt.passages])
        return worth.repeat_interleave(lengths) + self.nearness * near.of_tokens()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What both looks gave: spans, likeliest first, in positions of the whole context.

    The null log-probabilities are those of "in none of these passages"; `passages` holds the first
    look's log-probability that the answer starts in each, `nearest` how near the question's words
    stand to the one place where they are nearest.
    """

    spans: tuple[Span, ...]
    first_null: float
    null: float
    passages: tuple[float, ...]
    nearest: float


NOTHING = Reading(spans=(), first_null=0.0, null=0.0, passages=(), nearest=0.0)
"""The reading of passages that hold no text."""


class First(NamedTuple):
    """What the first look gave, as log-probabilities."""

    null: float
    starts: tuple[Tensor, ...]  # for each passage, of the answer starting at each of its tokens

    def masses(self) -> Tensor:
        """(P,): that the answer starts in each passage."""
        return torch.stack([own.logsumexp(0) for own in self.starts])


class Again(NamedTuple):
    """The chosen passages side by side, as they look after they have seen the question."""

    chosen: list[int]  # which passages, in prompt order
    states: Tensor  # (N, width)
    content: Tensor  # (N,): which positions are a passage's own text
    worth: Tensor  # (N,): log-odds by what was known before and by the whole passage
    places: list[int]  # (N,): each one's position in the whole context


def look(
    network: ReaderNetwork,
    prompt: Prompt,
    segments: Sequence[Segment],
    asked: Asked,
    prior: Prior,
) -> Reading:
    """Both looks. `asked` is the question as it was read over all passages, (T, width).

    Only the passages' own text is considered, not their headers and markers.
    """
    content = contents(prompt)
    if not any(bool(own.any()) for own in content):
        return NOTHING
    near = nearness_of(network, prompt, content)
    known = prior.of_tokens(prompt, near)
    first = first_look(network, segments, content, asked.answer, known)
    again = look_again(
        network=network, segments=segments, content=content, asked=asked, first=first, known=known
    )
    spans, null = best_spans(
        network,
        asked.answer,
        again.states,
        again.content,
        network.null_again_score,
        prior=again.worth,
        max_tokens=min(prompt.max_new_tokens, MAX_SPAN_TOKENS),
    )
    moved = [
        Span(
            first=again.places[s.first],
            last=again.places[s.last],
            log_probability=s.log_probability,
        )
        for s in spans
    ]
    spans = as_wholes(moved, near, prior.nearness)
    nearest = float(near.of_tokens().max())
    return Reading(
        spans=spans,
        first_null=first.null,
        null=null,
        passages=tuple(first.masses().tolist()),
        nearest=nearest,
    )


def nearness_of(network: ReaderNetwork, prompt: Prompt, content: Sequence[Tensor]) -> Nearness:
    """How near each token of the passages' own text stands to the question's words."""
    asking = [segment.token_ids for segment in prompt.segments if segment.kind == "question"]
    question = [token for ids in asking for token in ids]
    ids = [passage.token_ids for passage in prompt.passages]
    return nearness(network.embeddings.tokens.weight, question, ids, content)


def as_wholes(spans: Sequence[Span], near: Nearness, worth: float) -> tuple[Span, ...]:
    """The spans, whose starts were near the question's words, by how near they are as wholes.

    Their log-probabilities are moved by as much, and need not be those of one distribution.
    """
    first, last = [span.first for span in spans], [span.last for span in spans]
    whole, start = near.of_spans(first, last).tolist(), near.of_spans(first, first).tolist()
    moved = [
        replace(span, log_probability=span.log_probability + worth * (w - s), near=w)
        for span, w, s in zip(spans, whole, start, strict=True)
    ]
    return tuple(sorted(moved, key=lambda span: -span.log_probability))


def first_look(
    network: ReaderNetwork,
    segments: Sequence[Segment],
    content: Sequence[Tensor],
    answer: Tensor,
    known: Tensor,
) -> First:
    """Where the answer may start, by the answer's state and what is `known` of each token."""
    starts = network.start_scores(answer, torch.cat([s.states for s in segments]).float())
    null = network.null_score(answer)
    scores = start_log_probabilities(starts, torch.cat(list(content)), null, known)
    return First(float(scores[-1]), torch.split(scores[:-1], [len(own) for own in content]))


def likeliest(masses: Tensor, content: Sequence[Tensor]) -> list[int]:
    """The passages to look at again, in prompt order; of equals the earlier."""
    real = torch.tensor([bool(own.any()) for own in content])
    order = masses.masked_fill(~real, -torch.inf).argsort(descending=True, stable=True)
    return sorted(order[: min(LOOKED, int(real.sum()))].tolist())


def look_again(
    network: ReaderNetwork,
    segments: Sequence[Segment],
    content: Sequence[Tensor],
    asked: Asked,
    first: First,
    known: Tensor,
) -> Again:
    """The likeliest passages by the first look, seen with the question."""
    chosen = likeliest(first.masses(), content)
    again = network.look_again([segments[i].early.float() for i in chosen], asked)
    worth = network.relevance_scores(torch.stack([own[0] for own in again]))
    begins = list(accumulate((len(own) for own in content), initial=0))
    places = [place for i in chosen for place in range(begins[i], begins[i + 1])]
    return Again(
        chosen=chosen,
        states=torch.cat(again),
        content=torch.cat([content[i] for i in chosen]),
        worth=worth.repeat_interleave(torch.tensor([len(own) for own in again])) + known[places],
        places=places,
    )
