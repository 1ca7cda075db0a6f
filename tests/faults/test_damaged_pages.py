"""Pages whose content is damaged in the file are told: text may be missing from them.

Of 40 single bits flipped in a page's stream, 38 lost text, nine the whole page, and the status was
"ok": pdfium gives what it could inflate, and says nothing.
"""

from __future__ import annotations

import random
import zlib
from pathlib import Path

import pytest

from ragctx.pdf.read import read_pdf
from ragctx.pdf.soundness import find_broken_streams, inflated_size
from ragctx.records import Document
from tests.support import pdf_files

SENTENCES = [f"Pump {i} holds {i * 37 % 91} litres and stands in hall {i % 7}." for i in range(40)]
CONTENT = pdf_files.lines(*SENTENCES)
MARK = b"stream\n"


def compressed(*contents: bytes) -> bytes:
    """A file with one page for each content, compressed."""
    data = pdf_files.document(contents)
    for content in dict.fromkeys(contents):
        squeezed = zlib.compress(content)
        data = data.replace(
            pdf_files.stream(content), pdf_files.stream(squeezed, b"/Filter/FlateDecode")
        )
    return data


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
    assert inflated_size(zlib.compress(CONTENT)[:-cut]) == len(CONTENT)


def test_what_is_no_zip_stream_is_not_looked_at(tmp_path: Path) -> None:
    for data in (b"", b"%PDF stream", pdf_files.document([CONTENT])):
        (tmp_path / "any.pdf").write_bytes(data)
        assert find_broken_streams(str(tmp_path / "any.pdf")) == "sound"


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
    document = reading(tmp_path / "objects.pdf", data + b"\n99 0 obj\n" + packed + b"\nendobj\n")
    assert document.status == "partial"
    assert [warning[:7] for warning in document.warnings] == ["page 1:", "page 2:"]
