"""The training forward pass: the inference graph, batched. Each passage is encoded once a step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ragctx.generator.network import MAX_SPAN_TOKENS, Encoded, Past, ReaderNetwork
from ragctx.generator.rope import rotate
from ragctx.transformer import Layer
from training.data import CLS, MASK, PAD, SEP, Passage, Question


@dataclass
class Batch:
    """G passages and Q questions; each question reads C slots of passages, in prompt order."""

    passages: Tensor  # (G, L) ids with [CLS] and [SEP]
    passage_mask: Tensor  # (G, L)
    content_mask: Tensor  # (G, L), False at [CLS] and [SEP]
    tokens: Tensor  # (Q, T): question [SEP] [MASK] answer [pad]
    positions: Tensor  # (Q, T)
    visible: Tensor  # (Q, T, T)
    mask_at: Tensor  # (Q,): where [MASK] stands
    slots: Tensor  # (Q, C): indices of passages
    slot_mask: Tensor  # (Q, C)
    offsets: Tensor  # (Q, C): position of each slot's [CLS]
    starts: Tensor  # (Q, C * L): True at the answer's possible first tokens; all False when null
    first: Tensor  # (Q,): one start, an index into C * L (0 when null)
    length: Tensor  # (Q,): tokens of the answer that starts there (0 when null)
    answers: Tensor  # (Q, A): vocabulary ids of the answer and [SEP], pad = -100


def pad_rows(rows: list[list[int]], fill: int = PAD) -> Tensor:
    """Rows of ids as one (len(rows), longest) tensor."""
    longest = max(map(len, rows))
    return torch.tensor([row + [fill] * (longest - len(row)) for row in rows])


def passages_tensor(passages: list[Passage]) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, mask and content mask of passages framed by [CLS] and [SEP]."""
    ids = pad_rows([[CLS, *p.token_ids, SEP] for p in passages])
    lengths = torch.tensor([len(p.token_ids) + 2 for p in passages])
    at = torch.arange(ids.shape[1])[None]
    mask = at < lengths[:, None]
    return ids, mask, mask & (at > 0) & (at < lengths[:, None] - 1)


def gather(
    network: ReaderNetwork,
    encoded: Encoded,
    passage_mask: Tensor,
    slots: Tensor,
    slot_mask: Tensor,
    offsets: Tensor,
) -> tuple[Past, Tensor]:
    """The passages of each question side by side: a Past of (Q, C * L) and their states."""
    length = passage_mask.shape[1]
    positions = offsets[:, :, None] + torch.arange(length)
    cos, sin = network.rotation(positions.flatten(1)[:, None])
    mask = (passage_mask[slots] & slot_mask[:, :, None]).flatten(1)

    def pick(x: Tensor) -> Tensor:  # (G, heads, L, d) -> (Q, heads, C * L, d)
        return x[slots].transpose(1, 2).flatten(2, 3)

    keys = tuple(rotate(pick(k), cos, sin) for k in encoded.keys)
    values = tuple(pick(v) for v in encoded.values)
    return Past(keys, values, mask), encoded.states[slots].flatten(1, 2)


@dataclass
class Losses:
    """Mean losses of a batch."""

    start: Tensor
    end: Tensor
    writing: Tensor


def read_all(network: ReaderNetwork, encoded: Encoded, batch: Batch) -> Tensor:
    """What `network.read` gives over `gather`'s past, several times cheaper with many slots.

    Keys stay where they are, rotated once from their own start, and are shared by all questions:
    it is the queries that turn, once for each passage they look at, by the passage's offset. Only
    the difference of positions counts, so the scores are the same.
    """
    shift, seen = _pairs(batch, len(batch.passages))
    near = network.rotation(batch.positions[:, None, None, :] - shift[:, :, None, None])
    local = network.rotation(torch.arange(batch.passages.shape[1]))
    own = network.rotation(batch.positions[:, None, :])
    bias = torch.where(seen[:, :, None] & batch.passage_mask[None], 0.0, -1e9).flatten(1)
    bias_own = torch.where(batch.visible, 0.0, -1e9)[:, None]
    states = network.embeddings(batch.tokens)
    for i, layer in enumerate(network.layers):
        assert isinstance(layer, Layer)
        q, k, v = layer.project(states)
        scale = q.shape[-1] ** -0.5
        turned = rotate(q[:, None] * scale, *near)  # (Q, G, heads, T, d)
        keys = rotate(encoded.keys[i], *local)  # (G, heads, L, d)
        far = torch.einsum("qghtd,ghld->qhtgl", turned, keys).flatten(3)
        close = rotate(q * scale, *own) @ rotate(k, *own).transpose(-1, -2)
        scores = torch.cat((far + bias[:, None, None], close + bias_own), dim=-1)
        weights = scores.softmax(-1).to(v.dtype)
        split = weights[..., : far.shape[-1]].unflatten(-1, batch.passages.shape)
        attended = torch.einsum("qhtgl,ghld->qhtd", split, encoded.values[i])
        attended = attended + weights[..., far.shape[-1] :] @ v
        states = layer.finish(states, attended)
    return states


