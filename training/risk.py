"""Minimum risk training: the F1 that the second look's answer is expected to have, as a loss.

Likelihood asks for one span and takes every other one for equally wrong. The answer is judged by
the words it shares, and chosen by them (`by_agreement`); so here every span near a likely start
counts as much as it overlaps with an answer (Shen et al., ACL 2016, with token F1 in the place of
BLEU). It also teaches the end pointer where spans end whose start is not the one asked for.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ragctx.generator.network import MAX_SPAN_TOKENS, ReaderNetwork

STARTS = 12
"""Likeliest starts of a question's own passage that are looked at."""


def expected_f1(
    network: ReaderNetwork,
    answer: Tensor,
    context: Tensor,
    content: Tensor,
    starts: Tensor,
    spans: Tensor,
) -> Tensor:
    """(R,): token F1 with the best of a question's answers, expected over the second look's spans.

    `answer` (R, width) are the questions' answer states, `context` (R, L, width) their passages
    after the second look, `content` (R, L) which positions may be copied, `starts` (R, L) the
    log-probabilities of starting there (over all that was looked at, and null), `spans` (R, S, 2)
    the first and last positions of the answers.

    >>> spans = torch.tensor([[[3, 4], [4, 4]]])
    >>> overlap_f1(torch.tensor([[[2, 4, 6]]]), torch.tensor([[[4, 4, 9]]]), spans)
    tensor([[[0.8000, 1.0000, 0.0000]]])
    """
    top, first = starts.topk(min(STARTS, starts.shape[1]), dim=1)  # (R, k)
    ends = end_log_probabilities(network, answer, context, content, first)
    last = first[:, :, None] + torch.arange(MAX_SPAN_TOKENS)
    f1 = overlap_f1(first[:, :, None].expand_as(last), last, spans)
    return ((top[:, :, None] + ends).exp() * f1).sum((1, 2))


def end_log_probabilities(
    network: ReaderNetwork, answer: Tensor, context: Tensor, content: Tensor, first: Tensor
) -> Tensor:
    """(R, k, MAX_SPAN_TOKENS): where spans from each of `first` (R, k) end, by their length - 1."""
    rows = torch.arange(len(context))[:, None]
    query = network.end(answer)[:, None] + network.end_given_start(context[rows, first])
    scores = query * network.shape.width**-0.5 @ context.transpose(1, 2)  # (R, k, L)
    reach = first[:, :, None] + torch.arange(MAX_SPAN_TOKENS)
    inside = reach < context.shape[1]
    reach = reach.clamp(max=context.shape[1] - 1)
    inside &= content[rows[:, :, None], reach].cummin(2).values
    scores = scores.gather(2, reach) + network.length_bias
    return scores.masked_fill(~inside, -1e9).log_softmax(2)


def overlap_f1(first: Tensor, last: Tensor, spans: Tensor) -> Tensor:
    """F1 by positions of each span (R, k, M) with the one of `spans` (R, S, 2) that is nearest."""
    begin, end = (spans[:, None, None, :, i] for i in (0, 1))
    first, last = first[..., None], last[..., None]
    common = (torch.minimum(last, end) - torch.maximum(first, begin) + 1).clamp(min=0)
    return (2 * common / (last - first + end - begin + 2)).amax(-1)
