"""The commands of the outermost group, by name: a command's module is imported when it is used.

`ragctx --help` then needs none of them, and `ragctx search` only its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

import click

from ragctx.cli.help import Group

SUMMARIES = {
    "ingest": "Read documents into an index: files, folders, patterns.",
    "ask": "Answer a question and cite checked sources.",
    "search": "Find the passages that match a question best, best first.",
    "prompt": "Assemble a prompt that fits, for any model.",
    "explain": "Explain why each passage is in the prompt or not.",
    "page": "Show a page as it is read, or the place of a quote.",
    "serve": "Serve a page to ask on, and an API, from warm models.",
    "mcp": "Give agents the documents: tools to search, ask and assemble, by MCP.",
    "index": "Inspect an index, check it, repair it, compact it, or remove documents from it.",
    "cache": "Show what is kept to save time, or remove it.",
    "questions": "Make questions with known answers from an index, or check a question file.",
    "compare": "Compare ways to find passages and to place them in the prompt, with paired tests.",
    "probe": "Measure how well a model reads each part of the prompt.",
    "calibrate": "Fit how sure the bundled reader is to questions about your own documents.",
    "plan": "Tell what a local model needs, before it is loaded.",
}
"""Each command, and the first sentence of its help.

The command NAME is `NAME_command` in `ragctx.cli.commands.NAME`.
"""


class Commands(Mapping[str, click.Command]):
    """The commands of `SUMMARIES`, each imported when it is looked up.

    >>> Commands()["search"].name
    'search'
    """

    def __getitem__(self, name: str) -> click.Command:
        if name not in SUMMARIES:
            raise KeyError(name)
        command: click.Command = getattr(
            import_module(f"ragctx.cli.commands.{name}"), f"{name}_command"
        )
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(SUMMARIES)

    def __len__(self) -> int:
        return len(SUMMARIES)


class Program(Group):
    """The outermost group: its help screen imports no command."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each command's name and summary."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(SUMMARIES.items()))
