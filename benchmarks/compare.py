"""The whole sweep of `ragctx compare`, and the same one prompt at a time without any reuse.

    python -m benchmarks.compare                    # 8 strategies, 500 questions, 20 passages
    python -m benchmarks.compare --questions 40 --without 4                # smaller

Without reuse every prompt is read from its first token. That takes hours for all of them, so it is
timed on `--without` of the questions, sampled by a seed, and the mean times per question are
compared; on those questions every answer must be identical. The passages are hard negatives from
the file's own contexts (what a search in a corpus of that size finds), or, with `--disjoint`, those
of a file that gives each question its own: then nothing is shared between questions.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from time import perf_counter

from benchmarks.common import result, spread, table
from ragctx.assembly import Assembly
from ragctx.evaluation.answering import generate_all
from ragctx.evaluation.candidates import QuestionCandidates, source_of
from ragctx.evaluation.compare import hot_order, sample_questions
from ragctx.evaluation.conditions import Plan
from ragctx.evaluation.datasets import read_questions
from ragctx.evaluation.prompts import PromptMaker
from ragctx.generator.reader.reader import BundledReader, load_bundled
from ragctx.records import Generation
from ragctx.threads import THREADS, thread_count

QA = Path(__file__).parents[2] / "shared" / "data" / "qa"
STRATEGIES = (
    "best_first",
    "best_last",
    "edges",
    "edges_end",
    "middle",
    "document_order",
    "random",
    "langchain",
)
Answers = list[Generation]


def with_reuse(
    candidates: list[QuestionCandidates], plan: Plan
) -> tuple[dict[str, Answers], dict[str, float], float]:
    """Answers and seconds by question id, and the seconds in all, making prompts included."""
    reader = load_bundled()
    maker = PromptMaker(reader, Assembly(max_new_tokens=48), lambda document_id: None)
    answers: dict[str, Answers] = {}
    seconds: dict[str, float] = {}
    began = perf_counter()
    for one in hot_order(candidates):
        since = perf_counter()
        prompts = [asked.prompt for asked in maker.all_of(one, plan)]
        answers[one.question.id] = generate_all(reader, prompts)
        seconds[one.question.id] = perf_counter() - since
    return answers, seconds, perf_counter() - began


def without_reuse(
    one: QuestionCandidates, plan: Plan, reader: BundledReader
) -> tuple[Answers, float]:
    """The same prompts one by one, by a reader that keeps nothing."""
    maker = PromptMaker(reader, Assembly(max_new_tokens=48), lambda document_id: None)
    since = perf_counter()
    answers = [reader.generate(asked.prompt) for asked in maker.all_of(one, plan)]
    return answers, perf_counter() - since


def require_identical(answers: Answers, expected: Answers, question: str) -> None:
    """Stop the program where an answer differs in anything but its times."""
    for one, other in zip(answers, expected, strict=True):
        same = (one.text, one.token_ids, one.spans, one.finish_reason) == (
            other.text,
            other.token_ids,
            other.spans,
            other.finish_reason,
        )
        if not same or one.confidence != other.confidence:
            raise SystemExit(f"question {question}: {one!r} is not {other!r}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--file", type=Path, help="default: squadshifts_newwiki.dev")
    parser.add_argument("--disjoint", action="store_true", help="default: newwiki-20-passages.dev")
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--without", type=int, default=10)
    parser.add_argument("--passages", type=int, default=20)
    parser.add_argument("--strategies", type=int, default=len(STRATEGIES))
    parser.add_argument("--positions", action="store_true", help="5 slots as well")
    parser.add_argument("--threads", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    options = arguments()
    if options.threads:
        os.environ[THREADS] = str(options.threads)
    name = "newwiki-20-passages.dev" if options.disjoint else "squadshifts_newwiki.dev"
    all_questions = read_questions(options.file or QA / f"{name}.jsonl.gz")
    source = source_of(all_questions, options.passages)
    chosen = sample_questions(all_questions, options.questions, seed=0)
    candidates = [source.candidates(question) for question in chosen.questions]
    positions = (options.passages,) if options.positions else ()
    plan = Plan(
        strategies=STRATEGIES[: options.strategies],
        random_seeds=(0,),
        controls=False,
        k=options.passages,
        position_passages=positions,
    )
    answers, seconds, total_s = with_reuse(candidates, plan)
    reader = load_bundled(cache_bytes=0)
    timed_alone = {
        question.id for question in sample_questions(chosen, options.without, seed=1).questions
    }
    alone: dict[str, float] = {}
    for one in candidates:
        if one.question.id in timed_alone:
            expected, alone[one.question.id] = without_reuse(one, plan, reader)
            require_identical(answers[one.question.id], expected, one.question.id)
    mean_with = total_s / len(candidates)
    mean_without = sum(alone.values()) / len(alone)
    ratio = mean_without / mean_with
    prompts = sum(map(len, answers.values()))
    table(
        ("", "questions", "s/question", "s for all"),
        [
            ("with reuse", len(candidates), f"{mean_with:.3f}", f"{total_s:.1f}"),
            (
                "without reuse",
                len(alone),
                f"{mean_without:.3f}",
                f"{mean_without * len(candidates):.1f} (projected)",
            ),
        ],
    )
    print(f"{prompts} prompts; identical answers on {len(alone)} questions; ratio {ratio:.1f}")
    result(
        "compare",
        questions=len(candidates),
        passages=options.passages,
        prompts=prompts,
        strategies=options.strategies,
        positions=options.positions,
        file=name,
        threads=thread_count(),
        with_reuse_s=round(total_s, 3),
        without_reuse_s_per_question=spread(list(alone.values())),
        with_reuse_s_per_question=spread(list(seconds.values())),
        ratio=round(ratio, 2),
        projected_without_reuse_s=round(mean_without * len(candidates), 1),
    )


if __name__ == "__main__":
    main()
