"""Passages read once, each on its own, and put together in whatever order: approximate, and quick.

The keys and values of a passage that was read alone are moved to its place in the prompt. Its first
tokens are read again there, with all that stands before them, and so is everything that is not a
passage's own text. The first tokens of any text draw attention to themselves; each passage would
bring such tokens of its own (EPIC, arXiv 2410.15332; CacheBlend, arXiv 2405.16444, chooses the
tokens to read again by how much they would differ).

The rest of a passage does not see what stands before it, so that answers are not those of the
model's own reading. They do not depend on what was read before, though: a passage is read alone
also when it is met for the first time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from ragctx.errors import InputError
from ragctx.generator.huggingface.kept_prefixes import Layers
from ragctx.generator.huggingface.reading import ReadingModel
from ragctx.generator.huggingface.rotation import Turning, find_turnings, moved_layers
from ragctx.generator.huggingface.runs import Run
from ragctx.records import Prompt

FRESH_TOKENS = 16
"""Tokens at the beginning of each passage that are read in their place: EPIC's number."""


class ApartReading:
    """Reads prompts passage by passage. Raises InputError if the model's keys cannot be moved."""

    def __init__(
        self, reading: ReadingModel, *, window: int, fresh_tokens: int = FRESH_TOKENS
    ) -> None:
        turnings = find_turnings(reading, window)
        if turnings is None:
            raise InputError(
                f"{reading.name} does not turn its keys by their place alone (RoPE of a fixed "
                "kind), so that passages cannot be read apart: leave --reuse-passages out"
            )
        self._reading, self._fresh = reading, fresh_tokens
        self._turnings: tuple[Turning, ...] = turnings

    def read(self, prompt: Prompt) -> tuple[Run, Tensor, int]:
        """Read a prompt; the run, the next token's scores and the tokens reused."""
        if not prompt.passages:
            return self._reading.read(prompt.token_ids)
        opening, *middle, closing = _pieces(prompt)
        run, reused = self._opened(opening.token_ids)
        unread: list[int] = []
        for token_ids, is_own in middle:
            if not is_own or len(token_ids) <= self._fresh:
                unread += token_ids
                continue
            unread += token_ids[: self._fresh]
            if unread:
                self._reading.extend(run, unread)
            unread = []
            alone, known = self._reading.read_alone(token_ids)
            moved_by = len(run.token_ids) - self._fresh
            behind = _without_first(alone.layers, self._fresh)
            run.append(moved_layers(behind, self._turnings, moved_by), token_ids[self._fresh :])
            reused += max(0, known - self._fresh)
        return run, self._reading.extend(run, [*unread, *closing.token_ids]), reused

    def _opened(self, token_ids: Sequence[int]) -> tuple[Run, int]:
        """A run of what stands before the first passage: at its own place, and so exact."""
        if not token_ids:
            return self._reading.new_run(), 0
        return self._reading.read_alone(token_ids)


class _Piece(NamedTuple):
    token_ids: tuple[int, ...]
    is_own: bool  # a passage's own text


def _pieces(prompt: Prompt) -> list[_Piece]:
    """The prompt's ids, passages' own text apart from all else.

    Neither the first piece nor the last is a passage's. The last one holds a token, since the next
    one comes from its scores.
    """
    pieces: list[_Piece] = []
    between: tuple[int, ...] = ()
    for segment in prompt.segments:
        ids = segment.token_ids
        if segment.kind != "passage":
            between += ids
            continue
        pieces.append(_Piece(between + ids[: segment.token_start], False))
        pieces.append(_Piece(ids[segment.token_start : segment.token_end], True))
        between = ids[segment.token_end :]
    if not between and pieces:
        between = pieces.pop().token_ids
    return [*pieces, _Piece(between, False)]


def _without_first(layers: Layers, tokens: int) -> Layers:
    return tuple((keys[..., tokens:, :], values[..., tokens:, :]) for keys, values in layers)
