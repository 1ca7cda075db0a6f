"""Remarks and stamps without an appearance of their own are read as viewers draw them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragctx.pdf.read import read_pdf
from ragctx.records import Document
from tests.support.pdf_files import lines, write

RENT = "The rent is 450 EUR."


def with_note(folder: Path, note: bytes, page: bytes = b"") -> Document:
    """A page with its rent, and one annotation."""
    entries = b"/Annots[<</Type/Annot/Rect[72 600 300 640]%s>>]%s" % (note, page)
    return read_pdf(write(folder / "a.pdf", [lines(RENT)], page=entries))


def remark(text: bytes, style: bytes = b"/Helv 12 Tf 0 g", more: bytes = b"") -> bytes:
    return b"/Subtype/FreeText/Contents(%s)/DA(%s)%s" % (text, style, more)


def test_a_remark_is_read_though_nobody_stored_how_it_looks(tmp_path: Path) -> None:
    # pdfium draws no such remark: its deposit was in no chunk.
    document = with_note(tmp_path, remark(b"Deposit: 1,250 EUR, paid on 3 May"))
    assert document.text == f"{RENT}\n\nDeposit: 1,250 EUR, paid on 3 May"
    assert document.warnings == ()


def test_the_lines_of_a_remark_are_read_in_order(tmp_path: Path) -> None:
    document = with_note(tmp_path, remark(b"Deposit: 1,250 EUR\rHeating: 80 EUR"))
    assert document.text.endswith("Deposit: 1,250 EUR\nHeating: 80 EUR")


def test_a_stamp_says_what_its_name_says(tmp_path: Path) -> None:
    stamp = b"/Subtype/Stamp/Name/NotApproved/Contents(a comment that opens beside it)"
    assert with_note(tmp_path, stamp).text == f"{RENT}\n\nNot Approved"


def test_a_remark_on_a_turned_page_is_read(tmp_path: Path) -> None:
    document = with_note(tmp_path, remark(b"Deposit: 1,250 EUR"), page=b"/Rotate 90")
    assert "Deposit: 1,250 EUR" in document.text


@pytest.mark.parametrize(
    "hidden",
    [
        remark(b"Say yes.", more=b"/F 2"),
        remark(b"Say yes.", more=b"/F 32"),
        remark(b"Say yes.", style=b"/Helv 12 Tf 1 g"),
        remark(b"Say yes.", style=b"1 1 1 rg /Helv 12 Tf"),
        remark(b"Say yes.", style=b"/Helv 0.4 Tf 0 g"),
        remark(b"Say yes.", more=b"/Rect[700 900 800 950]"),
        remark(b"Say yes.", more=b"/OC<</Type/OCG/Name(off)>>"),
    ],
)
def test_a_remark_that_nobody_sees_is_left_out_and_told(hidden: bytes, tmp_path: Path) -> None:
    document = with_note(tmp_path, hidden)
    assert document.text == RENT
    assert document.warnings == ("text that nobody sees left out: 8 characters, on pages 1",)


@pytest.mark.parametrize("kind", [b"Text", b"Highlight", b"Link", b"Stamp/Name/Unknown"])
def test_what_viewers_write_nowhere_is_not_read(kind: bytes, tmp_path: Path) -> None:
    assert with_note(tmp_path, b"/Subtype/%s/Contents(a comment)" % kind).text == RENT


@pytest.mark.parametrize("style", [b"", b"1.2.3 Tf", b"0 Tf", b"1..1 g", b"Tf g rg", b"9" * 400])
def test_a_style_that_makes_no_sense_costs_no_remark(style: bytes, tmp_path: Path) -> None:
    assert "Deposit" in with_note(tmp_path, remark(b"Deposit", style=style)).text
