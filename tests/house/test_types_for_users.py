"""What users write against the public door is fully typed: mypy, strict, has nothing to say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

pytestmark = pytest.mark.slow

PROGRAM = '''
from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ragctx import (
    Answer,
    Assembly,
    Hit,
    Index,
    Prompt,
    RagctxError,
    ask,
    assemble,
    ingest,
    load_embedder,
    load_generator,
    load_tokenizer,
    search,
)
from ragctx.citations import cite
from ragctx.generator import Generator
from ragctx.index import Filter
from ragctx.pdf import read_pdf
from ragctx.placement import place
from ragctx.records import Chunk, Document, Generation, IngestRow, Page, Selection
from ragctx.retrieval import Retrieval, retrieve
from ragctx.tokens import Tokenizer


class Echo:
    """A generator of one's own."""

    name = "echo"
    template = "qa"
    context_window = 4096
    caches_prompts = False
    decoding = "greedy"
    only_language = ""

    def __init__(self) -> None:
        self.tokenizer: Tokenizer = load_tokenizer("bundled")

    def generate(
        self, prompt: Prompt, *, on_text: Callable[[str], None] | None = None
    ) -> Generation:
        text = prompt.passages[0].own_text if prompt.passages else ""
        return Generation(
            text=text,
            token_ids=tuple(self.tokenizer.encode(text)),
            finish_reason="stop",
            prefill_s=0.0,
            decode_s=0.0,
            reused_tokens=0,
        )

    def identity(self) -> tuple[str, ...]:
        return (self.name,)

    def forget(self) -> None:
        """Nothing is cached."""


def reversed_order(hits: Sequence[Hit]) -> Sequence[Hit]:
    return tuple(reversed(hits))


def main(folder: str | Path) -> Answer:
    embedder = load_embedder()
    rows: tuple[IngestRow, ...] = ingest([Path("manuals"), "report.pdf"], folder, embedder)
    print([row.path for row in rows])
    index: Index = Index.open(folder, embedder=embedder)
    hits: list[Hit] = search(folder, embedder, "When?", 5, filter=Filter(("pump.pdf",)))
    hits += retrieve("When?", index, embedder, Retrieval(k=3))
    assembly = Assembly(placement=reversed_order, select="knapsack", template="qa")
    prompt: Prompt = assemble(
        "When?", hits, "bundled", context_window=2048, assembly=assembly,
        get_document=index.document,
    )
    generators: list[Generator] = [
        load_generator(),
        load_generator(Path("model"), tokenizer="bundled", kv_cache=None),
        Echo(),
    ]
    citations = cite(generators[0].generate(prompt), prompt, index.document)
    quotes: list[str] = [citation.quote for citation in citations]
    order: tuple[Hit, ...] = place(hits, "edges").hits
    document: Document = read_pdf("a.pdf")
    pages: tuple[Page, ...] = document.pages
    chunks: list[Chunk] = [hit.chunk for hit in order]
    selection: Selection | None = None
    print(quotes, pages, chunks, selection, prompt._repr_html_())
    return ask("When?", folder, embedder, generators[-1], on_text=print)


try:
    print(main("indexes/default").confidence)
except RagctxError as error:
    print(error)
'''


def checked(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    file = folder / "program.py"
    file.write_text(program, "utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", str(file)]
    return subprocess.run(
        [*command, "--cache-dir", str(folder / "cache")],
        cwd=folder,
        env={"MYPYPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(900)
def test_a_user_s_program_is_well_typed_and_a_wrong_one_is_not(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed: ragctx[dev]")
    done = checked(PROGRAM, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    wrong = checked(PROGRAM.replace('"When?", 5, filter', '"When?", "5", filter'), tmp_path)
    assert wrong.returncode == 1 and 'expected "int"' in wrong.stdout
