"""PDFs to an index, with the same model: pages/s of ragctx, LangChain, LlamaIndex and Haystack.

    python -m benchmarks.peers.ingest [PDF or folder ...] [--runs 3]

The first run makes an environment for each package under build/peers (a minute or two, needs a
package index); torch, sentence-transformers and numpy are those of this environment, for all. Each
run is a new process for each package in turn, so that a busy machine is busy for all of them.

Pages/s are those of reading, cutting, embedding and storing; `start s`, importing and loading the
model, is told apart. Processor seconds, of all threads and processes, do not count what else the
machine does. `tokens` are those that the model read; what was cut off a passage that is too long
for it, was not. What the ratio can be at most is told as well: if reading, cutting and storing took
no time at all, and only embedding were left.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.common import result, table
from benchmarks.peers.environments import environment_of
from ragctx.ingestion.finding import find_files

ROOT = Path(__file__).parents[2]
DEFAULT = ROOT.parent / "shared" / "data" / "pdf" / "manuals"
FILES = ("r-intro.pdf", "developers-reference.pdf", "r-exts.pdf")

PACKAGES: dict[str, tuple[str, ...]] = {
    "ragctx": (),
    "ragctx_float32": (),
    "langchain": ("langchain-community==0.4.*", "langchain-huggingface==1.*"),
    "llama_index": (
        "llama-index-embeddings-huggingface==0.8.*",
        "llama-index-readers-file==0.7.*",
    ),
    "haystack": ("haystack-ai==3.*", "sentence-transformers-haystack==2.*"),
}


def python_of(name: str) -> str:
    """The Python that has a package; ragctx has that of this process."""
    return str(environment_of(name, PACKAGES[name])) if PACKAGES[name] else sys.executable


def measured(name: str, files: Sequence[Path]) -> dict[str, Any]:
    """One run of a package, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [python_of(name), "-m", "benchmarks.peers.ingest_one", name, f"{folder}/index"]
        done = subprocess.run(
            [*command, *map(str, files)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr[-2000:]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", default=[str(DEFAULT / name) for name in FILES])
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    files = find_files(given.paths)
    for name in PACKAGES:
        python_of(name)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in PACKAGES}
    for _ in range(given.runs):
        for name, told in runs.items():
            told.append(measured(name, files))
    pages = runs["ragctx"][0]["pages"]
    seconds = {name: median(run["ingest_s"] for run in told) for name, told in runs.items()}
    rows = []
    for name, told in runs.items():
        stages = ", ".join(f"{stage} {s:.1f}" for stage, s in told[0]["stages_cpu_s"].items())
        embed = median(run["stages_s"].get("embed", 0.0) for run in told)
        rows.append(
            [
                name,
                told[0]["pages"],
                told[0]["passages"],
                told[0]["tokens"],
                told[0]["cut_off"],
                f"{pages / seconds[name]:.1f}",
                f"{seconds[name] / seconds['ragctx']:.2f}",
                f"{embed / seconds['ragctx']:.2f}" if embed else "",
                f"{median(run['start_s'] for run in told):.1f}",
                f"{median(sum(run['stages_cpu_s'].values()) for run in told):.1f}",
                stages,
            ]
        )
    columns = [
        "package",
        "pages",
        "passages",
        "tokens",
        "cut off",
        "pages/s",
        "ragctx is",
        "by embedding alone",
    ]
    table([*columns, "start s", "processor s", "of these, by stage, first run"], rows)
    result("ingest_peers", files=[file.name for file in files], runs=runs)


if __name__ == "__main__":
    main()
