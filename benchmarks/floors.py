"""What a relevance floor keeps and what it saves: the measurement behind `--min-score auto`.

    python -m benchmarks.floors                  # minutes
    python -m benchmarks.floors --reader 200     # also answers, with and without the floor

Passages of nine question sets are in one index, so that the distractors are those that retrieval
really finds. Measured on the questions with a right passage among the 20 candidates: how many keep
one (mean over sets, and the set that keeps fewest), and which share of the candidates' tokens is
kept. The rule and its level were chosen on every other question and are measured on the rest.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import result, table
from benchmarks.retrieval import SETS, Question, build, load
from ragctx.assembly import Assembly
from ragctx.embedding import Embedder, load_embedder
from ragctx.evaluation.metrics import exact_match, token_f1
from ragctx.generator.load import load_generator
from ragctx.index.index import Index
from ragctx.pipeline import ask
from ragctx.records import Hit
from ragctx.retrieval import Retrieval, search
from ragctx.selection.floors import DROP, near_best

CANDIDATES = 20
Keep = Callable[[Sequence[Hit]], list[bool]]


@dataclass(frozen=True)
class Case:
    """A question with the candidates that retrieval finds."""

    question: Question
    hits: list[Hit]

    @property
    def right(self) -> list[bool]:
        return [hit.chunk.document_id in self.question.gold for hit in self.hits]


def similarity(hit: Hit) -> float:
    """The cosine to the question, which every hit of a hybrid search has."""
    assert hit.similarity is not None
    return hit.similarity


def best_by_rank(most: int, hits: Sequence[Hit]) -> list[bool]:
    return [hit.rank <= most for hit in hits]


def above(least: float, hits: Sequence[Hit]) -> list[bool]:
    return [similarity(hit) >= least for hit in hits]


def within(drop: float, hits: Sequence[Hit]) -> list[bool]:
    return above(max(map(similarity, hits)) - drop, hits)


def share_of_best(share: float, hits: Sequence[Hit]) -> list[bool]:
    return above(share * max(map(similarity, hits)), hits)


def automatic(hits: Sequence[Hit]) -> list[bool]:
    return [not reason for reason in near_best(hits)]


POLICIES: dict[str, Keep] = {
    **{f"best {n} by rank": partial(best_by_rank, n) for n in (3, 5, 8, 10, 12)},
    **{f"similarity >= {x}": partial(above, x) for x in (0.2, 0.3, 0.35, 0.4)},
    **{f"similarity >= {x} of the best": partial(share_of_best, x) for x in (0.5, 0.6, 0.7)},
    **{f"similarity >= the best - {x}": partial(within, x) for x in (0.15, 0.2, 0.25, 0.3)},
    f"auto (the best - {DROP})": automatic,
}


def judge(cases: Sequence[Case], keep: Keep) -> dict[str, float]:
    """Shares of questions that keep a right passage, and of tokens kept: means over sets."""
    by_set: dict[str, list[tuple[bool, float]]] = {}
    for case in cases:
        kept = keep(case.hits)
        tokens = np.array([hit.chunk.token_count for hit in case.hits])
        keeps_right = any(a and b for a, b in zip(kept, case.right, strict=True))
        share = float(tokens[kept].sum() / tokens.sum())
        by_set.setdefault(case.question.set, []).append((keeps_right, share))
    kept_by_set = [float(np.mean([keeps for keeps, _ in rows])) for rows in by_set.values()]
    tokens_by_set = [float(np.mean([share for _, share in rows])) for rows in by_set.values()]
    return {
        "kept": round(float(np.mean(kept_by_set)), 4),
        "kept_worst_set": round(min(kept_by_set), 4),
        "tokens": round(float(np.mean(tokens_by_set)), 4),
    }


def answers_of(folder: Path) -> dict[tuple[str, str], list[str]]:
    """(set, question) -> answers, where a set has short ones."""
    answers: dict[tuple[str, str], list[str]] = {}
    for name in SETS:
        with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as stream:
            for line in stream:
                row = json.loads(line)
                if row.get("answers") and max(map(len, row["answers"])) < 120:
                    answers.setdefault((name.split(".")[0], row["question"]), []).extend(
                        row["answers"]
                    )
    return answers


def read(
    index: Index, embedder: Embedder, asked: list[tuple[Question, list[str]]]
) -> dict[str, dict[str, float]]:
    """Scores of the bundled reader on the 5 and 20 best passages, with and without the floor."""
    reader = load_generator("bundled")
    scores = {}
    for k in (5, CANDIDATES):
        for name, floor in (("all", None), ("auto", near_best)):
            assembly = replace(Assembly(), floor=floor)
            replies = [
                ask(
                    question.text,
                    index,
                    embedder,
                    reader,
                    retrieval=Retrieval(k=k),
                    assembly=assembly,
                )
                for question, _ in asked
            ]
            pairs = list(zip(replies, (answers for _, answers in asked), strict=True))
            scores[f"k={k}, {name}"] = {
                "em": round(float(np.mean([exact_match(a.text, gold) for a, gold in pairs])), 4),
                "f1": round(float(np.mean([token_f1(a.text, gold) for a, gold in pairs])), 4),
                "prompt_tokens": round(float(np.mean([a.prompt.token_count for a in replies])), 1),
            }
    return scores


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared/data/qa")
    parser.add_argument("--passages", type=int, default=300, help="of each set at most")
    parser.add_argument("--questions", type=int, default=120, help="of each set at most")
    parser.add_argument("--reader", type=int, default=0, metavar="N", help="let it answer N")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    texts, questions = load(options.data, options.passages, options.questions, options.seed)
    embedder = load_embedder()
    with tempfile.TemporaryDirectory() as folder:
        index = build(Path(folder) / "index", texts, embedder)
        with index.snapshot() as snapshot:
            cases = [Case(q, search(snapshot, embedder, q.text, CANDIDATES)) for q in questions]
        answers = answers_of(options.data)
        asked = [(q, answers[q.set, q.text]) for q in questions if (q.set, q.text) in answers]
        step = max(1, len(asked) // max(1, options.reader))
        read_scores = (
            read(index, embedder, asked[::step][: options.reader]) if options.reader else {}
        )
    findable = [case for case in cases if any(case.right)]
    halves = {"chosen on": findable[::2], "checked on": findable[1::2]}
    scores: dict[str, Any] = {
        policy: {half: judge(some, keep) for half, some in halves.items()}
        for policy, keep in POLICIES.items()
    }
    table(
        ("keep", *(f"{half}: {what}" for half in halves for what in ("kept", "worst", "tokens"))),
        [
            (policy, *(f"{value:.3f}" for half in halves for value in row[half].values()))
            for policy, row in scores.items()
        ],
    )
    if read_scores:
        print()
        table(
            ("bundled reader", "EM", "F1", "prompt tokens"),
            [(name, *row.values()) for name, row in read_scores.items()],
        )
    result(
        "cut",
        questions=len(questions),
        findable=len(findable),
        candidates=CANDIDATES,
        seed=options.seed,
        embedder=embedder.id,
        scores=scores,
        reader=read_scores,
        reader_questions=min(options.reader, len(asked)),
    )


if __name__ == "__main__":
    main()
