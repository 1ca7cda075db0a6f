"""The documentation tells the truth: its commands and examples run, what it names exists.

The fenced blocks of README.md and docs/ run offline, on the sample PDFs, in a temporary folder.
An HTML comment in the line before a block makes an exception:

- `<!-- parsed only: REASON -->`: the commands are parsed, Python is compiled, and nothing is run;
- `<!-- slow: REASON -->`: the same, but the slow tests run it;
- `<!-- needs: MODULE -->`: the block is left out where MODULE is not installed;
- `<!-- output -->`: the text block is what the block before it printed.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import pytest
from pypdf import PdfReader, PdfWriter

import ragctx.embedding
import ragctx.generator.load
from docs import build, build_runs
from ragctx.cli.help import Command as HelpfulCommand
from ragctx.cli.help import Group as HelpfulGroup
from ragctx.cli.program import command_line, run
from tests.support.paths import ROOT, SAMPLES

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
RECORDS = (
    ROOT / "CHANGELOG.md",
    ROOT / "benchmarks" / "RESULTS.md",
    ROOT / "training" / "LOG.md",
    ROOT / "training" / "README.md",
)
TRANSCRIPTS = re.compile(r"<!-- results: begin -->.*?<!-- results: end -->", re.DOTALL)
"""What `benchmarks.compare_docs` wrote: commands that take minutes, and what they printed."""

SLOW = frozenset({"compare", "probe"})
"""Commands that only the slow tests run; the others are parsed and run in every test run."""

LONGEST_LINE = 100
NOTES = """# Pump

## Installing

### Linux

The filter is cleaned every two weeks.

## Care

The lid stays closed.
"""

Loader = Callable[..., Any]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


each_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


# ---- Blocks ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """A fenced block; `order` and `value` are those of the comment before it."""

    language: str
    text: str
    line: int
    order: str = ""
    value: str = ""


_BLOCK = re.compile(
    r"(?:^<!-- (?P<order>parsed only|slow|needs|output)(?:: (?P<value>.+?))? -->\n)?"
    r"^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


def blocks_of(markdown: str) -> list[Block]:
    return [
        Block(
            language=found["language"],
            text=found["text"],
            line=markdown.count("\n", 0, found.start("text")) + 1,
            order=found["order"] or "",
            value=found["value"] or "",
        )
        for found in _BLOCK.finditer(markdown)
    ]


def lines_of(block: Block) -> list[str]:
    """The command lines of a block: all of a script, those after `$ ` of a transcript."""
    lines = [line for line in block.text.splitlines() if line.strip()]
    if block.language == "sh":
        return lines
    return [line[2:] for line in lines if line.startswith("$ ")]


def commands_of(line: str) -> Iterator[list[str]]:
    """The commands of a line, without comments and redirections.

    >>> list(commands_of('echo "a b" | ragctx ask - x.pdf > y  # why'))
    [['echo', 'a b'], ['ragctx', 'ask', '-', 'x.pdf']]
    """
    lexer = shlex.shlex(re.sub(r"\s+#\s.*", "", line), posix=True, punctuation_chars="|&>")
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    for word in lexer:
        if word == ">":
            next(lexer)
        elif word in ("|", "&&"):
            yield words
            words = []
        else:
            words.append(word)
    yield words


# ---- Commands --------------------------------------------------------------------------------


def check_command(words: Sequence[str]) -> None:
    """Fail unless the command could be run: nothing is executed, no file need be there."""
    program, *arguments = words
    if program == "ragctx" and arguments != ["--version"]:
        parse(command_line, "ragctx", arguments)
    elif program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        assert arguments[0] in targets, f"make {arguments[0]}: no such target"
    elif program == "source":
        assert arguments == [".venv/bin/activate"], f"{arguments}: not what `make env` makes"
    elif program == "python" and arguments[0] == "-m":
        assert find_spec(arguments[1]), f"python -m {arguments[1]}: no such module"
    elif program == "python":
        assert (ROOT / arguments[0]).is_file(), f"python {arguments[0]}: no such file"
    else:
        assert program in ("echo", "jq", "pip", "ragctx"), f"{program}: nobody checks this program"


def parse(
    command: click.Command, name: str, words: Sequence[str], parent: click.Context | None = None
) -> None:
    """Raise click's error unless names of options and their values can be used."""
    context = click.Context(command, parent, info_name=name, **command.context_settings)
    values, rest, _ = command.make_parser(context).parse_args(list(words))
    if isinstance(command, click.Group):
        if rest:
            parse(command.commands[rest[0]], rest[0], rest[1:], context)
        return
    assert not rest, f"{context.command_path}: too many arguments: {rest}"
    for parameter in command.params:
        value = values.get(str(parameter.name))
        typed = isinstance(value, str | list | tuple) and bool(value)
        assert typed or not parameter.required, f"{context.command_path}: {parameter.name}?"
        if typed and not isinstance(parameter.type, click.Path):
            parameter.type_cast_value(context, value)


