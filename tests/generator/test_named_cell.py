"""The cell that a question names by row and column: taken where it is named, and only there."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragctx.embedding import load_embedder
from ragctx.generator.reader.certainty import NAMED, NAMED_AMONG, Certainty, Signs, fit_certainty
from ragctx.generator.reader.named_cell import named_cell
from ragctx.generator.reader.reader import load_bundled
from ragctx.index.index import Index
from ragctx.ingestion import ingest
from ragctx.pipeline import ask
from tests.generator.test_choice import prompt_of

GARDEN = (
    "Every plant gets water twice a week, and the tomatoes get 5 litres each time.\n\n"
    "plant\tlitres\tshade\ntomato\t5\tno\npepper\t3\tno\nbasil (young)\t1\thalf"
)
RESULTS = (
    "\t2023\t2022\nNet sales\t94,836\t97,278\nNet income\t24,160\t25,010\n"
    "Net income per share\t1.52\t1.54\nTotal\t-\t9"
)
GROUPS = "\tMetal\tWood\nSpring:\nBeds\t4\t6\nAutumn:\nBeds\t2\t7"

QUARTERS = (
    "Statements of operations (in millions)\n\n"
    "\tThree Months Ended\t\tNine Months Ended\n"
    "\tJuly 1, 2023\tJune 25, 2022\tJuly 1, 2023\n"
    "Net sales\t81,797\t82,959\t293,787\n"
    "Earnings per share:\n"
    "Diluted\t1.26\t1.20\t4.67\n"
    "Shares used in computing earnings per share:\n"
    "Diluted\t15,775\t16,262\t15,859"
)
YEARS = "March 31,\t\t\n(in thousands)\tFY19\t2018 (1)\nRaw materials\t3,445\t2,969"


def named(question: str, *texts: str) -> str | None:
    prompt = prompt_of(*texts, question=question)
    cell = named_cell(prompt)
    return None if cell is None else prompt.passages[cell.passage].own_text[cell.start : cell.end]


@pytest.mark.parametrize(
    ("question", "text", "cell"),
    [
        ("How many litres does the pepper get?", GARDEN, "3"),
        ("How many litres does the tomato get?", GARDEN, "5"),
        ("How many litres does basil get?", GARDEN, "1"),  # what is in brackets need not be said
        ("What shade does the basil need?", GARDEN, "half"),
        ("What were net sales in 2022?", RESULTS, "97,278"),
        ("What was the net income in 2023?", RESULTS, "24,160"),
        ("What was the net income per share in 2023?", RESULTS, "1.52"),
        ("How many metal beds are there in autumn?", GROUPS, "2"),
        ("What were net sales in the three months that ended July 1, 2023?", QUARTERS, "81,797"),
        ("What were net sales in the third quarter of 2023?", QUARTERS, "81,797"),
        ("What were net sales in the nine months ended July 2023?", QUARTERS, "293,787"),
        ("What were net sales in 2022?", QUARTERS, "82,959"),
        ("What were the diluted earnings per share in the quarter of 2023?", QUARTERS, "1.26"),
        ("What were raw materials in 2018?", YEARS, "2,969"),
        ("What was the net change in 2023?", "\t2023\t2022\nNet change\t5\t7\nAll\t8\t9", "5"),
    ],
)
def test_a_cell_that_is_named_is_found(question: str, text: str, cell: str) -> None:
    assert named(question, text) == cell
    assert named(question, "It rained.", text) == cell


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("How many litres does the cucumber get?", GARDEN),  # no such row
        ("How many days does the pepper take?", GARDEN),  # no such column
        ("Does the pepper get more litres than the tomato?", GARDEN),  # two cells
        ("Which plant gets the most litres?", GARDEN),
        ("Which plant gets 3 litres?", GARDEN),  # the other way round
        ("Why does the pepper get 3 litres?", GARDEN),
        ("How many litres of fertiliser from the shed did the gardener mix for pepper?", GARDEN),
        (
            "What was the net income per share in 2023?",  # a row that has more of it is not named
            RESULTS.replace("Net income per share", "Diluted net income per common share"),
        ),
        ("How did net income change from 2022 to 2023?", RESULTS),
        ("How many beds are there?", GROUPS),
        ("How many metal beds are there?", GROUPS),  # of two seasons
        ("", GARDEN),
        ("What were net sales in 2023?", QUARTERS),  # of three months or of nine
        ("What were net sales?", QUARTERS),  # of which year?
        ("What were net sales in 2021?", QUARTERS),
        ("What were the net sales of Hooli in 2022?", QUARTERS),  # a name that is nowhere here
        ("What were net sales in 2022?", QUARTERS.replace("82,959", "82,959 81,797")),
        ("What does raw materials include in 2018?", YEARS),
    ],
)
def test_what_is_not_named_is_left_to_the_reader(question: str, text: str) -> None:
    assert named(question, text) is None


def test_tables_that_disagree_are_left_to_the_reader() -> None:
    other = GARDEN.replace("pepper\t3", "pepper\t4")
    assert named("How many litres does the pepper get?", GARDEN, other) is None
    assert named("How many litres does the pepper get?", GARDEN, GARDEN) == "3"


def test_the_row_is_answered_not_the_sentence_above_that_sounds_alike(tmp_path: Path) -> None:
    """It was answered with the tomatoes' 5 litres, and given as nearly sure."""
    (tmp_path / "garden.md").write_text(
        "# Greenhouse\n\nEvery plant gets water twice a week, and the tomatoes get 5 litres each "
        "time.\n\n| plant | litres | shade |\n|---|---|---|\n| tomato | 5 | no |\n"
        "| pepper | 3 | no |\n| basil | 1 | half |\n",
        "utf-8",
    )
    embedder, reader = load_embedder(), load_bundled()
    index = Index.open_or_create(tmp_path / "index", embedder=embedder)
    ingest([tmp_path / "garden.md"], index, embedder)
    answer = ask("How many litres does the pepper get?", index, embedder, reader)
    assert (answer.text, answer.outcome, answer.confidence) == ("3", "sure", NAMED)
    [citation] = answer.citations
    assert citation.status == "verified" and "pepper" in citation.quote
    assert reader.tokenizer.decode(answer.generation.token_ids) == "3"
    guess, signs = reader.guess(answer.prompt)
    assert guess == "3" and signs.named


