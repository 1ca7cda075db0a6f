"""What `ragctx compare` and `ragctx probe` share: who answers, the run, the command as typed."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

from ragctx.cli.exit_codes import Interrupted
from ragctx.cli.progress import phase_progress
from ragctx.index.address import without_password

if TYPE_CHECKING:
    from ragctx.cli.model_options import Model
    from ragctx.evaluation.answering import Answerer
    from ragctx.evaluation.compare import Comparison
    from ragctx.evaluation.results import Result
    from ragctx.generator.protocol import Generator


def answerer_of(
    model: Model, generator: Generator, *, no_cache: bool, workers: int = 1
) -> Answerer:
    """The answerer for a loaded model, with the answers it gave before unless `no_cache`."""
    from ragctx.evaluation.answer_cache import AnswerCache
    from ragctx.evaluation.answering import Answerer
    from ragctx.evaluation.model_identity import model_hash

    return Answerer(
        generator=generator,
        model_hash=model_hash(model.spec, generator),
        cache=None if no_cache else AnswerCache(),
        workers=workers,
    )


def run_comparison(comparison: Comparison) -> Result:
    """Run a comparison with a progress bar for each of its phases.

    Raises Interrupted, with what to do next, where the user stops it.
    """
    try:
        with phase_progress() as progress:
            return comparison.run(progress)
    except KeyboardInterrupt:
        cache = comparison.answerer.cache
        if cache is None:
            kept = "nothing is kept with --no-cache"
        elif not cache.is_writable:
            kept = f"nothing is kept, since {cache.path} cannot be written"
        else:
            kept = "what was answered is kept: run the same command to go on"
        raise Interrupted(kept) from None


def typed_command() -> str:
    """The command as it was typed, to be recorded with the result; without a password."""
    return shlex.join(["ragctx", *map(_without_password, sys.argv[1:])])


def _without_password(argument: str) -> str:
    """An argument, which may be an option and the address of a database in one."""
    option, equals, value = argument.partition("=")
    if equals and option.startswith("--"):
        return f"{option}={without_password(value)}"
    return without_password(argument)
