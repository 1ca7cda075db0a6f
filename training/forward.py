"""The training forward pass: the inference graph, batched. Each passage is encoded once a step.

The questions about one passage form a group. They follow the same sequence of passages, in one row
of tokens, and each sees itself and the passages. A question whose own passage was left out does not
see it, which leaves a gap in its positions, as a longer prompt would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ragctx.generator.reader.network import MAX_SPAN_TOKENS
from training.data import CLS, PAD, SEP, Passage
from training.network import (
    EncodedBatch,
    QuestionStates,
    TorchNetwork,
)
from training.rope import rotate
from training.transformer import attend

SECOND_PASS_PASSAGES = 2
"""Passages that take the second pass with each question in training: one fewer than in use, to
save time; chosen by hand."""


@dataclass(kw_only=True)
class Batch:
    """G passages of at most L tokens, and Q questions; those of group g are about passage g.

    A group reads C slots; its questions form one row of at most M tokens.
    """

    passages: Tensor  # (G, L) ids with [CLS] and [SEP]
    passage_mask: Tensor  # (G, L)
    content_mask: Tensor  # (G, L), False at [CLS] and [SEP]
    slots: Tensor  # (G, C): which passages a group reads, in prompt order
    places: Tensor  # (G, C): position of each slot's [CLS]
    tokens: Tensor  # (G, M): for each question its tokens, [SEP], [MASK], the answer so far
    positions: Tensor  # (G, M)
    owner: Tensor  # (G, M): which of the group's questions a token belongs to, -1: padding
    asking: Tensor  # (G, M): True at question tokens, which do not see [MASK] and what follows
    blind: Tensor  # (G, M): True at tokens of questions whose own passage was left out
    group: Tensor  # (Q,): each question's group, which is its own passage too
    begins: Tensor  # (Q,): where its first token is in the group's row
    mask_at: Tensor  # (Q,): where its [MASK] is
    null: Tensor  # (Q,): True where nothing that it sees answers it
    gone: Tensor  # (Q,): True where its own passage was left out
    starts: Tensor  # (Q, L): True at the answer's possible first tokens in its own passage
    first: Tensor  # (Q,): one of them
    length: Tensor  # (Q,): tokens of the answer that starts there
    answers: Tensor  # (Q, A): vocabulary ids of the answer and [SEP], pad = -100

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        return Batch(**{name: part.to(device) for name, part in vars(self).items()})


@dataclass(kw_only=True)
class Losses:
    """Mean losses of a batch: the first pass's start, the second's start and end, the writing.

    `imitation` is how far the second pass is from a teacher's, 0 without one.
    """

    start: Tensor
    second_start: Tensor
    end: Tensor
    writing: Tensor
    imitation: Tensor


class Scores(NamedTuple):
    """The log-probabilities of the second pass; about -1e9 where no answer may be."""

    starts: Tensor  # (Q, K * L + 1): of each position of the passages in the second pass, and null
    ends: Tensor  # (R, MAX_SPAN_TOKENS): of the R questions that see their passage, by start


def pad_rows(rows: list[list[int]], fill: int = PAD) -> Tensor:
    """Rows of ids as one (len(rows), longest) tensor."""
    longest = max(map(len, rows), default=0)
    return torch.tensor([row + [fill] * (longest - len(row)) for row in rows], dtype=torch.long)


def passages_tensor(passages: list[Passage]) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, mask and content mask of passages framed by [CLS] and [SEP]."""
    ids = pad_rows([[CLS, *p.token_ids, SEP] for p in passages])
    lengths = torch.tensor([len(p.token_ids) + 2 for p in passages])
    at = torch.arange(ids.shape[1])[None]
    mask = at < lengths[:, None]
    return ids, mask, mask & (at > 0) & (at < lengths[:, None] - 1)


def in_full(batch: Batch) -> torch.autocast:
    """A context in which nothing is rounded to 16 bits."""
    return torch.autocast(batch.passages.device.type, enabled=False)


class Packing:
    """Moves tokens between a padded form (B, T, …) and one row without padding (1, N, …).

    Projections and feed-forward layers, where the time goes, then run on real tokens only.
    """

    def __init__(self, mask: Tensor) -> None:
        self.shape = mask.shape
        self.at = mask.flatten().nonzero()[:, 0]

    def pack(self, padded: Tensor) -> Tensor:
        """(B, T, …) -> (1, N, …)."""
        return padded.flatten(0, 1).index_select(0, self.at)[None]

    def pad(self, packed: Tensor) -> Tensor:
        """(1, N, …) -> (B, T, …), zeros at padding."""
        empty = packed.new_zeros(self.shape.numel(), *packed.shape[2:])
        filled = empty.index_copy(0, self.at, packed[0])
        return filled.view(*self.shape, *packed.shape[2:])

    def pad_heads(self, packed: Tensor) -> Tensor:
        """(1, heads, N, d) -> (B, heads, T, d)."""
        return self.pad(packed.transpose(1, 2)).transpose(1, 2)

    def pack_heads(self, padded: Tensor) -> Tensor:
        """(B, heads, T, d) -> (1, heads, N, d)."""
        return self.pack(padded.transpose(1, 2)).transpose(1, 2)


