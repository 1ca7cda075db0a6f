"""Laws of line shapes: paragraphs and sentences ask the same questions and get the same answers."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.text import line_shapes
from ragctx.text.line_shapes import begins_bullet, begins_item, is_lone_marker, is_table_row

SHAPES = (
    line_shapes.begins_bullet,
    line_shapes.begins_item,
    line_shapes.is_lone_marker,
    line_shapes.ends_in_amount,
    line_shapes.ends_sentence,
    line_shapes.ends_clause,
)
lines = st.text(min_size=1, max_size=60).map(str.strip).filter(bool)


@given(lines)
def test_a_bullet_begins_an_item(line: str) -> None:
    assert begins_item(line) or not begins_bullet(line)


@given(lines)
def test_a_mark_before_text_is_not_alone(line: str) -> None:
    assert not is_lone_marker(f"• {line}")
    assert begins_item(f"• {line}") and begins_item(f"12) {line}") and begins_item(f"- {line}")


def test_only_both_of_two_lines_of_figures_are_a_table() -> None:
    assert is_table_row("Tin 232 50", "Lead 327 82")
    assert not is_table_row("Tin 232 50", "is a metal that melts")


@pytest.mark.parametrize("line", ["." * 10**5, ". " * 10**5, "1.1." * 10**5, "· " * 10**5 + "x"])
def test_no_line_takes_long(line: str) -> None:
    began = time.perf_counter()
    for shape in SHAPES:
        shape(line)
    is_table_row(line, "a")
    assert time.perf_counter() - began < 5


SLOW_LEADER = re.compile(r"(?<![.·…])(?<![.·…]\s)(?:[.·…]\s?){4,}\s*\S{1,8}\Z")
SLOW_COLUMNS = re.compile(r"\S(?:\t|\s{3,}\S)")
dotted = st.text(st.sampled_from("ab1. \t·…"), max_size=24) | lines


@given(dotted)
def test_leaders_and_columns_are_found_as_the_plain_patterns_find_them(line: str) -> None:
    assert bool(line_shapes._LEADER.search(line)) == bool(SLOW_LEADER.search(line))
    assert bool(line_shapes._COLUMNS.search(line)) == bool(SLOW_COLUMNS.search(line))


@given(st.text(st.sampled_from("ab1²٣ "), min_size=1, max_size=24).filter(str.strip))
def test_the_share_of_figures_counts_every_kind_of_digit(line: str) -> None:
    words = line.split()
    figures = [word for word in words if any(letter.isdigit() for letter in word)]
    assert line_shapes._numeric_share(line) == len(figures) / len(words)
