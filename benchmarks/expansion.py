"""Whether answers get better with the text beside the passages: how `--expand` got its default.

    python -m benchmarks.expansion --half choose
    python -m benchmarks.expansion --half choose --index FOLDER   # an index that is kept

The development set (`dev_set`) asked of one index of all its PDFs, with more and more neighbours.
Won/lost: questions answered right against no neighbours; of unanswerable ones, those refused.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from benchmarks.answer_judge import is_right
from benchmarks.answer_stages import READ, cites, holds_answer
from benchmarks.common import result, table
from benchmarks.dev_set import HALVES, PDFS, DevQuestion, dev_questions, pdf_paths
from ragctx.assembly import Assembly
from ragctx.embedding import load_embedder
from ragctx.generator.reader.reader import load_bundled
from ragctx.index.index import Index
from ragctx.ingestion import ingest
from ragctx.pipeline import ask
from ragctx.records import Answer
from ragctx.retrieval import Retrieval

REACHES = (0, 1, 2)
"""Chunks before and after each passage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one question."""

    in_prompt: bool  # a passage in the prompt holds the answer
    right: bool  # of an unanswerable question: it was refused
    page_right: bool
    refused: bool
    prompt_tokens: int
    seconds: float


def outcome(answer: Answer, question: DevQuestion) -> Outcome:
    """Judge an answer."""
    right = not answer.abstained and is_right(answer.text, question)
    passages = answer.prompt.passages
    return Outcome(
        in_prompt=any(holds_answer(p.hit, question) for p in passages if p.hit),
        right=right if question.answerable else answer.abstained,
        page_right=right and cites(answer, question),
        refused=answer.abstained,
        prompt_tokens=answer.prompt.token_count,
        seconds=dict(answer.timing)["total_s"],
    )


def measured(own: Sequence[Outcome], without: Sequence[Outcome]) -> dict[str, float]:
    """Shares and means over questions, and what is won and lost against `without`."""
    pairs = [(a.right, b.right) for a, b in zip(own, without, strict=True)]
    return {
        "in_prompt": mean(one.in_prompt for one in own),
        "right": mean(one.right for one in own),
        "page_right": mean(one.page_right for one in own),
        "refused": mean(one.refused for one in own),
        "won": sum(a and not b for a, b in pairs),
        "lost": sum(b and not a for a, b in pairs),
        "prompt_tokens": mean(one.prompt_tokens for one in own),
        "seconds": mean(one.seconds for one in own),
    }


def outcomes(
    questions: Sequence[DevQuestion], folder: Path, pdfs: Sequence[Path]
) -> dict[int, list[Outcome]]:
    """The outcome of every question with every reach, in an index of the PDFs in `folder`."""
    embedder, reader = load_embedder(), load_bundled()
    index = Index.open_or_create(folder, embedder=embedder)
    ingest(pdfs, index, embedder)
    retrieval = Retrieval(k=READ)

    def asked(question: DevQuestion, reach: int) -> Outcome:
        assembly = Assembly(expand=reach)
        answer = ask(
            question.question, index, embedder, reader, retrieval=retrieval, assembly=assembly
        )
        return outcome(answer, question)

    return {reach: [asked(question, reach) for question in questions] for reach in REACHES}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--half", choices=HALVES, default="choose")
    parser.add_argument("--pdfs", type=Path, default=PDFS, help="where the PDFs are")
    parser.add_argument("--index", type=Path, help="folder of an index that is kept")
    options = parser.parse_args()
    questions = dev_questions(options.half)
    with tempfile.TemporaryDirectory() as folder:
        pdfs = pdf_paths(dev_questions(), options.pdfs)
        found = outcomes(questions, options.index or Path(folder) / "index", pdfs)
    groups: dict[str, Callable[[DevQuestion], bool]] = {
        "all with an answer": lambda q: q.answerable,
        "table": lambda q: q.kind == "table",
        "not table": lambda q: q.answerable and q.kind != "table",
        "unanswerable": lambda q: not q.answerable,
    }
    scores: dict[str, dict[str, dict[str, float]]] = {}
    counts = {}
    for group, belongs in groups.items():
        places = [i for i, question in enumerate(questions) if belongs(question)]
        counts[group] = len(places)
        members = {reach: [own[i] for i in places] for reach, own in found.items()}
        scores[group] = {str(k): measured(own, members[0]) for k, own in members.items()}
        rows = [(k, *(f"{v:.3f}" for v in of.values())) for k, of in scores[group].items()]
        table((f"{group} ({len(places)}), --expand", *scores[group]["0"]), rows)
        print()
    result("expansion", half=options.half, n=counts, scores=scores)


if __name__ == "__main__":
    main()