def run_command(words: Sequence[str]) -> None:
    """Run a command of ragctx here; of another program, only check that it could be run."""
    check_command(words)
    if words[0] == "ragctx":
        allowed = (0, 3) if words[1] == "ask" else (0,)
        assert run(words[1:]) in allowed, shlex.join(words)


def excerpt(name: str, pages: range, folder: Path) -> Path:
    """Some pages (from 0) of a sample as a PDF of their own: embedding all of it takes seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    source, target = PdfReader(SAMPLES / name), PdfWriter()
    for number in pages:
        target.add_page(source.pages[number])
    target.write(folder / name)
    return folder / name


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the pages speak of."""
    place = tmp_path_factory.mktemp("docs")
    excerpt("field-station-manual.pdf", range(8, 13), place / "manuals")
    samples = place / "examples" / "samples"
    excerpt("field-station-manual.pdf", range(8, 13), samples)
    excerpt("city-library-report.pdf", range(2, 4), samples)
    excerpt("city-library-report.pdf", range(2, 4), place).rename(place / "contract.pdf")
    facts = {"tin": 232, "lead": 327, "zinc": 420, "iron": 1538, "gold": 1064, "silver": 962}
    questions = "".join(
        json.dumps(
            {
                "question": f"At how many degrees does {metal} melt?",
                "answers": [str(degrees)],
                "title": metal,
                "context": f"The metal {metal} melts at {degrees} degrees and is a conductor.",
            }
        )
        + "\n"
        for metal, degrees in facts.items()
    )
    for name in ("questions.jsonl", "train.jsonl", "test.jsonl"):
        (place / name).write_text(questions, "utf-8")
    (samples / "questions.jsonl").write_text(questions, "utf-8")
    (place / "texts").mkdir()
    (place / "texts" / "notes.md").write_text(NOTES, "utf-8")
    (place / "texts" / "letter.txt").write_text("The tank holds eighty litres.\n", "utf-8")
    (place / "my.prompt").write_text("{passages}\n{text}\n{/passages}\n{question}\n", "utf-8")
    return place


