"""Which passages an answer depends on, asked of whichever model gave it."""

from __future__ import annotations

from ragctx.attribution import Attribution
from ragctx.errors import InputError
from ragctx.generator.protocol import Generator, TellsAttribution
from ragctx.records import Generation, Prompt


def attribute(
    generator: Generator, prompt: Prompt, generation: Generation
) -> tuple[Attribution, ...]:
    """For each passage, in prompt order, the answer's log-probability with and without it.

    Raises InputError for a model that does not run here, or one that gave no answer.
    """
    from ragctx.generator.reader.attribution import attribute as attribute_copied
    from ragctx.generator.reader.reader import BundledReader

    if isinstance(generator, TellsAttribution):
        return generator.attribute(prompt, generation)
    if isinstance(generator, BundledReader):
        return attribute_copied(generator, prompt, generation)
    raise InputError(
        f"--attribute needs a model that runs here, and {generator.name} does not tell which "
        "passages its answer depends on; leave out --attribute, or name a model's directory"
    )
