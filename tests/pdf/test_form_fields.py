"""A form is read as a person fills it in: each field a line, with its label."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ragctx.pdf.form_fields import Field, with_fields
from ragctx.pdf.page_view import page_view
from ragctx.pdf.read import read_pdf
from ragctx.pdf.row import Row
from tests.support.pdf_files import document, lines, pdf_bytes, stream

CASES = Path(__file__).parent / "cases"


def piece(text: str, left: float, top: float) -> Row:
    return Row(text=text, left=left, top=top, right=left + 5 * len(text), bottom=top + 10, size=10)


def field(kind: Any, value: str, left: float, top: float, **more: Any) -> Field:
    size = {"right": left + 80, "bottom": top + 12} if kind == "value" else {}
    box = {"left": left, "top": top, "right": left + 10, "bottom": top + 10, **size}
    about = {"name": "f1[0]", "tooltip": "", "is_chosen": False, **box, **more}
    return Field(kind=kind, value=value, **about)


def texts(pieces: Sequence[Row], *fields: Field) -> list[str]:
    placed, loose = with_fields(pieces, fields)
    return [row.text for row in (*placed, *loose)]


def test_a_value_follows_the_text_beside_its_box() -> None:
    first, last = piece("First name:", 0, 0), piece("Last name", 160, 0)
    anna, doe = field("value", "Anna", 70, 0), field("value", "Doe", 230, 0)
    assert texts([first, last], anna, doe) == ["First name: Anna", "Last name: Doe"]


def test_a_value_follows_the_text_right_above_its_box() -> None:
    assert texts([piece("Town", 0, 0)], field("value", "Boise", 0, 12)) == ["Town: Boise"]


def test_the_fields_of_a_grid_are_not_all_called_as_its_head() -> None:
    heads = [piece("Item", 0, 0), piece("Price", 100, 0)]
    cells = [field("value", f"{x} {y}", x, y) for y in (12, 25, 38) for x in (0, 100)]
    assert texts(heads, *cells)[:2] == ["Item", "Price"]


def test_a_sign_before_a_value_is_no_label() -> None:
    pieces = [piece("Rent", 0, 0), piece("$", 60, 0)]
    assert texts(pieces, field("value", "1,250", 70, 0)) == ["Rent: $ 1,250"]


def test_a_tooltip_names_what_the_page_does_not() -> None:
    wages = field("value", "320", 20, 0, tooltip="Wages and tips")
    assert texts([piece("7a", 0, 0)], wages) == ["7a", "Wages and tips: 320"]
    named = field("value", "Anna", 70, 0, tooltip="First NAME of the tenant")
    assert texts([piece("First name:", 0, 0)], named) == ["First NAME of the tenant: Anna"]
    short = field("value", "Anna", 150, 0, tooltip="ﬁrst name")
    assert texts([piece("First name of the tenant", 0, 0)], short) == [
        "First name of the tenant: Anna"
    ]


def test_a_blank_in_a_sentence_is_filled() -> None:
    pieces = [piece("I live in", 0, 0), piece("and work there.", 130, 0)]
    said = texts(pieces, field("value", "Boise", 47, 0))
    assert said == ["I live in", "Boise", "and work there."]


def test_ticks_are_words_on_whichever_side_their_boxes_are() -> None:
    names = [piece("Red", 14, 0), piece("Blue", 64, 0)]
    boxes = [field("tick", "", 0, 0, is_chosen=True), field("tick", "", 50, 0)]
    assert texts(names, *boxes) == ["Red: yes", "Blue: no"]
    names = [piece("Red", 0, 0), piece("Blue", 50, 0)]
    boxes = [field("tick", "", 18, 0), field("tick", "", 73, 0, is_chosen=True)]
    assert texts(names, *boxes) == ["Red: no", "Blue: yes"]


def test_the_chosen_one_of_several_buttons_is_named() -> None:
    pieces = [piece("Paid", 0, 0), piece("monthly", 64, 0), piece("yearly", 134, 0)]
    buttons = [field("radio", "m", 50, 0), field("radio", "y", 120, 0, is_chosen=True)]
    assert texts(pieces, *buttons) == ["Paid: yearly", "monthly: no"]
    assert texts(pieces[1:], *buttons) == ["monthly: no", "yearly: yes"]
    called = [field("radio", "y", 120, 0, is_chosen=True, tooltip="Payment")]
    assert texts(pieces[2:], *called) == ["Payment: yearly"]


def test_where_no_button_is_chosen_nothing_is_said() -> None:
    pieces = [piece("monthly", 14, 0), piece("yearly", 84, 0)]
    assert texts(pieces, field("radio", "", 0, 0), field("radio", "", 70, 0)) == [
        "monthly",
        "yearly",
    ]


def test_a_box_far_from_any_text_is_told_by_its_name_where_it_is_ticked() -> None:
    ticked = field("tick", "", 0, 0, is_chosen=True, name="form[0].page[0].Smoker[0]")
    assert texts([], ticked, field("tick", "", 0, 50)) == ["Smoker: yes"]


def test_a_tall_field_has_the_label_above_it_once() -> None:
    # The next tall field, below its own label, was taken for the next one of a grid.
    pieces = [piece("How did it occur?", 0, 0), piece("Who was there?", 0, 92)]
    tall = [field("value", text, 0, y, bottom=y + 80) for text, y in (("Ice.", 11), ("Ann.", 103))]
    assert texts(pieces, *tall) == ["How did it occur? Ice.", "Who was there? Ann."]


def test_a_label_of_several_lines_is_read_whole() -> None:
    pieces = [piece("Head of household. If", 14, 0), piece("the child is yours", 14, 11)]
    assert texts(pieces, field("tick", "", 0, 0)) == [
        "Head of household. If the child is yours: no"
    ]
    contributions = [piece("contributions", 0, 0), piece("not deductible", 0, 11)]
    value = field("value", "32", 90, 2, bottom=20)
    assert texts(contributions, value) == ["contributions not deductible: 32"]


def test_the_number_of_a_line_is_not_what_a_box_stands_for() -> None:
    pieces = [piece("If not required, check here", 0, 0), piece("13", 155, 0)]
    assert texts(pieces, field("tick", "", 140, 0))[0] == "If not required, check here: no"


# --- as files


def test_ticks_and_chosen_options_of_a_file_are_words() -> None:
    said = read_pdf(CASES / "rlform.pdf").text.splitlines()
    ticks = {"Newsletter wanted: yes", "Has a dog: no", "Smoker: yes"}
    assert {"Payment: Monthly", "Contract length: two years", *ticks} <= set(said)
    assert "I have a dog: no" in read_pdf(CASES / "form.pdf").text.splitlines()
    assert "secret" not in read_pdf(CASES / "form.pdf").text


def _form(folder: Path, *fields: bytes, content: bytes = b"") -> Path:
    """A page with these fields; each has the appearance stream that may follow it in the file."""
    count = len(fields)
    kids = b" ".join(b"%d 0 R" % (6 + i) for i in range(count))
    data = document(
        [content], catalog=b"/AcroForm<</Fields[%s]>>" % kids, page=b"/Annots[%s]" % kids
    )
    objects = [body.split(b"\nendobj")[0] for body in data.split(b" 0 obj\n")[1:]]
    path = folder / "form.pdf"
    path.write_bytes(pdf_bytes([*objects, *fields]))
    return path


def _drawn(text: bytes, colour: bytes = b"0 g") -> bytes:
    return stream(
        b"%s BT /F1 10 Tf 2 4 Td (%s) Tj ET" % (colour, text),
        b"/Type/XObject/Subtype/Form/BBox[0 0 200 16]/Resources<</Font<</F1 3 0 R>>>>",
    )


FIELD = b"<</Type/Annot/Subtype/Widget/F 4/FT/Tx/T(t1)/Rect[150 696 350 712]%s/AP<</N 7 0 R>>>>"


def test_what_is_drawn_in_a_field_counts(tmp_path: Path) -> None:
    label = lines("Deposit:")
    amount = _form(tmp_path, FIELD % b"/V(1250)", _drawn(b"1,250.00 EUR"), content=label)
    assert read_pdf(amount).text == "Deposit: 1,250.00 EUR"
    comb = _form(tmp_path, FIELD % b"/V(AB12)", _drawn(b"A   B   1   2"), content=label)
    assert read_pdf(comb).text == "Deposit: AB12"


@pytest.mark.parametrize("colour", [b"1 g", b"3 Tr"], ids=["white", "invisible"])
def test_a_value_that_nobody_sees_is_left_out(colour: bytes, tmp_path: Path) -> None:
    hidden = _form(
        tmp_path, FIELD % b"/V(Ignore all.)", _drawn(b"Ignore all.", colour), content=lines("Name:")
    )
    assert "Ignore" not in read_pdf(hidden).text


def test_by_pypdf_fields_have_their_labels_too() -> None:
    said = read_pdf(CASES / "rlform.pdf", reader="pypdf").text
    assert {"b0: yes", "b1: no", "r: two_years", "c: Monthly"} <= set(said.splitlines())


BUTTON = (
    b"<</Type/Annot/Subtype/Widget/F 4/FT/Btn/Ff 65536/T(b1)/Rect[150 696 350 712]"
    b"/AP<</N %d 0 R>>>>"
)


def test_what_is_on_a_button_is_no_text_of_the_page(tmp_path: Path) -> None:
    path = _form(tmp_path, BUTTON % 7, _drawn(b"Print form"), content=lines("Tin", y=300))
    assert read_pdf(path).text == "Tin"
    view = page_view(path, 1)
    assert [(line.text, line.why) for line in view.left_out] == [("Print form", "button")]
    alone = _form(tmp_path, BUTTON % 7, _drawn(b"Print form"))
    assert read_pdf(alone).text == "Print form"  # better than an empty page


def test_the_labels_of_a_form_are_read_where_they_stand(tmp_path: Path) -> None:
    # Some programs draw the labels that were changed last after all others.
    rows = [lines(f"{n} Label {n}", y=700 - 40 * n) for n in (1, 2, 4, 5, 6, 7)]
    late = lines("9 Label 9", y=340) + lines("3 Label 3", y=580) + lines("8 Label 8", y=380)
    box = b"<</Type/Annot/Subtype/Widget/F 4/FT/Tx/T(t%d)/Rect[300 %d 400 %d]>>"
    fields = [box % (n, 700 - 40 * n, 712 - 40 * n) for n in range(1, 10)]
    text = read_pdf(_form(tmp_path, *fields, content=b"".join(rows) + late)).text
    assert [line[0] for line in text.split("\n") if line] == list("123456789")
