"""Ligatures: a font's map said "f" for the sign "fi", and pages read "a signifcant fnding".

(The map is right about nothing else: other readers copy the same text out of such files.)
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.pdf.cut_maps import decoded_letters, may_be_cut
from ragctx.pdf.font_maps import _mended_section, with_mended_fonts
from ragctx.pdf.ligatures import LIGATURES, is_cut, seems_to_lack_letters
from ragctx.pdf.read import read_pdf
from tests.support.paths import SHARED
from tests.support.pdf_files import encrypted, pdf_bytes, stream

TEXT = "The of\\256cer made a signi\\256cant \\256nding. It was \\256led on the \\257oor."
WHOLE = "The officer made a significant finding. It was filed on the floor."
DIFFERENCES = b"<< /Type /Encoding /Differences [174 /fi 175 /fl] >>"


def mapped(*lines: str, kind: str = "char") -> bytes:
    """A ToUnicode map of printable ASCII and these lines."""
    items = "\n".join(lines)
    return (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n"
        "1 begincodespacerange <00> <FF> endcodespacerange\n"
        "1 beginbfrange\n<20> <7E> <0020>\nendbfrange\n"
        f"{len(lines)} beginbf{kind}\n{items}\nendbf{kind}\nendcmap end end"
    ).encode()


def pdf(cmap: bytes, *, encoding: bytes = DIFFERENCES, text: str = TEXT) -> bytes:
    """A page of text in a font with this map."""
    content = f"BT /F1 10 Tf 72 700 Td ({text}) Tj ET".encode("latin-1")
    return pdf_bytes(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
            b" /Resources << /Font << /F1 5 0 R >> >> >>",
            stream(content),
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Times-Roman /Encoding "
            + encoding
            + b" /ToUnicode 6 0 R >>",
            stream(cmap),
        ]
    )


def read(data: bytes, folder: Path, reader: str = "auto") -> str:
    path = folder / "a.pdf"
    path.write_bytes(data)
    return read_pdf(path, reader=reader).text  # type: ignore[arg-type]


CUT = ("<AE> <0066>", "<AF> <0066>")


@pytest.mark.parametrize(
    "cmap",
    [
        mapped(*CUT),
        mapped("<ae><0066>", "<AF>\r\n<0066>"),
        mapped("<AE> <AE> <0066>", "<AF> <AF> <0066>", kind="range"),
    ],
)
def test_letters_that_a_fonts_map_forgets_are_put_back(cmap: bytes, tmp_path: Path) -> None:
    assert read(pdf(cmap), tmp_path) == WHOLE


def test_pdfium_alone_has_them_too(tmp_path: Path) -> None:
    assert read(pdf(mapped(*CUT)), tmp_path, "pdfium") == WHOLE


def test_an_encrypted_file_without_a_password_has_them_too(tmp_path: Path) -> None:
    assert read(encrypted(pdf(mapped(*CUT)), ""), tmp_path) == WHOLE


def test_the_old_encoding_of_macintosh_has_ligatures_of_its_own(tmp_path: Path) -> None:
    text = TEXT.replace("256", "336").replace("257", "337")
    cmap = mapped("<DE> <0066>", "<DF> <0066>")
    assert read(pdf(cmap, encoding=b"/MacRomanEncoding", text=text), tmp_path) == WHOLE


def test_a_map_that_says_something_else_is_believed(tmp_path: Path) -> None:
    said = WHOLE.replace("fi", "fk")
    assert read(pdf(mapped("<AE> <0066006B>", "<AF> <0066006C>")), tmp_path) == said


def test_without_names_for_the_signs_nothing_is_invented(tmp_path: Path) -> None:
    cut = re.sub("f[il]", "f", WHOLE)
    assert read(pdf(mapped(*CUT), encoding=b"<< /Type /Encoding >>"), tmp_path) == cut


def test_text_without_gaps_costs_no_second_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = []

    def spied(request: object, on_page: object = None) -> object:
        readings.append(request)
        return whole(request, on_page)  # type: ignore[arg-type]

    from ragctx.pdf import parts
    from ragctx.pdf import second_looks as module

    whole = module.read
    for reading in (parts, module):
        monkeypatch.setattr(reading, "read", spied)
    assert read(pdf(mapped(*CUT), text="Of all the files, few are left."), tmp_path)
    assert len(readings) == 1


@given(
    encoding=st.sampled_from(
        [
            DIFFERENCES,
            b"<< /Differences [ 65 /fi.alt/A 0 /f_i /ffi 174/fl ] >>",
            b"<< /BaseEncoding /MacRomanEncoding /Differences [174 /f] >>",
            b"<< /Differences [174 /f#69] >>",
            b"<< /Differences 7 0 R >>",
            b"/MacRomanEncoding",
            b"/WinAnsiEncoding",
        ]
    ),
    items=st.lists(
        st.tuples(
            st.sampled_from([0, 1, 65, 174, 175, 222, 223]),
            st.sampled_from(["f", "fi", "A", "ff", "flag", "ffi"]),
        )
    ),
    kind=st.sampled_from(["char", "range"]),
)
def test_a_quick_look_overlooks_no_cut_map(
    encoding: bytes,
    items: list[tuple[int, str]],
    kind: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    codes = ((f"<{code:02X}> " * (1 + (kind == "range")), text) for code, text in items)
    lines = (f"{code}<{text.encode('utf-16-be').hex()}>" for code, text in codes)
    path = tmp_path_factory.mktemp("maps") / "a.pdf"
    path.write_bytes(pdf(mapped(*lines, kind=kind), encoding=encoding))
    if with_mended_fonts(str(path), None) is not None:
        assert may_be_cut(str(path))


def test_a_quick_look_clears_whole_maps(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf(mapped("<AE> <00660069>", "<AF> <0066006C>")))
    assert not may_be_cut(str(path))


@given(st.lists(st.tuples(st.integers(0, 255), st.sampled_from(["f", "fi", "A", "ff", "flag"]))))
def test_no_other_letter_of_a_map_is_touched(items: list[tuple[int, str]]) -> None:
    letters = {174: "fi", 175: "ffi"}
    lines = (f"<{code:02X}> <{text.encode('utf-16-be').hex()}>" for code, text in items)
    section = f"char\n{chr(10).join(lines)}\nendbfchar <AE> <0066>".encode()
    mended = _mended_section(section, letters)
    words = mended.partition(b"endbf")[0].split()[1:]
    pairs = zip(words[::2], words[1::2], strict=True)
    assert [(int(code[1:-1], 16), decoded_letters(text[1:-1])) for code, text in pairs] == [
        (code, letters[code] if code in letters and is_cut(letters[code], text) else text)
        for code, text in items
    ]
    assert mended.endswith(b"endbfchar <AE> <0066>")


@pytest.mark.parametrize("letters", sorted(set(LIGATURES.values())))
def test_a_whole_ligature_is_not_cut(letters: str) -> None:
    assert not is_cut(letters, letters)
    assert all(is_cut(letters, letters[:k]) for k in range(len(letters)))


def test_sound_text_is_not_suspected(samples: Path) -> None:
    for path in samples.glob("*.pdf"):
        assert not seems_to_lack_letters(read_pdf(path).text)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the PDF collection in ../shared")
def test_a_published_court_opinion_reads_as_printed() -> None:
    path = next(SHARED.rglob("scotus-opinion-598us.pdf"))
    text = read_pdf(path).text
    assert "a significant change in the law" in text and "filed a dissenting opinion" in text
    assert "signifcant" not in text and "fled a" not in text
