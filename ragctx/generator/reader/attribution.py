"""Which passage made this answer: how likely it is with each of them left out.

Cheap, because no passage is read again: only the question is, once for each passage left out.
Leave-one-out, as in ContextCite's baseline (Cohen-Wang et al., NeurIPS 2024, arXiv 2409.00729).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ragctx.errors import InputError
from ragctx.generator.reader.context import contents
from ragctx.generator.reader.passes import Again, first_look, look_again, nearness_of
from ragctx.generator.reader.spans import start_log_probabilities
from ragctx.records import Attribution, Generation, Prompt, Segment

if TYPE_CHECKING:
    from ragctx.generator.reader.network import Asked
    from ragctx.generator.reader.passages import Segment as Kept
    from ragctx.generator.reader.reader import BundledReader


@torch.inference_mode()
def attribute(
    reader: BundledReader, prompt: Prompt, generation: Generation
) -> tuple[Attribution, ...]:
    """For each passage, in prompt order, the answer's log-probability with and without it.

    Counts every place where the answer's tokens stand among the passages that are looked at again;
    -inf where they stand in none. Passages left out take their ranks and cosines with them.

    Raises InputError for an abstention: there is nothing to attribute.
    """
    if not generation.token_ids:
        raise InputError("there is no answer to attribute: the reader abstained")
    passages, question = reader.parts(prompt)
    segments, _ = reader.cache.fetch(passages, reader.encode)

    def likely(kept: Sequence[int]) -> float:
        read = [segments[i] for i in kept]
        asked = reader.read_question(question, read)
        part = replace(prompt, segments=tuple(_only(prompt, kept)))
        return answer_log_probability(reader, part, read, asked, generation.token_ids)

    everything = range(len(passages))
    whole = likely(everything)
    rests = [[i for i in everything if i != j] for j in everything]
    without = [likely(rest) if rest else -math.inf for rest in rests]
    return tuple(
        Attribution(segment.label, whole, left)
        for segment, left in zip(prompt.passages, without, strict=True)
    )


def answer_log_probability(
    reader: BundledReader,
    prompt: Prompt,
    segments: Sequence[Kept],
    asked: Asked,
    answer: Sequence[int],
) -> float:
    """Log-probability that the reader copies `answer`, wherever it stands in these passages."""
    network, content = reader.packed, contents(prompt)
    known = reader.prior.of_tokens(prompt, nearness_of(network, prompt, content))
    first = first_look(network, segments, content, asked.answer, known)
    again = look_again(
        network=network, segments=segments, content=content, asked=asked, first=first, known=known
    )
    ids = [token for i in again.chosen for token in prompt.passages[i].token_ids]
    scores = start_log_probabilities(
        network.start_scores(asked.answer, again.states),
        again.content,
        network.null_again_score(asked.answer),
        again.worth,
    )
    found = [
        float(scores[at]) + _end_log_probability(reader, again, asked.answer, at, len(answer))
        for at in _places(ids, again.content.tolist(), answer)
    ]
    return float(torch.tensor(found).logsumexp(0)) if found else -math.inf


def _end_log_probability(
    reader: BundledReader, again: Again, answer: Tensor, first: int, length: int
) -> float:
    reach = reader.packed.length_bias.shape[0]
    own = again.content[first : first + reach]
    stop = first + int(own.int().cummin(0).values.sum())
    ends = reader.packed.end_scores(answer, again.states[first], again.states[first:stop])
    return float(ends.log_softmax(0)[length - 1])


def _places(ids: Sequence[int], content: Sequence[bool], answer: Sequence[int]) -> Iterator[int]:
    wanted = list(answer)
    for at in range(len(ids) - len(wanted) + 1):
        if list(ids[at : at + len(wanted)]) == wanted and all(content[at : at + len(wanted)]):
            yield at


def _only(prompt: Prompt, kept: Sequence[int]) -> Iterator[Segment]:
    """The prompt's segments without the passages that are not in `kept`."""
    number = 0
    for segment in prompt.segments:
        if segment.kind != "passage":
            yield segment
            continue
        if number in kept:
            yield segment
        number += 1
