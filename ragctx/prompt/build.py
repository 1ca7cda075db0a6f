"""Build a prompt as segments of token ids whose counts add up exactly.

The segments' ids, one after another, are the prompt: each is tokenised on its own, or, for a model
that was trained on whole texts, gets its share of the joined text's tokens (`prompt.segments`).
Special tokens are read in the template's text alone. Document text, document names and the
question, which somebody else wrote, give none. So nothing inside a PDF can open or close a segment,
or put a chat template's tokens into the prompt.

A passage may still *contain* "[2] (other.pdf, p. 3)", which a model reads as text. It is kept word
for word all the same, because citations are checked against the document. What holds is: labels and
sources are declared by the segments and never read from the text; a document's name is put on one
line; a statement cited to the wrong passage fails the check of its quote; and `imitation` finds
such passages.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import accumulate
from operator import add

from ragctx.errors import BudgetError
from ragctx.prompt.frame import Frame, build_frame, count_tokens
from ragctx.prompt.segments import (
    SLOTS,
    Known,
    known_of,
    laid_out,
    one_line_name,
    passage_parts,
)
from ragctx.prompt.template import Part, Template
from ragctx.prompt.window import share_window
from ragctx.records import Hit, LedgerRow, Placement, Prompt
from ragctx.tokens.tokenizer import JoinsParts, TextPart, Tokenizer, within_text


def passage_costs(
    template: Template,
    hits: Sequence[Hit],
    tokenizer: Tokenizer,
    count: Callable[[str], int] | None = None,
    *,
    room_tokens: int | None = None,
) -> list[int]:
    """Tokens each hit costs in the prompt, header and markers included, wherever it is placed.

    For a tokenizer that reads the prompt as one text (`JoinsParts`) it is an estimate, most often
    some tokens too high: there the parts of a passage take fewer tokens than each on its own.

    A hit's place is not known yet. Its label is its position, and "10" may cost more than "9": the
    cost is that with the costliest label among 1 … len(hits), and no higher. A document's header is
    counted for each of its passages, though passages side by side share one.

    Args:
        template: what surrounds each passage.
        hits: the candidates.
        tokenizer: the generator's.
        count: tokens of a passage's text, if you know them already; default `tokenizer.count`.
        room_tokens: if given, labels are counted only up to the number of passages that can fit.

    >>> from ragctx.prompt.template import load_template
    >>> from ragctx.tokens.load import load_tokenizer
    >>> hits = [Hit.from_text(1, 0.9, "Tin melts at 232 degrees.")]
    >>> passage_costs(load_template("reader"), hits, load_tokenizer("bundled"))
    [9]
    """
    tokenizer = within_text(tokenizer)
    costs = [0] * len(hits)
    layouts = []
    for parts, members in _by_layout(template, hits):
        alike = [hits[i] for i in members]
        for i, cost in zip(members, _unlabelled(parts, alike, tokenizer, count), strict=True):
            costs[i] = cost
        layouts.append(([part for part in parts if part.has_label], members))
    most = len(hits) if room_tokens is None else _most_that_fit(costs, room_tokens)
    for labelled, members in layouts:
        label = _costliest_label(labelled, most, tokenizer)
        for i in members:
            costs[i] += label
    return costs


def _by_layout(
    template: Template, hits: Sequence[Hit]
) -> Iterator[tuple[Sequence[Part], Sequence[int]]]:
    """The parts around a passage, and the indices of the hits that get them: see `passage_parts`.

    Most often all get the same.
    """
    groups: dict[Known, list[int]] = {}
    for i, hit in enumerate(hits):
        groups.setdefault(known_of(hit), []).append(i)
    for known, members in groups.items():
        yield (*template.header, *passage_parts(template, known)), members


def _unlabelled(
    parts: Sequence[Part],
    hits: Sequence[Hit],
    tokenizer: Tokenizer,
    count: Callable[[str], int] | None,
) -> list[int]:
    """Tokens of each hit in these parts, without the parts that hold the label."""
    fixed = sum(len(tokenizer.encode_markup(p.text)) for p in parts if not (p.slot or p.has_label))
    costs = [fixed] * len(hits)
    for part in parts:
        if part.slot == "text":
            counts = map(count or tokenizer.count, (hit.chunk.text for hit in hits))
            costs = list(map(add, costs, counts))
        elif part.slot:
            costs = list(map(add, costs, _slot_counts(part.slot, hits, tokenizer)))
    return costs


def _most_that_fit(costs: Sequence[int], room_tokens: int) -> int:
    """How many passages there can be at most; one at least, so that even that has a cost."""
    return max(1, bisect_right(list(accumulate(sorted(costs))), room_tokens))


def _costliest_label(parts: Sequence[Part], most: int, tokenizer: Tokenizer) -> int:
    """Tokens of the parts that hold the label, under the costliest of 1 … most."""
    labels = [str(label) for label in range(1, most + 1)]
    counts = [map(len, map(tokenizer.encode_markup, map(p.with_label, labels))) for p in parts]
    return max(map(sum, zip(*counts, strict=True)), default=0)


def _slot_counts(slot: str, hits: Sequence[Hit], tokenizer: Tokenizer) -> Iterator[int]:
    """Tokens of a slot of the header for each hit; equal names and pages are counted once."""
    if slot == "document":
        count_name = cache(lambda name: tokenizer.count(one_line_name(name)))
        return map(count_name, (hit.document for hit in hits))
    return map(cache(tokenizer.count), map(SLOTS[slot], hits))


def build_prompt(
    template: Template,
    question: str,
    placement: Placement,
    tokenizer: Tokenizer,
    *,
    context_window: int,
    max_new_tokens: int,
    budget_tokens: int | None = None,
    ledger: Iterable[LedgerRow] = (),
) -> Prompt:
    """The prompt of a placement: segments of token ids, labels 1, 2, … in prompt order.

    What comes back was counted once more as it will be sent: its ids, or, for a model behind an
    API, its text.

    Args:
        template: the text around the passages.
        question: takes the place of {question} in the template; not blank.
        placement: the passages in prompt order.
        tokenizer: the generator's.
        context_window: tokens the model holds at once, prompt and answer together.
        max_new_tokens: reserved for the answer.
        budget_tokens: bound of the whole prompt; default all that the answer leaves.
        ledger: what became of all candidates, to be kept with the prompt.

    Raises:
        InputError: the question is blank, a number is not positive, or they do not fit in the
            window together.
        BudgetError: the passages do not fit; the message tells by how many tokens.

    >>> from ragctx.placement.strategies import place
    >>> from ragctx.prompt.template import load_template
    >>> from ragctx.tokens.load import load_tokenizer
    >>> placement = place([Hit.from_text(1, 0.9, "Tin melts at 232 degrees.")])
    >>> prompt = build_prompt(
    ...     load_template("reader"),
    ...     "When does tin melt?",
    ...     placement,
    ...     load_tokenizer("bundled"),
    ...     context_window=64,
    ...     max_new_tokens=16,
    ... )
    >>> prompt.text
    '[CLS]Tin melts at 232 degrees.[SEP]When does tin melt?[SEP][MASK]'
    >>> [(segment.kind, len(segment.token_ids)) for segment in prompt.segments]
    [('passage', 9), ('question', 5), ('instruction', 2)]
    >>> prompt.certificate.slack_tokens
    32
    """
    window = share_window(context_window, max_new_tokens, budget_tokens)
    frame = build_frame(template, question, tokenizer, window)
    return fill_frame(frame, placement, tokenizer, ledger=ledger)


def fill_frame(
    frame: Frame,
    placement: Placement,
    tokenizer: Tokenizer,
    *,
    ledger: Iterable[LedgerRow] = (),
    saved_tokens: int = 0,
) -> Prompt:
    """The prompt of a placement, in a frame that was tokenised before; see `build_prompt`.

    Raises:
        BudgetError: the passages do not fit; the message tells by how many tokens.
    """
    segments = laid_out(frame, placement.hits, tokenizer)
    over = count_tokens(segments) - frame.window.budget_tokens
    if over > 0:
        passages = [segment for segment in segments if segment.kind == "passage"]
        taken = count_tokens(passages)
        raise BudgetError(
            f"{len(passages)} passages are {over} tokens over: they take {taken}, and "
            f"{taken - over} are left beside template and question. Select with passage_costs "
            f"first, or {frame.window.remedies(over)}.",
            over_tokens=over,
        )
    prompt = Prompt(
        segments=segments,
        question=frame.question,
        placement=placement.strategy,
        context_window=frame.window.context_window,
        max_new_tokens=frame.window.max_new_tokens,
        budget_tokens=frame.window.budget_tokens,
        ledger=tuple(ledger),
        saved_tokens=saved_tokens,
    )
    if tokenizer.retokenised:
        return replace(prompt, text_tokens=check_text_count(prompt, tokenizer))
    return prompt


def check_text_count(prompt: Prompt, tokenizer: Tokenizer) -> int:
    """Tokens of the joined text, for whoever sends text to an API that tokenises it again.

    Joined text may take other tokens than its segments did. A text with a chat frame is read with
    its special tokens, any other as plain text.

    Raises:
        BudgetError: the text takes more than the prompt's budget.
    """
    if isinstance(tokenizer, JoinsParts) and tokenizer.joins_parts:
        [token_ids] = tokenizer.encode_parts([TextPart(prompt.text, True)])
    else:
        encode = tokenizer.encode_markup if tokenizer.chat_frame else tokenizer.encode
        token_ids = encode(prompt.text)
    tokens = len(token_ids)
    if tokens > prompt.budget_tokens:
        over = tokens - prompt.budget_tokens
        raise BudgetError(
            f"As text the prompt takes {tokens} tokens, {over} more than its budget of "
            f"{prompt.budget_tokens} (as segments {prompt.token_count}). Lower --budget-tokens by "
            f"{over} and leave --context-window as it is.",
            over_tokens=over,
        )
    return tokens
