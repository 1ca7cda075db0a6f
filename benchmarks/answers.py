"""Where answers about real PDFs are lost, step by step, on the development set (`dev_set`).

    python -m benchmarks.answers --half report                  # minutes: the PDFs are read first
    python -m benchmarks.answers --half report --index FOLDER   # an index that is kept
    python -m benchmarks.answers --half report --against fd6e545
    python -m benchmarks.answers --half report --picture docs/images/confidence.svg

First what happens: is the answer's passage found, does it get into the prompt, is the answer right
and its page too; of refusals, how many were due; of answers called sure, how many are right. Then
the same with one step made perfect, so that the gain tells what that step loses: never refusing, a
passage with the answer surely among those read, that passage alone, and the best of all spans that
the reader weighed. `--against` asks the same questions, judged in the same way, of another
revision of ragctx, with an index of its own.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.answer_judge import calibration_error, reliability
from benchmarks.answer_picture import picture
from benchmarks.answer_revision import observe_revision
from benchmarks.answer_stages import CUTS, READ, Asked, Observation
from benchmarks.common import result, table
from benchmarks.dev_set import (
    KINDS,
    PDFS,
    SETS,
    DevQuestion,
    dev_questions,
    pdf_paths,
    questions_of,
)
from ragctx.embedding import load_embedder
from ragctx.generator.reader.reader import load_bundled
from ragctx.index.index import Index
from ragctx.ingestion import ingest
from ragctx.reranking import Reranker, load_reranker
from ragctx.retrieval import Retrieval

SURE = 0.7
"""Confidence from which an answer counts as sure where the revision does not say it itself."""

REFUSED = "not_in_documents"

Observed = list[tuple[DevQuestion, Observation]]


def observe(
    questions: Sequence[DevQuestion],
    folder: Path,
    pdfs: Sequence[Path],
    kept: Path,
    *,
    reranker: Reranker | None = None,
) -> list[Observation]:
    """Ask every question of an index in `folder`, into which all PDFs are read first.

    What is seen is written to `kept`, a line a question; those that it holds are not asked again.
    """
    embedder, reader = load_embedder(), load_bundled()
    index = Index.open_or_create(folder, embedder=embedder)
    ingest(pdfs, index, embedder)
    retrieval = Retrieval(k=READ, reranker=reranker)
    asked = Asked(index=index, embedder=embedder, reader=reader, retrieval=retrieval)
    seen = {one.id: one for one in read_observations(kept)} if kept.exists() else {}
    with kept.open("a", encoding="utf-8") as stream:
        for question in questions:
            if question.id not in seen:
                seen[question.id] = asked.observe(question)
                row = json.dumps(asdict(seen[question.id]), ensure_ascii=False)
                stream.write(f"{row}\n")
                stream.flush()
                sys.stderr.write(f"\r{len(seen)} of {len(questions)}")
    sys.stderr.write("\n")
    return [seen[question.id] for question in questions]


def read_observations(kept: Path) -> list[Observation]:
    """The observations in a file."""
    return [Observation(**json.loads(line)) for line in kept.read_text("utf-8").splitlines()]


def measures(observed: Observed) -> dict[str, float | None]:
    """Every figure by its name, in the order of the steps; None where it was not looked at."""
    there = [seen for asked, seen in observed if asked.answerable]
    refused = [(asked, seen) for asked, seen in observed if seen.outcome == REFUSED]
    nowhere = [seen for asked, seen in observed if not asked.answerable]
    sure = [seen for _, seen in observed if called_sure(seen)]
    judged = [seen for _, seen in observed if seen.guess_right is not None]
    ranks = [None if seen.rank is None else seen.rank or math.inf for seen in there]
    return {
        **{f"recall@{k}": share(None if r is None else r <= k for r in ranks) for k in CUTS},
        "in the prompt": share(seen.selected for seen in there),
        "right": share(seen.right for seen in there),
        "right, and the page": share(seen.page_right for seen in there),
        "never refusing": share(seen.guess_right for seen in there),
        "never refusing, best span": share(seen.any_span_right for seen in there),
        "passage among those read": share(seen.with_candidates for seen in there),
        "passage alone": share(seen.with_passage for seen in there),
        "passage alone, best span": share(seen.with_passage_any_span for seen in there),
        "refusals": float(len(refused)),
        "refusals due: nothing to find": share(not asked.answerable for asked, _ in refused),
        "refusals due: the guess is wrong": share(
            None if seen.guess_right is None else not seen.guess_right for _, seen in refused
        ),
        "unanswerable refused": share(seen.outcome == REFUSED for seen in nowhere),
        "called sure": float(len(sure)),
        "sure and right": share(seen.right for seen in sure),
        "calibration error": calibration_error(*confidences(judged)) if judged else None,
        "median s": statistics.median(seen.seconds for _, seen in observed),
    }


def share(facts: Iterable[bool | None]) -> float | None:
    """The share of facts that hold; None if there are none, or one is unknown."""
    known = list(facts)
    return None if not known or None in known else sum(map(bool, known)) / len(known)


def confidences(seen: Sequence[Observation]) -> tuple[list[float], list[bool]]:
    """How sure each guess is, and whether it is right."""
    return [one.confidence or 0.0 for one in seen], [bool(one.guess_right) for one in seen]


def called_sure(seen: Observation) -> bool:
    """Whether an answer was given as sure."""
    if seen.outcome == "answered":
        return (seen.confidence or 0.0) >= SURE
    return seen.outcome == "sure"


def by_kind(observed: Observed) -> list[tuple[object, ...]]:
    """How many of each kind there are, were in the prompt, were right, and were refused."""
    rows: list[tuple[object, ...]] = []
    for kind in KINDS:
        seen = [one for asked, one in observed if asked.kind == kind]
        counts = (
            sum(one.selected for one in seen),
            sum(one.page_right for one in seen),
            sum(one.outcome == REFUSED for one in seen),
        )
        rows.append((kind, len(seen), *counts))
    return rows


def reliability_picture(seen: Sequence[Observation]) -> list[tuple[object, ...]]:
    """For each tenth of confidence the share of right guesses as a bar, and what was said of it."""
    rows: list[tuple[object, ...]] = []
    for said, found, count in reliability(*confidences(seen)):
        bar = ("█" * round(20 * found)).ljust(20, "·")
        mark = min(19, round(20 * said))
        rows.append((f"{said:.2f}", f"{found:.2f}", count, f"{bar[:mark]}|{bar[mark + 1 :]}"))
    return rows


def report(
    name: str, questions: Sequence[DevQuestion], seen: Sequence[Observation]
) -> dict[str, float | None]:
    """Print the tables of one revision; return its figures."""
    observed = list(zip(questions, seen, strict=True))
    figures = {
        key: None if value is None else round(value, 4) for key, value in measures(observed).items()
    }
    table((name, "value"), [(key, "–" if v is None else f"{v:g}") for key, v in figures.items()])
    print()
    table(("kind", "n", "in the prompt", "right, and the page", "refused"), by_kind(observed))
    print()
    if judged := [one for one in seen if one.guess_right is not None]:
        header = ("confidence", "right", "n", "bar: right, |: said")
        table(header, reliability_picture(judged))
        print()
    return figures


def main() -> None:
    """Ask, judge and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--half", choices=SETS, default="choose")
    parser.add_argument("--pdfs", type=Path, default=PDFS, help="where the PDFs are")
    parser.add_argument("--index", type=Path, help="folder of an index that is kept")
    parser.add_argument("--rerank", default="none", help="as of `ragctx ask` (%(default)s)")
    parser.add_argument("--against", metavar="REV", help="ask another revision the same")
    parser.add_argument("--limit", type=int, help="only the first questions")
    parser.add_argument("--picture", type=Path, help="where the calibration curve goes (SVG)")
    parser.add_argument("--observations", type=Path, help="keep what was seen, and go on from it")
    options = parser.parse_args()
    questions = questions_of(options.half)[: options.limit]
    pdfs = pdf_paths([*dev_questions(), *questions], options.pdfs)
    with tempfile.TemporaryDirectory() as folder:
        kept = options.observations or Path(folder) / "seen.jsonl"
        index = options.index or Path(folder) / "index"
        reranker = None if options.rerank == "none" else load_reranker(options.rerank)
        seen = observe(questions, index, pdfs, kept, reranker=reranker)
    figures = {"this revision": report("this revision", questions, seen)}
    if options.picture:
        options.picture.write_text(picture(*confidences(seen)), "utf-8")
    if options.against:
        other = observe_revision(options.against, questions, pdfs)
        figures[options.against] = report(options.against, questions, other)
    result("answers", half=options.half, n=len(questions), rerank=options.rerank, figures=figures)


if __name__ == "__main__":
    main()
