"""Pages whose content is damaged in the file are told: text may be missing from them.

Of 40 single bits flipped in a page's stream, 38 lost text, nine the whole page, and the status was
"ok": pdfium gives what it could inflate, and says nothing.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.pdf.filters import decoded, inflated_size
from ragctx.pdf.read import read_pdf
from ragctx.pdf.soundness import Soundness, soundness_of
from ragctx.records import Document
from tests.support import pdf_files
from tests.support.pdf_mutants import ENCODERS

SENTENCES = [f"Pump {i} holds {i * 37 % 91} litres and stands in hall {i % 7}." for i in range(40)]
CONTENT = pdf_files.lines(*SENTENCES)
MARK = b"stream\n"


def filtered(content: bytes, filters: Sequence[str]) -> bytes:
    """A stream that holds content under filters, the outermost first."""
    for name in reversed(filters):
        content = ENCODERS[name](content)
    return pdf_files.stream(content, f"/Filter[{' '.join(filters)}]".encode() * bool(filters))


def compressed(*contents: bytes, filters: Sequence[str] = ("/FlateDecode",)) -> bytes:
    """A file with one page for each content, under filters."""
    return pdf_files.pdf_bytes(
        [
            filtered(body[body.index(MARK) + len(MARK) : -len(b"\nendstream")], filters)
            if MARK in body
            else body
            for body in objects_of(pdf_files.document(contents))
        ]
    )


def objects_of(data: bytes) -> list[bytes]:
    bodies = data.split(b" 0 obj\n")[1:]
    return [body.split(b"\nendobj")[0] for body in bodies]


def with_table_at(data: bytes, place: int) -> bytes:
    return data[: data.index(b"startxref")] + b"startxref\n%d\n%%%%EOF" % place


def reading(path: Path, data: bytes) -> Document:
    path.write_bytes(data)
    return read_pdf(path)


def test_a_sound_page_is_ok(tmp_path: Path) -> None:
    document = reading(tmp_path / "sound.pdf", compressed(CONTENT, CONTENT))
    assert document.status == "ok" and not document.warnings
    assert document.text.count("Pump 39 holds") == 2


def test_a_flipped_bit_never_loses_text_in_silence(tmp_path: Path) -> None:
    data, chance = (
        compressed(CONTENT, pdf_files.lines("The second page is sound.")),
        random.Random(7),
    )
    sound = reading(tmp_path / "sound.pdf", data)
    start = data.index(MARK) + len(MARK)
    for _ in range(8):
        damaged = bytearray(data)
        damaged[chance.randrange(start, data.index(b"\nendstream"))] ^= 1 << chance.randrange(8)
        document = reading(tmp_path / "flipped.pdf", bytes(damaged))
        assert document.pages[1] == sound.pages[1]
        assert document.status == "partial"
        assert any(warning.startswith("page 1: ") for warning in document.warnings)
        assert not any(warning.startswith("page 2: ") for warning in document.warnings)


def test_a_stream_that_ends_early_is_told(tmp_path: Path) -> None:
    data = compressed(CONTENT)
    start = data.index(MARK) + len(MARK)
    length = (data.index(b"\nendstream") - start) // 2
    whole, cut = data[start : start + 2 * length], bytes(length)
    document = reading(tmp_path / "cut.pdf", data.replace(whole[length:], cut))
    assert document.status == "partial"
    assert any("damaged" in warning for warning in document.warnings)


def test_a_page_of_which_nothing_is_left_is_corrupt_not_empty(tmp_path: Path) -> None:
    data = compressed(CONTENT, pdf_files.lines("The second page is sound."))
    start = data.index(MARK) + len(MARK)
    document = reading(tmp_path / "lost.pdf", data[: start + 2] + b"\xff" * 8 + data[start + 10 :])
    assert [page.status for page in document.pages] == ["corrupt", "ok"]


@pytest.mark.parametrize("cut", [4, 3, 1])
def test_a_missing_checksum_is_no_damage(cut: int) -> None:
    assert inflated_size(zlib.compress(CONTENT)[:-cut], 2**20) == len(CONTENT)


def test_what_is_no_zip_stream_is_not_looked_at(tmp_path: Path) -> None:
    for data in (b"", pdf_files.document([CONTENT])):
        (tmp_path / "any.pdf").write_bytes(data)
        assert soundness_of(str(tmp_path / "any.pdf")).is_certain


def test_an_encrypted_file_is_checked_once_it_is_decrypted(tmp_path: Path) -> None:
    data = pdf_files.encrypted(compressed(CONTENT), user="", algorithm="RC4-128")
    assert reading(tmp_path / "sound.pdf", data).status == "ok"
    at = data.index(MARK, data.index(b"/FlateDecode")) + len(MARK) + 300
    damaged = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    document = reading(tmp_path / "flipped.pdf", damaged)
    assert document.status == "partial"
    assert any(warning.startswith("page 1: ") for warning in document.warnings)


def test_damage_to_objects_that_pages_share_is_told_of_all(tmp_path: Path) -> None:
    packed = pdf_files.stream(zlib.compress(CONTENT)[:-40], b"/Type/ObjStm/Filter/FlateDecode")
    data = compressed(CONTENT, pdf_files.lines("Second."))
    document = reading(tmp_path / "objects.pdf", pdf_files.pdf_bytes([*objects_of(data), packed]))
    assert document.status == "partial"
    assert [warning[:7] for warning in document.warnings] == ["page 1:", "page 2:"]


# ---- Filters without a checksum, and none ----------------------------------------------------

OTHERS = ("/LZWDecode", "/ASCII85Decode", "/ASCIIHexDecode", "/RunLengthDecode")
CHAINS = (*((name,) for name in OTHERS), ("/ASCII85Decode", "/LZWDecode"), ())
each_chain = pytest.mark.parametrize("filters", CHAINS, ids=lambda names: "+".join(names) or "none")


def names_of(filters: Sequence[str]) -> list[bytes]:
    return [name[1:].encode() for name in filters]


@each_chain
@given(content=st.binary(max_size=3000) | st.text("ab", max_size=3000).map(str.encode))
def test_what_was_encoded_is_decoded(filters: Sequence[str], content: bytes) -> None:
    encoded = content
    for name in reversed(filters):
        encoded = ENCODERS[name](encoded)
    assert decoded(encoded, names_of(filters), 2**20) == content


@pytest.mark.parametrize("name", OTHERS)
@given(content=st.binary(min_size=1, max_size=300), share=st.floats(0, 1))
def test_what_was_cut_off_is_no_stream(name: str, content: bytes, share: float) -> None:
    encoded = ENCODERS[name](content)
    with pytest.raises(ValueError):
        decoded(encoded[: int(share * (len(encoded) - 1))], names_of([name]), 2**20)


@given(st.binary(max_size=300), st.sampled_from([*OTHERS, "/FlateDecode"]))
def test_any_bytes_are_decoded_or_refused(data: bytes, name: str) -> None:
    try:
        assert len(decoded(data, names_of([name]), 1000)) < 2**20
    except ValueError:
        pass


def test_codes_of_lzw_may_grow_late() -> None:
    # /EarlyChange 0: of 253 codes after the first, the last have still nine bits.
    codes = [256, *(i % 250 for i in range(300)), 257]
    table, bits, width = 258, "", 9
    for i, code in enumerate(codes):
        bits += f"{code:0{width}b}"
        table += i > 1
        width = max(9, table.bit_length())
    data = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    assert decoded(data, [b"LZWDecode"], 2**20) == bytes(i % 250 for i in range(300))


@each_chain
def test_a_stream_that_lost_bytes_is_told_whatever_its_filter(
    filters: Sequence[str], tmp_path: Path
) -> None:
    # Only zlib's streams were checked: half a page under another filter was "ok".
    data = compressed(CONTENT, pdf_files.lines("The second page is sound."), filters=filters)
    assert reading(tmp_path / "sound.pdf", data).status == "ok"
    bodies = objects_of(data)
    cut = bodies[4][: len(bodies[4]) // 2] + b"\nendstream"
    document = reading(tmp_path / "cut.pdf", pdf_files.pdf_bytes([*bodies[:4], cut, *bodies[5:]]))
    assert document.status == "partial"
    assert document.pages[1].text == "The second page is sound."
    assert any(warning.startswith("page 1: its content") for warning in document.warnings)
    assert not any(warning.startswith("page 2: ") for warning in document.warnings)


@pytest.mark.parametrize("name", ["/ASCII85Decode", "/ASCIIHexDecode"])
def test_a_character_that_cannot_be_is_told(name: str, tmp_path: Path) -> None:
    data = compressed(CONTENT, filters=[name])
    at = data.index(MARK) + 500
    document = reading(tmp_path / "a.pdf", data[:at] + b"\x91" + data[at + 1 :])
    assert document.status == "partial"


def test_a_length_that_is_too_small_is_no_damage(tmp_path: Path) -> None:
    # Hand-made files have them, and readers look for the end themselves.
    data = compressed(CONTENT, filters=()).replace(b"/Length %d" % len(CONTENT), b"/Length 100")
    assert reading(tmp_path / "a.pdf", data).status == "ok"


def test_the_length_may_be_an_object_of_its_own(tmp_path: Path) -> None:
    told = b"/Length %d" % len(CONTENT)
    data = compressed(CONTENT, filters=()).replace(told, b"/Length 99 0 R")
    whole = soundness_after(tmp_path, data + b"\n99 0 obj\n%d\nendobj" % len(CONTENT))
    assert whole.is_certain
    end = data.index(b"\nendstream")
    cut = data[: end - 300] + data[end:] + b"\n99 0 obj\n%d\nendobj" % len(CONTENT)
    assert soundness_after(tmp_path, cut).broken == {5}


def soundness_after(folder: Path, data: bytes) -> Soundness:
    (folder / "any.pdf").write_bytes(data)
    return soundness_of(str(folder / "any.pdf"))


# ---- Parts of the file that are missing ------------------------------------------------------


def test_a_file_that_lost_bytes_before_its_table_is_told(tmp_path: Path) -> None:
    # Where an object was gone with its bytes, readers found the others, and nobody said a word.
    data = compressed(CONTENT, pdf_files.lines("The second page is sound."))
    gone = data.index(b"\n6 0 obj"), data.index(b"\n7 0 obj")
    document = reading(tmp_path / "gone.pdf", data[: gone[0]] + data[gone[1] :])
    assert document.status == "partial"
    assert any("the file is damaged" in warning for warning in document.warnings)


def test_a_file_without_its_end_is_told(tmp_path: Path) -> None:
    data = compressed(CONTENT)
    document = reading(tmp_path / "cut.pdf", data[: data.index(b"startxref")])
    assert document.status == "partial"
    assert document.text.count("Pump") == len(SENTENCES)


def test_a_table_at_another_place_is_no_damage(tmp_path: Path) -> None:
    data = compressed(CONTENT)
    for moved in (with_table_at(data, 17), data.replace(b"%PDF-1.7", b"%PDF-1.7\n% edited")):
        assert reading(tmp_path / "edited.pdf", moved).status == "ok"


def test_damage_to_what_draws_a_form_field_is_told(tmp_path: Path) -> None:
    drawn = zlib.compress(b"/Tx BMC q BT /F1 9 Tf 2 3 Td (Filled in by hand) Tj ET Q EMC")
    appearance = b"/Type/XObject/Subtype/Form/BBox[0 0 200 20]/Filter/FlateDecode"
    for squeezed, status in ((drawn, "ok"), (drawn[:20] + b"\xff" * 9 + drawn[29:], "partial")):
        data = pdf_files.pdf_bytes(
            [
                b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[5 0 R]>>>>",
                b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
                b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Annots[5 0 R]"
                b"/Resources<</Font<</F1 7 0 R>>>>>>",
                pdf_files.stream(pdf_files.lines("The name of the pump:")),
                b"<</Type/Annot/Subtype/Widget/FT/Tx/T(a)/Rect[72 600 272 620]/AP<</N 6 0 R>>>>",
                pdf_files.stream(squeezed, appearance + b"/Resources<</Font<</F1 7 0 R>>>>"),
                b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
            ]
        )
        assert reading(tmp_path / "form.pdf", data).status == status


@pytest.mark.parametrize("filters", [(), ("/ASCIIHexDecode",)], ids="+".join)
def test_a_bracket_that_is_gone_takes_what_follows_and_is_told(
    filters: Sequence[str], tmp_path: Path
) -> None:
    comment = b"% a comment :-(\n"
    whole = comment + CONTENT.replace(b"Pump 3 ", b"Pump \\(3\\) (100% of it) ")
    sound = reading(tmp_path / "sound.pdf", compressed(whole, filters=filters))
    assert sound.status == "ok" and "Pump (3) (100% of it)" in sound.text
    damaged = whole.replace(b"hall 5.)", b"hall 5.i")
    document = reading(tmp_path / "bracket.pdf", compressed(damaged, filters=filters))
    assert document.status == "partial"
    assert len(document.text) < len(sound.text)


def test_a_damaged_font_is_told_of_the_pages_that_use_it(tmp_path: Path) -> None:
    # A font may be all that says which letters its glyphs are: a page of a real file lost 97 %.
    program = zlib.compress(b"no font, but whole " * 99)
    for squeezed, status in ((program, "ok"), (program[:-30], "partial")):
        data = pdf_files.pdf_bytes(
            [
                b"<</Type/Catalog/Pages 2 0 R>>",
                b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
                b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R"
                b"/Resources<</Font<</F1 5 0 R>>>>>>",
                pdf_files.stream(CONTENT),
                b"<</Type/Font/Subtype/TrueType/BaseFont/Own/Encoding/WinAnsiEncoding"
                b"/FontDescriptor 6 0 R>>",
                b"<</Type/FontDescriptor/FontName/Own/Flags 32/FontFile2 7 0 R>>",
                pdf_files.stream(squeezed, b"/Filter/FlateDecode/Length1 1881"),
            ]
        )
        assert reading(tmp_path / "font.pdf", data).status == status
