"""Pages without text are read from their picture, in order, within limits, and marked."""

from __future__ import annotations

import struct
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.citations.resolve import cite
from ragctx.errors import InputError
from ragctx.pdf.geometry import Box
from ragctx.pdf.messages import MAX_PICTURE_PIXELS
from ragctx.pdf.ocr import SCALE, Ocr, even_heights
from ragctx.pdf.page_image import quote_boxes
from ragctx.pdf.page_view import page_view
from ragctx.pdf.process import Limits
from ragctx.pdf.read import read_pdf
from ragctx.records import Chunk, CopiedSpan, Generation, Hit, Prompt, Segment
from ragctx.views import citation_view, citation_words
from tests.support.scans import FakeEngine, found, scan

TIN = (
    "Tin melts early and",
    "is soft and white,",
    "so it was used to",
    "line pots and pans",
    "in kitchens of all",
    "kinds, everywhere.",
)
LEAD = (
    "Lead is heavy and",
    "grey, and it was a",
    "metal for the roof",
    "of many a church,",
    "and also for pipes",
    "that held water.",
)
LEFT, RIGHT = (100.0, 800.0), (900.0, 1600.0)  # two columns of a page 1700 pixels wide


def two_columns() -> FakeEngine:
    """Lines of two columns, found in no order."""
    rows = [(200 + 40 * i, 230 + 40 * i) for i in range(6)]
    lines = [
        found(text, (left, top, right, bottom))
        for (left, right), column in ((LEFT, TIN), (RIGHT, LEAD))
        for text, (top, bottom) in zip(column, rows, strict=True)
    ]
    return FakeEngine(*sorted(lines, key=lambda line: line.text))


def test_a_scan_is_read_column_by_column(tmp_path: Path) -> None:
    document = read_pdf(scan(tmp_path / "scan.pdf"), ocr=Ocr(engine=two_columns()))
    assert document.status == "ocr" and document.reader == "ocr"
    assert document.pages[0].status == "ocr"
    text = " ".join(document.text.split())
    assert text == " ".join((*TIN, *LEAD))
    assert "pages read by OCR: 1, with a confidence of 0.90" in document.warnings[0]


def test_the_number_of_the_page_may_stand_where_the_gutter_is(tmp_path: Path) -> None:
    # Two columns 34 pixels apart, and below, between them, the number: they were read across.
    near = [replace(line, box=_moved(line.box, -64)) for line in two_columns().found]
    engine = FakeEngine(*near, found("3", (812, 900, 826, 930)))
    text = read_pdf(scan(tmp_path / "scan.pdf"), ocr=Ocr(engine=engine)).text
    assert " ".join(text.split()).startswith(" ".join((*TIN, *LEAD)))


def _moved(box: Box, by: float) -> Box:
    left, top, right, bottom = box
    return (left + by, top, right + by, bottom) if left == RIGHT[0] else box


def test_a_page_that_lies_upside_down_is_read_column_by_column(tmp_path: Path) -> None:
    lines = [
        replace(line, box=(1700 - right, 2200 - bottom, 1700 - left, 2200 - top), turn=2)
        for line in two_columns().found
        for left, top, right, bottom in (line.box,)
    ]
    text = read_pdf(scan(tmp_path / "scan.pdf"), ocr=Ocr(engine=FakeEngine(*lines))).text
    assert " ".join(text.split()) == " ".join((*TIN, *LEAD))


def test_only_pages_without_text_are_shown_to_the_engine(tmp_path: Path) -> None:
    path, engine = scan(tmp_path / "mixed.pdf", pages=3, text=(2,)), two_columns()
    seen: list[int] = []
    document = read_pdf(path, ocr=Ocr(engine=engine), on_page=lambda page, _: seen.append(page))
    assert [page.status for page in document.pages] == ["ocr", "ok", "ocr"]
    assert len(engine.seen) == 2 and seen == [1, 2, 3, 1, 3]
    assert document.status == "ocr" and document.reader == "ocr+pdfium"
    every = two_columns()
    read_pdf(path, ocr=Ocr(engine=every, every_page=True))
    assert len(every.seen) == 3


def test_without_ocr_nothing_changes(tmp_path: Path) -> None:
    document = read_pdf(scan(tmp_path / "scan.pdf"))
    assert (document.status, document.pages[0].status) == ("no_text", "scanned")


