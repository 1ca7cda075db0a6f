"""Laws of the walk from pieces on a page to running text: nothing is lost, nothing made up."""

from __future__ import annotations

import re
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.pdf import line_joining
from ragctx.pdf.layout import in_reading_order
from ragctx.pdf.line_joining import HYPHEN, clean_piece, goes_on_as_url, join_broken
from ragctx.pdf.paragraphs import count_words, running_text
from ragctx.pdf.row import Row, unplaced
from ragctx.pdf.running_lines import drop_running_lines

WORDS = st.lists(st.text("abcdeXYZ0189.,-–(é字", min_size=1, max_size=9), min_size=1, max_size=6)
PLACES = st.integers(0, 600)


@st.composite
def rows(draw: st.DrawFn) -> Row:
    text = " ".join(draw(WORDS))
    left, top, size = draw(PLACES), draw(PLACES), draw(st.sampled_from([6.0, 10.0, 10.5, 24.0]))
    wide = draw(st.sampled_from([0.3, 0.5, 1.5])) * size * len(text)
    return Row(
        text=text,
        left=left,
        top=top,
        right=left + wide,
        bottom=top + size,
        size=size,
        turn=draw(st.sampled_from([0, 0, 0, 1])),
    )


def line(text: str, y: float, x: float = 72, size: float = 10) -> Row:
    return Row(
        text=text, left=x, top=y, right=x + 0.5 * size * len(text), bottom=y + size, size=size
    )


def words_of(rows: list[Row]) -> Counter[str]:
    return Counter(word for row in rows for word in row.text.split())


def texts(found: list[Row]) -> list[str]:
    return [row.text for row in found]


# --- order


@given(st.lists(rows(), max_size=30, unique_by=lambda row: row.text), st.lists(rows(), max_size=3))
def test_ordering_loses_and_makes_up_no_letter(pieces: list[Row], values: list[Row]) -> None:
    found = in_reading_order(pieces, values)
    before = "".join(texts([*pieces, *values]))
    after = "".join(texts(found))
    assert Counter(after.replace(" ", "")) == Counter(before.replace(" ", ""))


def test_text_without_tables_keeps_the_order_in_which_it_was_drawn() -> None:
    pieces = [line(f"Line {i} of the left column goes on here", i * 12) for i in range(20)]
    pieces += [line(f"Line {i} of the right column is here too", i * 12, x=320) for i in range(20)]
    assert texts(in_reading_order(pieces)) == texts(pieces)


def test_figures_beside_prose_do_not_make_it_a_table() -> None:
    prose = [line("words that go on and on in the right column", i * 12, 320) for i in range(6)]
    figures = [line(str(100 + i), i * 12, 72) for i in range(6)]
    found = texts(in_reading_order([*figures, *prose]))
    assert found == texts([*figures, *prose])


def test_turned_text_comes_after_the_page() -> None:
    stamp = Row(text="arXiv:1234", left=0, top=0, right=90, bottom=12, size=12, turn=1)
    pieces = [stamp, line("The page itself is longer.", 0)]
    assert texts(in_reading_order(pieces)) == ["The page itself is longer.", "arXiv:1234"]


def test_a_page_of_many_pieces_takes_linear_time() -> None:
    began = time.perf_counter()
    in_reading_order(
        [
            Row(
                text="7", left=i % 600, top=i // 600, right=i % 600 + 5, bottom=i // 600 + 9, size=9
            )
            for i in range(60_000)
        ]
    )
    assert time.perf_counter() - began < 20


# --- running lines


def pages_with(head: str, foot: str, count: int = 12) -> list[list[Row]]:
    def page(i: int) -> list[Row]:
        body = line(f"Body {chr(65 + i)} says this.", 300)
        return [line(head.format(i), 20), body, line(foot.format(i), 760)]

    return [page(i) for i in range(1, count + 1)]


def kept(pages: list[list[Row]]) -> list[list[str]]:
    labels = [str(i) for i in range(1, len(pages) + 1)]
    return [texts(page) for page in drop_running_lines(pages, labels)]


