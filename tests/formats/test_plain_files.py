"""Text files: whatever they were written in, the words are those of the file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.errors import DocumentError
from ragctx.formats.document import document_of
from ragctx.formats.encoding import decoded
from ragctx.formats.plain import read_plain
from ragctx.pdf.characters import clean_characters


def text_of(data: bytes) -> str:
    return document_of(read_plain(data, "a.txt"), "d", "a.txt", format="text").text


ENCODED = {
    "utf-8-sig": "Tin – 232 °C.",
    "utf-16": "Tin – 232 °C.",
    "utf-16-le": "Tin melts at 232.",
    "utf-32": "Tin – 232 °C.",
    "latin-1": "Der Schlüssel für die Tür ist größer als üblich.",
    "cp1252": "L'été dernier, à Genève, où – “ici” – il pleut.",
    "shift_jis": "ポンプのフィルターは二週間ごとに清掃してください。",
    "euc_kr": "필터는 2주마다 청소해야 합니다. 주석은 녹습니다.",
    "gb18030": "过滤器必须每两周清洗一次。请参阅手册。",
    "cp1251": "Фильтр нужно чистить каждые две недели.",
    "cp1250": "Zażółć gęślą jaźń, to jest zdanie po polsku.",
}


@pytest.mark.parametrize("encoding", ENCODED)
def test_the_encoding_is_found(encoding: str) -> None:
    pytest.importorskip("charset_normalizer", reason="needs the extra ragctx[text]")
    assert text_of(ENCODED[encoding].encode(encoding)) == ENCODED[encoding]


def test_a_guess_is_told() -> None:
    pytest.importorskip("charset_normalizer", reason="needs the extra ragctx[text]")
    text, notes = decoded("Größe".encode("latin-1"), "a.txt")
    assert (text, notes) == ("Größe", ("not in UTF-8: read as cp1252, which is a guess",))
    assert decoded("Größe".encode(), "a.txt") == ("Größe", ())


def test_a_broken_character_does_not_make_utf_8_something_else() -> None:
    data = "Größe, Länge, Höhe, Maße, Gewähr. ".encode() * 3 + b"\xff."
    text, notes = decoded(data, "a.txt")
    assert text.endswith("Gewähr. \ufffd.")
    assert notes == ("not all in UTF-8: places that cannot be decoded: 1",)


@pytest.mark.parametrize(
    "data", [bytes(range(256)) * 20, b"\x89PNG\r\n\x1a\n" + b"\0\1\2\3" * 99, b"MZ\x90\0" * 99]
)
def test_what_is_no_text_is_not_read_as_text(data: bytes) -> None:
    pytest.importorskip("charset_normalizer", reason="needs the extra ragctx[text]")
    with pytest.raises(DocumentError, match=r"a\.txt is not text") as caught:
        read_plain(data, "a.txt")
    assert caught.value.status == "corrupt"


def test_stray_nuls_and_a_tail_of_them_cost_nothing() -> None:
    assert text_of(b"Tin\0 melts." + b"\0" * 5000) == "Tin melts."


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\u2028"])
def test_lines_end_as_they_end_anywhere(end: str) -> None:
    assert text_of(f"Tin{end}Lead{end}{end}Zinc".encode()) == "Tin\nLead\n\nZinc"


def test_form_feeds_are_page_ends() -> None:
    content = read_plain(b"One.\n\fTwo.\n\nStill two.\n\f\f\nFive.", "a.txt")
    read = document_of(content, "d", "a.txt", format="text")
    assert [page.text.strip() for page in read.pages] == ["One.", "Two.\n\nStill two.", "Five."]


def test_indented_lines_are_no_table_and_columns_are() -> None:
    assert text_of(b"if x:\n\treturn 1\n\nTin\t232") == "if x:\n    return 1\n\nTin\t232"


@given(st.text(max_size=400))
def test_the_words_are_those_of_the_file(text: str) -> None:
    """The slow reference: the characters of the whole, cleaned, without white space."""
    try:
        read = text_of(text.encode("utf-8", "replace"))
    except DocumentError:
        return  # mostly control characters
    plain = text.encode("utf-8", "replace").decode().removeprefix("\ufeff")
    plain = plain.translate(str.maketrans("", "", "\x02\xad\ufffe"))
    assert "".join(read.split()) == "".join(clean_characters(plain).split())
