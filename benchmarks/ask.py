"""How long an answer takes: cold (a new process), then warm (models and index loaded).

python -m benchmarks.ask                          # the sample PDFs and their questions
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from benchmarks.common import result, spread, table
from ragctx.embedding import load_embedder
from ragctx.generator.load import load_generator
from ragctx.index.index import Index
from ragctx.ingestion import ingest
from ragctx.pipeline import ask

SAMPLES = Path(__file__).parents[1] / "examples" / "samples"
COLD_RUNS = 3


def cold_s(question: str, index: Path) -> float:
    """Seconds from starting the command to its end."""
    began = perf_counter()
    command = [sys.executable, "-m", "ragctx", "ask", question, "--index", str(index), "--json"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode not in (0, 3):
        raise SystemExit(done.stderr.decode())
    return perf_counter() - began


def main() -> None:
    """Measure and print."""
    lines = (SAMPLES / "questions.jsonl").read_text("utf-8").splitlines()
    questions = [json.loads(line)["question"] for line in lines]
    loading: dict[str, float] = {}
    stages: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index"
        began = perf_counter()
        embedder = load_embedder()
        loading["load_embedder_s"] = perf_counter() - began
        began = perf_counter()
        generator = load_generator()
        loading["load_generator_s"] = perf_counter() - began
        index = Index.open_or_create(path, embedder=embedder)
        ingest([SAMPLES], index, embedder)
        cold = [cold_s(questions[i], path) for i in range(COLD_RUNS)]
        reused = prompt_tokens = 0
        for question in questions:
            answer = ask(question, index, embedder, generator)
            for stage, seconds in answer.timing:
                stages.setdefault(stage, []).append(seconds)
            reused += answer.generation.reused_tokens
            prompt_tokens += answer.prompt.token_count
    rows = [("cold: new process", f"{spread(cold)['median'] * 1e3:.0f}")]
    rows += [(stage, f"{seconds * 1e3:.0f}") for stage, seconds in loading.items()]
    rows += [(f"warm: {name}", f"{spread(v)['median'] * 1e3:.1f}") for name, v in stages.items()]
    table(("stage", "ms (median)"), rows)
    result(
        "ask",
        n=len(questions),
        cold_s=spread(cold),
        loading={k: round(v, 4) for k, v in loading.items()},
        warm={name: spread(values) for name, values in stages.items()},
        reused_share=round(reused / max(1, prompt_tokens), 4),
    )


if __name__ == "__main__":
    main()
