"""The law of damaged PDFs: a document that can be stored, or one PdfError, in bounded time.

`fuzz_pdfs` does the same for as long as one likes, with real files. Here a small file is damaged.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ragctx.pdf.read import read_pdf
from tests.faults.fuzz_pdfs import Tally, fuzz_one
from tests.support import pdf_files
from tests.support.pdf_mutants import FILTERS, mutant, refiltered


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    contents = [pdf_files.lines(*(f"Pump {i} is in hall {p}." for i in range(9))) for p in range(3)]
    return pdf_files.write(tmp_path_factory.mktemp("sound") / "sound.pdf", contents)


def test_mutants_are_the_same_for_the_same_seed(sound: Path) -> None:
    data = sound.read_bytes()
    assert mutant(data, 7) == mutant(data, 7)
    assert len({mutant(data, seed)[1] for seed in range(20)}) > 15


@pytest.mark.parametrize("filters", FILTERS, ids="+".join)
def test_a_sound_file_reads_the_same_under_any_filter(
    filters: tuple[str, ...], sound: Path, tmp_path: Path
) -> None:
    path = tmp_path / "refiltered.pdf"
    path.write_bytes(refiltered(sound.read_bytes(), filters))
    document = read_pdf(path)
    assert document.status == "ok" and document.pages == read_pdf(sound).pages


def mutants(sound: Path, seeds: range) -> Tally:
    tally = Tally()
    for seed in seeds:
        fuzz_one(sound, seed, Counter(), tally)
    return tally


def test_a_few_mutants_give_a_document_or_one_error(sound: Path) -> None:
    tally = mutants(sound, range(6))
    assert tally.outcomes.total() == 6 and not tally.findings


@pytest.mark.slow
def test_many_mutants_give_a_document_or_one_error(sound: Path) -> None:
    tally = mutants(sound, range(6, 206))
    assert tally.outcomes.total() == 200 and not tally.findings
    assert len(tally.outcomes) >= 3
