"""A prompt as a bar: its parts in order, each as long as its tokens. Pure, for any screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from ragctx.certificate import SegmentKind
from ragctx.records import Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A part of the bar: neighbouring segments of one kind, or one passage."""

    kind: SegmentKind
    label: str
    tokens: int
    strength: float = 0.0  # of passages: by rank, from 1 for the best down to 0; the shade to use
    title: str = ""  # of passages: rank and document


def stretches(prompt: Prompt) -> list[Stretch]:
    """The prompt's parts in prompt order; parts without tokens are left out.

    >>> from ragctx.records import Segment
    >>> parts = [
    ...     Segment(kind="instruction", label="", text="a", token_ids=(1, 2)),
    ...     Segment(kind="instruction", label="", text="b", token_ids=(3,)),
    ... ]
    >>> stretches(
    ...     Prompt(
    ...         segments=tuple(parts),
    ...         question="?",
    ...         placement="edges",
    ...         context_window=9,
    ...         max_new_tokens=3,
    ...         budget_tokens=6,
    ...     )
    ... )
    [Stretch(kind='instruction', label='', tokens=3, strength=0.0, title='')]
    """
    ranks = sorted(p.hit.rank for p in prompt.passages if p.hit is not None)
    strength = {rank: 1 - place / max(1, len(ranks)) for place, rank in enumerate(ranks)}
    parts = []
    for (kind, label), group in groupby(prompt.segments, key=lambda s: (s.kind, s.label)):
        segments = list(group)
        tokens = sum(len(segment.token_ids) for segment in segments)
        if not tokens:
            continue
        hit = segments[0].hit
        parts.append(
            Stretch(
                kind=kind,
                label=label,
                tokens=tokens,
                strength=strength.get(hit.rank, 0.0) if hit else 0.0,
                title=f"rank {hit.rank}: {hit.document}" if hit else "",
            )
        )
    return parts


def widths(lengths: Sequence[int], total: int) -> list[int]:
    """How many cells to draw for each length: in proportion, at least one each.

    Together they are `total` if that is possible. Cells left over after rounding down go to the
    largest remainders.

    >>> widths([1, 300, 100], 20), widths([5, 5, 5], 2)
    ([1, 14, 5], [1, 1, 1])
    """
    spare = max(0, total - len(lengths))
    whole = sum(lengths) or 1
    shares = [spare * length / whole for length in lengths]
    cells = [1 + int(share) for share in shares]
    by_remainder = sorted(range(len(lengths)), key=lambda i: int(shares[i]) - shares[i])
    for i in by_remainder[: max(0, total - sum(cells))]:
        cells[i] += 1
    return cells
