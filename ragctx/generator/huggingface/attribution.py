"""Which passage made a local model's answer: how likely it is with each passage left out.

Leave-one-out, as for the bundled reader. What stands before the passage that is left out was read
before and is reused; what stands behind it is read again, since it has another place and sees
another text. With `reuse_passages` that is not read again either (`apart`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ragctx.attribution import Attribution
from ragctx.errors import InputError
from ragctx.generator.leave_out import with_passages
from ragctx.records import Generation, Prompt


def attribute(
    prompt: Prompt,
    generation: Generation,
    log_probability: Callable[[Prompt, Sequence[int]], float],
) -> tuple[Attribution, ...]:
    """For each passage, in prompt order, the answer's log-probability with and without it.

    Labels stay what they are, so that what the answer cites is there or is missing. Of a model that
    thinks, the thought is part of the answer here.

    Args:
        prompt: what was asked.
        generation: what was answered.
        log_probability: of ids as the answer to a prompt.

    Raises InputError for an answer without a token: there is nothing to attribute.
    """
    if not generation.token_ids:
        raise InputError("there is no answer to attribute: the model wrote nothing")
    with_all = log_probability(prompt, generation.token_ids)
    everything = range(len(prompt.passages))
    return tuple(
        Attribution(
            passage.label,
            with_all,
            log_probability(
                with_passages(prompt, [i for i in everything if i != left_out]),
                generation.token_ids,
            ),
        )
        for left_out, passage in enumerate(prompt.passages)
    )