@given(st.lists(st.lists(rows(), max_size=6), max_size=12))
def test_rows_only_ever_go_never_change(pages: list[list[Row]]) -> None:
    for before, after in zip(pages, drop_running_lines(pages, ["i"] * len(pages)), strict=True):
        places = [id(row) for row in before]
        assert [places.index(id(row)) for row in after] == sorted(
            places.index(id(r)) for r in after
        )


@given(st.lists(st.lists(rows(), max_size=6), max_size=12))
def test_words_without_digits_are_never_lost_to_the_document(pages: list[list[Row]]) -> None:
    labels = [str(i + 1) for i in range(len(pages))]
    after = {row.text.lower() for page in drop_running_lines(pages, labels) for row in page}
    plain = {row.text.lower() for page in pages for row in page if not re.search(r"\d", row.text)}
    assert {text for text in plain - after if not re.fullmatch(r"\W*[ivxlc]+\W*", text)} == set()


def test_heads_feet_and_numbers_go() -> None:
    found = kept(pages_with("The Manual", "Page {0} of 12"))
    assert found[0] == ["The Manual", "Body B says this."]
    assert found[1:] == [[f"Body {chr(65 + i)} says this."] for i in range(2, 13)]


def test_a_chapters_head_goes_by_its_page_number() -> None:
    pages = pages_with("Chapter 1: Pumps {0}", "")
    pages = [[row for row in page if row.text] for page in pages]
    pages[4][0] = line("Chapter 2: Valves 5", 20)  # on one page alone
    assert all(len(page) == 1 for page in kept(pages))


def test_what_repeats_elsewhere_on_the_page_stays() -> None:
    """A form repeats its headings at ever other heights, at times at the edge of a page."""
    pages = [
        [line("Performance indicators", 40 + 37 * i), line(f"Body {chr(65 + i)}.", 700)]
        for i in range(12)
    ]
    assert all("Performance indicators" in page for page in kept(pages))


def test_a_figure_that_ends_a_page_is_no_page_number() -> None:
    pages = [[line(f"Body {chr(65 + i)}.", 300), line(str(17 * i + 940), 700)] for i in range(4)]
    assert kept(pages) == [texts(page) for page in pages]


def test_numbers_of_lines_go_and_figures_stay() -> None:
    numbers = [line(str(i), 12 * i, x=20) for i in range(1, 26)]
    figures = [line(str(i), 100 + 12 * n, x=300) for n, i in enumerate((30, 10, 40, 10, 50, 90))]
    page = [line("Transcript.", 0), *numbers, *figures, line("So sworn.", 400)]
    expected = ["Transcript.", "30", "10", "40", "10", "50", "90", "So sworn."]
    assert kept([page])[0] == expected


# --- running text


@given(st.lists(rows(), max_size=25))
def test_running_text_is_the_rows_with_other_spaces_and_hyphens(page: list[Row]) -> None:
    text = running_text(page, count_words([page]))
    assert re.sub(r"[\s-]", "", text) == re.sub(r"[\s-]", "", "".join(texts(page)))
    assert "\n\n\n" not in text and text == text.strip()


def test_lines_of_a_paragraph_flow_and_paragraphs_stand_apart() -> None:
    page = [
        line("This paragraph has lines that are full to the edge, and", 0),
        line("it goes on in the second and in the third of its lines,", 12),
        line("where it ends.", 24),
        line("The next paragraph stands after a gap of half a line or", 44),
        line("so.", 56),
    ]
    assert running_text(page, {}).split("\n\n") == [
        "This paragraph has lines that are full to the edge, and it goes on in the second and in "
        "the third of its lines, where it ends.",
        "The next paragraph stands after a gap of half a line or so.",
    ]


def test_a_heading_stands_alone_and_a_heading_of_two_lines_is_one() -> None:
    page = [
        line("A heading so long that it", 0, size=18),
        line("wraps", 21, size=18),
        line("And the text below it.", 50),
    ]
    assert running_text(page, {}) == "A heading so long that it wraps\n\nAnd the text below it."


