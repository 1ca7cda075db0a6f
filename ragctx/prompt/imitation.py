"""Passages whose own text contains what looks like a label of this prompt, such as "[2]".

A paper's own references look so, and a forger's text may. The words of a document are never
changed, because citations are checked against them, and no mark around a passage is beyond the
reach of a model that reads only text. What ragctx relies on instead: labels are declared by
segments and never read from text, and a statement cited as [2] must be found in passage 2, whatever
passage 1 says about itself. What can be done besides is to tell the reader of an answer where the
model may have been misled: that is `imitated_labels`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ragctx.records import Prompt

_BRACKETS = re.compile(r"[\[【]\s*(\d{1,4}(?:\s*[,;–-]\s*\d{1,4})*)\s*[\]】]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImitatedLabel:
    """The text of passage `passage` contains `label`, at characters `start` to `end`."""

    passage: str
    label: str
    start: int
    end: int

    @property
    def own(self) -> bool:
        """Whether it is the label that the passage has."""
        return self.passage == self.label


def imitated_labels(prompt: Prompt) -> tuple[ImitatedLabel, ...]:
    """Every place where a passage's text names a label that this prompt has.

    Numbers in square brackets or 【】 count, also within a list ("[2, 5]").

    >>> from ragctx.records import Hit, Segment
    >>> hit = Hit.from_text(1, 0.9, "As shown before [1], tin melts.")
    >>> segment = Segment(
    ...     kind="passage",
    ...     label="1",
    ...     text=hit.chunk.text,
    ...     token_ids=(),
    ...     hit=hit,
    ...     text_start=0,
    ...     text_end=len(hit.chunk.text),
    ... )
    >>> found = imitated_labels(
    ...     Prompt(
    ...         segments=(segment,),
    ...         question="Does it?",
    ...         placement="edges",
    ...         context_window=99,
    ...         max_new_tokens=9,
    ...         budget_tokens=90,
    ...     )
    ... )
    >>> found[0].label, hit.chunk.text[found[0].start : found[0].end]
    ('1', '[1]')
    """
    labels = {segment.label for segment in prompt.passages}
    return tuple(
        ImitatedLabel(passage=segment.label, label=label, start=group.start(), end=group.end())
        for segment in prompt.passages
        for group in _BRACKETS.finditer(segment.own_text)
        for label in re.findall(r"\d+", group[1])
        if label in labels
    )
