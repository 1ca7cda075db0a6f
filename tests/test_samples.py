"""Laws of the sample documents in examples/samples and of their questions."""

from __future__ import annotations

import functools
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pypdfium2
import pytest

from tests.support.paths import SAMPLES

DOCUMENTS = ("city-library-report.pdf", "field-station-manual.pdf", "tidal-energy-paper.pdf")
QUESTIONS: list[dict[str, Any]] = [
    json.loads(line)
    for line in (SAMPLES / "questions.jsonl").read_text(encoding="utf-8").splitlines()
]
ANSWERABLE = [question for question in QUESTIONS if question["answerable"]]
UNANSWERABLE = [question for question in QUESTIONS if not question["answerable"]]


def read_pages(path: Path) -> list[str]:
    """The text of each page, white space made one blank, hyphens at line ends removed."""
    with pypdfium2.PdfDocument(path) as document:
        texts = []
        for number in range(len(document)):
            page = document[number]
            text_page = page.get_textpage()
            texts.append(text_page.get_text_range())
            text_page.close()
            page.close()
    # pdfium writes U+FFFE for a hyphen that ends a line.
    return [re.sub(r"\s+", " ", text.replace("\ufffe", "")) for text in texts]


@functools.cache
def sample_pages(name: str) -> tuple[str, ...]:
    return tuple(read_pages(SAMPLES / name))


def contains(text: str, phrase: str) -> bool:
    """Whether `phrase` is in `text` as whole words, so that "34" is not found in "134" or "3.4"."""
    return re.search(rf"(?<![\w.,]){re.escape(phrase)}(?![\w]|[.,]\d)", text) is not None


@pytest.mark.parametrize("question", ANSWERABLE, ids=lambda question: question["question"])
def test_every_answer_stands_verbatim_on_its_page(question: dict[str, Any]) -> None:
    page = sample_pages(question["document"])[question["page"] - 1]
    assert question["answers"]
    for answer in question["answers"]:
        assert contains(page, answer)


@pytest.mark.parametrize("question", UNANSWERABLE, ids=lambda question: question["question"])
def test_key_terms_of_unanswerable_questions_are_absent(question: dict[str, Any]) -> None:
    text = " ".join(sample_pages(question["document"])).lower()
    assert question["answers"] == [] and question["page"] is None
    assert question["absent_terms"]
    for term in question["absent_terms"]:
        assert term.lower() not in text


def test_questions_are_many_distinct_and_about_every_document() -> None:
    assert len({question["question"] for question in QUESTIONS}) == len(QUESTIONS)
    assert len(ANSWERABLE) >= 60 and len(UNANSWERABLE) >= 20
    for name in DOCUMENTS:
        assert sum(question["document"] == name for question in ANSWERABLE) >= 15
        assert sum(question["document"] == name for question in UNANSWERABLE) >= 5


def test_readme_states_the_numbers_of_pages_and_questions() -> None:
    readme = (SAMPLES / "README.md").read_text(encoding="utf-8")
    assert f"{len(ANSWERABLE)} questions can be answered and {len(UNANSWERABLE)} cannot" in readme
    for name in DOCUMENTS:
        assert re.search(rf"`{name}` \| [^|]+, {len(sample_pages(name))} pages", readme)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_samples_have_ten_pages_of_text_and_an_outline(name: str) -> None:
    pages = sample_pages(name)
    assert len(pages) >= 10
    assert all(page.strip() for page in pages)
    with pypdfium2.PdfDocument(SAMPLES / name) as document:
        titles = [entry.get_title() for entry in document.get_toc()]
        assert document.get_metadata_dict()["Title"]
    assert len(titles) >= 10
    assert all(any(title in page for page in pages) for title in titles)


@pytest.mark.parametrize(
    ("name", "first_labels"),
    [
        ("field-station-manual.pdf", ["i", "ii", "iii", "iv", "1", "2"]),
        ("tidal-energy-paper.pdf", ["211", "212", "213"]),
        ("city-library-report.pdf", ["Cover", "1", "2"]),
    ],
)
def test_page_labels_differ_from_physical_pages_and_are_printed(
    name: str, first_labels: list[str]
) -> None:
    with pypdfium2.PdfDocument(SAMPLES / name) as document:
        labels = [document.get_page_label(number) for number in range(len(document))]
    assert labels[: len(first_labels)] == first_labels
    for label, page in list(zip(labels, sample_pages(name), strict=True))[1:]:
        assert contains(page, label)


def test_paper_has_hyphenated_line_ends() -> None:
    with pypdfium2.PdfDocument(SAMPLES / "tidal-energy-paper.pdf") as document:
        raw = "".join(page.get_textpage().get_text_range() for page in document)
    assert raw.count("\ufffe") >= 50


def test_samples_are_small_enough_to_ship() -> None:
    assert sum((SAMPLES / name).stat().st_size for name in DOCUMENTS) < 1_500_000


def test_build_script_reproduces_the_text_of_the_shipped_samples(tmp_path: Path) -> None:
    if importlib.util.find_spec("reportlab") is None:
        pytest.skip("reportlab is not installed: pip install reportlab")
    command = [sys.executable, str(SAMPLES / "build.py"), "--out", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(DOCUMENTS)
    for name in DOCUMENTS:
        assert tuple(read_pages(tmp_path / name)) == sample_pages(name)
