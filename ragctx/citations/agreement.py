"""Whether two documents answer a question in the same words, but differently."""

from __future__ import annotations

from ragctx.citations.support import ReadText
from ragctx.records import Citation

SHARED = 0.6
"""Share of the content words, of either sentence, from which two say the same but for the answer.
Chosen by hand: "The notice period is 30 days" against "60 days" has all of them, sentences that are
about the same thing about a third."""

FEWEST = 2
"""Content words around the answers, from which sharing them tells anything. Chosen by hand."""


def is_conflict(one: Citation, other: Citation) -> bool:
    """Whether two quotes of two documents are alike but for what each cites as the answer.

    Both must be verified, and in each it must be known which words are the answer.
    """
    if one.path == other.path or {one.status, other.status} != {"verified"}:
        return False
    these, those = _around(one), _around(other)
    return min(len(these), len(those)) >= FEWEST and len(these & those) >= SHARED * max(
        len(these), len(those)
    )


def _around(citation: Citation) -> frozenset[str]:
    """The content words of the quote that are not the answer."""
    if citation.answer_start is None or citation.answer_end is None:
        return frozenset()
    begin, stop = citation.answer_start - citation.start, citation.answer_end - citation.start
    return ReadText(f"{citation.quote[:begin]} | {citation.quote[stop:]}").keys
