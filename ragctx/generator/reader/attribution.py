"""Which passage made this answer: how likely the answer is with each passage left out.

Cheap, because no passage is read again: only the question is, once for each passage left out.
Leave-one-out, as in ContextCite's baseline (Cohen-Wang et al., NeurIPS 2024, arXiv 2409.00729).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ragctx.attribution import Attribution
from ragctx.errors import InputError
from ragctx.generator.leave_out import with_passages
from ragctx.generator.reader.context import layout_of
from ragctx.generator.reader.network import MAX_SPAN_TOKENS
from ragctx.generator.reader.passes import (
    SecondPass,
    first_pass,
    likeliest,
    proximity_of,
    second_pass,
)
from ragctx.generator.reader.softmax import Floats, log_softmax, log_sum_exp
from ragctx.generator.reader.spans import may_contain, start_log_probabilities
from ragctx.records import Generation, Prompt

if TYPE_CHECKING:
    from ragctx.generator.reader.network import QuestionStates
    from ragctx.generator.reader.passages import CachedPassage
    from ragctx.generator.reader.reader import BundledReader


def attribute(
    reader: BundledReader, prompt: Prompt, generation: Generation
) -> tuple[Attribution, ...]:
    """For each passage, in prompt order, the answer's log-probability with and without it.

    Every place where the answer's tokens occur in the passages of the second pass counts; the
    log-probability is -inf if they occur in none. A passage that is left out takes its rank and
    cosine with it.

    Raises InputError for an abstention: there is nothing to attribute.
    """
    if not generation.token_ids:
        raise InputError("there is no answer to attribute: the reader abstained")
    passage_ids, question_ids = reader.parts(prompt)
    cached, _ = reader.cache.fetch(passage_ids, reader.encode)

    def log_probability(numbers: Sequence[int]) -> float:
        """Of the answer, from the passages of these numbers alone."""
        passages = [cached[i] for i in numbers]
        question = reader.read_question(question_ids, passages)
        shorter = with_passages(prompt, numbers)
        return answer_log_probability(reader, shorter, passages, question, generation.token_ids)

    everything = range(len(cached))
    with_all = log_probability(everything)
    attributions = []
    for left_out, segment in enumerate(prompt.passages):
        rest = [i for i in everything if i != left_out]
        without = log_probability(rest) if rest else -math.inf
        attributions.append(Attribution(segment.label, with_all, without))
    return tuple(attributions)


def answer_log_probability(
    reader: BundledReader,
    prompt: Prompt,
    passages: Sequence[CachedPassage],
    question: QuestionStates,
    answer: Sequence[int],
) -> float:
    """Log-probability that the reader copies the ids `answer`, from wherever they occur."""
    network, layout = reader.network, layout_of(prompt, reader.tokenizer)
    log_odds = reader.prior.token_log_odds(prompt, proximity_of(network, prompt, layout))
    first = first_pass(network, passages, layout.content, question.answer, log_odds)
    second = second_pass(
        network=network,
        passages=passages,
        layout=layout,
        question=question,
        chosen=likeliest(first.passages(), layout.content),
        log_odds=log_odds,
    )
    ids = [token for i in second.chosen for token in prompt.passages[i].token_ids]
    starts = start_log_probabilities(
        network.start_scores(question.answer, second.states),
        second.content,
        network.second_null_score(question.answer),
        second.log_odds,
    )
    places = [
        float(starts[start])
        + _end_log_probability(reader, second, question.answer, start, len(answer))
        for start in _occurrences(ids, second, answer)
    ]
    return float(log_sum_exp(np.array(places, dtype=np.float32))) if places else -math.inf


def _end_log_probability(
    reader: BundledReader, second: SecondPass, answer: Floats, first: int, length: int
) -> float:
    """Log-probability that a span from position `first` has `length` tokens."""
    network = reader.network
    reach = np.arange(first, min(first + MAX_SPAN_TOKENS, len(second.content)))
    stop = first + int(may_contain(second.content, second.begins, reach).sum())
    ends = network.end_scores(answer, second.states[first:stop])
    return float(log_softmax(ends)[length - 1])


def _occurrences(ids: Sequence[int], second: SecondPass, answer: Sequence[int]) -> Iterator[int]:
    """The positions at which a span with the ids `answer` may begin."""
    wanted = list(answer)
    for start in range(len(ids) - len(wanted) + 1):
        stop = start + len(wanted)
        reach = np.arange(start, stop)
        if (
            list(ids[start:stop]) == wanted
            and may_contain(second.content, second.begins, reach).all()
        ):
            yield start
