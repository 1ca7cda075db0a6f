"""Laws of importing: the door is small and light, and `--help` waits for nothing heavy.

The budget is a set of modules, not a time: a time depends on the machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ragctx
import ragctx.evaluation
from ragctx.cli.command_list import SUMMARIES
from tests.support.paths import SAMPLES

RUN = """
import sys
from ragctx.cli.program import main
sys.argv = ["ragctx", *{arguments}]
sys.stdout = open({null!r}, "w")
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
sys.stdout.close()
sys.stdout = sys.__stdout__
"""


def third_party(code: str) -> set[str]:
    """Top-level names of what `code` imports, beyond the standard library and ragctx."""
    listing = (
        "import json, sys; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    before = _loaded(listing)
    return _loaded(f"{code}\n{listing}") - before - set(sys.stdlib_module_names) - {"ragctx"}


def _loaded(code: str, cwd: Path | None = None) -> set[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def _help(*arguments: str) -> str:
    return RUN.format(arguments=[*arguments, "--help"], null=os.devnull)


def test_importing_ragctx_imports_nothing_else() -> None:
    assert third_party("import ragctx") == set()


def test_importing_ragctx_loads_none_of_its_modules_but_the_one_that_loads_them() -> None:
    loaded = "[name for name in sys.modules if name.startswith('ragctx.')]"
    assert _loaded(f"import json, sys, ragctx; print(json.dumps({loaded}))") == {"ragctx.lazy"}


def test_records_and_errors_need_only_the_standard_library() -> None:
    assert third_party("import ragctx.records, ragctx.errors") == set()


def test_records_come_through_the_door_alone() -> None:
    assert third_party("from ragctx import Answer, Hit, Prompt, RagctxError") == set()


@pytest.mark.parametrize("command", ["", *SUMMARIES])
def test_help_imports_click_alone(command: str) -> None:
    assert third_party(_help(*command.split())) <= {"click", "colorama"}


def modules_after(code: str, cwd: Path | None = None) -> set[str]:
    """Every module that is loaded when `code` has run."""
    listing = "import json, sys; print(json.dumps(sorted(sys.modules)))"
    return _loaded(f"{code}\n{listing}", cwd)


def test_the_outermost_help_imports_no_command_and_little_else() -> None:
    # It once imported all fifteen commands with their options: three times the time.
    ours = {name for name in modules_after(_help()) if name.startswith("ragctx.")}
    of_cli = {f"ragctx.cli.{name}" for name in ("command_list", "exit_codes", "help", "program")}
    ground = {"ragctx.errors", "ragctx.lazy", "ragctx.text", "ragctx.text.display"}
    assert ours == of_cli | ground | {"ragctx.cli", "ragctx.threads"}


def test_a_command_imports_no_other_command() -> None:
    loaded = modules_after(_help("search"))
    commands = {name for name in loaded if name.startswith("ragctx.cli.commands.")}
    assert commands == {"ragctx.cli.commands.search"}


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the default index of one sample."""
    place = tmp_path_factory.mktemp("indexed")
    sample = str(next(SAMPLES.glob("*.pdf")))
    ingest = [sys.executable, "-m", "ragctx", "ingest", sample]
    subprocess.run(ingest, capture_output=True, check=True, cwd=place)
    return place


def test_a_search_for_a_program_imports_what_it_searches_with(indexed: Path) -> None:
    # `np.unique` imports numpy.ma: 6 ms of every search, to learn whether scores tie.
    code = RUN.format(arguments=["search", "filter", "--json"], null=os.devnull)
    loaded = modules_after(code, cwd=indexed)
    assert {"numpy", "onnxruntime", "ragctx.index.engine"} <= loaded
    idle = {"rich", "torch", "faiss", "jinja2", "numpy.ma", "ragctx.pipeline", "ragctx.selection"}
    assert not idle & loaded


def test_the_door_has_thirteen_names_at_most() -> None:
    assert len(ragctx.__all__) <= 13
    assert dir(ragctx) == sorted(ragctx.__all__)


def test_a_documented_name_that_moved_is_still_there_and_warns() -> None:
    from ragctx.records import Document

    with pytest.warns(DeprecationWarning, match="from ragctx.records import Document"):
        assert ragctx.Document is Document
    with pytest.warns(DeprecationWarning, match="ragctx.evaluation.statistics.power"):
        assert ragctx.evaluation.power.detectable_difference


def test_a_name_that_is_not_there_is_an_attribute_error_that_lists_those_that_are() -> None:
    with pytest.raises(AttributeError, match=r"'answer'.*'Answer'"):
        ragctx.answer  # noqa: B018


@pytest.mark.parametrize("name", ragctx.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert callable(getattr(ragctx, name))


def test_no_module_bears_the_name_of_a_public_function() -> None:
    # A module ragctx/ingest.py would take the place of the function `ragctx.ingest` as soon as
    # anything imported it: `ragctx.ingest(...)` then worked once, and never again.
    modules = {path.stem for path in Path(ragctx.__file__).parent.iterdir()}
    assert not modules & set(ragctx.__all__)
