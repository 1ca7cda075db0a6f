"""Where the answer is, in two passes: one over all passages, one over the few likeliest.

The first pass costs little, whatever was cached; it ranks the passages. The second lets the tokens
of `SECOND_PASS_PASSAGES` passages see the question (`ReaderNetwork.second_pass`) and chooses the
span. Both start from what the search knew of each passage: see `Prior`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from ragctx.generator.reader.context import Layout
from ragctx.generator.reader.network import MAX_SPAN_TOKENS, QuestionStates, ReaderNetwork
from ragctx.generator.reader.passages import CachedPassage, Mask
from ragctx.generator.reader.proximity import TermProximity, term_proximity
from ragctx.generator.reader.softmax import Floats, likeliest_first, log_sum_exp
from ragctx.generator.reader.spans import Span, best_spans, start_log_probabilities
from ragctx.records import Hit, Prompt

SECOND_PASS_PASSAGES = 3
"""Passages that take the second pass. Chosen by hand."""

TYPICAL_COSINE = 0.45
"""Cosine assumed for a passage whose cosine to the question is unknown: by all-MiniLM-L6-v2, that
of a typical passage. Taken as 0, the reader refused half of the questions whose passages came from
another retriever (training/LOG.md)."""


@dataclass(frozen=True, slots=True)
class Prior:
    """Log-odds that are given to a passage before it is read.

    A passage of retrieval rank r and cosine c to the question gets c * `similarity` - log(r) *
    `rank`; where no cosine is known, as for another retriever's hits, `TYPICAL_COSINE` takes its
    place. Zeros leave everything to the reader; `rank` 1 is Zipf's law. `proximity` weights the
    term proximity of each token, `row` and `column` how well the question names those of a table
    that it is in.
    """

    rank: float = 0.0
    similarity: float = 0.0
    proximity: float = 0.0
    row: float = 0.0
    column: float = 0.0

    def log_odds(self, hit: Hit | None) -> float:
        """Log-odds of a hit; 0 for a passage that no search found."""
        if hit is None:
            return 0.0
        cosine = TYPICAL_COSINE if hit.similarity is None else hit.similarity
        return self.similarity * cosine - self.rank * math.log(max(1, hit.rank))

    def token_log_odds(self, prompt: Prompt, proximity: TermProximity) -> Floats:
        """(N,): log-odds of each token of the context to begin the answer."""
        log_odds = [self.log_odds(passage.hit) for passage in prompt.passages]
        lengths = [len(passage.token_ids) for passage in prompt.passages]
        of_passages: Floats = np.repeat(np.array(log_odds, dtype=np.float32), lengths)
        of_tokens: Floats = np.float32(self.proximity) * proximity.of_tokens()
        of_cells: Floats = (
            np.float32(self.row) * proximity.rows + np.float32(self.column) * proximity.columns
        )
        return of_passages + of_tokens + of_cells


@dataclass(frozen=True, slots=True, kw_only=True)
class PassResult:
    """What both passes found. Log-probabilities are natural logarithms."""

    spans: tuple[Span, ...]  # likeliest first, in positions of the whole context
    first_null: float  # log-probability of "in none of these passages", by the first pass
    second_null: float  # and by the second
    passages: tuple[float, ...]  # the first pass's log-probability that the answer starts in each
    best_proximity: float  # term proximity, 0 to 1, of the token for which it is highest
    agreement: float = 0.0  # F1, 0 to 1, of the first span with all, once they are sorted by it


NOTHING = PassResult(spans=(), first_null=0.0, second_null=0.0, passages=(), best_proximity=0.0)
"""The result for passages without any text."""


class FirstPass(NamedTuple):
    """What the first pass found, as log-probabilities."""

    null: float
    starts: tuple[Floats, ...]  # for each passage (T,): that the answer starts at each token

    def passages(self) -> Floats:
        """(P,): log-probability that the answer starts in each passage."""
        return np.array([log_sum_exp(starts) for starts in self.starts], dtype=np.float32)


class SecondPass(NamedTuple):
    """The chosen passages side by side, after they have seen the question."""

    chosen: Sequence[int]  # numbers of the passages, in prompt order
    states: Floats  # (N, width)
    content: Mask  # (N,): as in the layout
    begins: Mask  # (N,): as in the layout
    log_odds: Floats  # (N,): of a start there, by the prior and by the passage's relevance
    positions: list[int]  # (N,): each one's position in the whole context


def read_twice(
    network: ReaderNetwork,
    prompt: Prompt,
    passages: Sequence[CachedPassage],
    question: QuestionStates,
    prior: Prior,
    layout: Layout,
) -> PassResult:
    """Run both passes. `question` holds the question's states after reading all passages.

    Only what the `layout` allows is considered.
    """
    content = layout.content
    if not any(bool(mask.any()) for mask in content):
        return NOTHING
    proximity = proximity_of(network, prompt, layout)
    log_odds = prior.token_log_odds(prompt, proximity)
    first = first_pass(network, passages, content, question.answer, log_odds)
    second = second_pass(
        network=network,
        passages=passages,
        layout=layout,
        question=question,
        chosen=likeliest(first.passages(), content),
        log_odds=log_odds,
    )
    spans, null = best_spans(
        network,
        question.answer,
        second.states,
        second.content,
        network.second_null_score,
        begins=second.begins,
        prior=second.log_odds,
        max_tokens=min(prompt.max_new_tokens, MAX_SPAN_TOKENS),
    )
    in_context = [
        Span(
            first=second.positions[span.first],
            last=second.positions[span.last],
            log_probability=span.log_probability,
        )
        for span in spans
    ]
    return PassResult(
        spans=by_span_proximity(in_context, proximity, prior.proximity),
        first_null=first.null,
        second_null=null,
        passages=tuple(first.passages().tolist()),
        best_proximity=float(proximity.of_tokens().max()),
    )


def proximity_of(
    network: ReaderNetwork,
    prompt: Prompt,
    layout: Layout,
) -> TermProximity:
    """The question's term proximity to each token of the passages' own text."""
    question = [
        token
        for segment in prompt.segments
        if segment.kind == "question"
        for token in segment.token_ids
    ]
    passages = [passage.token_ids for passage in prompt.passages]
    return term_proximity(network.embedded, question, passages, layout.own, layout.rows)


def by_span_proximity(
    spans: Sequence[Span], proximity: TermProximity, weight: float
) -> tuple[Span, ...]:
    """The spans with the proximity of their starts replaced by that of the whole spans, resorted.

    `weight` is log-odds per unit of proximity. Each log-probability moves by as much as the
    replacement adds, so they need not be those of one distribution any more.
    """
    first, last = [span.first for span in spans], [span.last for span in spans]
    of_spans = proximity.of_spans(first, last).tolist()
    of_starts = proximity.of_spans(first, first).tolist()
    moved = [
        replace(
            span,
            log_probability=span.log_probability + weight * (of_span - of_start),
            proximity=of_span,
        )
        for span, of_span, of_start in zip(spans, of_spans, of_starts, strict=True)
    ]
    return tuple(sorted(moved, key=lambda span: -span.log_probability))


def first_pass(
    network: ReaderNetwork,
    passages: Sequence[CachedPassage],
    content: Sequence[Mask],
    answer: Floats,
    log_odds: Floats,
) -> FirstPass:
    """Where the answer may start, by the answer's state (width,) and prior `log_odds` (N,)."""
    states = np.concatenate([passage.states for passage in passages]).astype(np.float32)
    starts = network.start_scores(answer, states)
    null = network.null_score(answer)
    scores = start_log_probabilities(starts, np.concatenate(content), null, log_odds)
    ends = list(accumulate(len(mask) for mask in content))[:-1]
    return FirstPass(float(scores[-1]), tuple(np.split(scores[:-1], ends)))


