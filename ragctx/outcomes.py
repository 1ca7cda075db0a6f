"""How a question can end, and why there may be no answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

UNREAD = ("empty_index", "no_text", "nothing_found", "below_min_score", "language")
"""Reasons for which nothing was read: there are no documents, or none with text; no passage was
found, or none with the score asked for; the model does not know the question's language."""

NO_ANSWER = ("thought_only", "cut", "empty", "refused", "tool_call")
"""Reasons for which the model did not answer, whatever the documents hold: it only thought, was cut
before its first word, wrote nothing, would not answer, or called a tool."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no answer, as a name and as a sentence with what to do about it."""

    reason: str  # one of `ragctx.refusals.REASONS`
    message: str


Outcome = Literal["sure", "unsure", "not_in_documents", "not_read", "no_answer", "answered"]
"""How a question ended.

- `sure`: with an answer to rely on.
- `unsure`: with the best guess; `Answer.alternatives` are others.
- `not_in_documents`: documents were read and do not hold the answer.
- `not_read`: nothing was read; `Answer.refusal` tells why.
- `no_answer`: the model did not answer, whatever the documents hold; `Answer.refusal` tells why.
- `answered`: with the answer of a model that does not tell how sure it is.
"""
