"""The kinds of question that can be made from an index; see `drafts` for how each is made."""

from __future__ import annotations

KINDS = ("recurring", "turned", "cloze")
"""From hard to easy for a reader that only matches strings; they take turns in this order."""