@pytest.mark.parametrize(
    "code", [["for i in x:", "print(i)"], ["Tin   232 50", "Lead  327 82"], ["a) one", "b) two"]]
)
def test_code_tables_and_lists_keep_their_lines(code: list[str]) -> None:
    around = [
        line("A line of text that shows how wide the column is here.", 12 * i) for i in (0, 3)
    ]
    page = [around[0], *(line(text, 12 + 12 * i) for i, text in enumerate(code)), around[1]]
    assert "\n".join(code) in running_text(page, {})


def test_text_without_places_flows_as_well() -> None:
    page = unplaced(
        "A title\n\nWords that fill the first line, and then they\ngo on to the second."
    )
    expected = "A title\n\nWords that fill the first line, and then they go on to the second."
    assert running_text(page, {}) == expected


# --- lines


@pytest.mark.parametrize(
    ("text", "following", "words", "joined"),
    [
        ("an exam-", "ple of it", {}, "an example of it"),
        (f"an exam{HYPHEN}", "ple", {}, "an example"),
        ("a reader-", "friendly text", {"reader-friendly": 1}, "a reader-friendly text"),
        ("a co-", "operation", {"cooperation": 3, "co-operation": 1}, "a cooperation"),
        ("the non-", "European", {}, "the non-European"),
        ("pages 2018–", "23", {}, "pages 2018–23"),
        ("use --", "verbose", {}, "use -- verbose"),
        ("see https://a.org/", "b/c.html", {}, "see https://a.org/b/c.html"),
        ("日本", "語", {}, "日本語"),
        ("plain", "words", {}, "plain words"),
    ],
)
def test_how_a_line_goes_on(text: str, following: str, words: dict[str, int], joined: str) -> None:
    assert join_broken(text, following, words) == joined


@given(st.text(max_size=40), st.text(min_size=1, max_size=20))
def test_what_follows_is_never_touched(text: str, following: str) -> None:
    assert join_broken(text, following, {}).endswith(following)


@given(st.text(max_size=60))
def test_cleaning_a_line_twice_is_cleaning_it_once(text: str) -> None:
    once = clean_piece(text)
    assert clean_piece(once) == once or HYPHEN in text or "\x02" in text or "\xad" in text


def test_accents_beside_their_letters_are_put_on_them() -> None:
    assert clean_piece("na¨ıve, G¨odel, Erdos˝, `ls`, don´t") == "naïve, Gödel, Erdos˝, `ls`, don´t"


@pytest.mark.parametrize("unit", ["a", "-", ".", "http://", "· ", "x-", "字"])
def test_a_hostile_line_takes_linear_time(unit: str) -> None:
    long = unit * 200_000
    began = time.perf_counter()
    page = [line(clean_piece(long), 0), line(clean_piece(long), 12)]
    running_text(page, count_words([page]))
    assert time.perf_counter() - began < 10


@given(st.text(st.sampled_from("ahtps:/w.@=_ ")))
def test_a_line_goes_on_as_an_address_whatever_it_is_asked_first(text: str) -> None:
    assert goes_on_as_url(text) == bool(line_joining._URL.search(text[-line_joining._LONGEST :]))


@given(st.lists(st.lists(st.text("aB- -", min_size=1).filter(str.strip), min_size=1), max_size=3))
def test_words_are_counted_row_by_row(pages: list[list[str]]) -> None:
    counted: Counter[str] = Counter()
    rows = [[row for text in page for row in unplaced(text)] for page in pages]
    for page in rows:
        for before, row in zip([None, *page], page, strict=False):
            words = row.text.split(" ")
            words = words[1:] if before and before.text[-1] in "-\u2010" else words
            words = words[:-1] if row.text[-1] in "-\u2010" else words
            for word in words:
                counted.update(re.findall(r"[^\W\d_]+(?:-\w+)*", word.lower()))
    assert count_words(rows) == counted
