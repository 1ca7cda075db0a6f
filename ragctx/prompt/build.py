"""Build a prompt as segments of token ids whose counts add up exactly.

Every part of a prompt is tokenised on its own and the ids are concatenated. The template's text
goes through `encode_markup`; document text, document names and the question, which somebody else
wrote, through `encode`. So nothing inside a PDF can open or close a segment, or put a chat
template's tokens into the prompt.

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
from ragctx.headers import section_words
from ragctx.prompt.frame import Frame, build_frame, count_tokens
from ragctx.prompt.template import Part, Template, without
from ragctx.prompt.window import share_window
from ragctx.records import Hit, LedgerRow, Placement, Prompt, Segment
from ragctx.tokens.tokenizer import Tokenizer


def passage_costs(
    template: Template,
    hits: Sequence[Hit],
    tokenizer: Tokenizer,
    count: Callable[[str], int] | None = None,
    *,
    room_tokens: int | None = None,
) -> list[int]:
    """Tokens each hit costs in the prompt, header and markers included, wherever it is placed.

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
    """The parts around a passage, and the indices of the hits that get them: see `_passage_parts`.

    Most often all get the same.
    """
    groups: dict[frozenset[str], list[int]] = {}
    for i, hit in enumerate(hits):
        groups.setdefault(_unknown(hit), []).append(i)
    for unknown, members in groups.items():
        yield (*template.header, *without(unknown, template.passage)), members


def _passage_parts(template: Template, hit: Hit) -> Sequence[Part]:
    """The template's parts for a passage, without what is not known of it."""
    unknown = _unknown(hit)
    return without(unknown, template.passage) if unknown else template.passage


def _unknown(hit: Hit) -> frozenset[str]:
    """The slots for which there is nothing."""
    known = {"pages": hit.chunk.first_page is not None, "section": bool(hit.chunk.section)}
    return frozenset(slot for slot, is_known in known.items() if not is_known)


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
        count_name = cache(lambda name: tokenizer.count(_one_line(name)))
        return map(count_name, (hit.document for hit in hits))
    return map(cache(tokenizer.count), map(_SLOTS[slot], hits))


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
    passages = _passages(frame.template, placement.hits, tokenizer)
    room = frame.room_tokens
    over = count_tokens(passages) - room
    if over > 0:
        raise BudgetError(
            f"{len(passages)} passages are {over} tokens over: they take {room + over}, and {room} "
            "are left beside template and question. Select with passage_costs first, or "
            f"{frame.window.remedies(over)}."
        )
    prompt = Prompt(
        segments=(*frame.before, *passages, *frame.after),
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
    encode = tokenizer.encode_markup if tokenizer.chat_frame else tokenizer.encode
    tokens = len(encode(prompt.text))
    if tokens > prompt.budget_tokens:
        over = tokens - prompt.budget_tokens
        raise BudgetError(
            f"As text the prompt takes {tokens} tokens, {over} more than its budget of "
            f"{prompt.budget_tokens} (as segments {prompt.token_count}). Lower --budget-tokens by "
            f"{over} and leave --context-window as it is."
        )
    return tokens


# ---- Segments --------------------------------------------------------------------------------


def _name(hit: Hit) -> str:
    return _one_line(hit.document)


def _one_line(name: str) -> str:
    return " ".join(name.split()) or "untitled"  # whatever the file is called


def _pages(hit: Hit) -> str:
    first, last = hit.chunk.first_page, hit.chunk.last_page
    return str(first) if first == last else f"{first}-{last}"


def _section(hit: Hit) -> str:
    return " ".join(section_words(hit.chunk).split())


def _lead_in(hit: Hit) -> str:
    return f"{hit.chunk.lead_in}\n" if hit.chunk.lead_in else ""


_SLOTS: dict[str, Callable[[Hit], str]] = {
    "text": lambda hit: hit.chunk.text,
    "document": _name,
    "section": _section,
    "pages": _pages,
    "lead_in": _lead_in,
}


def _passages(template: Template, hits: Sequence[Hit], tokenizer: Tokenizer) -> list[Segment]:
    """A segment for each hit; consecutive passages of a document share one header."""
    markup, plain = cache(tokenizer.encode_markup), cache(tokenizer.encode)  # for this prompt
    segments = []
    before = None
    for position, hit in enumerate(hits, start=1):
        document = hit.chunk.document_id, hit.document
        header = template.header if document != before else ()
        parts = (*header, *_passage_parts(template, hit))
        segments.append(_passage(parts, hit, str(position), plain, markup))
        before = document
    return segments


def _passage(
    parts: Iterable[Part],
    hit: Hit,
    label: str,
    encode: Callable[[str], list[int]],
    encode_markup: Callable[[str], list[int]],
) -> Segment:
    text = ""
    token_ids: list[int] = []
    start = end = (0, 0)
    for part in parts:
        here = len(text), len(token_ids)
        if part.slot:
            piece = _SLOTS[part.slot](hit)
            token_ids += encode(piece)
        else:
            piece = part.with_label(label)
            token_ids += encode_markup(piece)
        text += piece
        if part.slot == "text":
            start, end = here, (len(text), len(token_ids))
    return Segment(
        kind="passage",
        label=label,
        text=text,
        token_ids=tuple(token_ids),
        hit=hit,
        text_start=start[0],
        text_end=end[0],
        token_start=start[1],
        token_end=end[1],
    )
