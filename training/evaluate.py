"""Score the shipped reader on a question file, as a user would run it: prompt in, answer out.

    python -m training.evaluate --questions FILE.jsonl.gz --json
    python -m training.evaluate --questions FILE --distractors 9 --gold-at 4 --json
    python -m training.evaluate --questions FILE --distractors 4 --no-gold --json

Rows are `{question, context, answers}`; with `distractors` (a list of texts) in a row those are
used. Else every second distractor is the passage of the file most like the question by the
embedder, and the others are drawn, all without the answer's words. As after a search, the reader
knows each passage's cosine to the question and its rank by it; `--blind` hides both.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ragctx.embedding import Embedder, load_embedder
from ragctx.evaluation.metrics import best_subspan_em, exact_match, token_f1
from ragctx.evaluation.statistics.intervals import bootstrap_mean
from ragctx.generator.reader.calibration import Evidence
from ragctx.generator.reader.checkpoint import FOLDER
from ragctx.generator.reader.context import locate
from ragctx.generator.reader.network import QuestionStates
from ragctx.generator.reader.passages import CachedPassage
from ragctx.generator.reader.reader import BundledReader, load_bundled
from ragctx.placement.strategies import place
from ragctx.prompt.build import build_prompt
from ragctx.prompt.template import load_template
from ragctx.records import Hit, Prompt
from training.data import read_rows


@dataclass(frozen=True, kw_only=True)
class AskedQuestion:
    """A question with its passages in prompt order; `gold` is its own passage's slot (-1: none)."""

    question: str
    answers: list[str]
    passages: tuple[str, ...]
    gold: int
    cosines: tuple[float, ...]  # of each passage to the question; NaN where not known


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One question's result; `confidence` is the reader's, whatever the threshold says."""

    position: int
    text: str
    confidence: float
    f1: float
    em: float
    subspan: float
    evidence: Evidence


class Pool:
    """The passages of a question file, to draw distractors from, with their vectors."""

    def __init__(self, rows: Sequence[dict[str, Any]], embedder: Embedder) -> None:
        self.embedder = embedder
        self.texts = sorted({row["context"] for row in rows})
        self.vectors = embedder.encode([self.readable(text) for text in self.texts])

    def readable(self, text: str) -> str:
        """As much of a text as the embedder reads."""
        offsets = self.embedder.tokenizer.encode_with_offsets(text).offsets
        most = self.embedder.max_seq_length - 2
        return text[: offsets[most][0]] if len(offsets) > most else text

    def likeness(self, question: np.ndarray, texts: Sequence[str]) -> tuple[float, ...]:
        """Cosine of each text to the question's vector."""
        at = {text: i for i, text in enumerate(self.texts)}
        known = [self.vectors[at[text]] if text in at else self._embed(text) for text in texts]
        return tuple(float(vector @ question) for vector in known)

    def _embed(self, text: str) -> np.ndarray:
        vector: np.ndarray = self.embedder.encode([self.readable(text)])[0]
        return vector

    def distractors(
        self, row: dict[str, Any], question: np.ndarray, count: int, rng: random.Random
    ) -> list[str]:
        """`count` passages without the answer: the row's own, else mined and drawn in turn."""
        chosen = list(row.get("distractors") or ())[:count]
        answers = [answer.lower() for answer in row["answers"]]

        def fits(text: str) -> bool:
            is_taken = text == row["context"] or text in chosen
            return not is_taken and not any(answer in text.lower() for answer in answers)

        similar = iter(np.argsort(-(self.vectors @ question), kind="stable").tolist())
        drawn = iter(rng.sample(range(len(self.texts)), len(self.texts)))
        while len(chosen) < min(count, len(self.texts) - 1):
            source = similar if len(chosen) % 2 == 0 else drawn
            text = next((t for t in map(self.texts.__getitem__, source) if fits(t)), None)
            if text is None:
                break
            chosen.append(text)
        return chosen


def questions_of(
    rows: Sequence[dict[str, Any]],
    embedder: Embedder,
    *,
    distractors: int = 0,
    gold_at: int | None = None,
    with_gold: bool = True,
    seed: int = 1,
    pool: Pool | None = None,
) -> Iterator[AskedQuestion]:
    """Each row with its passages; the gold one at a slot drawn at random unless `gold_at` says."""
    rng, pool = random.Random(seed), pool or Pool(rows, embedder)
    vectors = embedder.encode([pool.readable(row["question"]) for row in rows])
    for row, vector in zip(rows, vectors, strict=True):
        others = pool.distractors(row, vector, distractors + (not with_gold), rng)
        rng.shuffle(others)
        slot = rng.randint(0, len(others)) if gold_at is None else min(gold_at, len(others))
        passages = [*others[:slot], row["context"], *others[slot:]] if with_gold else others
        yield AskedQuestion(
            question=row["question"],
            answers=row["answers"],
            passages=tuple(passages),
            gold=slot if with_gold else -1,
            cosines=pool.likeness(vector, passages),
        )


def prompt_of(asked: AskedQuestion, reader: BundledReader) -> Prompt:
    """The reader's prompt for the passages in the order given, ranked by their cosines."""
    ranks = np.argsort(np.argsort([-c for c in asked.cosines], kind="stable"), kind="stable") + 1
    hits = [
        replace(Hit.from_text(int(rank), c, text, f"p{i}"), similarity=c)
        for i, (text, rank, c) in enumerate(zip(asked.passages, ranks, asked.cosines, strict=True))
    ]
    order = {id(hit): i for i, hit in enumerate(hits)}
    return build_prompt(
        load_template("reader"),
        asked.question,
        place(hits, lambda placed: sorted(placed, key=lambda hit: order[id(hit)])),
        reader.tokenizer,
        context_window=10**6,
        max_new_tokens=96,
    )


