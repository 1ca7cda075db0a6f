"""Tables in passages: an answer is of one cell, and a row stands by itself below its header.

The bug's story: the cells of a table came to the reader without anything between them, so of three
quarters' figures it took all three ("7,457 6,387 15,166"), and of the rows the one that was nearest
to the heading.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragctx.generator.reader.context import layout_of, locate
from ragctx.generator.reader.proximity import term_proximity
from ragctx.generator.reader.reader import BundledReader, load_bundled
from ragctx.generator.reader.rows import rows_of
from ragctx.placement.strategies import place
from ragctx.prompt.build import build_prompt
from ragctx.prompt.template import load_template
from ragctx.records import Hit, Prompt
from ragctx.tokens.load import load_tokenizer

TOKENIZER = load_tokenizer("bundled")
REPORT = (
    "Operating expenses in the third quarter (in millions):\n\n"
    "\tJune 30, 2031\tJune 30, 2030\n"
    "Research and development\t7,312\t6,108\n"
    "Selling and administration\t6,044\t5,977\n"
    "Depreciation\t1,204 1,187\n"
    "Total\t14,560\t13,272"
)


@pytest.fixture(scope="module")
def reader() -> BundledReader:
    reader = load_bundled()
    reader.threshold = -1.0  # it may not refuse
    return reader


def prompt_of(text: str, question: str) -> Prompt:
    hit = Hit.from_text(1, 1.0, text)
    return build_prompt(
        load_template("reader"),
        question,
        place([hit]),
        TOKENIZER,
        context_window=4096,
        max_new_tokens=64,
    )


def test_tabs_and_the_ends_of_rows_are_tokens_and_offsets_stay_exact() -> None:
    text = "Costs:\n\tMelts\tPrice\nTin\t232\t30\n\nDots ..... 12 end"
    encoded = TOKENIZER.encode_with_offsets(text)
    pieces = [text[start:end] for start, end in encoded.offsets]
    marks = [TOKENIZER.decode([token]) for token in encoded.token_ids]
    told = [mark for mark, piece in zip(marks, pieces, strict=True) if not piece.strip(" .\t\n")]
    assert told == [";", "|", "|", ";", "|", "|", "|"]
    rest = [id_ for id_, mark in zip(encoded.token_ids, marks, strict=True) if mark not in ";|"]
    assert rest == TOKENIZER.encode("Costs: Melts Price Tin 232 30 Dots 12 end")


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What did research and development cost in the quarter to June 30, 2031?", "7,312"),
        ("How much was spent on selling and administration?", "6,044"),
        ("How high was the depreciation?", "1,204"),
    ],
)
def test_the_answer_is_a_figure_of_the_row_that_the_question_names(
    reader: BundledReader, question: str, answer: str
) -> None:
    assert reader.generate(prompt_of(REPORT, question)).text == answer


def test_dots_lead_to_the_value_beside_them(reader: BundledReader) -> None:
    text = (
        "Disconcerting signals .......................... 12-3-1(i)\n"
        "Contact out of bounds .......................... 12-2-8(b)\n"
        "Goaltending .................................... 12-3-1(s)\n"
        "Helmet removal ................................. 12-3-1(h)"
    )
    prompt = prompt_of(text, "Which rule covers goaltending?")
    assert reader.generate(prompt).text == "12-3-1(s)"


CELL = st.sampled_from(["Tin", "Lead", "$ 7,168", "10,435", "7,168 10,435", "71.0 %", "(13)%", ""])
TABLE = st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=2, max_size=6)


@settings(max_examples=40, deadline=None)
@given(rows=TABLE)
def test_no_span_contains_two_cells_two_figures_or_the_header(
    reader: BundledReader, rows: list[list[str]]
) -> None:
    text = "\n".join("\t".join(cells) for cells in [["Metal", "First year", "Next year"], *rows])
    prompt = prompt_of(text, "What is the figure of tin in the next year?")
    passages, question = reader.parts(prompt)
    cached = reader.encode(passages)
    result = reader.read_twice(prompt, cached, reader.read_question(question, cached))
    header = rows_of(text, TOKENIZER.encode_with_offsets(text).offsets)[0].header
    for span, found in locate(prompt, result.spans, TOKENIZER):
        assert "\t" not in found and "\n" not in found
        assert sum(any(map(str.isdigit, word)) for word in found.split()) <= 1
        assert not header or span.start > text.index("\n")


def test_every_row_is_as_close_to_the_heading_as_the_first() -> None:
    text = "Metals and their prices:\n\tPrice\nTin\t30\nLead\t20\nGold\t90"
    encoded = TOKENIZER.encode_with_offsets(text)
    rows = rows_of(text, encoded.offsets)
    own = np.ones(len(encoded.token_ids), dtype=np.bool_)
    vectors = np.eye(30_522, dtype=np.float32)
    question = TOKENIZER.encode("metals prices")
    proximity = term_proximity(vectors.__getitem__, question, [encoded.token_ids], [own], [rows])
    by_row = [proximity.of_tokens()[row.tokens] for row in rows]
    assert all(np.array_equal(found, by_row[0]) for found in by_row)
    linear = term_proximity(vectors.__getitem__, question, [encoded.token_ids], [own]).of_tokens()
    assert linear[rows[0].tokens][0] > linear[rows[2].tokens][0]  # or the law would say nothing
    assert not proximity.rows.any()


def test_a_row_is_named_by_words_that_other_rows_lack() -> None:
    text = "Tin price\t30\nLead price\t20\nGold price\t90"
    encoded = TOKENIZER.encode_with_offsets(text)
    rows = rows_of(text, encoded.offsets)
    own = np.ones(len(encoded.token_ids), dtype=np.bool_)
    vectors = np.eye(30_522, dtype=np.float32)
    question = TOKENIZER.encode("What is the price of lead?")
    named = term_proximity(vectors.__getitem__, question, [encoded.token_ids], [own], [rows]).rows
    assert [float(named[row.tokens].max()) > 0 for row in rows] == [False, True, False]


def test_a_passage_without_tables_is_laid_out_as_it_stands() -> None:
    layout = layout_of(prompt_of("Tin melts at 232 degrees.\nLead does later.", "When?"), TOKENIZER)
    assert not layout.rows[0] and not layout.begins[0].any()
    assert np.array_equal(layout.own[0], layout.content[0])


@pytest.mark.parametrize(("question", "allowed"), [("How long?", False), ("Which section?", True)])
def test_the_number_of_a_heading_is_no_answer_unless_one_is_asked_for(
    question: str, allowed: bool
) -> None:
    """It answered "How long is the data set of rivers?" with "2.1.2"."""
    text = "2.1.2 Rivers\nThe data set has 141 rivers, in version 2.1.3 too."
    prompt = prompt_of(text, question)
    layout = layout_of(prompt, TOKENIZER)
    offsets = TOKENIZER.encode_with_offsets(text).offsets
    [passage] = prompt.passages
    own = layout.content[0][passage.token_start : passage.token_end]
    held = [ok for ok, (start, _) in zip(own, offsets, strict=True) if start < len("2.1.2")]
    assert held and all(ok == allowed for ok in held)
    assert own[len(held) :].all()
