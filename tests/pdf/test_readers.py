"""Laws of reading order: what stands on a page comes out as a person would read it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ragctx.pdf.read import read_pdf
from ragctx.pdf.readers import StartedReaders
from tests.support.pdf_files import document, lines, pdf_bytes, stream, write


def _objects(data: bytes) -> list[bytes]:
    bodies = data.split(b" 0 obj\n")[1:]
    return [body.split(b"\nendobj")[0] for body in bodies]


def test_pages_are_told_as_they_are_read(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    path = write(tmp_path / "a.pdf", [lines("a"), lines("b"), lines("c")])
    read_pdf(path, on_page=lambda page, pages: told.append((page, pages)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_paragraph_flows_and_its_broken_words_are_whole(tmp_path: Path) -> None:
    text = ("A paragraph whose lines are full up to the edge of its col-", "umn flows on.")
    path = write(tmp_path / "a.pdf", [lines(*text) + lines("Next one.", y=640)])
    expected = (
        "A paragraph whose lines are full up to the edge of its column flows on.\n\nNext one."
    )
    assert read_pdf(path).text == expected


def test_columns_are_read_one_after_the_other(tmp_path: Path) -> None:
    left = lines("Left one is a full line", "left two is a full line", "left three ends.")
    right = lines("Right one is a full line", "right two ends.", x=320)
    text = read_pdf(write(tmp_path / "a.pdf", [left + right])).text
    assert text.index("left three") < text.index("Right one")


def test_a_table_drawn_by_columns_is_read_by_rows(tmp_path: Path) -> None:
    names = lines("Tin", "Lead", "Zinc", "Iron")
    points, years = lines("232", "327", "420", "1538", x=200), lines("50", "82", "30", "26", x=300)
    text = read_pdf(write(tmp_path / "a.pdf", [names + points + years])).text
    assert text.splitlines() == ["Tin\t232\t50", "Lead\t327\t82", "Zinc\t420\t30", "Iron\t1538\t26"]


def test_the_heads_and_the_total_of_a_table_drawn_by_columns_are_rows_of_it(
    tmp_path: Path,
) -> None:
    columns = (
        ("Item", "Widget, large", "Widget, small", "Delivery", "Total"),
        ("Qty", "4", "10", "1", ""),
        ("Amount", "50.00", "32.00", "9.00", "91.00"),
    )
    before = lines("The table tells what was ordered in the last three months of it.", y=730)
    content = b"".join(
        lines(cell, x=x, y=700 - 16 * i)
        for x, column in zip((72, 260, 340), columns, strict=True)
        for i, cell in enumerate(column)
        if cell
    )
    after = lines("What comes after the table is another paragraph of running text.", y=600)
    text = read_pdf(write(tmp_path / "a.pdf", [before + content + after])).text
    assert text.split("\n\n")[1].split("\n") == [
        "Item\tQty\tAmount",
        "Widget, large\t4\t50.00",
        "Widget, small\t10\t32.00",
        "Delivery\t1\t9.00",
        "Total\t\t91.00",
    ]


def test_what_is_drawn_twice_is_read_once(tmp_path: Path) -> None:
    """Fake bold: the same glyphs twice, a fraction of a point apart."""
    first = lines("A heading in bold", "its second line")
    content = first + lines("A heading in bold", "its second line", x=72.3)
    assert read_pdf(write(tmp_path / "a.pdf", [content])).text.count("heading") == 1


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_turned_page_reads_the_same(tmp_path: Path, turn: int) -> None:
    cos, sin = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[turn]
    where = {0: (72, 700), 90: (100, 72), 180: (540, 100), 270: (500, 700)}[turn]
    matrix = b"%d %d %d %d %d %d" % (cos, sin, -sin, cos, *where)
    shown = b"12 TL (The first line ends.) Tj T* (Then another.) Tj"
    content = b"BT /F1 10 Tf %s Tm %s ET" % (matrix, shown)
    path = write(tmp_path / "a.pdf", [content], page=b"/Rotate %d" % turn)
    assert " ".join(read_pdf(path).text.split()) == "The first line ends. Then another."


def test_values_of_form_fields_stand_by_their_labels(tmp_path: Path) -> None:
    data = document([lines("Name:") + lines("Town:", y=600)], catalog=b"/AcroForm 6 0 R")
    objects = _objects(data)
    objects[3] = objects[3].replace(b">>>>>>", b">>>>/Annots[7 0 R]>>")
    objects += [
        b"<</Fields[7 0 R]>>",
        b"<</Type/Annot/Subtype/Widget/FT/Tx/T(name)/V(Ada Lovelace)/F 4/Rect[110 695 300 712]"
        b"/AP<</N 8 0 R>>>>",
        stream(
            b"BT /F1 10 Tf 2 5 Td (Ada Lovelace) Tj ET",
            b"/Type/XObject/Subtype/Form/BBox[0 0 190 17]/Resources<</Font<</F1 3 0 R>>>>",
        ),
    ]
    path = tmp_path / "form.pdf"
    path.write_bytes(pdf_bytes(objects))
    assert read_pdf(path, reader="pdfium").text.split() == ["Name:", "Ada", "Lovelace", "Town:"]
    assert "Ada Lovelace" in read_pdf(path, reader="pypdf").text


def test_what_pdfium_cannot_open_pypdf_may(tmp_path: Path) -> None:
    """The stand-in fails as pdfium and reads as pypdf."""
    fake = _stand_in(
        tmp_path,
        'if r["reader"] == "pdfium": say(kind="failed", status="corrupt", message="bad xref")\n'
        'else: opened(1); page(0, "By pypdf.")\n',
    )
    read = read_pdf(write(tmp_path / "a.pdf", [b""]), readers=fake)
    assert (read.text, read.reader, read.status) == ("By pypdf.", "pypdf", "ok")


def test_a_doubtful_page_is_read_again_and_the_better_text_taken(
    tmp_path: Path,
) -> None:
    fake = _stand_in(
        tmp_path,
        "opened(3)\n"
        'if r["reader"] == "pdfium":\n'
        '    page(0, "Sound."); page(1, "\\ue001\\ue002\\ue003", True); page(2, "Also.", True)\n'
        'else:\n    assert r["only"] == [1, 2]; page(1, "Letters."); page(2, "A")\n',
    )
    read = read_pdf(write(tmp_path / "a.pdf", [b""]), readers=fake)
    assert [page.text for page in read.pages] == ["Sound.", "Letters.", "Also."]
    assert read.reader == "pdfium+pypdf"


TORN = "N O T I C E to the Compan y and a l l of its ten ants"
WHOLE = "NOTICE to the Company and all of its tenants"


@pytest.mark.parametrize(("second", "expected"), [(WHOLE, WHOLE), (TORN, TORN), ("NOTICE", TORN)])
def test_torn_words_are_read_again_and_whole_ones_taken(
    second: str, expected: str, tmp_path: Path
) -> None:
    fake = _stand_in(
        tmp_path,
        "opened(2)\n"
        f'if r["reader"] == "pdfium": page(0, "Sound."); page(1, {TORN!r})\n'
        f'else:\n    assert r["only"] == [1]; page(1, {second!r})\n',
    )
    read = read_pdf(write(tmp_path / "a.pdf", [b""]), readers=fake)
    assert [page.text for page in read.pages] == ["Sound.", expected]


STAND_IN = """
import json, sys, time, os
r = json.loads(sys.stdin.readline())
def say(**message):
    print(json.dumps(message), flush=True)