class Read(NamedTuple):
    """A question that was read, before prior and calibration come in."""

    asked: AskedQuestion
    prompt: Prompt
    passages: list[CachedPassage]  # without keys and values: both passes need states only
    states: QuestionStates


def read(reader: BundledReader, asked: AskedQuestion) -> Read:
    """Read a question over its passages."""
    prompt = prompt_of(asked, reader)
    passages, question = reader.parts(prompt)
    cached, _ = reader.cache.fetch(passages, reader.encode)
    states = reader.read_question(question, cached)
    nothing = np.empty(0)
    return Read(
        asked=asked,
        prompt=prompt,
        passages=[
            CachedPassage(keys=nothing, values=nothing, early=each.early, states=each.states)
            for each in cached
        ],
        states=states,
    )


def answer(reader: BundledReader, question: Read) -> Scored:
    """The reader's best answer, whatever its threshold."""
    asked, prompt, passages, states = question
    result = reader.read_twice(prompt, passages, states)
    text = "".join(text for _, text in locate(prompt, result.spans[:1], reader.tokenizer))
    return Scored(
        position=asked.gold,
        text=text,
        confidence=reader.confidence(prompt, result),
        f1=token_f1(text, asked.answers),
        em=exact_match(text, asked.answers),
        subspan=best_subspan_em(text, asked.answers),
        evidence=reader.evidence(prompt, result),
    )


def score(reader: BundledReader, questions: Iterable[AskedQuestion]) -> list[Scored]:
    """Every question's result."""
    return [answer(reader, read(reader, asked)) for asked in questions]


def score_freely(reader: BundledReader, questions: Iterable[AskedQuestion]) -> list[Scored]:
    """`score` for what the reader writes token by token (`BundledReader.write`)."""
    results = []
    for asked in questions:
        text = reader.write(prompt_of(asked, reader)).text
        results.append(
            replace(
                score(reader, [asked])[0],
                text=text,
                f1=token_f1(text, asked.answers),
                em=exact_match(text, asked.answers),
                subspan=best_subspan_em(text, asked.answers),
            )
        )
    return results


def blinded(questions: Iterator[AskedQuestion]) -> Iterator[AskedQuestion]:
    """The same questions with their cosines hidden, so that ranks follow the prompt's order."""
    for asked in questions:
        yield replace(asked, cosines=tuple(math.nan for _ in asked.passages))


def summary(results: Sequence[Scored], seed: int = 1) -> dict[str, Any]:
    """Means in percent with bootstrap intervals, over all and by position of the gold passage."""

    def means(part: Sequence[Scored]) -> dict[str, Any]:
        f1 = bootstrap_mean(np.array([r.f1 for r in part]), seed=seed)
        return {
            "f1": round(100 * f1.value, 2),
            "f1_interval": [round(100 * f1.low, 1), round(100 * f1.high, 1)],
            "em": round(100 * statistics.fmean(r.em for r in part), 2),
            "best_subspan_em": round(100 * statistics.fmean(r.subspan for r in part), 2),
            "n": len(part),
        }

    positions = sorted({r.position for r in results})
    by = {str(p): means([r for r in results if r.position == p]) for p in positions}
    return {**means(results), "by_position": by}


def rows_of(path: Path, limit: int | None) -> list[dict[str, Any]]:
    """The answerable rows; `limit` of them, spread evenly over the file."""
    return spread([row for row in read_rows(path) if row.get("answers")], limit)


def spread(rows: list[dict[str, Any]], limit: int | None) -> list[dict[str, Any]]:
    """`limit` of the rows, spread as evenly as possible."""
    if limit and limit < len(rows):
        return [rows[i * len(rows) // limit] for i in range(limit)]
    return rows


def main() -> None:
    """Parse, score, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--distractors", type=int, default=0)
    parser.add_argument("--gold-at", type=int, help="slot of the gold passage, from 0")
    parser.add_argument("--no-gold", action="store_true", help="leave the gold passage out")
    parser.add_argument("--blind", action="store_true", help="hide cosines and ranks")
    parser.add_argument("--free", action="store_true", help="score what it writes, not spans")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--reader", type=Path, default=FOLDER, help="folder of another reader")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    reader = load_bundled(arguments.reader)
    threshold = reader.threshold
    rows = rows_of(arguments.questions, arguments.limit)
    questions = questions_of(
        rows,
        load_embedder(),
        distractors=arguments.distractors,
        gold_at=arguments.gold_at,
        with_gold=not arguments.no_gold,
        seed=arguments.seed,
    )
    if arguments.free:
        reader.threshold = 0.0  # everything is answered, as spans are
    scored = score_freely if arguments.free else score
    results = scored(reader, blinded(questions) if arguments.blind else questions)
    report = {
        "questions": arguments.questions.name,
        "model": reader.name,
        "seed": arguments.seed,
        "distractors": arguments.distractors,
        **summary(results, arguments.seed),
        "answered": round(sum(r.confidence >= threshold for r in results) / len(results), 4),
    }
    if arguments.json:
        sys.stdout.write(json.dumps(report) + "\n")
        return
    for key, value in report.items():
        sys.stdout.write(f"{key}: {value}\n")


if __name__ == "__main__":
    main()
