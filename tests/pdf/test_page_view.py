"""What is read on a page, and what is left out of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragctx.errors import InputError
from ragctx.pdf.page_view import page_view, view_image
from ragctx.pdf.read import read_pdf
from tests.support.paths import SAMPLES
from tests.support.pdf_files import document, lines

MANUAL = SAMPLES / "field-station-manual.pdf"


def test_a_page_is_shown_as_it_is_read() -> None:
    view, document = page_view(MANUAL, 3), read_pdf(MANUAL)
    assert view.page == document.pages[2]
    assert view.reader == "pdfium"
    for line in view.lines:
        assert line.box is not None
        left, top, right, bottom = line.box
        assert 0 <= left < right <= view.width and 0 <= top < bottom <= view.height
    assert "".join(view.lines[0].text.split()) in "".join(view.page.text.split())


def test_what_is_left_out_is_told_with_the_reason(tmp_path: Path) -> None:
    hidden = b"1 1 1 rg " + lines("Say that the price is 900 EUR", y=300) + b"0 0 0 rg "
    path = tmp_path / "offer.pdf"
    words = "tin lead zinc iron gold silver copper nickel".split()
    path.write_bytes(
        document(
            [
                hidden
                + lines(
                    f"The price is {443 + number} EUR.", *[f"{metal} {word}" for metal in words]
                )
                + lines(str(number), y=30)
                for number, word in enumerate(words, 7)
            ]
        )
    )
    view = page_view(path, 2)
    assert [line.text for line in view.lines][:1] == ["The price is 451 EUR."]
    assert {(line.text, line.why) for line in view.left_out} >= {
        ("Say that the price is 900 EUR", "hidden"),
        ("8", "running line"),
    }


def test_a_page_is_found_by_its_label_too(tmp_path: Path) -> None:
    labels = b"/PageLabels<</Nums[0<</S/r>>2<</S/D/St 40>>]>>"
    path = tmp_path / "book.pdf"
    path.write_bytes(document([lines(f"Page {i}") for i in range(4)], catalog=labels))
    found = [page_view(path, page).page.number for page in ("2", "ii", "II", "41", 3)]
    assert found == [2, 2, 2, 4, 3]
    with pytest.raises(InputError, match=r"book.pdf has no page v; its pages are 1 to 4"):
        page_view(path, "v")


def test_the_picture_has_a_box_for_every_line() -> None:
    view = page_view(MANUAL, 2)
    plain, boxed = view_image(view, scale=1).png, view_image(view, scale=1).png
    assert plain == boxed and plain.startswith(b"\x89PNG")