def opened(pages):
    say(kind="started"); say(kind="open", pages=pages, attachments=0, xfa=False)
def page(i, text, doubtful=False):
    if i < r["first"]: return
    say(kind="begin", page=i)
    say(kind="page", page=i, text=text, filled_in=[], reader=r["reader"], label="",
        pictures=False, glyphs_only=False, doubtful=doubtful, cut=False, lost=0, hidden=[],
        fields=[])
"""


def _stand_in(folder: Path, script: str) -> StartedReaders:
    """Readers that run `script`, then end in good order."""
    path = folder / "stand_in.py"
    path.write_text(f"{STAND_IN}\n{script}\nsay(kind='end', warnings=[])\n", encoding="utf-8")
    return StartedReaders((sys.executable, str(path)))


def test_indents_in_a_column_are_no_gutter(tmp_path: Path) -> None:
    """The page's number stood in the gutter, and the first lines of paragraphs seemed a column."""
    left = [f"left column, line number {i:02}" for i in range(24)]
    right = [f"right column, line number {i:02}" for i in range(24)]
    content = lines("Head of the page") + lines("216", x=241, y=60) + lines(*left, y=680)
    for i, text in enumerate(right):
        content += lines(text, x=272 if i % 6 == 0 else 257, y=680 - 12 * i)
    words = read_pdf(write(tmp_path / "a.pdf", [content])).text
    assert words.index("left column, line number 23") < words.index("right column, line number 00")


def test_a_title_that_was_drawn_last_comes_first(tmp_path: Path) -> None:
    names, points = lines("Tin", "Lead", "Zinc"), lines("232", "327", "420", x=400)
    title = lines("Where metals melt", x=200, y=750)
    text = read_pdf(write(tmp_path / "a.pdf", [names + points + title])).text
    assert text.splitlines()[0] == "Where metals melt"


def test_a_raised_mark_that_was_drawn_last_stands_by_its_word(tmp_path: Path) -> None:
    rows = lines("Total") + lines("183,061", x=300)
    rows += lines("Other", y=688) + lines("12", x=300, y=688)
    mark = lines("(3)", x=96, y=704, size=6)
    text = read_pdf(write(tmp_path / "a.pdf", [rows + mark])).text
    assert text.splitlines() == ["Total (3)\t183,061", "Other\t12"]


def test_a_table_of_tight_columns_has_its_cells(tmp_path: Path) -> None:
    content = b"".join(
        lines(text, x=x, y=700 - 12 * i)
        for i, name in enumerate(("tin", "lead", "zinc"))
        for text, x in ((name, 72), ("0.62", 120), ("0.58", 145), ("0.59", 170))
    )
    text = read_pdf(write(tmp_path / "a.pdf", [content])).text
    assert text.splitlines()[1] == "lead\t0.62\t0.58\t0.59"
    spaced = b"".join(
        lines(text, x=x, y=700 - 12 * i)
        for i in range(3)
        for text, x in (("Benzene", 72), ("10", 160), ("000", 173.5), ("200", 260))
    )
    text = read_pdf(write(tmp_path / "b.pdf", [spaced])).text
    assert text.splitlines()[0] == "Benzene\t10 000\t200"


def test_a_word_that_a_cell_divides_is_whole_unless_it_has_its_hyphen(tmp_path: Path) -> None:
    left = lines("shares that would be anti-", "dilutive if counted", x=72)
    right = lines("an approx-", "imate share", x=300)
    table = lines("Tin", y=660) + lines("232", x=300, y=660)
    prose = lines("Those are anti-dilutive ones, and anti-dilutive ones are left out.", y=500)
    text = read_pdf(write(tmp_path / "a.pdf", [left + right + table + prose])).text
    assert "would be anti-dilutive if" in text and "an approximate share" in text