def encode(network: TorchNetwork, ids: Tensor, mask: Tensor) -> EncodedBatch:
    """What `network.encode` gives, computed without padding outside of attention."""
    packing = Packing(mask)
    states = network.embeddings(packing.pack(ids))
    cos, sin = network.rotation(torch.arange(ids.shape[1], device=ids.device))
    keys, values, before = [], [], [states]
    *alone, last = network.shared()
    for layer in alone:
        q, k, v = map(packing.pad_heads, layer.project(states))
        keys.append(k)
        values.append(v)
        attended = attend(rotate(q, cos, sin), rotate(k, cos, sin), v, mask[:, None, None])
        states = layer.finish(states, packing.pack_heads(attended))
        before.append(states)
    k, v = map(packing.pad_heads, last.keys_values(states))
    early, states = packing.pad(before[network.alone]), packing.pad(states)
    return EncodedBatch(keys=(*keys, k), values=(*values, v), early=early, states=states)


def rows_of(x: Tensor, at: Tensor) -> Tensor:
    """`x[at]`, whose backward pass is several times faster this way on CPUs."""
    return x.index_select(0, at.flatten()).view(*at.shape, *x.shape[1:])


def read_mask(batch: Batch) -> Tensor:
    """(G, M, C * L + M): which passage tokens and which of the row's own tokens each token sees."""
    is_own = batch.slots == torch.arange(len(batch.slots), device=batch.slots.device)[:, None]
    seen_slots = ~(is_own[:, None] & batch.blind[:, :, None])  # (G, M, C)
    passages = seen_slots[..., None] & batch.passage_mask[batch.slots][:, None]
    same_question = batch.owner[:, :, None] == batch.owner[:, None]
    causal = torch.ones_like(same_question).tril()
    row = same_question & (batch.asking[:, None] | causal)
    return torch.cat((passages.flatten(2), row), 2)


def read(network: TorchNetwork, encoded: EncodedBatch, batch: Batch) -> QuestionStates:
    """The states (G, M, width) of the questions' tokens over the passages they see."""
    within = torch.arange(batch.passages.shape[1], device=batch.places.device)
    places = batch.places[:, :, None] + within
    passage_rotation = network.rotation(places.flatten(1)[:, None])
    own_rotation = network.rotation(batch.positions[:, None])
    mask = read_mask(batch)[:, None]

    def pick(x: Tensor) -> Tensor:  # (G, heads, L, d) -> (G, heads, C * L, d)
        return rows_of(x, batch.slots).transpose(1, 2).flatten(2, 3)

    states = network.embeddings(batch.tokens)
    before = [states]
    for i, layer in enumerate(network.shared()):
        q, k, v = layer.project(states)
        keys = rotate(pick(encoded.keys[i]), *passage_rotation), rotate(k, *own_rotation)
        values = torch.cat((pick(encoded.values[i]), v), 2)
        attended = attend(rotate(q, *own_rotation), torch.cat(keys, 2), values, mask)
        states = layer.finish(states, attended)
        before.append(states)
    return network.question_states(before)


def seen_slots(batch: Batch) -> Tensor:
    """(Q, C): which of its group's slots each question sees."""
    own = batch.slots[batch.group] == batch.group[:, None]
    return ~(own & batch.gone[:, None])


