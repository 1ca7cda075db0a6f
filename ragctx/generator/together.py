"""Many prompts answered together: the same passages in other orders, numbers and budgets.

What is shared is computed once. For the bundled reader that is nearly everything: one copy of a
passage's keys and values serves all prompts at once (see `reading`).
Answers are those of `generate`, one by one: the order of float additions is all that differs (which
rounding at the second look, see `packed`, can raise to the third digit of a confidence).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ragctx.records import Generation, Prompt

if TYPE_CHECKING:
    from torch import Tensor

    from ragctx.generator.protocol import Generator
    from ragctx.generator.reader import BundledReader
    from ragctx.generator.segments import Segment, Tokens

MOST_TOGETHER = 16
"""Prompts read at once; bounds the memory of their attention scores."""


def generate_all(generator: Generator, prompts: Sequence[Prompt]) -> list[Generation]:
    """The answer of each prompt, as `generator.generate` gives it.

    Prompts that are read at once share their time: each is given its part of it. Other generators
    are asked one by one, those with a common beginning one after another, so that a kept prefix
    serves as many as it can.
    """
    from ragctx.generator.reader import BundledReader

    answers: dict[int, Generation] = {}
    if isinstance(generator, BundledReader):
        for batch in _batches(prompts):
            made = _read_together(generator, [prompts[i] for i in batch])
            answers.update(zip(batch, made, strict=True))
    for i in sorted(range(len(prompts)), key=lambda i: prompts[i].token_ids):
        if i not in answers:
            answers[i] = generator.generate(prompts[i])
    return [answers[i] for i in range(len(prompts))]


def forget(generator: Generator) -> bool:
    """Let the next prompt be read as if it were the first: for measuring how long that takes.

    False where the generator keeps nothing here: a server's model.
    """
    cache = getattr(generator, "cache", None)
    found = [getattr(cache, "clear", None), getattr(generator, "forget", None)]
    for clear in found:
        if callable(clear):
            clear()
    return any(map(callable, found))


def _batches(prompts: Sequence[Prompt]) -> list[list[int]]:
    """Prompts that ask the same question of some passages, `MOST_TOGETHER` at most.

    One in which a passage stands twice is left out: below, a passage has one place in a prompt.
    """
    by_question: dict[Tokens, list[int]] = {}
    for i, prompt in enumerate(prompts):
        passages = [segment.token_ids for segment in prompt.passages]
        if passages and len(set(passages)) == len(passages):
            ids = tuple(t for s in prompt.segments if s.kind != "passage" for t in s.token_ids)
            by_question.setdefault(ids, []).append(i)
    return [
        same[start : start + MOST_TOGETHER]
        for same in by_question.values()
        for start in range(0, len(same), MOST_TOGETHER)
    ]


def _read_together(reader: BundledReader, prompts: Sequence[Prompt]) -> list[Generation]:
    import torch

    from ragctx.generator.reading import read_over

    with torch.inference_mode():
        began = time.perf_counter()
        parts = [reader.parts(prompt) for prompt in prompts]
        segments, reused = _fetch(reader, [passages for passages, _ in parts])
        asked = read_over(
            reader.network, parts[0][1], list(segments.values()), _places(segments, parts)
        )
        prefill_s = (time.perf_counter() - began) / len(prompts)
        answers = []
        for i, prompt in enumerate(prompts):
            read = [segments[tokens] for tokens in parts[i][0]]
            answers.append(reader.answer(prompt, read, asked.row(i), reused[i], prefill_s))
        return answers


def _fetch(
    reader: BundledReader, wanted: Sequence[Sequence[Tokens]]
) -> tuple[dict[Tokens, Segment], list[int]]:
    """Every passage's segment, and for each prompt the tokens that were not read for it."""
    segments: dict[Tokens, Segment] = {}
    reused = []
    for passages in wanted:
        missing = [tokens for tokens in passages if tokens not in segments]
        known = sum(len(tokens) for tokens in passages if tokens in segments)
        found, from_cache = reader.cache.fetch(missing, reader.encode)
        segments.update(zip(missing, found, strict=True))
        reused.append(known + from_cache)
    return segments, reused


def _places(
    segments: dict[Tokens, Segment], parts: Sequence[tuple[list[Tokens], Tokens]]
) -> Tensor:
    """(prompts, segments): tokens from a segment's start to the question's; -1 where it is not."""
    import torch

    number = {tokens: i for i, tokens in enumerate(segments)}
    places = torch.full((len(parts), len(segments)), -1)
    for row, (passages, _) in enumerate(parts):
        left = sum(len(tokens) for tokens in passages)
        for tokens in passages:
            places[row, number[tokens]] = left
            left -= len(tokens)
    return places
