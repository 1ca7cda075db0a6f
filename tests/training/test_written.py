"""Written questions: each is answered by its passage, and comes with the chunk that answers it."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from ragctx.tokens.load import load_tokenizer
from training.common import load_config
from training.written import FILES, rows_of, written_documents, written_rows

FILE = """\
@document Melting points
@passage
Metals of the yard
Metal | Melts at | Costs
Tin | 232 | 18
Lead | 327 | 2

Prices are in euros.
? How hot must tin be to melt?
= 232
? What does lead cost?
= 2
? In which money are the prices?
= euros
= in euros
"""


def written(folder: Path, text: str, name: str = "documents-a.txt") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_cells_are_set_apart_by_tabs_and_answers_kept_in_their_order(tmp_path: Path) -> None:
    (document,) = written_documents(written(tmp_path, FILE), tmp_path)
    (passage,) = document.passages
    assert passage.text.splitlines()[1:3] == ["Metal\tMelts at\tCosts", "Tin\t232\t18"]
    assert passage.text.endswith("euros.")
    assert passage.questions[2] == ("In which money are the prices?", ["euros", "in euros"])


def test_what_nothing_answers_is_asked_of_its_passage(tmp_path: Path) -> None:
    text = FILE + "?? What does zinc cost?\n?? How hot must it be at night?\n"
    (document,) = written_documents(written(tmp_path, text), tmp_path)
    assert [*document.passages[0].unanswered] == [
        "What does zinc cost?",
        "How hot must it be at night?",
    ]
    rows = [row for row in rows_of(document, load_tokenizer()) if not row["answerable"]]
    assert [row["question"] for row in rows] == document.passages[0].unanswered
    assert all(row["answers"] == [] and "Tin" in row["context"] for row in rows)


def test_an_answer_is_in_the_chunk_of_its_question(tmp_path: Path) -> None:
    """A long table is cut, and what names its columns goes with each of its parts."""
    rows = "\n".join(f"Metal of the kind {i} | {1000 + i} | {i} euros" for i in range(60))
    text = f"@document Long\n@passage\nMetal | Melts at | Costs\n{rows}\n? How hot?\n= 1055\n"
    (document,) = written_documents(written(tmp_path, text), tmp_path)
    (row,) = rows_of(document, load_tokenizer())
    lines = row["context"].splitlines()
    assert lines[0] == "Metal\tMelts at\tCosts"
    assert "Metal of the kind 55\t1055\t55 euros" in lines and len(lines) < 30


def test_paragraphs_of_a_corpus_are_read_where_the_corpus_is(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "metals.txt.gz", "wt", encoding="utf-8") as lines:
        lines.write("Tin melts early.\nLead is heavy.\nZinc is blue.\n")
    text = "@paragraphs metals 0 2\n? What is blue?\n= Zinc\n" * 5
    documents = written_documents(written(tmp_path, text, "texts-a.txt"), tmp_path)
    assert [len(document.passages) for document in documents] == [4, 1]
    assert documents[0].passages[0].text == "Tin melts early.\nZinc is blue."


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (FILE.replace("= 232", "= 233"), "not answered by its passage: How hot"),
        (FILE.replace("= 232\n", ""), "not answered by its passage: How hot"),
        (FILE + "Stray words\n", "line 16: belongs to nothing: Stray words"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(text: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=reason):
        written_documents(written(tmp_path, text), tmp_path)


@pytest.mark.slow
def test_every_question_that_ships_is_answered_by_a_chunk(tmp_path: Path) -> None:
    config, tokenizer = load_config(), load_tokenizer()
    counts = []
    for held_out in (False, True):
        name = "written_documents"
        found = written_rows(config.written, name, tmp_path, tokenizer, held_out=held_out)
        rows = list(found)
        assert all(one in row["context"] for row in rows for one in row["answers"])
        counts.append(len(rows))
    asked = sum(
        len(passage.questions)
        for path in config.written.glob(FILES["written_documents"])
        for document in written_documents(path, tmp_path)
        for passage in document.passages
    )
    assert sum(counts) >= asked and counts[0] > 8 * counts[1] > 0


@pytest.mark.slow
def test_the_texts_that_were_asked_about_are_those_of_the_collection(shared_data: Path) -> None:
    config, tokenizer = load_config(), load_tokenizer()
    rows = list(written_rows(config.written, "written_texts", shared_data / "text", tokenizer))
    assert rows and all(row["answers"][0] in row["context"] for row in rows)
