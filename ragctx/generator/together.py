"""Many prompts answered one after another, in an order that lets a generator reuse what it read.

For the bundled reader the same passages in other orders, numbers and budgets cost the question
only: one copy of a passage's keys and values serves all prompts (see `reading`). Answers are those
of `generate`, whatever was read before, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ragctx.records import Generation, Prompt

if TYPE_CHECKING:
    from ragctx.generator.protocol import Generator


def generate_all(generator: Generator, prompts: Sequence[Prompt]) -> list[Generation]:
    """The answer of each prompt, as `generator.generate` gives it.

    Prompts with a common beginning come one after another, so that a kept prefix serves as many as
    it can.
    """
    order = sorted(range(len(prompts)), key=lambda i: prompts[i].token_ids)
    answers = {i: generator.generate(prompts[i]) for i in order}
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
