"""Questions about real PDFs as a user would ask them, and the check that their answers stand there.

    python -m benchmarks.dev_set            # how many there are, by half and kind
    python -m benchmarks.dev_set --check    # hold every quote against its page (a minute)

The questions were written from the pages, in words of their own, by somebody who then looked the
answers up: each has the forms in which its answer counts as right, the page, and a short quote. The
`nowhere` ones sound as if they belonged to these documents, but no page answers them.

The halves share no PDF: `choose` is there to choose settings and thresholds by, `report` to tell
how good they are. Splitting by question instead would put a page's table into both halves, and
what was fitted to its layout would then be praised for it. So that the halves are alike, they were
made of twins: a quarterly report in each, a paper, two long manuals, a strategic plan, an accident
report, a legal text, a wide table.

A third set, `other`, is about PDFs of neither half, and was written when the reader's training
questions were: by somebody who saw none of these, and without looking at how ragctx reads or
answers. Nothing is chosen by it.

The PDFs are not part of this repository; they are looked for in ../shared/data/pdf.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path

from benchmarks.common import table

QUESTIONS = Path(__file__).parent / "data" / "real_pdfs.jsonl"
OTHER_QUESTIONS = QUESTIONS.with_name("other_pdfs.jsonl")
PDFS = Path(__file__).parents[2] / "shared" / "data" / "pdf"
HALVES = ("choose", "report")
OTHER = "other"
SETS = (*HALVES, OTHER)
KINDS = ("fact", "number", "table", "definition", "howto", "unanswerable")


@dataclass(frozen=True, slots=True, kw_only=True)
class DevQuestion:
    """A question about one of the PDFs; of an unanswerable one all that follows `kind` is empty.

    `pages` count from 1; the first is that of the quote, and on the others the same fact stands
    too.
    """

    id: str
    half: str
    kind: str
    question: str
    answers: tuple[str, ...] = ()
    document: str = ""
    pages: tuple[int, ...] = ()
    quote: str = ""

    @property
    def answerable(self) -> bool:
        """Whether the documents hold its answer."""
        return bool(self.answers)


def dev_questions(half: str | None = None, path: Path = QUESTIONS) -> tuple[DevQuestion, ...]:
    """The questions of a half, or of both."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return tuple(_question(row) for row in rows if half in (None, row["half"]))


def questions_of(name: str) -> tuple[DevQuestion, ...]:
    """The questions of one of `SETS`."""
    return dev_questions(path=OTHER_QUESTIONS) if name == OTHER else dev_questions(name)


def _question(row: dict[str, object]) -> DevQuestion:
    known = {name: row[name] for name in ("id", "half", "kind", "question")}
    if row.get("answerable", True):
        page, also, answers = row["page"], row["also"], row["answers"]
        assert isinstance(page, int) and isinstance(also, list) and isinstance(answers, list)
        known |= {
            "answers": tuple(answers),
            "document": row["document"],
            "pages": (page, *also),
            "quote": row["quote"],
        }
    return DevQuestion(**known)  # type: ignore[arg-type]


def pdf_paths(questions: Sequence[DevQuestion], folder: Path) -> list[Path]:
    """The PDFs that the questions are about, found by their names in a folder and those within.

    Exits with a message if one is missing.
    """
    found = {path.name: path for path in sorted(folder.rglob("*.pdf"))}
    names = sorted({question.document for question in questions if question.document})
    missing = [name for name in names if name not in found]
    if missing:
        sys.exit(f"not in {folder}: {', '.join(missing)}; name their folder with --pdfs")
    return [found[name] for name in names]


def problems(questions: Sequence[DevQuestion], folder: Path) -> Iterator[str]:
    """What is wrong with the questions, each as one line."""
    paths = {path.name: path for path in pdf_paths(questions, folder)}

    @cache
    def pages(name: str) -> tuple[str, ...]:
        return tuple(map(bare, page_texts(paths[name])))

    halves: dict[str, set[str]] = {name: set() for name in SETS}
    for question in questions:
        if question.half not in SETS or question.kind not in KINDS:
            yield f"{question.id}: {question.half} or {question.kind} is unknown"
        elif question.answerable == (question.kind == "unanswerable"):
            yield f"{question.id}: {question.kind} and answers {question.answers}"
        elif question.answerable:
            halves[question.half].add(question.document)
            yield from _misplaced(question, pages(question.document))
    for name, count in Counter(question.id for question in questions).items():
        if count > 1:
            yield f"{name}: {count} questions have this id"
    for one, another in combinations(SETS, 2):
        for name in halves[one] & halves[another]:
            yield f"{name}: is asked about in {one} and {another}"


def _misplaced(question: DevQuestion, pages: Sequence[str]) -> Iterator[str]:
    if not any(bare(answer) in bare(question.quote) for answer in question.answers):
        yield f"{question.id}: no accepted answer is in the quote"
    if bare(question.quote) not in pages[question.pages[0] - 1]:
        yield f"{question.id}: page {question.pages[0]} does not hold the quote"
    for page in question.pages[1:]:
        if not any(bare(answer) in pages[page - 1] for answer in question.answers):
            yield f"{question.id}: page {page} holds no accepted answer"


def page_texts(pdf: Path) -> list[str]:
    """The text of each page as PDFium gives it, not as ragctx reads it."""
    import pypdfium2

    document = pypdfium2.PdfDocument(str(pdf))
    return [page.get_textpage().get_text_bounded() for page in document]


def bare(text: str) -> str:
    """A text in lower case without white space and the hyphens that only break lines."""
    plain = unicodedata.normalize("NFKC", text).replace("\ufffe", "").replace("\u00ad", "")
    return re.sub(r"[\s\x02]+", "", plain).casefold()


def main() -> None:
    """Count the questions, or check them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="hold the quotes against the pages")
    parser.add_argument("--pdfs", type=Path, default=PDFS, help="where the PDFs are")
    options = parser.parse_args()
    questions = [question for name in SETS for question in questions_of(name)]
    if options.check:
        found = list(problems(questions, options.pdfs))
        print("\n".join([*found, f"{len(questions)} questions: {len(found)} problems"]))
        sys.exit(bool(found))
    counts = Counter((question.half, question.kind) for question in questions)
    rows = [(name, *(counts[name, kind] for kind in KINDS)) for name in SETS]
    table(("set", *KINDS, "all"), [(*row, sum(row[1:])) for row in rows])  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