@pytest.mark.parametrize("engine", [FakeEngine(), FakeEngine(found("~", (0, 0, 9, 9), 0.2))])
def test_a_picture_without_words_stays_a_picture(tmp_path: Path, engine: FakeEngine) -> None:
    document = read_pdf(scan(tmp_path / "photo.pdf"), ocr=Ocr(engine=engine))
    assert (document.status, document.pages[0].status) == ("no_text", "scanned")
    assert engine.seen


@pytest.mark.parametrize("box", ["0 0 14400 14400", "0 0 4 4", "0 0 3 14000"])
def test_pictures_of_any_page_are_neither_huge_nor_tiny(tmp_path: Path, box: str) -> None:
    engine = two_columns()
    read_pdf(scan(tmp_path / "a.pdf", box=box), ocr=Ocr(engine=engine))
    (png,) = engine.seen[-1:]
    width, height = struct.unpack(">II", png[16:24])
    assert width * height <= 1.01 * MAX_PICTURE_PIXELS and max(width, height) >= 900


def test_the_time_for_a_file_is_bounded(tmp_path: Path) -> None:
    engine = two_columns()
    path = scan(tmp_path / "scan.pdf", pages=3)
    document = read_pdf(path, ocr=Ocr(engine=engine), limits=Limits(ocr_timeout_s=0.0))
    assert not engine.seen and document.status == "no_text"
    assert any("OCR took longer than the 0 s" in warning for warning in document.warnings)


def test_lines_stand_where_they_are_in_the_picture(tmp_path: Path) -> None:
    path = scan(tmp_path / "scan.pdf")
    path.write_bytes(path.read_bytes().replace(b"/Parent 2 0 R", b"/Rotate 90/Parent 2 0 R"))
    engine = FakeEngine(found("Tin melts at 232 degrees.", (100, 200, 800, 230)))
    document = read_pdf(path, ocr=Ocr(engine=engine))
    assert document.text == "Tin melts at 232 degrees."
    view = page_view(path, 1, ocr=Ocr(engine=engine))
    assert (view.width, view.height) == (792, 612)
    (line,) = view.lines
    assert line.box == pytest.approx(tuple(edge / SCALE for edge in (100, 200, 800, 230)), abs=0.3)


def test_a_citation_of_such_a_page_says_so(tmp_path: Path) -> None:
    document = read_pdf(scan(tmp_path / "scan.pdf"), ocr=Ocr(engine=two_columns()))
    text = document.text
    chunk = Chunk(
        id="c",
        document_id=document.id,
        start=0,
        end=len(text),
        first_page=1,
        last_page=1,
        text=text,
        token_count=0,
    )
    hit = Hit(rank=1, score=1.0, chunk=chunk, document="scan.pdf")
    passage = Segment(kind="passage", label="1", text=text, token_ids=(), hit=hit)
    prompt = Prompt(
        segments=(passage,),
        question="What is soft?",
        placement="edges",
        context_window=99,
        max_new_tokens=9,
        budget_tokens=90,
    )
    at = text.index("soft")
    generation = Generation(
        text="soft",
        token_ids=(),
        finish_reason="stop",
        prefill_s=0,
        decode_s=0,
        reused_tokens=0,
        spans=(CopiedSpan(0, at, at + 4),),
    )
    (citation,) = cite(generation, prompt, lambda _: document)
    assert citation.status == "verified" and citation.ocr
    assert citation_words(citation) == "[1] scan.pdf, page 1 (OCR)"
    assert citation_view(citation)["ocr"] is True


def test_what_is_no_engine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ocr is a"):
        read_pdf(scan(tmp_path / "scan.pdf"), ocr="auto")  # type: ignore[arg-type]


def test_one_page_is_read_by_ocr_and_a_quote_on_it_is_found(tmp_path: Path) -> None:
    path, engine = scan(tmp_path / "scan.pdf", pages=3), two_columns()
    view = page_view(path, 2, ocr=Ocr(engine=engine))
    assert view.page.status == "ocr" and len(engine.seen) == 1
    quote = "soft and white, so it was used"
    first, second = quote_boxes(path, 2, quote, ocr=Ocr(engine=engine))
    assert quote_boxes(path, 2, quote) == ()
    point = 1 / SCALE
    assert first[1::2] == pytest.approx((240 * point, 270 * point))
    assert 100 * point < first[0] < 400 * point < 700 * point < first[2] <= 800 * point
    assert second[:2] == pytest.approx((100 * point, 280 * point))
    assert 500 * point < second[2] < 700 * point