def test_named_cells_neither_fit_the_regression_nor_are_judged_by_it() -> None:
    signs = [Signs(p, p) for p in (0.1, 0.2, 0.3, 0.6, 0.7, 0.8, 0.9, 0.95)] * 5
    right = [False, False, False, False, True, False, True, True] * 5
    cells = [Signs(0.1, 0.1, named=NAMED)] * 40
    plain, mixed = fit_certainty(signs, right), fit_certainty(signs + cells, right + [True] * 40)
    assert plain.weights == mixed.weights
    assert Certainty().of(Signs(0.0, 0.1, named=NAMED)) == NAMED


def test_a_cell_is_less_sure_where_another_passage_may_be_meant(tmp_path: Path) -> None:
    """It was called sure, 90 %, of five passages too: tables of one report have rows alike."""
    embedder, reader = load_embedder(), load_bundled()
    index = Index.open_or_create(tmp_path / "index", embedder=embedder)
    for name, litres in (("garden", 3), ("nursery", 4)):
        (tmp_path / f"{name}.md").write_text(
            f"# The {name}\n\n| plant | litres | shade |\n|---|---|---|\n| tomato | 5 | no |\n"
            f"| {'pepper' if name == 'garden' else 'melon'} | {litres} | no |\n",
            "utf-8",
        )
        ingest([tmp_path / f"{name}.md"], index, embedder)
    answer = ask("How many litres does the pepper get?", index, embedder, reader)
    assert (answer.text, answer.outcome, answer.confidence) == ("3", "unsure", NAMED_AMONG)