@pytest.fixture
def here(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(workplace)
    return workplace


@pytest.fixture(scope="module")
def loaded() -> tuple[Loader, Loader]:
    """`load_embedder` and `load_generator`, which load each model once for all commands."""
    return cache(ragctx.embedding.load_embedder), cache(ragctx.generator.load.load_generator)


@pytest.fixture
def shell(here: Path, loaded: tuple[Loader, Loader], monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in which commands run, with an index."""
    monkeypatch.setattr(ragctx.embedding, "load_embedder", loaded[0])
    monkeypatch.setattr(ragctx.generator.load, "load_generator", loaded[1])
    run_command(["ragctx", "ingest", "manuals/"])


@each_page
def test_every_command_parses(page: Path) -> None:
    for block in blocks_of(page.read_text("utf-8")):
        for line in lines_of(block):
            for words in commands_of(line):
                try:
                    check_command(words)
                except (click.ClickException, AssertionError, KeyError) as error:
                    pytest.fail(f"{page.name}, block at line {block.line}: {line}\n{error!r}")


def test_commands_that_cannot_be_run_do_not_parse() -> None:
    """The check itself is no rubber stamp."""
    for line in ("ragctx aks x", "ragctx ask x --nonsense", "ragctx search x -k no", "make tea"):
        with pytest.raises((click.ClickException, AssertionError, KeyError)):
            check_command(*commands_of(line))


def commands_to_run(page: Path) -> list[list[str]]:
    """The commands of all blocks but those that are parsed only; slow ones are among them."""
    markdown = TRANSCRIPTS.sub("", page.read_text("utf-8"))
    blocks = (block for block in blocks_of(markdown) if block.order != "parsed only")
    return [words for block in blocks for line in lines_of(block) for words in commands_of(line)]


RUNNABLE = [page for page in PAGES if commands_to_run(page)]


def test_the_pages_with_commands_are_run() -> None:
    assert {page.name for page in RUNNABLE} >= {"README.md", "questions.md", "compare.md"}


@pytest.mark.parametrize("page", RUNNABLE, ids=name_of)
def test_commands_run(page: Path, shell: None) -> None:
    for words in commands_to_run(page):
        if words[1] not in SLOW:
            run_command(words)


@pytest.mark.slow
@pytest.mark.parametrize("page", RUNNABLE, ids=name_of)
def test_slow_commands_run(page: Path, shell: None) -> None:
    for words in commands_to_run(page):
        run_command(words)


# ---- Python ----------------------------------------------------------------------------------

WITH_PYTHON = [
    page
    for page in PAGES
    if any(b.language == "python" for b in blocks_of(page.read_text("utf-8")))
]


def test_the_pages_with_python_are_run() -> None:
    assert {page.name for page in WITH_PYTHON} >= {"README.md", "library.md", "compare.md"}


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name_of)
def test_python_runs(page: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_python(page, capsys, leave_out=("parsed only", "slow"))


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_PYTHON, ids=name_of)
def test_slow_python_runs(page: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_python(page, capsys, leave_out=("parsed only",))


def run_python(
    page: Path, capsys: pytest.CaptureFixture[str], *, leave_out: Collection[str]
) -> None:
    """Run the blocks of a page one after another; they share their names."""
    names: dict[str, object] = {"__name__": "__docs__"}
    printed = ""
    for block in blocks_of(page.read_text("utf-8")):
        if block.order == "output":
            assert printed == block.text, f"{page.name}, output at line {block.line}"
        if block.language != "python":
            continue
        code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
        if block.order in leave_out or (block.order == "needs" and not find_spec(block.value)):
            continue
        capsys.readouterr()
        exec(code, names)
        printed = capsys.readouterr().out


def test_the_readme_imports_from_the_package_itself() -> None:
    imports = re.findall(r"^from (ragctx\S*) import", (ROOT / "README.md").read_text("utf-8"), re.M)
    assert set(imports) == {"ragctx", "ragctx.adapters.langchain"}


# ---- What is generated, what is named --------------------------------------------------------


def test_generated_files_are_up_to_date() -> None:
    generated = build.files()
    assert len(generated) > 10
    stale = [name_of(file) for file in generated if file.read_text("utf-8") != generated[file]]
    assert stale == [], "run `make docs`"


def words_of_run(text: str) -> list[str]:
    """What was printed, without what another machine prints differently: times and confidences."""
    return re.sub(r"\d+(\.\d+)? (s\b|%|pages/s|chunks/s)", "", text).split()


@pytest.mark.slow
def test_runs_on_the_pages_are_what_the_commands_print() -> None:
    for file, text in build_runs.files().items():
        shown = file.read_text("utf-8")
        assert words_of_run(shown) == words_of_run(text), f"{file.name}: run `make docs-runs`"


def examples_of(command: click.Command) -> Iterator[str]:
    if isinstance(command, HelpfulCommand | HelpfulGroup):
        yield from command.examples
    if isinstance(command, click.Group):
        for child in command.commands.values():
            yield from examples_of(child)


def test_examples_in_help_screens_are_whole_commands_that_parse() -> None:
    examples = list(examples_of(command_line))
    assert len(examples) > 20
    for example in examples:
        assert "..." not in example
        for words in commands_of(example):
            check_command(words)


@pytest.mark.parametrize("page", (*PAGES, *RECORDS), ids=name_of)
def test_lines_of_prose_are_not_long(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    lines = [line for line in prose.splitlines() if not line.lstrip().startswith("|")]
    assert lines
    assert [line for line in lines if len(line) > LONGEST_LINE] == []


@pytest.mark.parametrize("page", (*PAGES, *RECORDS), ids=name_of)
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", (*PAGES, *RECORDS[1:]), ids=name_of)
def test_modules_that_are_named_exist(page: Path) -> None:
    """`ragctx.placement.strategies.STRATEGIES`, `python -m benchmarks.ask`, `training.export`."""
    prose = TRANSCRIPTS.sub("", page.read_text("utf-8"))
    for name in re.findall(r"(?<!/)\b(?:ragctx|benchmarks|training)(?:\.[A-Za-z_]\w*)+", prose):
        assert is_there(name), f"{page.name}: {name}"


def is_there(dotted: str) -> bool:
    """Whether there is such a module or file, or a module that mentions the rest of the name."""
    if (ROOT / dotted).is_file():
        return True
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        base = ROOT.joinpath(*parts[:end])
        for file in (base.with_suffix(".py"), base / "__init__.py"):
            if file.is_file():
                text = file.read_text("utf-8")
                return all(re.search(rf"\b{name}\b", text) for name in parts[end:])
    return False


# ---- Records ---------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["benchmarks/results", "training/logs"])
def test_every_line_of_the_records_parses(folder: str) -> None:
    files = sorted((ROOT / folder).glob("*.jsonl"))
    assert files
    for file in files:
        lines = file.read_text("utf-8").splitlines()
        assert lines, file.name
        for line in lines:
            assert isinstance(json.loads(line), dict), file.name


def test_every_benchmark_with_results_is_a_module_and_named_in_the_results() -> None:
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text("utf-8")
    named = set(re.findall(r"python -m benchmarks\.([\w.]+)", results))
    assert named
    for benchmark in named:
        assert find_spec(f"benchmarks.{benchmark}"), benchmark
    recorded = {file.stem for file in (ROOT / "benchmarks" / "results").glob("*.jsonl")}
    assert recorded <= named
