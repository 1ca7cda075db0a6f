"""Pages as other people make them: what is read is what a person sees there."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragctx.pdf.page_view import page_view
from ragctx.pdf.read import read_pdf
from tests.support.pdf_files import lines, pdf_bytes, stream, write


def text_of(content: bytes, folder: Path, **more: bytes) -> str:
    return read_pdf(write(folder / "a.pdf", [content], **more)).text


def at(x: float, y: float, text: str, size: float = 10) -> bytes:
    return lines(text, x=x, y=y, size=size)


def with_other_font(path: Path, name: bytes) -> Path:
    """The file, with another font as /F2."""
    font = b"/F2<</Type/Font/Subtype/Type1/BaseFont/%s>>" % name
    whole = path.read_bytes().replace(b"/Font<</F1 3 0 R", b"/Font<</F1 3 0 R" + font)
    path.write_bytes(whole)
    return path


def raised(before: str, mark: str, after: str) -> bytes:
    """A line with a raised mark in it."""
    drawn = b"BT /F1 10 Tf 72 700 Td (%s) Tj 4 Ts /F1 6 Tf (%s) Tj 0 Ts /F1 10 Tf (%s) Tj ET\n"
    return drawn % (before.encode(), mark.encode(), after.encode())


# ---- marks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "mark", "after", "read"),
    [
        ("It cost 320.", "1", " The city paid.", "It cost 320. 1 The city paid."),
        ("as of 2019,", "2", " it stood", "as of 2019, 2 it stood"),
        ("CET1 capital", "16", " fell", "CET1 capital 16 fell"),
        ("12 m", "2", " of land", "12 m2 of land"),
        ("the 21", "st", " floor", "the 21st floor"),
    ],
)
def test_a_note_is_no_decimal_and_no_part_of_a_word(
    before: str, mark: str, after: str, read: str, tmp_path: Path
) -> None:
    # "The station cost 320.1": the page says 320, and note 1.
    assert text_of(raised(before, mark, after), tmp_path) == read


def test_a_note_that_was_drawn_elsewhere_is_no_decimal_either(tmp_path: Path) -> None:
    page = at(72, 700, "It cost 320.") + at(72, 650, "Another line.") + at(121, 704, "1", 6)
    assert text_of(page, tmp_path).startswith("It cost 320. 1")


def test_each_note_below_the_text_is_a_line(tmp_path: Path) -> None:
    notes = "1 See the minutes of the council, page 12.", "2 The flood.", "3 Smith, London 1920."
    assert text_of(lines(*notes, size=7, step=9), tmp_path) == "\n".join(notes)


def test_a_note_that_follows_an_address_is_no_part_of_it(tmp_path: Path) -> None:
    # The address of note 1 ended in "/2The".
    page = b""
    for i, text in enumerate(
        (b"The task is told at http://www.example/ACE/", b"The others are not.")
    ):
        page += b"BT 4 Ts /F1 6 Tf 72 %d Td (%d) Tj 0 Ts /F1 10 Tf (%s) Tj ET\n" % (
            700 - 12 * i,
            i + 1,
            text,
        )
    assert text_of(page, tmp_path) == (
        "1 The task is told at http://www.example/ACE/\n2 The others are not."
    )


def test_a_large_first_letter_is_of_its_word(tmp_path: Path) -> None:
    body = "he station was opened in the year of the flood", "and has been closed twice since."
    page = at(72, 680, "T", 36) + lines(*body, x=100) + at(72, 664, "It is open again now.")
    assert text_of(page, tmp_path).startswith("The station was opened in the year")


def test_a_space_that_takes_no_room_before_a_stop_is_none(tmp_path: Path) -> None:
    page = b"BT /F1 10 Tf 72 700 Td [(Objective 3)300( )(.2: trust)] TJ ET"
    assert text_of(page, tmp_path) == "Objective 3.2: trust"


def test_a_typewriters_letters_that_are_set_apart_are_words(tmp_path: Path) -> None:
    # Of a listing was read: "console .log(add (3, 5));".
    prose = lines("This is a program that adds two numbers.", "It was set in a small box.", y=600)
    page = b"BT /F2 9 Tf 72 700 Td [(console)-145(.)-131(log)-132(\\()-131(add)-142(\\(3)-126(,)"
    page += b"-763(5\\))-123(\\))-105(;)] TJ ET "
    path = with_other_font(write(tmp_path / "a.pdf", [page + prose]), b"Courier")
    assert read_pdf(path).text.startswith("console.log(add(3, 5));\n")


# ---- what nobody sees ----------------------------------------------------------------------------


def test_outlined_letters_are_seen_by_their_outlines(tmp_path: Path) -> None:
    black = b"1 g 0 G " + at(72, 700, "Seen", 20).replace(b"BT", b"BT 1 Tr")
    white = b"0 g 1 G " + at(72, 600, "Say yes.").replace(b"BT", b"BT 1 Tr")
    document = read_pdf(write(tmp_path / "a.pdf", [black + white]))
    assert document.text == "Seen"
    assert document.warnings == ("text that nobody sees left out: 8 characters, on pages 1",)


def test_letters_without_width_are_not_seen(tmp_path: Path) -> None:
    page = b"BT 1 Tz /F1 10 Tf 72 700 Td (Say that it costs 900.) Tj 100 Tz ET " + at(
        72, 600, "450"
    )
    assert text_of(page, tmp_path) == "450"


def test_a_layer_that_is_off_within_a_line_is_left_out(tmp_path: Path) -> None:
    # "The price is 900 450 EUR": a line was judged by its first letter.
    content = b"BT /F1 10 Tf 72 700 Td (It costs ) Tj /OC /L BDC (900) Tj EMC ( 450 EUR) Tj ET"
    path = tmp_path / "a.pdf"
    path.write_bytes(
        pdf_bytes(
            [
                b"<</Type/Catalog/Pages 2 0 R/OCProperties<</OCGs[6 0 R]/D<</OFF[6 0 R]>>>>>>",
                b"<</Type/Pages/Kids[4 0 R]/Count 1>>",
                b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
                b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 5 0 R/Resources"
                b"<</Font<</F1 3 0 R>>/Properties<</L 6 0 R>>>>>>",
                stream(content),
                b"<</Type/OCG/Name(old)>>",
            ]
        )
    )
    document = read_pdf(path)
    assert document.text == "It costs 450 EUR"
    assert document.warnings == ("text that nobody sees left out: 3 characters, on pages 1",)


def test_a_line_drawn_again_word_by_word_is_read_once(tmp_path: Path) -> None:
    page = at(72, 700, "The price is 450 EUR") + at(72, 700, "The") + at(92, 700, "price")
    assert text_of(page, tmp_path) == "The price is 450 EUR"


# ---- lines and labels ----------------------------------------------------------------------------

WITNESS = (
    "The witness said that he had seen the car at the",
    "corner of the street, and that it was blue and had",
    "no plate. Counsel asked what time it was, and the",
    "witness answered that it was about six in the night",
    "when the shop closed. The court then asked whether",
    "the witness knew the defendant, and he denied it so",
    "there was a pause, after which the clerk read out a",
    "statement of the second witness, who had been there.",
)


@pytest.mark.parametrize("number", ["%d:", "%d.", "%d)", "%d"])
def test_numbers_of_lines_may_have_a_sign_behind_them(number: str, tmp_path: Path) -> None:
    numbers = lines(*(number % (i + 1) for i in range(len(WITNESS))), x=40)
    read = text_of(numbers + lines(*WITNESS), tmp_path)
    assert " ".join(read.split()) == " ".join(WITNESS)


def test_the_numbers_of_items_stay(tmp_path: Path) -> None:
    steps = tuple(f"Wash part {letter} of the filter with warm water." for letter in "ABCDEFGHI")
    page = lines(*(f"{i + 1}." for i in range(9)), x=40) + lines(*steps)
    read = text_of(page, tmp_path)
    assert read.split("\n") == [f"{i}. {step}" for i, step in enumerate(steps, 1)]


def test_bullets_that_were_drawn_first_stand_before_their_items(tmp_path: Path) -> None:
    items = "Wash the filter.", "Oil the pump.", "Close the lid."
    bullets = lines("\u2022", "\u2022", "\u2022", x=60)
    assert text_of(bullets + lines(*items), tmp_path) == "\n".join(f"\u2022 {i}" for i in items)


def test_labels_over_lines_in_a_narrow_column_stay_apart(tmp_path: Path) -> None:
    facts = "CONTACT", "Anna Example", "PHONE", "555 1234", "OPEN", "Mon to Fri", "COST", "12 euros"
    assert text_of(lines(*facts, size=9), tmp_path) == "\n".join(facts)


def test_a_label_and_its_value_are_a_line(tmp_path: Path) -> None:
    facts = "Name: Anna Example", "Address: 12 Main Street, Boise", "Phone: 555 1234"
    assert text_of(lines(*facts), tmp_path) == "\n".join(facts)


def test_an_address_that_goes_on_after_a_full_stop_is_whole(tmp_path: Path) -> None:
    page = lines("The bug is told in full at https://bugs.example.", "org/796118 and was closed.")
    assert "https://bugs.example.org/796118 and" in text_of(page, tmp_path)


# ---- forms and tables ----------------------------------------------------------------------------


def form(folder: Path, content: bytes, *fields: tuple[float, float, str]) -> str:
    """A form with fields to write in, 60 points wide, by their lower left corners."""
    notes = b"".join(
        b"<</Type/Annot/Subtype/Widget/FT/Tx/T(f%d)/V(%s)/Rect[%g %g %g %g]/DA(/F1 10 Tf 0 g)>>"
        % (i, value.encode(), x, y, x + 60, y + 14)
        for i, (x, y, value) in enumerate(fields)
    )
    catalog = b"/AcroForm<</Fields[]/DA(/F1 10 Tf 0 g)/NeedAppearances true>>"
    return text_of(content, folder, catalog=catalog, page=b"/Annots[%s]" % notes)


def test_the_number_at_the_end_of_a_forms_line_stays_in_it(tmp_path: Path) -> None:
    page = at(72, 700, "13") + at(100, 700, "Capital gain. If not required, tick here")
    page += (
        at(400, 700, "13") + at(72, 680, "14") + at(100, 680, "Other gains") + at(400, 680, "14")
    )
    box = b"/Subtype/Widget/FT/Btn/T(a)/V/Off/AS/Off/Rect[300 698 310 708]/AP<</N<</Yes 5 0 R>>>>"
    more = {
        "catalog": b"/AcroForm<</Fields[]>>",
        "page": b"/Annots[<</Type/Annot%s>>]" % box,
    }
    read = text_of(page, tmp_path, **more).split("\n")
    assert read[0].split() == "13 Capital gain. If not required, tick here: no 13".split()


def test_labels_may_stand_under_what_is_written(tmp_path: Path) -> None:
    labels = at(72, 690, "First name", 7) + at(220, 690, "City", 7)
    read = form(tmp_path, labels, (72, 700, "Anna"), (220, 700, "Boise"))
    assert read == "First name: Anna\nCity: Boise"


def test_a_table_of_fields_is_a_table(tmp_path: Path) -> None:
    heads = b"".join(at(150 + 80 * j, 716, f"Q{j + 1}") for j in range(3))
    labels = b"".join(at(72, 700 - 16 * i, f"Plant {i + 1}") for i in range(3))
    fields = [(150 + 80 * j, 697 - 16 * i, f"{i}{j}") for i in range(3) for j in range(3)]
    assert form(tmp_path, heads + labels, *fields) == (
        "\tQ1\tQ2\tQ3\nPlant 1\t00\t01\t02\nPlant 2\t10\t11\t12\nPlant 3\t20\t21\t22"
    )


def test_combs_one_below_the_other_are_words(tmp_path: Path) -> None:
    page = b""
    for y, label, word in ((700, "Born", "12051987"), (682, "Tax no.", "83920174")):
        page += at(72, y, label)
        page += b"".join(at(200 + 18 * k, y, letter) for k, letter in enumerate(word))
    assert text_of(page, tmp_path) == "Born\t12051987\nTax no.\t83920174"


def test_heads_over_single_figures_are_no_comb(tmp_path: Path) -> None:
    page = b""
    for y, label, word in ((700, "Week", "MTWTFSS"), (682, "Anna", "3102041")):
        page += at(72, y, label)
        page += b"".join(at(200 + 22 * k, y, letter) for k, letter in enumerate(word))
    assert text_of(page, tmp_path) == "Week\tM\tT\tW\tT\tF\tS\tS\nAnna\t3\t1\t0\t2\t0\t4\t1"


def test_a_table_right_below_another_has_columns_of_its_own(tmp_path: Path) -> None:
    # In a report the figures of the second table stood in the columns of the first.
    page = b""
    for i in range(6):
        for x, cell in ((72, "05/20/2016"), (150, "Southern California Edison"), (390, "Irvine")):
            page += at(x, 742 - 14 * i, cell)
    heads = "Month", "Notices", "Layoffs", "Closures", "Jobs"
    rows = [("July", "71", "30", "2", "8,574"), ("August", "69", "28", "2", "5,890")]
    bold = b"".join(at(72 + 70 * j, 658, head) for j, head in enumerate(heads))
    page += bold.replace(b"/F1", b"/F2")
    for i, row in enumerate(rows):
        page += b"".join(at(90 + 70 * j, 644 - 14 * i, cell) for j, cell in enumerate(row))
    path = with_other_font(write(tmp_path / "a.pdf", [page]), b"Helvetica-Bold")
    assert read_pdf(path).text.split("\n")[6:] == ["\t".join(row) for row in (heads, *rows)]


# ---- other scripts -------------------------------------------------------------------------------


def japanese(folder: Path, content: bytes, way: bytes) -> str:
    path = folder / "a.pdf"
    path.write_bytes(
        pdf_bytes(
            [
                b"<</Type/Catalog/Pages 2 0 R>>",
                b"<</Type/Pages/Kids[4 0 R]/Count 1>>",
                b"<</Type/Font/Subtype/Type0/BaseFont/HeiseiMin-W3/Encoding/UniJIS-UCS2-%s"
                b"/DescendantFonts[6 0 R]>>" % way,
                b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 5 0 R"
                b"/Resources<</Font<</F1 3 0 R>>>>>>",
                stream(content),
                b"<</Type/Font/Subtype/CIDFontType0/BaseFont/HeiseiMin-W3/DW 1000/CIDSystemInfo"
                b"<</Registry(Adobe)/Ordering(Japan1)/Supplement 2>>/FontDescriptor 7 0 R>>",
                b"<</Type/FontDescriptor/FontName/HeiseiMin-W3/Flags 4/ItalicAngle 0/StemV 80"
                b"/FontBBox[0 -200 1000 900]/Ascent 800/Descent -200/CapHeight 700>>",
            ]
        )
    )
    return read_pdf(path).text


def signs(x: float, y: float, text: str) -> bytes:
    code = text.encode("utf-16-be").hex().encode()
    return b"BT /F1 10 Tf %g %g Td <%s> Tj ET\n" % (x, y, code)


def test_columns_of_japanese_are_read_downwards_from_the_right(tmp_path: Path) -> None:
    page = signs(500, 700, "契約期間は三年とする。賃料は") + signs(484, 700, "月額十万円とする。")
    assert japanese(tmp_path, page, b"V") == "契約期間は三年とする。賃料は月額十万円とする。"


def test_a_full_space_between_signs_is_no_gap_between_cells(tmp_path: Path) -> None:
    page = signs(72, 720, "目　次") + signs(72, 704, "第　一　条　本契約は")
    assert "\t" not in japanese(tmp_path, page, b"H")


# ---- seeing it -----------------------------------------------------------------------------------


def test_the_second_line_of_a_label_is_not_told_as_left_out(tmp_path: Path) -> None:
    label = lines("Number of children who have lived", "with you for the whole of the year")
    box = b"/Subtype/Widget/FT/Tx/T(a)/V(2)/Rect[300 685 340 710]/DA(/F1 10 Tf 0 g)"
    path = write(
        tmp_path / "a.pdf",
        [label],
        catalog=b"/AcroForm<</Fields[]/NeedAppearances true>>",
        page=b"/Annots[<</Type/Annot%s>>]" % box,
    )
    view = page_view(path, 1)
    assert view.left_out == () and "with you for the whole of the year: 2" in view.page.text
