"""Help screens that show whole commands, and what the exit codes mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

EXIT_CODES = (
    ("0", "done"),
    ("1", "failed: one line on standard error names the cause and the remedy"),
    ("2", "wrong usage: an option, a name or a number that is not possible"),
    ("3", "the documents do not contain the answer (ask)"),
    ("130", "interrupted (Ctrl-C): finished work is kept"),
)


class _WithExamples(click.Command):
    """A command whose help shows command lines to copy, never broken."""

    examples: tuple[str, ...] = ()

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the description, then the examples."""
        super().format_help_text(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{example}\n")


class Command(_WithExamples):
    """A command with examples."""


class Group(_WithExamples, click.Group):
    """A group of commands with examples; the outermost also lists the exit codes."""

    command_class = Command

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the exit codes at the end of the outermost help screen."""
        if ctx.parent is None:
            with formatter.section("Exit codes"):
                formatter.write_dl(EXIT_CODES)


Decorated = TypeVar("Decorated", bound=_WithExamples)


def examples(*lines: str) -> Callable[[Decorated], Decorated]:
    """Give a command its examples."""

    def decorate(command: Decorated) -> Decorated:
        command.examples = lines
        return command

    return decorate
