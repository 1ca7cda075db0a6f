"""Where the answer stands: one look at all passages, a second at the few that look likeliest.

The first look costs the same whatever was cached; it ranks the passages. The second lets the tokens
of `LOOKED` passages see the question (`ReaderNetwork.look_again`), and chooses the span. Both know
beforehand what the search knew: see `Prior`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ragctx.generator.decode import Span, best_spans, start_log_probabilities
from ragctx.generator.network import MAX_SPAN_TOKENS, ReaderNetwork
from ragctx.generator.segments import Segment
from ragctx.records import Hit, Prompt

LOOKED = 3
"""How many passages are looked at a second time."""


@dataclass(frozen=True, slots=True)
class Prior:
    """What a passage is worth before it is read, as log-odds.

    A passage of retrieval rank r and cosine c to the question gets c * `similarity` - log(r) *
    `rank`; where no cosine is known, as of another retriever's hits, only the rank counts. 0 and 0
    trust the reader alone; `rank` 1 is Zipf's law. `carried` is the share of the first look's
    verdict on each passage that goes into the second.
    """

    rank: float = 0.0
    similarity: float = 0.0
    carried: float = 0.0

    def of(self, hit: Hit | None) -> float:
        """The log-odds of a hit."""
        if hit is None:
            return 0.0
        cosine = 0.0 if math.isnan(hit.similarity) else hit.similarity
        return self.similarity * cosine - self.rank * math.log(max(1, hit.rank))


@dataclass(frozen=True, slots=True)
class Reading:
    """What both looks gave: the best spans, best first, in positions of the whole context.

    The null log-probabilities are those of "in none of these passages"; `passages` holds the first
    look's log-probability that the answer starts in each.
    """

    spans: tuple[Span, ...]
    first_null: float
    null: float
    passages: tuple[float, ...]


NOTHING = Reading((), 0.0, 0.0, ())
"""The reading of passages that hold no text."""


def look(
    network: ReaderNetwork,
    prompt: Prompt,
    segments: Sequence[Segment],
    question: Tensor,
    prior: Prior,
) -> Reading:
    """Both looks. `question` (T, width) holds the last states of its tokens, [MASK]'s at the end.

    Only the passages' own text is considered, not their headers and markers.
    """
    content = contents(prompt)
    if not any(bool(own.any()) for own in content):
        return NOTHING
    worth = torch.tensor([prior.of(passage.hit) for passage in prompt.passages])
    first_null, masses = first_look(network, segments, content, question[-1], worth)
    chosen = likeliest(masses, content)
    worth = worth + prior.carried * masses
    spans, null = second_look(
        network,
        [segments[i] for i in chosen],
        [content[i] for i in chosen],
        question,
        worth[chosen],
        prompt.max_new_tokens,
    )
    begins = _begins([len(own) for own in content])
    short = _begins([len(content[i]) for i in chosen])
    return Reading(
        tuple(_moved(span, chosen, short, begins) for span in spans),
        first_null,
        null,
        tuple(masses.tolist()),
    )


def contents(prompt: Prompt) -> list[Tensor]:
    """For each passage, which of its tokens are its own text."""
    found = []
    for passage in prompt.passages:
        own = torch.zeros(len(passage.token_ids), dtype=torch.bool)
        own[passage.token_start : passage.token_end] = True
        found.append(own)
    return found


def first_look(
    network: ReaderNetwork,
    segments: Sequence[Segment],
    content: Sequence[Tensor],
    answer: Tensor,
    worth: Tensor,
) -> tuple[float, Tensor]:
    """Log-probability of null, and that the answer starts in each passage (P,)."""
    lengths = torch.tensor([len(own) for own in content])
    starts = torch.cat([network.start_scores(answer, s.states.float()) for s in segments])
    prior = worth.repeat_interleave(lengths)
    scores = start_log_probabilities(starts, torch.cat(list(content)), network.null_score(answer), prior)
    parts = scores[:-1].split(lengths.tolist())
    return float(scores[-1]), torch.stack([part.logsumexp(0) for part in parts])


def likeliest(masses: Tensor, content: Sequence[Tensor]) -> list[int]:
    """The passages to look at again, in prompt order; of equals the earlier."""
    real = torch.tensor([bool(own.any()) for own in content])
    order = masses.masked_fill(~real, -torch.inf).argsort(descending=True, stable=True)
    return sorted(order[: min(LOOKED, int(real.sum()))].tolist())


def second_look(
    network: ReaderNetwork,
    segments: Sequence[Segment],
    content: Sequence[Tensor],
    question: Tensor,
    worth: Tensor,
    max_tokens: int,
) -> tuple[tuple[Span, ...], float]:
    """The best spans of these passages, side by side, and the log-probability of null."""
    lengths = [len(own) for own in content]
    states = torch.nn.utils.rnn.pad_sequence([s.states.float() for s in segments], True)
    mask = torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]
    again = network.look_again(states, mask, question.expand(len(segments), -1, -1))
    return best_spans(
        network,
        question[-1],
        again[mask],
        torch.cat(list(content)),
        network.null_again_score,
        prior=worth.repeat_interleave(torch.tensor(lengths)),
        max_tokens=min(max_tokens, MAX_SPAN_TOKENS),
    )


def _begins(lengths: Sequence[int]) -> list[int]:
    return [sum(lengths[:i]) for i in range(len(lengths))]


def _moved(span: Span, chosen: Sequence[int], short: Sequence[int], begins: Sequence[int]) -> Span:
    """A span of the chosen passages' tokens, in positions of all passages."""
    number = max(i for i, begin in enumerate(short) if begin <= span.first)
    shift = begins[chosen[number]] - short[number]
    return Span(span.first + shift, span.last + shift, span.log_probability)
