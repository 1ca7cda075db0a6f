"""What of a prompt the bundled reader reads: its passages one after another, then the question."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

from ragctx.errors import TemplateError
from ragctx.generator.reader.passages import Segment, Tokens
from ragctx.records import Prompt
from ragctx.records import Segment as PromptSegment


def begins_of(prompt: Prompt) -> list[int]:
    """The position in the context of each passage's first token, and of the first one behind."""
    return list(accumulate((len(p.token_ids) for p in prompt.passages), initial=0))


def _own_text(passage: PromptSegment) -> str:
    return passage.text[passage.text_start : passage.text_end]


def context_of(prompt: Prompt, segments: Sequence[Segment]) -> tuple[Tensor, Tensor]:
    """The passages' states side by side (N, width), and which of the N are their own text."""
    return torch.cat([s.states.float() for s in segments]), torch.cat(contents(prompt))


def similarities_of(prompt: Prompt) -> list[float]:
    """How near each passage is to the question, as its search knew: cosines, NaN where unknown."""
    return [passage.hit.similarity for passage in prompt.passages if passage.hit]


def split_prompt(prompt: Prompt) -> tuple[list[Tokens], Tokens]:
    """The passages' ids, and the ids that follow the last passage: question, [SEP], [MASK]."""
    passages = [segment.token_ids for segment in prompt.passages]
    kinds = [segment.kind for segment in prompt.segments]
    last = max((i for i, kind in enumerate(kinds) if kind == "passage"), default=-1)
    before = [s for s in prompt.segments[: last + 1] if s.kind != "passage" and s.token_ids]
    if before:
        raise TemplateError(
            f"the bundled reader reads passages first, but the template puts {before[0].text!r} "
            "before them; use --template reader"
        )
    rest = [token for segment in prompt.segments[last + 1 :] for token in segment.token_ids]
    return passages, tuple(rest)


def contents(prompt: Prompt) -> list[Tensor]:
    """For each passage, which of its tokens are its own text."""
    found = []
    for passage in prompt.passages:
        own = torch.zeros(len(passage.token_ids), dtype=torch.bool)
        own[passage.token_start : passage.token_end] = True
        found.append(own)
    return found
