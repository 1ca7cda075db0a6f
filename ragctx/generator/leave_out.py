"""A prompt without some of its passages, all else as it was."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ragctx.records import Prompt


def with_passages(prompt: Prompt, numbers: Collection[int]) -> Prompt:
    """The prompt with only the passages of these numbers, counted from 0; labels stay."""
    passages = 0
    segments = []
    for segment in prompt.segments:
        if segment.kind != "passage":
            segments.append(segment)
            continue
        if passages in numbers:
            segments.append(segment)
        passages += 1
    return replace(prompt, segments=tuple(segments))
