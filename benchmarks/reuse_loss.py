"""What reading passages apart (`--reuse-passages`) costs a model of yours in right answers.

    python -m benchmarks.reuse_loss ~/models/qwen -n 40

Each question is put with its passages, read whole, and read apart with so many tokens of each
passage read again in their place. The right answer is scored, as the logarithm of its probability
per token, which tells differences with fewer questions than right and wrong do. Then the model
answers, greedily; it is right if its first line holds an accepted form, as in `ragctx compare`.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.ask import SAMPLES, indexed
from benchmarks.common import result, table
from ragctx.assembly import Assembly, assemble
from ragctx.embedding import load_embedder
from ragctx.evaluation.metrics import best_subspan_em
from ragctx.evaluation.scoring import prediction_of
from ragctx.evaluation.statistics.significance import mcnemar
from ragctx.generator.huggingface.apart import ApartReading
from ragctx.generator.huggingface.load import load_huggingface
from ragctx.generator.huggingface.model import HuggingFaceGenerator
from ragctx.generator.huggingface.runs import Run
from ragctx.index.index import Index
from ragctx.records import Prompt
from ragctx.retrieval import Retrieval, retrieve

FRESH = (0, 1, 4, 16)
ANSWER_TOKENS = 32
TEMPLATE = (
    "{passages}\n[{label}] ({document}, p. {pages})\n{text}\n\n{/passages}\n"
    "Answer from the passages, in a few words: {question}\n"
)


class Scored(NamedTuple):
    """What one way of reading a prompt comes to."""

    log_probability: float  # of the right answer, per token
    right: bool
    answer: str


def prompts_of(
    generator: HuggingFaceGenerator, passages: int, n: int
) -> Iterator[tuple[Prompt, list[str]]]:
    """Prompts of some sample questions, whose answer is in a passage, with the answers."""
    rows = [json.loads(line) for line in (SAMPLES / "questions.jsonl").open(encoding="utf-8")]
    rows = [row for row in rows if row["answerable"]]
    random.Random(0).shuffle(rows)
    embedder = load_embedder()
    assembly = Assembly(template=TEMPLATE, max_new_tokens=ANSWER_TOKENS)
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
            answers = row["answers"]
            if n and any(answers[0] in segment.text for segment in prompt.passages):
                yield prompt, answers
                n -= 1


def scored(
    generator: HuggingFaceGenerator, run: Run, scores: Tensor, answers: Sequence[str]
) -> Scored:
    """Score what a run has read: how likely is the right answer, and what is answered?"""
    copy = generator.reading.new_run(run.layers, run.token_ids, run.kind)
    said = prediction_of(answered(generator, copy, scores))
    return Scored(
        likelihood(generator, run, scores, answers[0]), best_subspan_em(said, answers) == 1, said
    )


def answered(generator: HuggingFaceGenerator, run: Run, scores: Tensor) -> str:
    """What the model answers to what a run has read, greedily."""
    ids: list[int] = []
    while len(ids) < ANSWER_TOKENS and (token := int(scores.argmax())) not in generator.end_ids:
        ids.append(token)
        scores = generator.reading.step(run, token)
    return generator.tokenizer.decode(ids)


def likelihood(generator: HuggingFaceGenerator, run: Run, scores: Tensor, answer: str) -> float:
    """The logarithm of an answer's probability per token, behind what a run has read."""
    ids = generator.tokenizer.encode(answer)
    logs = [scores.log_softmax(-1)[ids[0]]]
    for read, wanted in pairwise(ids):
        logs.append(generator.reading.step(run, read).log_softmax(-1)[wanted])
    return float(torch.stack(logs).mean())


def compared(rows: Sequence[dict[str, Scored]]) -> None:
    """Print the table: each way beside reading the prompt whole."""
    cells = []
    for name in rows[0]:
        pairs = [(row["whole"], row[name]) for row in rows]
        lost = sum(whole.right > other.right for whole, other in pairs)
        won = sum(whole.right < other.right for whole, other in pairs)
        less = [whole.log_probability - other.log_probability for whole, other in pairs]
        cells.append(
            (
                name,
                f"{statistics.mean(other.log_probability for _, other in pairs):.3f}",
                f"{statistics.mean(less):.3f}",
                f"{sum(loss > 0 for loss in less)} of {len(rows)}",
                sum(other.right for _, other in pairs),
                f"{lost} lost, {won} won, p = {mcnemar(lost, won):.2f}",
            )
        )
    header = ("passages read", "log p per token", "less than whole", "worse in", "right", "pairs")
    table(header, cells)


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
    rows: list[dict[str, Scored]] = []
    for prompt, answers in prompts_of(generator, arguments.k, arguments.n):
        generator.forget()
        run, scores, _ = reading.read(prompt.token_ids)
        row = {"whole": scored(generator, run, scores, answers)}
        for name, way in ways.items():
            run, scores, _ = way.read(prompt)
            row[name] = scored(generator, run, scores, answers)
        rows.append(row)
        told = {"tokens": prompt.token_count, "answers": answers, **row}
        sys.stderr.write(json.dumps(told) + "\n")  # a long run may be ended before its end
    compared(rows)
    result("reuse_loss", model=generator.name, passages=arguments.k, rows=rows)


if __name__ == "__main__":
    main()
