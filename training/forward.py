"""The training forward pass: the inference graph, batched. Each passage is encoded once a step.

The questions of one passage form a group: they stand behind the same layout of passages, in one row
of tokens, each seeing itself and the passages. A question whose own passage was left out does not
see it, which leaves a gap in its positions, as a longer prompt would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ragctx.generator.reader.network import MAX_SPAN_TOKENS, Asked, Encoded, ReaderNetwork
from ragctx.generator.reader.rope import rotate
from ragctx.transformer import attend
from training.data import CLS, PAD, SEP, Passage

LOOKED = 2
"""Passages that each question looks at a second time in training."""


@dataclass(kw_only=True)
class Batch:
    """G passages of at most L tokens. Group g asks Q questions in all about passage g.

    A group reads C slots; its questions stand in one row of at most M tokens.
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
    begins: Tensor  # (Q,): where its first token stands in the group's row
    mask_at: Tensor  # (Q,): where its [MASK] stands
    null: Tensor  # (Q,): True where its own passage was left out
    starts: Tensor  # (Q, L): True at the answer's possible first tokens in its own passage
    first: Tensor  # (Q,): one of them
    length: Tensor  # (Q,): tokens of the answer that starts there
    answers: Tensor  # (Q, A): vocabulary ids of the answer and [SEP], pad = -100

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        return Batch(**{name: part.to(device) for name, part in vars(self).items()})


@dataclass(kw_only=True)
class Losses:
    """Mean losses of a batch: the first look's start, the second's start and end, the writing.

    `imitation` is how far the second look is from a teacher's, 0 without one.
    """

    start: Tensor
    start_again: Tensor
    end: Tensor
    writing: Tensor
    imitation: Tensor


class Scores(NamedTuple):
    """What the second look says, as log-probabilities; -1e9 or so where nothing may stand."""

    starts: Tensor  # (Q, K * L + 1): of each position of the passages looked at, and of null
    ends: (
        Tensor  # (R, MAX_SPAN_TOKENS): for the R questions that see their passage, given the start
    )


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
    """Inside, nothing is rounded to 16 bits."""
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


def encode(network: ReaderNetwork, ids: Tensor, mask: Tensor) -> Encoded:
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
    return Encoded(keys=(*keys, k), values=(*values, v), early=early, states=states)


def rows_of(x: Tensor, at: Tensor) -> Tensor:
    """`x[at]`, whose backward pass is several times faster this way on CPUs."""
    return x.index_select(0, at.flatten()).view(*at.shape, *x.shape[1:])


def read_mask(batch: Batch) -> Tensor:
    """(G, M, C * L + M): which passage tokens and which of the row's own tokens each token sees."""
    own = batch.slots == torch.arange(len(batch.slots), device=batch.slots.device)[:, None]
    seen = ~(own[:, None] & batch.blind[:, :, None])  # (G, M, C)
    far = seen[..., None] & batch.passage_mask[batch.slots][:, None]
    same = batch.owner[:, :, None] == batch.owner[:, None]
    causal = torch.ones_like(same).tril()
    return torch.cat((far.flatten(2), same & (batch.asking[:, None] | causal)), 2)


def read(network: ReaderNetwork, encoded: Encoded, batch: Batch) -> Asked:
    """The states (G, M, width) of the questions' tokens over the passages they see."""
    within = torch.arange(batch.passages.shape[1], device=batch.places.device)
    places = batch.places[:, :, None] + within
    far = network.rotation(places.flatten(1)[:, None])
    near = network.rotation(batch.positions[:, None])
    mask = read_mask(batch)[:, None]

    def pick(x: Tensor) -> Tensor:  # (G, heads, L, d) -> (G, heads, C * L, d)
        return rows_of(x, batch.slots).transpose(1, 2).flatten(2, 3)

    states = network.embeddings(batch.tokens)
    before = [states]
    for i, layer in enumerate(network.shared()):
        q, k, v = layer.project(states)
        keys = rotate(pick(encoded.keys[i]), *far), rotate(k, *near)
        values = torch.cat((pick(encoded.values[i]), v), 2)
        attended = attend(rotate(q, *near), torch.cat(keys, 2), values, mask)
        states = layer.finish(states, attended)
        before.append(states)
    return network.asked(before)


def seen_slots(batch: Batch) -> Tensor:
    """(Q, C): which of its group's slots each question sees."""
    own = batch.slots[batch.group] == batch.group[:, None]
    return ~(own & batch.null[:, None])