def _pairs(batch: Batch, passages: int) -> tuple[Tensor, Tensor]:
    """For each question and passage: where the passage stands, and whether it is read; (Q, G)."""
    size = (len(batch.slots), passages)
    seen = torch.zeros(size, dtype=torch.long).scatter_add_(1, batch.slots, batch.slot_mask.long())
    shift = torch.zeros(size, dtype=torch.long).scatter_add_(
        1, batch.slots, batch.offsets * batch.slot_mask
    )
    return shift, seen > 0


def losses(network: ReaderNetwork, batch: Batch, writing: bool) -> Losses:
    """Start over positions and null, end given the start, and the written answer."""
    encoded = network.encode(batch.passages, batch.passage_mask)
    if batch.slots.shape[1] == 1:
        past, _ = gather(
            network, encoded, batch.passage_mask, batch.slots, batch.slot_mask, batch.offsets
        )
        states, _ = network.read(batch.tokens, batch.positions, past, batch.visible)
    else:
        states = read_all(network, encoded, batch)
    with torch.autocast("cpu", enabled=False):
        return _head_losses(network, batch, states.float(), encoded.states.float(), writing)


def _head_losses(
    network: ReaderNetwork, batch: Batch, states: Tensor, passages: Tensor, writing: bool
) -> Losses:
    context = passages[batch.slots].flatten(1, 2)
    rows = torch.arange(len(states))
    answer = states[rows, batch.mask_at]
    content = (batch.content_mask[batch.slots] & batch.slot_mask[:, :, None]).flatten(1)
    return Losses(
        _start_loss(network, batch, answer, context, content),
        _end_loss(network, batch, answer, context, content),
        _writing_loss(network, batch, states, context, content) if writing else torch.zeros(()),
    )


def _start_loss(
    network: ReaderNetwork, batch: Batch, answer: Tensor, context: Tensor, content: Tensor
) -> Tensor:
    scores = network.start_scores(answer[:, None], context)[:, 0].masked_fill(~content, -1e9)
    scores = torch.cat((scores, network.null_score(answer)), dim=1)
    null = ~batch.starts.any(1, keepdim=True)
    right = scores.masked_fill(~torch.cat((batch.starts, null), dim=1), -1e9)
    return (scores.logsumexp(1) - right.logsumexp(1)).mean()


def _end_loss(
    network: ReaderNetwork, batch: Batch, answer: Tensor, context: Tensor, content: Tensor
) -> Tensor:
    rows = (batch.length > 0).nonzero()[:, 0]
    if not len(rows):
        return answer.sum() * 0
    reach = batch.first[rows, None] + torch.arange(MAX_SPAN_TOKENS)
    inside = reach < context.shape[1]
    reach = reach.clamp(max=context.shape[1] - 1)
    following = context[rows[:, None], reach]
    # the span ends before the first position that is not content: [SEP] or padding
    inside &= content[rows[:, None], reach].cummin(1).values
    scores = network.end_scores(answer[rows], following[:, 0], following)
    target = (batch.length[rows] - 1).clamp(max=MAX_SPAN_TOKENS - 1)
    return F.cross_entropy(scores.masked_fill(~inside, -1e9), target)


def _writing_loss(
    network: ReaderNetwork, batch: Batch, states: Tensor, context: Tensor, content: Tensor
) -> Tensor:
    rows, steps = (batch.answers != -100).nonzero(as_tuple=True)
    if not len(rows):
        return states.sum() * 0
    state = states[rows, batch.mask_at[rows] + steps]
    target = batch.answers[rows, steps]
    write = network.vocabulary_scores(state)
    copy = network.start_scores(state[:, None], context[rows])[:, 0]
    copy = copy.masked_fill(~content[rows], -1e9)
    at = batch.first[rows] + steps
    copied = copy.gather(1, at.clamp(max=copy.shape[1] - 1)[:, None])[:, 0]
    copied = copied.masked_fill(steps >= batch.length[rows], -1e9)
    written = write.gather(1, target[:, None])[:, 0]
    right = torch.logaddexp(written, copied)
    return (torch.cat((write, copy), 1).logsumexp(1) - right).mean()


def question_tensors(
    questions: list[Question], answers: list[list[int]], starts_at: list[int]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Tokens, positions, visibility and the place of [MASK] for a batch of questions."""
    rows = [[*q.token_ids, SEP, MASK, *a] for q, a in zip(questions, answers, strict=True)]
    tokens = pad_rows(rows)
    mask_at = torch.tensor([len(q.token_ids) + 1 for q in questions])
    at = torch.arange(tokens.shape[1])
    positions = torch.tensor(starts_at)[:, None] + at
    is_question = at[None] < mask_at[:, None]
    causal = at[None, :] <= at[:, None]
    # a question token sees the question; an answer token sees the question and what came before
    visible = is_question[:, None, :] | (causal[None] & ~is_question[:, :, None])
    return tokens, positions, visible, mask_at
