"""The command line: parse, call, print. Everything it does is a function of the library.

`ragctx --help` loads no command, and the help of a command no model library, no numpy and no index.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

import click

from ragctx import __version__
from ragctx.cli import exit_codes
from ragctx.cli.command_list import Commands, Program
from ragctx.cli.help import examples
from ragctx.errors import RagctxError
from ragctx.threads import limit_threads, wait_passively


@examples(
    "ragctx ingest manuals/",
    'ragctx ask "How often must the filter be cleaned?"',
    'ragctx ask "What is the notice period?" contract.pdf',
    'ragctx search "notice period" -k 5',
    'ragctx prompt "What is the notice period?" --budget-tokens 3000',
    'ragctx explain "What is the notice period?"',
    "ragctx page contract.pdf 12",
    "ragctx serve --open",
    "ragctx mcp manuals/",
    "ragctx index info",
)
@click.group(
    cls=Program,
    commands=Commands(),
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="ragctx", message="%(prog)s %(version)s")
@click.pass_context
def command_line(ctx: click.Context) -> None:
    """From a folder of documents to an answer with page citations, offline."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command (default: the one in `sys.argv`) and give its exit code. Never raises."""
    try:
        with warnings.catch_warnings():
            if not sys.warnoptions:
                warnings.simplefilter("ignore")  # other libraries' warnings are not the user's
            code = _invoke(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
        return code
    except BaseException as error:
        return exit_codes.exit_code_of(error)


def _invoke(arguments: Sequence[str]) -> int:
    """What `click.Command.main` does, but every exception, that of a closed pipe too, comes out."""
    try:
        with command_line.make_context("ragctx", list(arguments)) as ctx:
            return int(command_line.invoke(ctx) or exit_codes.OK)
    except click.exceptions.Exit as end:
        return end.exit_code


def main() -> NoReturn:
    """The program `ragctx`."""
    exit_codes.prepare_streams()
    wait_passively()
    try:
        limit_threads()
    except RagctxError as error:
        sys.exit(exit_codes.exit_code_of(error))
    if "_RAGCTX_COMPLETE" in os.environ:  # a shell asks for completions
        command_line.main(prog_name="ragctx")
    sys.exit(run())