def choose_looked(scores: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """The slots (Q, K) each question looks at again, and which of them are real.

    The likeliest of those it sees by the first look's `scores` (Q, C, L); its own is always one.
    """
    best = scores.detach().amax(2)
    own = batch.slots[batch.group] == batch.group[:, None]
    best = best.masked_fill(own & ~batch.null[:, None], 1e30)
    looked = best.topk(min(LOOKED, best.shape[1]), dim=1).indices
    return looked, seen_slots(batch).gather(1, looked)


def question_rows(states: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """(Q, longest, width): each question's states up to its [MASK]; and their mask."""
    sizes = batch.mask_at - batch.begins + 1
    at = torch.arange(int(sizes.max()), device=states.device)
    columns = (batch.begins[:, None] + at).clamp(max=states.shape[1] - 1)
    flat = batch.group[:, None] * states.shape[1] + columns
    return rows_of(states.flatten(0, 1), flat), at[None] < sizes[:, None]


def losses(
    network: ReaderNetwork, batch: Batch, writing: bool, teacher: ReaderNetwork | None = None
) -> Losses:
    """Start over positions and null at both looks, end given the start, and the written answer.

    A `teacher` looks at the same passages; its second look is to be imitated.
    """
    encoded = encode(network, batch.passages, batch.passage_mask)
    asked = read(network, encoded, batch)
    answer = asked.last[batch.group, batch.mask_at]
    with in_full(batch):
        first = _first_scores(network, batch, answer.float(), encoded.states.float())
        first_starts = torch.cat((first.flatten(1), network.null_score(answer.float())), 1)
        start = _start_loss(first_starts, _targets(batch, batch.slots))
    looked, real = choose_looked(first, batch)
    passages = batch.slots[batch.group].gather(1, looked)  # (Q, K)
    again = second_look(
        network=network, batch=batch, encoded=encoded, asked=asked, passages=passages, real=real
    )
    right = (_right(batch, passages) & real[:, :, None]).flatten(1)
    written = imitation = start.new_zeros(())
    if writing:
        with in_full(batch):
            written = _writing_loss(network, batch, asked.last.float(), encoded.states.float())
    if teacher is not None:
        imitation = distance(again, taught(teacher, batch, passages, real))
    return Losses(
        start=start,
        start_again=_start_loss(again.starts, right),
        end=_end_loss(batch, again.ends),
        writing=written,
        imitation=imitation,
    )


@torch.no_grad()
def taught(teacher: ReaderNetwork, batch: Batch, passages: Tensor, real: Tensor) -> Scores:
    """A teacher's second look at the same passages."""
    encoded = encode(teacher, batch.passages, batch.passage_mask)
    return second_look(
        network=teacher,
        batch=batch,
        encoded=encoded,
        asked=read(teacher, encoded, batch),
        passages=passages,
        real=real,
    )


def distance(student: Scores, teacher: Scores) -> Tensor:
    """Kullback-Leibler divergence from the teacher's starts and ends (Hinton et al. 2015)."""
    starts, ends = (
        F.kl_div(own, theirs, reduction="batchmean", log_target=True) if len(own) else own.sum()
        for own, theirs in zip(student, teacher, strict=True)
    )
    return starts + ends


def second_look(
    network: ReaderNetwork,
    batch: Batch,
    encoded: Encoded,
    asked: Asked,
    passages: Tensor,
    real: Tensor,
) -> Scores:
    """Where each question's answer starts, in the `passages` (Q, K) that are `real`, and ends."""
    again = look_again(network, batch, encoded, asked, passages)
    with in_full(batch):
        answer, again = asked.last[batch.group, batch.mask_at].float(), again.float()
        content = batch.content_mask[passages] & real[:, :, None]
        starts = _again_scores(network, answer, again, content)
        ends = _end_scores(network, batch, answer, again, passages)
        return Scores(starts.log_softmax(1), ends.log_softmax(1))


def look_again(
    network: ReaderNetwork, batch: Batch, encoded: Encoded, asked: Asked, passages: Tensor
) -> Tensor:
    """(Q, K, L, width): the looked-at passages after they have seen the question.

    What `network.look_again` gives, computed without padding outside of attention.
    """
    flat = passages.flatten()
    mask = batch.passage_mask[flat]
    packing = Packing(mask)
    states = packing.pack(encoded.early.index_select(0, flat))
    for layer, question in zip(network.live(), asked.seen.unbind(-3), strict=True):
        rows, rows_mask = question_rows(question, batch)
        times = passages.shape[1]
        asked_k, asked_v = (part.repeat_interleave(times, 0) for part in layer.keys_values(rows))
        near, after = rotations_again(network, mask, rows.shape[1])
        q, k, v = map(packing.pad_heads, layer.project(states))
        keys = torch.cat((rotate(k, *near), rotate(asked_k, *after)), 2)
        visible = torch.cat((mask, rows_mask.repeat_interleave(times, 0)), 1)[:, None, None]
        attended = attend(rotate(q, *near), keys, torch.cat((v, asked_v), 2), visible)
        states = layer.finish(states, packing.pack_heads(attended))
    again = packing.pad(states)
    return again.view(*passages.shape, *again.shape[1:])


def rotations_again(
    network: ReaderNetwork, mask: Tensor, question_tokens: int
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Rotations of the second look: of chunks (B, T), and of a question right behind each."""
    near = network.rotation(torch.arange(mask.shape[1], device=mask.device))
    follow = torch.arange(question_tokens, device=mask.device)
    return near, network.rotation((mask.sum(1, keepdim=True) + follow)[:, None])


def _first_scores(network: ReaderNetwork, batch: Batch, answer: Tensor, states: Tensor) -> Tensor:
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
    """Of any right start, or of null (the last score) where there is none."""
    right = torch.cat((right, ~right.any(1, keepdim=True)), dim=1)
    return (scores.logsumexp(1) - scores.masked_fill(~right, -1e9).logsumexp(1)).mean()


def _again_scores(network: ReaderNetwork, answer: Tensor, again: Tensor, content: Tensor) -> Tensor:
    scores = network.start_scores(answer[:, None], again.flatten(1, 2))[:, 0]
    worth = network.relevance_scores(again[:, :, 0]).repeat_interleave(again.shape[2], 1)
    scores = (scores + worth).masked_fill(~content.flatten(1), -1e9)
    return torch.cat((scores, network.null_again_score(answer)), 1)


def _end_scores(
    network: ReaderNetwork, batch: Batch, answer: Tensor, again: Tensor, passages: Tensor
) -> Tensor:
    own = (passages == batch.group[:, None]) & ~batch.null[:, None]
    rows, slots = own.nonzero(as_tuple=True)
    context, content = again[rows, slots], batch.content_mask[batch.group[rows]]
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


def _writing_loss(network: ReaderNetwork, batch: Batch, states: Tensor, passages: Tensor) -> Tensor:
    """Written or copied, one softmax over the vocabulary and the question's own passage."""
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
