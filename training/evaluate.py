"""Score the shipped reader on a question file, as a user would run it: prompt in, answer out.

    python -m training.evaluate --questions FILE.jsonl.gz --json
    python -m training.evaluate --questions FILE --distractors 9 --gold-at 4 --json
    python -m training.evaluate --questions FILE --distractors 4 --no-gold --json

Rows are `{question, context, answers}`; with `distractors` (a list of texts) in a row those are
used, else passages of the same file that do not hold the answer, drawn with `--seed`.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragctx.evaluation.metrics import best_subspan_em, exact_match, token_f1
from ragctx.generator.reader import BundledReader, load_bundled
from ragctx.placement import place
from ragctx.prompt import build_prompt, load_template
from ragctx.records import Hit, Prompt
from training.data import read_rows


@dataclass(frozen=True)
class Scored:
    """One question's result; `confidence` is the reader's, whatever the threshold says."""

    position: int
    text: str
    confidence: float
    f1: float
    em: float
    subspan: float


def prompt_of(question: str, passages: Sequence[str], reader: BundledReader) -> Prompt:
    """The reader's prompt for `passages` in the order given."""
    hits = [Hit.from_text(i + 1, -float(i), text, f"p{i}") for i, text in enumerate(passages)]
    return build_prompt(
        load_template("reader"),
        question,
        place(hits, "best_first"),
        reader.tokenizer,
        context_window=10**6,
        max_new_tokens=48,
    )


def choose_passages(
    row: dict[str, Any],
    pool: Sequence[str],
    distractors: int,
    gold_at: int | None,
    with_gold: bool,
    rng: random.Random,
) -> tuple[list[str], int]:
    """The passages of one question, and where the gold one stands (-1: nowhere)."""
    others = list(row.get("distractors") or ())[:distractors]
    answers = [answer.lower() for answer in row["answers"]]
    for other in rng.sample(pool, len(pool)):
        if len(others) == distractors:
            break
        if other != row["context"] and not any(answer in other.lower() for answer in answers):
            others.append(other)
    if not with_gold:
        return others, -1
    slot = rng.randint(0, len(others)) if gold_at is None else min(gold_at, len(others))
    return [*others[:slot], row["context"], *others[slot:]], slot


def score(
    reader: BundledReader,
    rows: Sequence[dict[str, Any]],
    *,
    distractors: int = 0,
    gold_at: int | None = None,
    with_gold: bool = True,
    seed: int = 1,
) -> list[Scored]:
    """Every row's result. The threshold is off: the reader always gives its best answer.

    The prior of ranks is off too: here a passage's place says nothing about its worth.
    """
    rng, pool = random.Random(seed), sorted({row["context"] for row in rows})
    threshold, reader.threshold = reader.threshold, -1.0
    rank_prior, reader.rank_prior = reader.rank_prior, 0.0
    results = []
    try:
        for row in rows:
            passages, position = choose_passages(row, pool, distractors, gold_at, with_gold, rng)
            given = reader.generate(prompt_of(row["question"], passages, reader))
            answers = row["answers"]
            results.append(
                Scored(
                    position,
                    given.text,
                    given.confidence,
                    token_f1(given.text, answers),
                    exact_match(given.text, answers),
                    best_subspan_em(given.text, answers),
                )
            )
    finally:
        reader.threshold, reader.rank_prior = threshold, rank_prior
    return results


def summary(results: Sequence[Scored]) -> dict[str, Any]:
    """Means in percent, over all and by position of the gold passage."""

    def means(part: Sequence[Scored]) -> dict[str, float]:
        return {
            "f1": round(100 * statistics.fmean(r.f1 for r in part), 2),
            "em": round(100 * statistics.fmean(r.em for r in part), 2),
            "best_subspan_em": round(100 * statistics.fmean(r.subspan for r in part), 2),
            "n": len(part),
        }

    positions = sorted({r.position for r in results})
    by = {str(p): means([r for r in results if r.position == p]) for p in positions}
    return {**means(results), "by_position": by}


def rows_of(path: Path, limit: int | None) -> list[dict[str, Any]]:
    """The answerable rows; `limit` of them, spread evenly over the file."""
    rows = [row for row in read_rows(path) if row.get("answers")]
    if limit and limit < len(rows):
        rows = [rows[i * len(rows) // limit] for i in range(limit)]
    return rows


def main() -> None:
    """Parse, score, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--distractors", type=int, default=0)
    parser.add_argument("--gold-at", type=int)
    parser.add_argument("--no-gold", action="store_true", help="leave the gold passage out")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    reader = load_bundled()
    rows = rows_of(given.questions, given.limit)
    results = score(
        reader,
        rows,
        distractors=given.distractors,
        gold_at=given.gold_at,
        with_gold=not given.no_gold,
        seed=given.seed,
    )
    found = {
        "questions": given.questions.name,
        "model": reader.name,
        "seed": given.seed,
        "distractors": given.distractors,
        **summary(results),
        "answered": sum(r.confidence >= reader.threshold for r in results) / len(results),
    }
    if given.json:
        sys.stdout.write(json.dumps(found) + "\n")
        return
    for key, value in found.items():
        sys.stdout.write(f"{key}: {value}\n")


if __name__ == "__main__":
    main()
