"""What reading passages apart (`--reuse-passages`) costs a model of yours in right answers.

    python -m benchmarks.reuse_loss ~/models/qwen -n 40

Each question is put with its passages, read whole, and read apart with so many tokens of each
passage read again in their place. No answer is decoded: it is scored, as the logarithm of its
probability per token, which tells differences with fewer questions than right and wrong do.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.ask import SAMPLES, indexed
from benchmarks.common import result, table
from ragctx.assembly import Assembly, assemble
from ragctx.embedding import load_embedder
from ragctx.generator.huggingface.apart import ApartReading
from ragctx.generator.huggingface.load import load_huggingface
from ragctx.generator.huggingface.model import HuggingFaceGenerator
from ragctx.generator.huggingface.runs import Run
from ragctx.index.index import Index
from ragctx.records import Prompt
from ragctx.retrieval import Retrieval, retrieve

FRESH = (0, 1, 4, 16)
TEMPLATE = (
    "{passages}\n[{label}] ({document}, p. {pages})\n{text}\n\n{/passages}\n"
    "Answer from the passages, in a few words: {question}\n"
)


def prompts_of(
    generator: HuggingFaceGenerator, passages: int, n: int
) -> Iterator[tuple[Prompt, str]]:
    """Prompts of some sample questions, whose answer is in a passage, with the answer."""
    rows = [json.loads(line) for line in (SAMPLES / "questions.jsonl").open(encoding="utf-8")]
    rows = [row for row in rows if row["answerable"]]
    random.Random(0).shuffle(rows)
    embedder = load_embedder()
    assembly = Assembly(template=TEMPLATE, max_new_tokens=32)
    with tempfile.TemporaryDirectory() as folder:
        index = Index.open(indexed(Path(folder), 0, embedder), embedder=embedder)
        for row in rows:
            hits = retrieve(row["question"], index, embedder, Retrieval(k=passages))
            prompt = assemble(
                row["question"],
                hits,
                generator.tokenizer,
                context_window=generator.context_window,
                assembly=assembly,
                get_document=index.document,
            )
            answer = row["answers"][0]
            if n and any(answer in segment.text for segment in prompt.passages):
                yield prompt, answer
                n -= 1


def likelihood(generator: HuggingFaceGenerator, run: Run, scores: Tensor, answer: str) -> float:
    """The logarithm of an answer's probability per token, behind what a run has read."""
    ids = generator.tokenizer.encode(answer)
    logs = [scores.log_softmax(-1)[ids[0]]]
    for read, wanted in pairwise(ids):
        logs.append(generator.reading.step(run, read).log_softmax(-1)[wanted])
    return float(torch.stack(logs).mean())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("model", type=Path, help="directory of a Hugging Face model with RoPE")
    parser.add_argument("-n", type=int, default=40, help="questions")
    parser.add_argument("-k", type=int, default=3, help="passages for each")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    generator = load_huggingface(arguments.model, dtype="auto")
    reading, window = generator.reading, generator.context_window
    ways = {
        f"apart, {fresh} read again": ApartReading(reading, window=window, fresh_tokens=fresh)
        for fresh in FRESH
    }
    rows: list[dict[str, float]] = []
    for prompt, answer in prompts_of(generator, arguments.k, arguments.n):
        generator.forget()
        run, scores, _ = reading.read(prompt.token_ids)
        row = {"tokens": prompt.token_count, "whole": likelihood(generator, run, scores, answer)}
        for name, way in ways.items():
            run, scores, _ = way.read(prompt)
            row[name] = likelihood(generator, run, scores, answer)
        rows.append(row)
        sys.stderr.write(json.dumps(row) + "\n")  # a long run may be ended before its end
    table(
        ("passages read", "log probability per token", "less than whole", "worse in"),
        [
            (
                name,
                f"{statistics.mean(row[name] for row in rows):.3f}",
                f"{statistics.mean(row['whole'] - row[name] for row in rows):.3f}",
                f"{sum(row[name] < row['whole'] for row in rows)} of {len(rows)}",
            )
            for name in ("whole", *ways)
        ],
    )
    result("reuse_loss", model=generator.name, passages=arguments.k, rows=rows)


if __name__ == "__main__":
    main()
