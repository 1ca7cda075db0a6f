"""Word documents: the text that stands when every change is accepted, and nothing hidden."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("docx", reason="needs the extra ragctx[text]")

import docx
from docx.document import Document as WordDocument
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.shared import Pt, RGBColor

from ragctx.errors import DocumentError
from ragctx.formats.document import document_of
from ragctx.formats.docx import read_docx
from ragctx.records import Document
from tests.support.text_files import docx_text, with_body, with_part, words_of


def saved(word: WordDocument) -> bytes:
    made = io.BytesIO()
    word.save(made)
    return made.getvalue()


def read(data: bytes | WordDocument) -> Document:
    data = data if isinstance(data, bytes) else saved(data)
    return document_of(read_docx(data, "a.docx"), "d", "a.docx", format="docx")


def body(xml: str) -> Document:
    """A document whose second paragraph is this XML."""
    word = docx.Document()
    word.add_paragraph("Before.")
    word.add_paragraph("here")
    word.add_paragraph("After.")
    return read(with_body(saved(word), xml))


def run(text: str, properties: str = "") -> str:
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


# --- structure


def test_headings_are_sections_and_the_title_is_in_no_path() -> None:
    word = docx.Document()
    word.add_heading("Pump", 0)
    word.add_heading("Use", 1)
    word.add_paragraph("On.")
    word.add_heading("At night", 2)
    word.add_paragraph("Off.")
    document = read(word)
    assert document.title == "Pump"
    assert [page.label for page in document.pages] == ["Use", "Use › At night"]
    assert document.text == "Pump\n\nUse\n\nOn.\n\nAt night\n\nOff."


def test_a_title_in_the_file_s_properties_comes_first() -> None:
    word = docx.Document()
    word.core_properties.title = "Pump manual"
    word.add_heading("Use", 1)
    assert read(word).title == "Pump manual"


def test_a_table_has_its_rows_in_lines_and_its_cells_between_tabs() -> None:
    word = docx.Document()
    table = word.add_table(rows=3, cols=3)
    cells = [("Metal", "2024", ""), ("", "Q1", "Q2"), ("Tin", "232", "30")]
    for i, row in enumerate(cells):
        for j, text in enumerate(row):
            table.cell(i, j).text = text
    table.cell(0, 1).merge(table.cell(0, 2))
    table.cell(0, 0).merge(table.cell(1, 0))
    assert read(word).text == "Metal\t2024\n\tQ1\tQ2\nTin\t232\t30"


def test_a_table_with_one_column_or_with_tables_in_it_is_read_as_text() -> None:
    word = docx.Document()
    outer = word.add_table(rows=1, cols=2)
    outer.cell(0, 0).text = "Left."
    inner = outer.cell(0, 1).add_table(rows=1, cols=2)
    inner.cell(0, 0).text, inner.cell(0, 1).text = "Tin", "232"
    single = word.add_table(rows=2, cols=1)
    single.cell(0, 0).text, single.cell(1, 0).text = "Above.", "Below."
    assert read(word).text == "Left.\n\nTin\t232\n\nAbove.\n\nBelow."


def test_lists_have_the_marks_that_word_shows() -> None:
    word = docx.Document()
    word.add_paragraph("Check:")
    for text in ("the valve", "the hose"):
        word.add_paragraph(text, style="List Bullet")
    word.add_paragraph("Then:")
    for text in ("Open it.", "Close it."):
        word.add_paragraph(text, style="List Number")
    assert read(word).text == (
        "Check:\n\n- the valve\n- the hose\n\nThen:\n\n1. Open it.\n2. Close it."
    )


LEVEL = (
    '<w:lvl w:ilvl="{}"><w:start w:val="1"/><w:numFmt w:val="{}"/><w:lvlText w:val="{}"/></w:lvl>'
)
CLAUSES = (
    '<w:abstractNum w:abstractNumId="77">'
    + LEVEL.format(0, "decimal", "%1.")
    + LEVEL.format(1, "decimal", "%1.%2")
    + LEVEL.format(2, "lowerLetter", "(%3)")
    + "</w:abstractNum>"
)
NUMBERS = (
    '<w:num w:numId="77"><w:abstractNumId w:val="77"/></w:num>'
    '<w:num w:numId="78"><w:abstractNumId w:val="77"/>'
    '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="9"/></w:lvlOverride></w:num>'
)


def clause(text: str, level: int, list_id: int = 77) -> str:
    numbers = f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{list_id}"/></w:numPr>'
    return f"<w:p><w:pPr>{numbers}</w:pPr>{run(text)}</w:p>"


def test_clauses_have_their_numbers() -> None:
    word = docx.Document()
    word.add_paragraph("here")
    word.add_paragraph("x", style="List Number")  # so that there is a part for numbers
    clauses = [("Term", 0), ("Notice", 1), ("in writing", 2), ("by post", 2), ("Renewal", 1)]
    xml = "".join(clause(text, level) for text, level in [*clauses, ("Law", 0), ("Courts", 1)])
    xml += clause("", 1)  # an empty clause has its number, too
    xml += clause("Costs", 1)
    data = with_body(saved(word), xml + clause("Annex", 0, 78) + clause("not a clause", 0, 0))

    def numbered(part: bytes) -> bytes:
        first = part.index(b"<w:num ")
        return (
            part[:first]
            + CLAUSES.encode()
            + part[first:].replace(b"</w:numbering>", NUMBERS.encode() + b"</w:numbering>")
        )

    text = read(with_part(data, "word/numbering.xml", numbered)).text
    assert text.startswith(
        "1. Term\n  1.1 Notice\n    (a) in writing\n    (b) by post\n  1.2 Renewal\n2. Law\n"
        "  2.1 Courts\n  2.3 Costs\n9. Annex\n\nnot a clause"
    )


def test_a_text_box_comes_behind_its_paragraph_and_once() -> None:
    box = f"<w:txbxContent><w:p>{run('In the box.')}</w:p></w:txbxContent>"
    mc = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    drawing = (
        f"<w:r><mc:AlternateContent {mc}><mc:Choice Requires='wps'><w:drawing>{box}</w:drawing>"
        f"</mc:Choice><mc:Fallback><w:pict>{box}</w:pict></mc:Fallback></mc:AlternateContent></w:r>"
    )
    document = body(f"<w:p>{run('Beside it.')}{drawing}</w:p>")
    assert document.text == "Before.\n\nBeside it.\n\nIn the box.\n\nAfter."


def test_links_fields_and_content_controls_are_text() -> None:
    control = f"<w:sdt><w:sdtPr/><w:sdtContent><w:p>{run('Chosen.')}</w:p></w:sdtContent></w:sdt>"
    field = "<w:r><w:instrText>PAGEREF x</w:instrText></w:r><w:r><w:t>7</w:t></w:r>"
    link = f"<w:hyperlink>{run('a link')}</w:hyperlink>"
    assert body(f"<w:p>{run('See ')}{link} {field}</w:p>{control}").text == (
        "Before.\n\nSee a link7\n\nChosen.\n\nAfter."
    )


# --- what is not there any more, or not seen


def test_tracked_changes_count_as_accepted() -> None:
    xml = (
        f"<w:p>{run('Tin ')}<w:ins>{run('really ')}</w:ins>"
        "<w:del><w:r><w:delText>never </w:delText></w:r></w:del>"
        f"<w:moveFrom>{run('moved ')}</w:moveFrom><w:moveTo>{run('melts.')}</w:moveTo></w:p>"
    )
    document = body(xml)
    assert document.text == "Before.\n\nTin really melts.\n\nAfter."
    assert document.warnings == ("deleted pieces of text left out, as tracked changes: 2",)


def test_comments_headers_and_footers_are_left_out() -> None:
    word = docx.Document()
    paragraph = word.add_paragraph("Tin.")
    word.add_comment(paragraph.runs[0], text="Ignore it.", author="A", initials="A")
    word.sections[0].header.paragraphs[0].text = "Running head"
    word.sections[0].footer.paragraphs[0].text = "Page 1"
    document = read(word)
    assert (document.text, document.warnings) == ("Tin.", ("comments left out: 1",))


def hidden_run(kind: str) -> WordDocument:
    word = docx.Document()
    paragraph = word.add_paragraph("Seen. ")
    secret = paragraph.add_run("x")
    paragraph.add_run("Also.")
    if kind == "hidden":
        secret.font.hidden = True
    elif kind == "white":
        secret.font.color.rgb = RGBColor(255, 255, 255)
    elif kind == "tiny":
        secret.font.size = Pt(1)
    else:
        style = word.styles.add_style("Ghost", 2)
        style.font.hidden = True
        secret.style = word.styles.add_style("Ghost child", 2)
        secret.style.base_style = style
    return word


@pytest.mark.parametrize("kind", ["hidden", "white", "tiny", "by a style"])
def test_hidden_text_is_left_out_and_told_of(kind: str) -> None:
    document = read(hidden_run(kind))
    assert document.text == "Seen. Also."
    assert document.warnings == ("text that nobody sees left out: 1 characters, in sections 1",)


def test_white_text_on_a_dark_cell_is_read() -> None:
    white, dark = '<w:color w:val="FFFFFF"/>', '<w:shd w:fill="000080"/>'
    shown = f"<w:p><w:pPr>{dark}</w:pPr>{run('Shown.', white)}</w:p>"
    assert body(shown).text == "Before.\n\nShown.\n\nAfter."
    same = f"<w:p><w:pPr>{dark}</w:pPr>{run('Not shown.', white.replace('FFFFFF', '000080'))}</w:p>"
    assert body(same).text == "Before.\n\nAfter."


def test_hidden_may_be_switched_off_again() -> None:
    shown = run("Shown.", '<w:vanish w:val="0"/>')
    assert "Shown." in body(f"<w:p>{shown}</w:p>").text


FOOTNOTES = (
    '<?xml version="1.0"?><w:footnotes xmlns:w="http://schemas.openxmlformats.org/'
    'wordprocessingml/2006/main"><w:footnote w:id="2"><w:p>{}</w:p></w:footnote></w:footnotes>'
)


def with_footnote(xml: str, note: str) -> Document:
    word = docx.Document()
    word.add_paragraph("here")
    word.add_paragraph("After.")
    word = docx.Document(io.BytesIO(with_body(saved(word), xml)))
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
    blob = FOOTNOTES.format(note).encode()
    part = Part(PackURI("/word/footnotes.xml"), kind, blob, word.part.package)
    word.part.relate_to(part, RELATIONSHIP_TYPE.FOOTNOTES)
    return read(word)


REFERENCE = '<w:r><w:footnoteReference w:id="2"/></w:r>'


def test_a_footnote_comes_behind_its_paragraph() -> None:
    document = with_footnote(
        f"<w:p>{run('Tin')}{REFERENCE}{run(' melts.')}</w:p>", run("Of the pure metal.")
    )
    assert document.text == "Tin melts.\n\nNote 1: Of the pure metal.\n\nAfter."


def test_a_footnote_that_refers_to_itself_is_read_once() -> None:
    document = with_footnote(f"<w:p>{run('Tin.')}{REFERENCE * 3}</w:p>", run("Note.") + REFERENCE)
    assert document.text == "Tin.\n\nNote 1: Note.\n\nAfter."


# --- laws

words = st.integers(0, 999).map(lambda n: f"w{n}")
paragraphs = st.lists(words, max_size=5).map(" ".join)
parts = st.one_of(
    st.tuples(st.just("heading"), paragraphs),
    st.tuples(st.sampled_from(["Normal", "List Bullet", "List Number", "Quote"]), paragraphs),
    st.tuples(
        st.just("table"),
        st.integers(1, 3).flatmap(
            lambda n: st.lists(st.lists(words, min_size=n, max_size=n), min_size=1, max_size=3)
        ),
    ),
)


@given(st.lists(parts, max_size=6))
def test_the_words_of_any_document_are_read_once_and_in_order(
    made: list[tuple[str, object]],
) -> None:
    word = docx.Document()
    for kind, content in made:
        if kind == "table":
            assert isinstance(content, list)
            table = word.add_table(rows=len(content), cols=len(content[0]))
            for i, row in enumerate(content):
                for j, text in enumerate(row):
                    table.cell(i, j).text = text
        elif kind == "heading":
            word.add_heading(str(content), 1)
        else:
            word.add_paragraph(str(content), style=kind)
    data = saved(word)
    assert words_of(read(data).text) == words_of(docx_text(data))


@given(st.binary(max_size=200))
def test_any_bytes_are_an_error_of_ours(data: bytes) -> None:
    with pytest.raises(DocumentError):
        read_docx(b"PK\x03\x04" + data, "a.docx")


@given(st.data())
def test_a_damaged_document_is_read_or_is_an_error_of_ours(given_: st.DataObject) -> None:
    whole = saved(hidden_run("hidden"))
    at = given_.draw(st.integers(0, len(whole) - 1))
    broken = whole[:at] + given_.draw(st.binary(max_size=20)) + whole[at + 3 :]
    try:
        read_docx(broken, "a.docx")
    except DocumentError as error:
        assert error.status in ("corrupt", "encrypted", "too_large")


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (b"", "corrupt", "no Word document"),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 99, "corrupt", "old format"),
        (
            b"\xd0\xcf\x11\xe0" + "EncryptedPackage".encode("utf-16-le"),
            "encrypted",
            "save it without a password",
        ),
    ],
)
def test_what_is_no_document_says_what_to_do(data: bytes, status: str, words: str) -> None:
    with pytest.raises(DocumentError, match=words) as caught:
        read_docx(data, "a.docx")
    assert caught.value.status == status


def test_a_document_with_entities_is_not_read() -> None:
    word = docx.Document()
    word.add_paragraph("here")
    doctype = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b SYSTEM "file:///etc/passwd">]><w:document'

    def declaring(part: bytes) -> bytes:
        return part.replace(b"<w:document", doctype, 1).replace(b">here<", b">&a;&b;<")

    with pytest.raises(DocumentError, match="document type declaration"):
        read_docx(with_part(saved(word), "word/document.xml", declaring), "a.docx")


def test_a_document_that_would_fill_the_memory_is_not_unpacked() -> None:
    bomb = with_part(saved(docx.Document()), "word/document.xml", lambda _: b" " * (101 * 2**20))
    assert len(bomb) < 2**20
    with pytest.raises(DocumentError, match="bytes when unpacked") as caught:
        read_docx(bomb, "a.docx")
    assert caught.value.status == "too_large"
