"""How long an answer takes: a new process, stage by stage, and then with everything loaded.

    python -m benchmarks.ask                     # the sample PDFs and their questions
    python -m benchmarks.ask --chunks 1000       # an index of as many chunks, from the samples
    python -m benchmarks.ask --neighbours 2      # again beside two processes that never rest

Seconds on the clock count what the machine does besides; processor seconds (user and system, of all
threads) do not, but grow a little too where cores are shared. New processes find bytecode, as pip
leaves it where it installs a package, also where PYTHONDONTWRITEBYTECODE is set; without it, a
search spends 60 ms more on compiling.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.common import result, spread, table
from ragctx.chunking import chunk_document
from ragctx.embedding import Embedder, load_embedder
from ragctx.generator.load import load_generator
from ragctx.index.index import Index
from ragctx.ingestion import find_files
from ragctx.pdf.read import read_pdf
from ragctx.pipeline import ask

SAMPLES = Path(__file__).parents[1] / "examples" / "samples"
HEAVY = ("numpy", "onnxruntime", "tokenizers", "faiss", "torch", "jinja2", "sqlite3", "ragctx")
"""Packages whose import is told apart."""


def indexed(folder: Path, chunks: int, embedder: Embedder) -> Path:
    """An index of the samples, cut into small chunks until there are `chunks` of them."""
    path, made, tokens = folder / "index", 0, 200
    index = Index.open_or_create(path, embedder=embedder)
    with index.writer() as writer:
        while made < max(chunks, 1):
            for pdf in find_files([str(SAMPLES / "*.pdf")]):
                document = read_pdf(pdf)
                cut = chunk_document(document, embedder.tokenizer, max_tokens=tokens)
                vectors = embedder.encode([chunk.text for chunk in cut])
                writer.put(f"{pdf} {tokens}", document, cut, vectors, recipe="benchmark")
                made += len(cut)
            tokens = max(12, tokens // 2)
            if tokens == 12 and made:
                break
    return path


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """As many processes that compute without end."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for one in busy:
            one.kill()
            one.wait()


def with_bytecode(folder: Path) -> dict[str, str]:
    """This environment, for processes that keep compiled modules in a folder."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


def new_process(
    arguments: Sequence[str], repeats: int, environment: Mapping[str, str]
) -> dict[str, Any]:
    """Seconds of a new process, on the clock and of processors, after one that is not counted."""
    clock, processor = [], []
    command = [sys.executable, "-m", "ragctx", *arguments]
    subprocess.run(command, capture_output=True, check=False, env=environment)
    for _ in range(repeats):
        before, began = os.times(), perf_counter()
        done = subprocess.run(command, capture_output=True, check=False, env=environment)
        if done.returncode not in (0, 3):
            raise SystemExit(done.stderr.decode())
        clock.append(perf_counter() - began)
        after = os.times()
        used = after.children_user + after.children_system
        processor.append(used - before.children_user - before.children_system)
    return {"clock_s": spread(clock), "processor_s": spread(processor)}


def imports_ms(arguments: Sequence[str], environment: Mapping[str, str]) -> dict[str, float]:
    """Milliseconds that a command spends importing each package of `HEAVY`, once."""
    command = [sys.executable, "-X", "importtime", "-m", "ragctx", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    spent = dict.fromkeys(HEAVY, 0.0)
    for own, name in re.findall(r"import time: +(\d+) \| +\d+ \| +([\w.]+)", done.stderr):
        package = name.split(".")[0].lstrip("_")
        if package in spent:
            spent[package] += int(own) / 1e3
    return {package: round(ms, 1) for package, ms in spent.items() if ms}


def warm(path: Path, embedder: Embedder, questions: Sequence[str]) -> dict[str, list[float]]:
    """Seconds of each stage of an answer, for questions that were asked once before."""
    index, generator = Index.open(path, embedder=embedder), load_generator()
    stages: dict[str, list[float]] = {"whole": []}
    for question in questions:
        ask(question, index, embedder, generator)
        began = perf_counter()
        answer = ask(question, index, embedder, generator)
        stages["whole"].append(perf_counter() - began)
        for stage, seconds in answer.timing:
            stages.setdefault(stage, []).append(seconds)
    return stages


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--chunks", type=int, default=0, help="at least as many in the index")
    parser.add_argument("--neighbours", type=int, default=0, help="busy processes beside")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    lines = (SAMPLES / "questions.jsonl").read_text("utf-8").splitlines()
    questions = [json.loads(line)["question"] for line in lines]
    measured: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        embedder, environment = load_embedder(), with_bytecode(Path(folder))
        path = indexed(Path(folder), arguments.chunks, embedder)
        chunks = Index.open(path, embedder=embedder).info().chunks
        commands = {
            "--help": ["--help"],
            "search": ["search", questions[0], "--index", str(path), "--json"],
            "ask": ["ask", questions[0], "--index", str(path), "--json"],
        }
        for beside in dict.fromkeys((0, arguments.neighbours)):
            with neighbours(beside):
                measured[f"{beside} beside"] = {
                    **{
                        name: new_process(command, arguments.repeats, environment)
                        for name, command in commands.items()
                    },
                    "warm": {k: spread(v) for k, v in warm(path, embedder, questions).items()},
                }
        imports = {name: imports_ms(command, environment) for name, command in commands.items()}
    for beside, parts in measured.items():
        rows = [
            (name, *(f"{parts[name][kind]['median']:.3f}" for kind in ("clock_s", "processor_s")))
            for name in commands
        ]
        rows += [(f"warm: {k}", f"{v['median']:.4f}", "") for k, v in parts["warm"].items()]
        table((beside, "seconds", "processor seconds"), rows)
    table(("imports", "ms"), [(name, imported) for name, imported in imports.items()])
    result("ask", n=len(questions), chunks=chunks, imports_ms=imports, measured=measured)


if __name__ == "__main__":
    main()
