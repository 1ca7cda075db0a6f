"""Laws of importing: the door is small and light, and `--help` waits for nothing heavy.

The budget is a set of modules, not a time: a time depends on the machine.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import ragctx

HELP = """
import sys
from ragctx.cli import main
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


def _loaded(code: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def _help(*arguments: str) -> str:
    return HELP.format(arguments=repr([*arguments, "--help"]), null="/dev/null")


def test_importing_ragctx_imports_nothing_else() -> None:
    assert third_party("import ragctx") == set()


def test_importing_ragctx_loads_none_of_its_rooms() -> None:
    loaded = "[name for name in sys.modules if name.startswith('ragctx.')]"
    assert _loaded(f"import json, sys, ragctx; print(json.dumps({loaded}))") == set()


def test_records_and_errors_need_only_the_standard_library() -> None:
    assert third_party("import ragctx.records, ragctx.errors") == set()


def test_records_come_through_the_door_alone() -> None:
    assert third_party("from ragctx import Answer, Document, Hit, Prompt, RagctxError") == set()


@pytest.mark.parametrize("command", ["", "ingest", "search", "prompt", "ask", "index"])
def test_help_imports_click_alone(command: str) -> None:
    assert third_party(_help(*command.split())) <= {"click", "colorama"}


def test_the_door_has_at_most_a_dozen_names() -> None:
    assert len(ragctx.__all__) <= 12
    assert dir(ragctx) == sorted(ragctx.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error_that_lists_those_that_are() -> None:
    with pytest.raises(AttributeError, match=r"'answer'.*'Answer'"):
        ragctx.answer  # noqa: B018


@pytest.mark.parametrize("name", [name for name in ragctx.__all__ if name != "__version__"])
def test_a_public_name_is_the_same_thing_before_and_after_its_module_is_loaded(name: str) -> None:
    # A module ragctx/ingest.py would take the place of the function `ragctx.ingest` as soon as
    # anything imported it: no room may bear the name of a public function.
    code = (
        f"import json, ragctx\nfirst = ragctx.{name}\nimport {ragctx._HOME[name]}\n"
        f"assert ragctx.{name} is first and callable(first), ragctx.{name}\nprint(json.dumps([]))"
    )
    _loaded(code)
