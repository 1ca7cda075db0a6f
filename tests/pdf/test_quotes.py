"""Quotes are found by their letters, line by line, in whatever order the lines were drawn."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.pdf.quotes import boxes_of, letters_of
from ragctx.pdf.reading import GlyphLine

texts = st.lists(st.text(alphabet="ab- .", max_size=6), min_size=1, max_size=5)


def drawn(*lines: str) -> list[GlyphLine]:
    """Lines one below the other, each glyph one point wide and high."""
    return [
        GlyphLine(text=tuple(text), boxes=tuple((x, y, x + 1, y + 1) for x in range(len(text))))
        for y, text in enumerate(lines)
    ]


def ways(quote: str, lines: Sequence[str]) -> Iterator[tuple[int, ...]]:
    """All ways to put the quote together: the slow, obvious search over all orders of lines."""
    letters = [letters_of(line) for line in lines]
    for count in range(1, len(lines) + 1):
        for order in itertools.permutations(range(len(lines)), count):
            first, *between = (letters[i] for i in order)
            last = between.pop() if between else ""
            if count == 1 and quote in first:
                yield order
            elif count > 1 and all(between):
                for n in range(1, len(first) + 1):
                    head = first[-n:] + "".join(between)
                    rest = quote.removeprefix(head)
                    if quote.startswith(head) and rest and last.startswith(rest):
                        yield order


@given(texts, st.text(alphabet="ab", min_size=1, max_size=6))
def test_a_quote_is_found_if_any_order_of_lines_holds_it(lines: list[str], quote: str) -> None:
    found = boxes_of(quote, drawn(*lines))
    by_hand = set(ways(quote, lines))
    # A line may be used twice, as where a table repeats a cell: so it may find more.
    assert found or not by_hand
    text = "".join(
        letters_of(lines[int(top)][int(left) : int(right)]) for left, top, right, _ in found
    )
    assert text == (quote if found else "")


@given(texts, st.data())
def test_every_stretch_of_the_text_is_found_whatever_was_changed(
    lines: list[str], data: st.DataObject
) -> None:
    whole = " ".join(lines)
    start = data.draw(st.integers(0, len(whole)))
    quote = whole[start : data.draw(st.integers(start, len(whole)))]
    shown = data.draw(st.permutations(lines))
    changed = quote.upper().replace("-", "").replace(" ", "\n")
    assert bool(boxes_of(changed, drawn(*shown))) == bool(letters_of(quote))


def test_a_quote_over_two_columns_has_a_box_for_each_line() -> None:
    lines = drawn("Tin is", "Lead melts", "soft and", "at 327.")  # drawn across two columns
    assert boxes_of("is soft and lead", lines) == ((4, 0, 6, 1), (0, 2, 8, 3), (0, 1, 4, 2))


@pytest.mark.parametrize(
    ("line", "quote"),
    [
        ("an ef\ufb01cient pump", "efficient"),
        ("na¨ıve", "naïve"),
        ("exam-", "exam"),
        ("10²", "10^2"),
        ("ＡＢＣ", "abc"),
        ("Stra\u00dfe", "STRASSE"),
    ],
)
def test_what_reading_changes_makes_no_difference(line: str, quote: str) -> None:
    assert len(boxes_of(quote, drawn(line))) == 1


def test_the_place_drawn_in_one_go_is_taken() -> None:
    lines = drawn("the pump", "nothing", "the pump", "is oiled")
    assert boxes_of("pump is oiled", lines) == ((4, 2, 8, 3), (0, 3, 8, 4))


@pytest.mark.parametrize("quote", ["", " .", "zinc", "the pump is"])
def test_what_is_not_there_is_not_found(quote: str) -> None:
    assert boxes_of(quote, drawn("the pump", "was oiled")) == ()


def test_hostile_pages_take_no_longer() -> None:
    lines = drawn(*["a" * (1 + i % 300) for i in range(1300)])
    began = time.perf_counter()
    assert boxes_of("a" * 19_999 + "b", lines) == ()
    assert time.perf_counter() - began < 60