def test_a_quote_on_a_line_that_is_turned_is_found(tmp_path: Path) -> None:
    path = scan(tmp_path / "scan.pdf")
    line = replace(found("read from the top down", (100, 200, 130, 860)), turn=3)
    ((left, top, right, bottom),) = quote_boxes(
        path, 1, "from the top", ocr=Ocr(engine=FakeEngine(line))
    )
    assert (left * SCALE, right * SCALE) == pytest.approx((100, 130))
    assert 250 < top * SCALE < 400 and 600 < bottom * SCALE < 750


def test_columns_below_a_full_page_are_found(tmp_path: Path) -> None:
    wide = [
        found("a line of code, // and what it is for in a few words", (100, y, 1600, y + 30))
        for y in range(200, 1000, 40)
    ]
    low = [
        replace(line, box=(left, top + 1000, right, bottom + 1000))
        for line in two_columns().found
        for left, top, right, bottom in (line.box,)
    ]
    text = read_pdf(scan(tmp_path / "s.pdf"), ocr=Ocr(engine=FakeEngine(*wide, *low))).text
    assert " ".join(text.split()).endswith(" ".join((*TIN, *LEAD)))


LABELS = ("Tin", "Lead", "Zinc", "Copper", "Iron", "Silver")


def beside_text(step: int, *, long_labels: bool = False) -> FakeEngine:
    """Two paragraphs below each other, and to the right of them a table whose rows step so."""
    text = [
        found(line, (100, 200 + 40 * i, 800, 230 + 40 * i))
        for i, line in enumerate(("• " + TIN[0], *TIN[1:], "• " + LEAD[0], *LEAD[1:]))
    ]
    table = []
    for i, name in enumerate(LABELS):
        top, ragged = 206 + step * i, i % 3  # as the boxes of an engine are
        if not long_labels:
            table.append(found(name, (900 + ragged, top, 1000, top + 30)))
        figures = ((1300, f"{230 + i}"), (1450, f"${5 + i}.10"))
        table += [found(figure, (x + ragged, top, x + 90, top + 30)) for x, figure in figures]
    return FakeEngine(*text, *table)


def test_a_table_beside_running_text_is_read_by_itself(tmp_path: Path) -> None:
    # Of an income statement: a row of the table stood in the middle of each sentence.
    text = read_pdf(scan(tmp_path / "s.pdf"), ocr=Ocr(engine=beside_text(53))).text
    joined = " ".join(text.split())
    assert " ".join(("•", *TIN, "•", *LEAD)) in joined
    assert "Tin\t230\t$5.10\nLead\t231\t$6.10\n" in text


def test_figures_level_with_the_lines_of_their_labels_stay_beside_them(tmp_path: Path) -> None:
    engine = beside_text(40, long_labels=True)
    text = read_pdf(scan(tmp_path / "s.pdf"), ocr=Ocr(engine=engine)).text
    assert f"• {TIN[0]}\t230\t$5.10" in text and f"{TIN[4]}\t234\t$9.10" in text


def test_a_paragraph_stays_whole_though_its_lines_are_not_equally_tall(tmp_path: Path) -> None:
    lines = [
        found(text, (100, 200 + 40 * i, 380, 200 + 40 * i + tall))
        for i, (text, tall) in enumerate(zip(TIN, (30, 25, 28, 26, 30, 27), strict=True))
    ]
    text = read_pdf(scan(tmp_path / "s.pdf"), ocr=Ocr(engine=FakeEngine(*lines))).text
    assert text == " ".join(TIN)


@given(st.lists(st.tuples(st.integers(10, 60), st.integers(1, 80)), min_size=1, max_size=30))
def test_even_heights_keep_their_order(drawn: list[tuple[int, int]]) -> None:
    even = even_heights([found("x" * letters, (0, 0, 900, tall)) for tall, letters in drawn])
    pairs = sorted(zip((tall for tall, _ in drawn), even, strict=True))
    ordered = [height for _, height in pairs]
    assert all(a <= b + 1e-6 for a, b in pairwise(ordered))
    assert all(abs(height - tall) <= 0.4 * tall for tall, height in pairs)
