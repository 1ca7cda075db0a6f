"""Bullets, ticks and arrows are read as such, and codes that nobody knows never without a word."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.pdf.read import read_pdf
from ragctx.pdf.symbol_fonts import (
    SYMBOL,
    WINGDINGS,
    private_count,
    sign,
    signs_of,
    with_signs,
    without_private,
)
from tests.support.pdf_files import document, pdf_bytes, stream

PRIVATE = st.text(st.sampled_from("ab \uf0b7\uf0e0\ue001\uf8eb\U000f0001\U00100002"))

TO_PRIVATE = (
    b"/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <00> <FF> "
    b"endcodespacerange 2 beginbfchar <B7> <%s> <41> <0041> endbfchar endcmap end"
)


def _page_of(font: bytes, codes: bytes, folder: Path, unicode: bytes = b"") -> Path:
    """A page that shows codes of a font, and then "Done" in Helvetica."""
    shown = b"BT /F2 12 Tf 72 700 Td <%s> Tj /F1 12 Tf 40 0 Td (Done) Tj ET"
    data = document([shown % codes.hex().encode()])
    objects = [body.split(b"\nendobj")[0] for body in data.split(b" 0 obj\n")[1:]]
    objects[3] = objects[3].replace(b"/F1 3 0 R", b"/F1 3 0 R/F2 6 0 R")
    widths = b"/FirstChar 0/LastChar 255/Widths[%s]" % (b"900 " * 256)
    described = (
        b"/FontDescriptor<</Type/FontDescriptor/FontName/%s/Flags 4/FontBBox[0 0 900 900]"
        b"/ItalicAngle 0/Ascent 850/Descent -210/CapHeight 700/StemV 80>>" % font
    )
    about = b"/ToUnicode 7 0 R" if unicode else b""
    objects += [
        b"<</Type/Font/Subtype/TrueType/BaseFont/%s%s%s%s>>" % (font, widths, described, about),
        stream(TO_PRIVATE % unicode),
    ]
    path = folder / "signs.pdf"
    path.write_bytes(pdf_bytes(objects))
    return path


def test_letters_of_wingdings_are_the_signs_that_they_show(tmp_path: Path) -> None:
    found = read_pdf(_page_of(b"ABCDEF+Wingdings-Regular", b"\xfc", tmp_path))
    assert found.text == "✓ Done" and not found.warnings


@pytest.mark.parametrize(
    ("font", "code"), [(b"Symbol", b"F0B7"), (b"SymbolMT", b"2022"), (b"OtherFont", b"F0B7")]
)
def test_bullets_of_symbol_are_bullets(font: bytes, code: bytes, tmp_path: Path) -> None:
    assert read_pdf(_page_of(font, b"\xb7", tmp_path, code)).text == "• Done"


def test_a_code_that_nobody_knows_is_left_out_and_told(tmp_path: Path) -> None:
    found = read_pdf(_page_of(b"HouseSigns", b"\xb7", tmp_path, b"E001"))
    assert found.text == "Done"
    assert found.warnings == ("signs of which only codes are known left out: 1, on pages 1",)
    within = read_pdf(_page_of(b"HouseSigns", b"A\xb7A", tmp_path, b"E001"))
    assert within.text == "A\ufffdA Done"


def test_tables_hold_what_is_used_most() -> None:
    assert "".join(SYMBOL[code] for code in b"abmpw\xae\xb7\xb1\xa3\xde\xe5\xfe") == "αβμπω→•±≤⇒∑⎭"
    assert "".join(WINGDINGS[code] for code in b"\x41Jlnoqv\x80\x8a\xa7\xa8\xd8\xe0\xfb\xfe") == (
        "✌☺●■□❑❖⓪⑩▪◻➢→✗☑"
    )
    assert sign(ord("a"), None) == "a"


def test_large_signs_of_tex_are_read_by_their_codes() -> None:
    # Sums were read as "X" and "P", and braces around a set as "n" and "o".
    signs = signs_of("ABCDEF+CMEX10")
    assert with_signs("XYZno\x10\x11p", signs) == "∑∏∫{}()√"
    assert with_signs("\u2211\uf8eb", signs) == "\u2211\uf8eb"  # what the font itself says


def test_a_font_of_tex_that_names_its_letters_is_believed(tmp_path: Path) -> None:
    named = read_pdf(_page_of(b"ABCDEF+CMEX10", b"A", tmp_path, b"2211"))
    assert named.text == "A Done"


@given(PRIVATE)
def test_no_private_code_is_left(text: str) -> None:
    assert private_count(without_private(text)) == 0
    assert without_private(without_private(text)) == without_private(text)
