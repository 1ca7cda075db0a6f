"""The list of commands, which the outermost help shows without importing them, tells the truth."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

import ragctx.cli.commands
from ragctx.cli.command_list import SUMMARIES, Commands
from ragctx.cli.program import command_line


def test_every_module_of_commands_is_listed() -> None:
    (folder,) = ragctx.cli.commands.__path__
    modules = {path.stem for path in Path(folder).glob("*.py")} - {"__init__"}
    assert modules == set(SUMMARIES) == set(command_line.commands)


@pytest.mark.parametrize("name", SUMMARIES)
def test_a_summary_is_the_first_sentence_of_the_help(name: str) -> None:
    command = Commands()[name]
    assert command.name == name and not command.hidden
    sentence, _, _ = " ".join(str(command.help).split()).partition(". ")
    assert SUMMARIES[name] == sentence.removesuffix(".") + "."


def test_what_is_not_listed_is_no_command() -> None:
    assert "nothing" not in Commands()
    context = click.Context(command_line, info_name="ragctx")
    assert command_line.get_command(context, "nothing") is None