def choose_passages(scores: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """The slots (Q, K) that take the second pass with each question, and which of them are real.

    They are the likeliest of those it sees by the first pass's `scores` (Q, C, L); its own passage
    is always one of them.
    """
    best = scores.detach().amax(2)
    own = batch.slots[batch.group] == batch.group[:, None]
    best = best.masked_fill(own & ~batch.gone[:, None], 1e30)
    chosen = best.topk(min(SECOND_PASS_PASSAGES, best.shape[1]), dim=1).indices
    return chosen, seen_slots(batch).gather(1, chosen)


def question_rows(states: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """(Q, longest, width): each question's states up to its [MASK]; and their mask."""
    sizes = batch.mask_at - batch.begins + 1
    at = torch.arange(int(sizes.max()), device=states.device)
    columns = (batch.begins[:, None] + at).clamp(max=states.shape[1] - 1)
    flat = batch.group[:, None] * states.shape[1] + columns
    return rows_of(states.flatten(0, 1), flat), at[None] < sizes[:, None]


def losses(
    network: TorchNetwork, batch: Batch, writing: bool, teacher: TorchNetwork | None = None
) -> Losses:
    """Start over positions and null in both passes, end given the start, and the written answer.

    A `teacher` runs its second pass over the same passages; the network is to imitate it.
    """
    encoded = encode(network, batch.passages, batch.passage_mask)
    question = read(network, encoded, batch)
    answer = question.last[batch.group, batch.mask_at]
    with in_full(batch):
        first = _first_scores(network, batch, answer.float(), encoded.states.float())
        first_starts = torch.cat((first.flatten(1), network.null_score(answer.float())), 1)
        start = _start_loss(first_starts, _targets(batch, batch.slots))
    chosen, real = choose_passages(first, batch)
    passages = batch.slots[batch.group].gather(1, chosen)  # (Q, K)
    second = second_pass_scores(
        network=network,
        batch=batch,
        encoded=encoded,
        question=question,
        passages=passages,
        real=real,
    )
    right = (_right(batch, passages) & real[:, :, None]).flatten(1)
    written = imitation = start.new_zeros(())
    if writing:
        with in_full(batch):
            written = _writing_loss(network, batch, question.last.float(), encoded.states.float())
    if teacher is not None:
        imitation = distance(second, taught(teacher, batch, passages, real))
    return Losses(
        start=start,
        second_start=_start_loss(second.starts, right),
        end=_end_loss(batch, second.ends),
        writing=written,
        imitation=imitation,
    )


@torch.no_grad()
def taught(teacher: TorchNetwork, batch: Batch, passages: Tensor, real: Tensor) -> Scores:
    """A teacher's second pass over the same passages."""
    encoded = encode(teacher, batch.passages, batch.passage_mask)
    return second_pass_scores(
        network=teacher,
        batch=batch,
        encoded=encoded,
        question=read(teacher, encoded, batch),
        passages=passages,
        real=real,
    )


def distance(student: Scores, teacher: Scores) -> Tensor:
    """Kullback-Leibler divergence from the teacher's starts and ends (Hinton et al. 2015)."""
    starts, ends = (
        F.kl_div(given, target, reduction="batchmean", log_target=True)
        if len(given)
        else given.sum()
        for given, target in zip(student, teacher, strict=True)
    )
    return starts + ends


def second_pass_scores(
    network: TorchNetwork,
    batch: Batch,
    encoded: EncodedBatch,
    question: QuestionStates,
    passages: Tensor,
    real: Tensor,
) -> Scores:
    """Where each question's answer starts, in the `passages` (Q, K) that are `real`, and ends."""
    states = second_pass(network, batch, encoded, question, passages)
    with in_full(batch):
        answer, states = question.last[batch.group, batch.mask_at].float(), states.float()
        content = batch.content_mask[passages] & real[:, :, None]
        starts = _second_start_scores(network, answer, states, content)
        ends = _end_scores(network, batch, answer, states, passages)
        return Scores(starts.log_softmax(1), ends.log_softmax(1))


def second_pass(
    network: TorchNetwork,
    batch: Batch,
    encoded: EncodedBatch,
    question: QuestionStates,
    passages: Tensor,
) -> Tensor:
    """(Q, K, L, width): the states of `passages` (Q, K) after they have seen the question.

    The same as `network.second_pass`, computed without padding outside of attention.
    """
    flat = passages.flatten()
    mask = batch.passage_mask[flat]
    packing = Packing(mask)
    states = packing.pack(encoded.early.index_select(0, flat))
    times = passages.shape[1]  # each question is repeated for each of its passages
    by_layer = question.by_layer.unbind(-3)
    for layer, question_in in zip(network.second_pass_layers(), by_layer, strict=True):
        rows, rows_mask = question_rows(question_in, batch)
        question_k, question_v = (
            part.repeat_interleave(times, 0) for part in layer.keys_values(rows)
        )
        own, following = second_pass_rotations(network, mask, rows.shape[1])
        q, k, v = map(packing.pad_heads, layer.project(states))
        keys = torch.cat((rotate(k, *own), rotate(question_k, *following)), 2)
        visible = torch.cat((mask, rows_mask.repeat_interleave(times, 0)), 1)[:, None, None]
        attended = attend(rotate(q, *own), keys, torch.cat((v, question_v), 2), visible)
        states = layer.finish(states, packing.pack_heads(attended))
    padded = packing.pad(states)
    return padded.view(*passages.shape, *padded.shape[1:])


def second_pass_rotations(
    network: TorchNetwork, mask: Tensor, question_tokens: int
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Rotations of the second pass: for passages (B, T), and for a question right after each."""
    own = network.rotation(torch.arange(mask.shape[1], device=mask.device))
    following = torch.arange(question_tokens, device=mask.device)
    return own, network.rotation((mask.sum(1, keepdim=True) + following)[:, None])


def _first_scores(network: TorchNetwork, batch: Batch, answer: Tensor, states: Tensor) -> Tensor:
    """(Q, C, L): scores of the starts in the slots that each question reads, by the first pass."""
    slots = batch.slots[batch.group]
    scores = torch.einsum("qw,glw->qgl", network.start_query(answer), states)
    scores = scores.gather(1, slots[:, :, None].expand(-1, -1, scores.shape[2]))
    visible = seen_slots(batch)[:, :, None] & batch.content_mask[slots]
    return scores.masked_fill(~visible, -1e9)


def _right(batch: Batch, passages: Tensor) -> Tensor:
    """(Q, K, L): True where the answer may start, in those of `passages` (Q, K) that hold it."""
    own = (passages == batch.group[:, None]) & ~batch.null[:, None]
    return own[:, :, None] & batch.starts[:, None]


def _targets(batch: Batch, slots: Tensor) -> Tensor:
    return _right(batch, slots[batch.group]).flatten(1)


def _start_loss(scores: Tensor, right: Tensor) -> Tensor:
    """Loss for any right start, or for null (the last score) where there is none."""
    right = torch.cat((right, ~right.any(1, keepdim=True)), dim=1)
    return (scores.logsumexp(1) - scores.masked_fill(~right, -1e9).logsumexp(1)).mean()


def _second_start_scores(
    network: TorchNetwork, answer: Tensor, states: Tensor, content: Tensor
) -> Tensor:
    scores = network.start_scores(answer[:, None], states.flatten(1, 2))[:, 0]
    relevance = network.relevance_scores(states[:, :, 0]).repeat_interleave(states.shape[2], 1)
    scores = (scores + relevance).masked_fill(~content.flatten(1), -1e9)
    return torch.cat((scores, network.second_null_score(answer)), 1)


def _end_scores(
    network: TorchNetwork, batch: Batch, answer: Tensor, states: Tensor, passages: Tensor
) -> Tensor:
    own = (passages == batch.group[:, None]) & ~batch.null[:, None]
    rows, slots = own.nonzero(as_tuple=True)
    context, content = states[rows, slots], batch.content_mask[batch.group[rows]]
    reach = batch.first[rows, None] + torch.arange(MAX_SPAN_TOKENS, device=rows.device)
    inside = reach < context.shape[1]
    reach = reach.clamp(max=context.shape[1] - 1)
    following = context[torch.arange(len(rows), device=rows.device)[:, None], reach]
    # the span ends before the first position that is not content: [SEP] or padding
    inside &= content.gather(1, reach).cummin(1).values
    scores = network.end_scores(answer[rows], following[:, 0], following)
    return scores.masked_fill(~inside, -1e9)


def _end_loss(batch: Batch, ends: Tensor) -> Tensor:
    target = (batch.length[~batch.null] - 1).clamp(max=MAX_SPAN_TOKENS - 1)
    return F.nll_loss(ends, target) if len(ends) else ends.sum()


def _writing_loss(network: TorchNetwork, batch: Batch, states: Tensor, passages: Tensor) -> Tensor:
    """Loss of the answer as written or copied: one softmax over vocabulary and own passage."""
    rows, steps = (batch.answers != -100).nonzero(as_tuple=True)
    if not len(rows):
        return states.sum() * 0
    group = batch.group[rows]
    state = states[group, batch.mask_at[rows] + steps]
    target = batch.answers[rows, steps]
    write = network.vocabulary_scores(state)
    copy = network.start_scores(state[:, None], passages[group])[:, 0]
    copy = copy.masked_fill(~batch.content_mask[group], -1e9)
    at = (batch.first[rows] + steps).clamp(max=copy.shape[1] - 1)
    copied = copy.gather(1, at[:, None])[:, 0]
    copied = copied.masked_fill(steps >= batch.length[rows], -1e9)
    written = write.gather(1, target[:, None])[:, 0]
    right = torch.logaddexp(written, copied)
    return (torch.cat((write, copy), 1).logsumexp(1) - right).mean()
