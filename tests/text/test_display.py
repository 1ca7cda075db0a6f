"""Laws of text that is shown: nothing in it can command a terminal or turn a line around."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.text.display import escape_unsafe, one_line, printable

DIRECTIONS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
some_text = st.text() | st.text(f"a \n\t\r\x00\x1b\x7f\x9b\u2028\u2029\ud800\uffff{DIRECTIONS}")


@given(some_text)
def test_shown_text_holds_no_control_characters(text: str) -> None:
    # A PDF can hold an escape sequence; printed as it is, it would command the terminal.
    shown = printable(text)
    assert len(shown) == len(text)
    assert not any(
        unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in shown if c not in "\t\n"
    )
    assert not set(shown) & set(DIRECTIONS)
    shown.encode("utf-8")


@given(some_text)
def test_what_is_printable_stays_as_it_is(text: str) -> None:
    assert printable(printable(text)) == printable(text)


def test_letters_of_every_script_and_joiners_stay() -> None:
    text = "naïve\tשלום\nمرحبا 日本語 👩\u200d👩 \N{SOFT HYPHEN} 10\xa0km"
    assert printable(text) == text


@given(some_text, st.integers(2, 40))
def test_one_line_is_one_line(text: str, width: int) -> None:
    line = one_line(text, width)
    assert len(line) <= width
    assert len(line.splitlines()) <= 1


@pytest.mark.parametrize("separator", ["\n", "\t", "\u2028", "\u2029", " \u2028\n "])
def test_separators_are_a_space_on_one_line(separator: str) -> None:
    assert one_line(f"one{separator}two") == "one two"


@given(some_text)
def test_escaped_text_is_printable_and_reads_back(text: str) -> None:
    escaped = escape_unsafe(json.dumps(text, ensure_ascii=False))
    assert printable(escaped) == escaped
    assert json.loads(escaped) == text
