"""Is the text that is read of a page the text that stands on it, and in what order?

Against PDFs whose text others state (`*.md` and `*.pdf.txt` beside each PDF), by words: the share
of the stated words that were read (recall), of the words read that are stated (precision), and how
much of both is in one order (2 * matched / (read + stated), `difflib`). Beside what pdfium, pypdf,
pdfplumber and pdfminer.six give by themselves, in the same run.

python -m benchmarks.pages                        # ../shared/data/pdf_truth
python -m benchmarks.pages folder/ --each         # other files; a row for each
"""

from __future__ import annotations

import argparse
import difflib
import logging
import re
import sys
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from time import perf_counter

from benchmarks.common import result, table

TRUTH = Path(__file__).parents[2] / "shared" / "data" / "pdf_truth"
FEW_WORDS = 100
"""Files with fewer words are reported apart: a word more or less moves them far."""


def by_ragctx(path: Path) -> str:
    """The document's text, as it goes into an index."""
    from ragctx.pdf.read import read_pdf

    return read_pdf(path).text


def by_pdfium(path: Path) -> str:
    """pdfium's own text of each page."""
    import pypdfium2

    document = pypdfium2.PdfDocument(path)
    return "\n".join(page.get_textpage().get_text_range() for page in document)


def by_pypdf(path: Path) -> str:
    """pypdf's text of each page."""
    from pypdf import PdfReader

    return "\n".join(page.extract_text() for page in PdfReader(path).pages)


def by_pdfplumber(path: Path) -> str:
    """pdfplumber's text of each page."""
    import pdfplumber

    with pdfplumber.open(path) as document:
        return "\n".join(page.extract_text() or "" for page in document.pages)


def by_pdfminer(path: Path) -> str:
    """pdfminer.six's text, with its layout analysis."""
    from pdfminer.high_level import extract_text

    text: str = extract_text(path)
    return text


READERS: Mapping[str, Callable[[Path], str]] = {
    "ragctx": by_ragctx,
    "pdfium": by_pdfium,
    "pypdf": by_pypdf,
    "pdfplumber": by_pdfplumber,
    "pdfminer.six": by_pdfminer,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How near a text is to the one that is stated; each from 0 to 1."""

    recall: float
    precision: float
    order: float


def words_of(text: str) -> list[str]:
    """The words to compare: of one form, in lower case, with divided ones put together."""
    text = unicodedata.normalize("NFKC", text).replace("\u00ad", "")
    return re.findall(r"\w+", re.sub(r"(?<=\w)[-\u2010\ufffe]\s*\n\s*(?=\w)", "", text).lower())


def scored(read: Sequence[str], stated: Sequence[str]) -> Score:
    """The score of the words read against those stated."""
    shared = sum((Counter(read) & Counter(stated)).values())
    blocks = difflib.SequenceMatcher(None, read, stated, autojunk=False).get_matching_blocks()
    return Score(
        recall=shared / max(1, len(stated)),
        precision=shared / max(1, len(read)),
        order=2 * sum(block.size for block in blocks) / max(1, len(read) + len(stated)),
    )


def stated_text(pdf: Path) -> str | None:
    """The text that stands beside a PDF; of Markdown, without comments, marks and table bars."""
    plain, marked = pdf.with_name(f"{pdf.name}.txt"), pdf.with_suffix(".md")
    if plain.is_file():
        return plain.read_text("utf-8-sig", errors="replace")
    if marked.is_file():
        text = re.sub(r"<!--.*?-->", "", marked.read_text("utf-8"), flags=re.DOTALL)
        return text.replace("\\_", "_").replace("&amp;", "&").replace("&lt;", "<")
    return None


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=TRUTH)
    parser.add_argument("--each", action="store_true", help="a row for each file")
    parser.add_argument("--only", nargs="+", choices=READERS, default=list(READERS))
    asked = parser.parse_args()
    logging.disable()
    warnings.simplefilter("ignore")

    stated = {pdf: stated_text(pdf) for pdf in sorted(asked.folder.rglob("*.pdf"))}
    truth = {pdf: words_of(text) for pdf, text in stated.items() if text is not None}
    if not truth:
        sys.exit(f"no PDF with its text beside it in {asked.folder}")
    scores: dict[str, dict[Path, Score]] = {}
    seconds = {}
    for name in asked.only:
        began = perf_counter()
        scores[name] = {pdf: _score_of(pdf, words, READERS[name]) for pdf, words in truth.items()}
        seconds[name] = perf_counter() - began
    if asked.each:
        _print_each(scores, truth)
    groups = _groups(truth)
    rows = []
    summary: dict[str, dict[str, dict[str, float]]] = {}
    for group, pdfs in groups.items():
        for name, by_file in scores.items():
            means = _means([by_file[pdf] for pdf in pdfs])
            summary.setdefault(group, {})[name] = means
            rows.append((f"{group} (n={len(pdfs)})", name, *(f"{v:.3f}" for v in means.values())))
    table(("files", "reader", "recall", "precision", "order"), rows)
    result("pages", files=len(truth), seconds=seconds, scores=summary)


def _score_of(pdf: Path, stated: Sequence[str], read: Callable[[Path], str]) -> Score:
    try:
        return scored(words_of(read(pdf)), stated)
    except Exception:  # of any library; a file that cannot be read has no words
        return scored([], stated)


def _groups(truth: Mapping[Path, Sequence[str]]) -> dict[str, list[Path]]:
    groups: dict[str, list[Path]] = {}
    for pdf, words in truth.items():
        if _is_right_to_left(words):
            kind = "right to left"
        else:
            kind = "small" if len(words) < FEW_WORDS else "100 words and more"
        groups.setdefault(kind, []).append(pdf)
    return dict(sorted(groups.items()))


def _is_right_to_left(words: Sequence[str]) -> bool:
    letters = [unicodedata.bidirectional(word[0]) for word in words]
    return sum(kind in ("R", "AL") for kind in letters) > len(letters) / 2


def _means(scores: Sequence[Score]) -> dict[str, float]:
    return {
        "recall": mean(score.recall for score in scores),
        "precision": mean(score.precision for score in scores),
        "order": mean(score.order for score in scores),
    }


def _print_each(
    scores: Mapping[str, Mapping[Path, Score]], truth: Mapping[Path, Sequence[str]]
) -> None:
    rows = []
    for pdf, words in truth.items():
        cells = []
        for by_file in scores.values():
            score = by_file[pdf]
            cells.append(f"{score.recall:.3f} {score.precision:.3f} {score.order:.3f}")
        rows.append((pdf.name[:44], len(words), *cells))
    table(("file", "words", *scores), rows)


if __name__ == "__main__":
    main()
