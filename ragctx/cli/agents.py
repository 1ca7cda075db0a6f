"""What agents are given, for the commands that serve them: mcp and serve."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragctx.cli.options import Command
from ragctx.errors import InputError
from ragctx.paths import expanded

if TYPE_CHECKING:
    from ragctx.mcp_server.tools import Toolbox
    from ragctx.server.metrics import Metrics
    from ragctx.server.service import Service


def toolbox_of(
    get_service: Callable[[], Service], allowed: tuple[str, ...], metrics: Metrics
) -> Toolbox:
    """The tools, counted in `metrics`, with the tokenizers that `--allow-tokenizer` names.

    Raises InputError for one that is not there, or two of one name.
    """
    from ragctx.mcp_server.tokenizers import NamedTokenizers
    from ragctx.mcp_server.tools import Toolbox

    named: dict[str, Path] = {}
    for name, directory in map(_named, allowed):
        if name in named:
            raise InputError(
                f"--allow-tokenizer names {name!r} twice; give {named[name]} or {directory} "
                "another name: NAME=DIR"
            )
        named[name] = directory
    tokenizers = NamedTokenizers(allowed=named)
    return Toolbox(get_service=get_service, tokenizers=tokenizers, metrics=metrics)


def _named(spec: str) -> tuple[str, Path]:
    """A name, and a directory or file that exists."""
    name, is_named, path = spec.partition("=")
    directory = expanded(path if is_named else spec)
    if not directory.exists() or (is_named and not name):
        raise InputError(
            f"--allow-tokenizer {spec}: there is no {directory}; give NAME=DIR, the directory of a "
            "model"
        )
    return name if is_named else directory.resolve().name, directory


def allow_tokenizer_option(command: Command) -> Command:
    """--allow-tokenizer: given to the command as `allowed`, for `toolbox_of`."""
    option = click.option(
        "--allow-tokenizer",
        "allowed",
        multiple=True,
        metavar="[NAME=]DIR",
        help="Let agents (MCP) count with the tokenizer of this model directory, under its own "
        "name or NAME. The bundled one and tiktoken's are always allowed. May be repeated.",
    )
    return option(command)
