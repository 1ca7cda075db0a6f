"""An explanation as a JSON object with documented names, and in words for people."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from ragctx.views import View, certificate_view, counted, ledger_row_view

if TYPE_CHECKING:
    from ragctx.explanation.fates import Explanation, Fate


def fate_view(fate: Fate) -> View:
    """What became of one candidate."""
    chunk = fate.hit.chunk
    return {
        **ledger_row_view(fate.row),
        "label": fate.label,
        "tokens_to_enter": fate.tokens_to_enter,
        "path": fate.hit.path,
        "first_page": chunk.first_page,
        "last_page": chunk.last_page,
        "start": chunk.start,
        "end": chunk.end,
    }


def explanation_view(explained: Explanation) -> View:
    """What `ragctx explain --json` gives."""
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
        "candidates": [fate_view(fate) for fate in explained.fates],
        "frontier": [
            {"tokens": tokens, "relevance": relevance} for tokens, relevance in explained.frontier
        ],
        "imitated_labels": [asdict(one) for one in explained.imitations],
    }


def entry_words(fate: Fate) -> str:
    """What would let a candidate in; "" where that is not known or it is in.

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
    """A line for each passage that says labels of other passages."""
    said: dict[str, dict[str, None]] = {}
    for one in explained.imitations:
        if not one.own:
            said.setdefault(one.passage, {})[f"[{one.label}]"] = None
    return [
        f"passage [{passage}] itself says {', '.join(labels)}: a reader may take that for a source"
        for passage, labels in said.items()
    ]


def selection_words(explained: Explanation) -> str:
    """How much of the room is used, and how near the best the selection is."""
    gap = 100 * explained.gap
    near = "the most that fits" if gap < 0.05 else f"at most {gap:.1f} % below the best that fits"
    return (
        f"{explained.used_tokens:,} of {explained.room_tokens:,} tokens for passages are used; "
        f"summed relevance {explained.relevance:.2f}, {near}"
    )