def likeliest(log_probabilities: Floats, content: Sequence[Mask]) -> list[int]:
    """The passages to take into the second pass, in prompt order; of equals the earlier."""
    has_text = np.array([bool(mask.any()) for mask in content])
    order = likeliest_first(np.where(has_text, log_probabilities, -np.inf).astype(np.float32))
    return sorted(order[: min(SECOND_PASS_PASSAGES, int(has_text.sum()))].tolist())


def second_pass(
    network: ReaderNetwork,
    passages: Sequence[CachedPassage],
    layout: Layout,
    question: QuestionStates,
    chosen: Sequence[int],
    log_odds: Floats,
) -> SecondPass:
    """Let the chosen passages see the question."""
    states = network.second_pass([passages[i].early for i in chosen], question)
    relevance = network.relevance_scores(np.stack([passage[0] for passage in states]))
    lengths = [len(passage) for passage in states]
    starts = list(accumulate((len(mask) for mask in layout.content), initial=0))
    positions = [position for i in chosen for position in range(starts[i], starts[i + 1])]
    return SecondPass(
        chosen=chosen,
        states=np.concatenate(states),
        content=np.concatenate([layout.content[i] for i in chosen]),
        begins=np.concatenate([layout.begins[i] for i in chosen]),
        log_odds=np.repeat(relevance, lengths) + log_odds[positions],
        positions=positions,
    )


def passage_log_odds(
    network: ReaderNetwork,
    prompt: Prompt,
    passage: CachedPassage,
    question: QuestionStates,
    prior: Prior,
    layout: Layout,
) -> float:
    """Log-odds, up to a constant, that the only passage of a prompt holds the answer.

    They are those of an answer that begins anywhere in it, by the second pass and the prior.
    """
    log_odds = prior.token_log_odds(prompt, proximity_of(network, prompt, layout))
    second = second_pass(
        network=network,
        passages=[passage],
        layout=layout,
        question=question,
        chosen=[0],
        log_odds=log_odds,
    )
    starts = network.start_scores(question.answer, second.states) + second.log_odds
    return float(log_sum_exp(starts[second.content], axis=-1)) if second.content.any() else LEAST


LEAST = -100.0
"""Log-odds of what holds nothing that may be an answer."""
