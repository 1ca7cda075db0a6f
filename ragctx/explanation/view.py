"""An explanation as a JSON object whose names are an interface, and in words for people."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from ragctx.file_formats import unit_of
from ragctx.text.wording import counted
from ragctx.views import View, certificate_view, ledger_row_view

if TYPE_CHECKING:
    from ragctx.explanation.fates import Explanation, Fate


def fate_view(fate: Fate) -> View:
    """The JSON object of one candidate: its ledger row, and where it is from."""
    chunk = fate.hit.chunk
    return {
        **ledger_row_view(fate.row),
        "label": fate.label,
        "tokens_to_enter": fate.tokens_to_enter,
        "path": fate.hit.path,
        "first_page": chunk.first_page,
        "last_page": chunk.last_page,
        "unit": unit_of(fate.hit.document),
        "start": chunk.start,
        "end": chunk.end,
    }


def explanation_view(explained: Explanation) -> View:
    """The JSON object of `ragctx explain --json`."""
    prompt = explained.prompt
    return {
        "question": prompt.question,
        "placement": prompt.placement,
        "certificate": certificate_view(prompt.certificate),
        "room_tokens": explained.room_tokens,
        "used_tokens": explained.used_tokens,
        "saved_tokens": prompt.saved_tokens,
        "relevance": explained.relevance,
        "upper_bound": explained.upper_bound,
        "gap": explained.gap,
        "score_name": explained.score_name,
        "candidates": [fate_view(fate) for fate in explained.fates],
        "frontier": [
            {"tokens": tokens, "relevance": relevance} for tokens, relevance in explained.frontier
        ],
        "imitated_labels": [asdict(imitation) for imitation in explained.imitations],
    }


def entry_words(fate: Fate) -> str:
    """How many more tokens would let a candidate in; "" if it is in, or if that is not known.

    >>> from ragctx.explanation.fates import Fate
    >>> from ragctx.records import Hit, LedgerRow
    >>> row = LedgerRow("c", "a.pdf", 2, 0.5, 9, "dropped", "does not fit")
    >>> entry_words(Fate(row=row, hit=Hit.from_text(2, 0.5, "text"), label="", tokens_to_enter=1))
    'with 1 more token it enters'
    """
    if fate.tokens_to_enter is None:
        return ""
    whole = " whole" if fate.row.outcome == "trimmed" else ""
    return f"with {counted(fate.tokens_to_enter, 'more token')} it enters{whole}"


def imitation_words(explained: Explanation) -> list[str]:
    """A line for each passage whose own text contains labels of other passages."""
    imitated: dict[str, dict[str, None]] = {}  # passage -> its labels, each once, in order
    for imitation in explained.imitations:
        if not imitation.own:
            imitated.setdefault(imitation.passage, {})[f"[{imitation.label}]"] = None
    return [
        f"passage [{passage}] itself says {', '.join(labels)}: a reader may take that for a source"
        for passage, labels in imitated.items()
    ]


def selection_words(explained: Explanation) -> str:
    """How much of the room is used, and how close to the best the selection is."""
    percent = 100 * explained.gap
    gap = f"at most {percent:.1f} % below the best that fits"
    if percent < 0.05:  # it would be shown as 0.0
        gap = "the most that fits"
    return (
        f"{explained.used_tokens:,} of {explained.room_tokens:,} tokens for passages are used; "
        f"summed relevance {explained.relevance:.2f}, {gap}"
    )
