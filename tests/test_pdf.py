"""Laws of reading PDFs: every file ends in a document or in one line that says why not."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import pytest

from ragctx import pdf_process
from ragctx.errors import InputError, PdfError
from ragctx.pdf import Limits, read_pdf
from ragctx.records import Document
from tests.pdf_files import document, encrypted, lines, pdf_bytes, stream, write

IMAGE = b"q 612 0 0 792 0 0 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \x00 EI Q"


def failure(path: Path, **options: object) -> PdfError:
    with pytest.raises(PdfError) as caught:
        read_pdf(path, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return caught.value


# --- what is read


def test_text_title_labels_and_outline_are_read(tmp_path: Path) -> None:
    catalog = (
        b"/PageLabels<</Nums[0<</S/r>>1<</S/D/P(A-)>>]>>"
        b"/Outlines 8 0 R"
    )  # fmt: skip
    data = document([lines("Preface."), lines("Tin melts at 232 degrees.")], catalog=catalog)
    more = [
        b"<</Type/Outlines/First 9 0 R/Last 9 0 R/Count 1>>",
        b"<</Title(Metals)/Parent 8 0 R/Dest[6 0 R/Fit]>>",
    ]
    path = tmp_path / "metals.pdf"
    path.write_bytes(pdf_bytes([*_objects(data), *more]))
    read = read_pdf(path)
    assert [page.text for page in read.pages] == ["Preface.", "Tin melts at 232 degrees."]
    assert [page.label for page in read.pages] == ["i", "A-1"]
    assert [(h.title, h.page, h.depth) for h in read.outline] == [("Metals", 2, 0)]
    assert (read.status, read.reader, read.warnings) == ("ok", "pdfium", ())


def _objects(data: bytes) -> list[bytes]:
    bodies = data.split(b" 0 obj\n")[1:]
    return [body.split(b"\nendobj")[0] for body in bodies]


def test_the_id_is_of_the_bytes_alone(tmp_path: Path) -> None:
    one = write(tmp_path / "one.pdf", [lines("same")])
    other = write(tmp_path / "other.pdf", [lines("same")])
    expected = hashlib.sha256(one.read_bytes()).hexdigest()[:16]
    assert read_pdf(one).id == read_pdf(other).id == expected


def test_both_readers_give_the_same_words(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pdf", [lines("One line of text.", "Another line.")])
    pypdf = read_pdf(path, reader="pypdf")
    assert pypdf.text.split() == read_pdf(path, reader="pdfium").text.split()
    assert pypdf.reader == "pypdf"


def test_an_unknown_reader_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'mupdf'.*auto, pdfium, pypdf"):
        read_pdf(tmp_path / "a.pdf", reader="mupdf")  # type: ignore[arg-type]


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
    assert text.splitlines() == ["Tin 232 50", "Lead 327 82", "Zinc 420 30", "Iron 1538 26"]


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


def test_running_heads_and_page_numbers_go_and_nothing_else(tmp_path: Path) -> None:
    pages = [
        lines("Manual of pumps", y=760) + lines(f"Fact {chr(65 + i)} of the pump.", y=500)
        + lines(f"- {i + 1} -", x=300, y=30)
        for i in range(8)
    ]  # fmt: skip
    read = read_pdf(write(tmp_path / "a.pdf", pages))
    assert read.text.count("Manual of pumps") == 1  # where it stands first
    assert [page.text for page in read.pages[1:]] == [f"Fact {c} of the pump." for c in "BCDEFGH"]


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


# --- what gives no text


def test_a_picture_is_a_scan_and_a_blank_page_is_blank(tmp_path: Path) -> None:
    scan = read_pdf(write(tmp_path / "scan.pdf", [IMAGE]))
    assert (scan.status, scan.pages[0].status) == ("no_text", "scanned")
    assert scan.warnings == ("no text layer, OCR needed",)
    blank = read_pdf(write(tmp_path / "blank.pdf", [b"", b""]))
    assert (blank.status, blank.pages[0].status) == ("no_text", "empty")
    assert blank.warnings == ("every page is blank",)


def test_scans_among_text_make_a_document_partial(tmp_path: Path) -> None:
    read = read_pdf(write(tmp_path / "a.pdf", [lines("Some words of text."), IMAGE]))
    assert (read.status, [page.status for page in read.pages]) == ("partial", ["ok", "scanned"])


def test_zero_bytes_no_pdf_and_no_file_are_told_apart(tmp_path: Path) -> None:
    empty, text = tmp_path / "empty.pdf", tmp_path / "text.pdf"
    empty.write_bytes(b"")
    text.write_text("Dear reader,\nthis is a letter.")
    assert "empty (0 bytes)" in str(failure(empty))
    assert "is not a PDF: it begins with 'Dear reader,'" in str(failure(text))
    gone = failure(tmp_path / "gone.pdf")
    assert gone.status == "unreadable" and "No such file" in str(gone)
    assert failure(tmp_path).status == "unreadable"


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_truncated_file_gives_pages_or_one_line(tmp_path: Path, share: float) -> None:
    data = document([lines(f"Page {i} says something.") for i in range(20)])
    path = tmp_path / "cut.pdf"
    path.write_bytes(data[: int(share * len(data))])
    try:
        read = read_pdf(path)
    except PdfError as error:
        assert error.status == "corrupt" and "\n" not in str(error)
    else:
        assert "says something" in read.text


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_unreadable(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pdf", [lines("secret")])
    path.chmod(0)
    assert "check the path and its permissions" in str(failure(path))


def test_a_file_over_the_limits_is_not_opened(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pdf", [lines("a")])
    error = failure(path, limits=Limits(max_file_bytes=100))
    assert error.status == "too_large" and "max_file_bytes" in str(error)


def test_pages_over_the_limit_are_left_out_and_said(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pdf", [lines("one"), lines("two"), lines("three")])
    read = read_pdf(path, limits=Limits(max_pages=2))
    assert (len(read.pages), read.status) == (2, "partial")
    assert read.warnings == ("only the first 2 of 3 pages were read",)


# --- encryption


@pytest.mark.parametrize("algorithm", ["RC4-40", "RC4-128", "AES-128", "AES-256"])
def test_an_encrypted_file_asks_for_its_password(tmp_path: Path, algorithm: str) -> None:
    path = tmp_path / "locked.pdf"
    path.write_bytes(encrypted(document([lines("The secret.")]), "open", algorithm=algorithm))
    error = failure(path)
    assert error.status == "encrypted" and "pass its password: --password" in str(error)
    assert "password given does not open it" in str(failure(path, password="wrong"))
    for password in ("open", "owner"):
        assert read_pdf(path, password=password).text == "The secret."
    assert read_pdf(path, password="open", reader="pypdf").text == "The secret."


def test_an_empty_user_password_needs_none(tmp_path: Path) -> None:
    path = tmp_path / "printable.pdf"
    path.write_bytes(encrypted(document([lines("For all.")]), ""))
    assert read_pdf(path).text == "For all."


def test_the_password_stands_in_no_argument_list(tmp_path: Path) -> None:
    assert "open sesame" not in " ".join(map(str, pdf_process.WORKER))
    request = pdf_process.Request(tmp_path, "open sesame", "pdfium", Limits(), 0.0)
    assert "open sesame" in request.from_page(0, structure=True)  # over standard input alone


# --- second opinion


def test_what_pdfium_cannot_open_pypdf_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in fails as pdfium and reads as pypdf."""
    fake = _stand_in(
        tmp_path,
        'if r["reader"] == "pdfium": say(kind="failed", status="corrupt", message="bad xref")\n'
        'else: opened(1); page(0, "By pypdf.")\n',
    )
    monkeypatch.setattr(pdf_process, "WORKER", fake)
    read = read_pdf(write(tmp_path / "a.pdf", [b""]))
    assert (read.text, read.reader, read.status) == ("By pypdf.", "pypdf", "ok")


def test_a_doubtful_page_is_read_again_and_the_better_text_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = _stand_in(
        tmp_path,
        "opened(3)\n"
        'if r["reader"] == "pdfium":\n'
        '    page(0, "Sound."); page(1, "\\ue001\\ue002\\ue003", True); page(2, "Also.", True)\n'
        'else:\n    assert r["only"] == [1, 2]; page(1, "Letters."); page(2, "A")\n',
    )
    monkeypatch.setattr(pdf_process, "WORKER", fake)
    read = read_pdf(write(tmp_path / "a.pdf", [b""]))
    assert [page.text for page in read.pages] == ["Sound.", "Letters.", "Also."]
    assert read.reader == "pdfium+pypdf"


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
        pictures=False, glyphs_only=False, doubtful=doubtful, cut=False, lost=0)
"""


def _stand_in(folder: Path, script: str) -> tuple[str, ...]:
    """A worker command that runs `script`, then ends in good order."""
    path = folder / "stand_in.py"
    path.write_text(f"{STAND_IN}\n{script}\nsay(kind='end', warnings=[])\n", encoding="utf-8")
    return (sys.executable, str(path))


# --- the watch


SHORT = Limits(page_timeout_s=0.3, file_timeout_s=30)


def _read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, limits: Limits) -> Document:
    monkeypatch.setattr(pdf_process, "WORKER", _stand_in(tmp_path, script))
    return read_pdf(write(tmp_path / "a.pdf", [b""]), reader="pdfium", limits=limits)


def test_a_page_that_never_ends_costs_that_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        'opened(4); page(0, "One."); page(1, "Two.")\n'
        'if r["first"] <= 2: say(kind="begin", page=2); time.sleep(60)\n'
        'page(3, "Four.")\n'
    )
    read = _read(tmp_path, monkeypatch, script, SHORT)
    assert [page.text for page in read.pages] == ["One.", "Two.", "", "Four."]
    assert [page.status for page in read.pages] == ["ok", "ok", "timeout", "ok"]
    assert read.status == "partial"
    assert "page 3: took longer than the 0.3 s a page may take" in read.warnings


def test_a_page_that_kills_its_reader_costs_that_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        'opened(3); page(0, "One.")\n'
        'if r["first"] <= 1: say(kind="begin", page=1); os.abort()\n'
        'page(2, "Three.")\n'
    )
    read = _read(tmp_path, monkeypatch, script, SHORT)
    assert [page.status for page in read.pages] == ["ok", "corrupt", "ok"]


def test_lives_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_process, "MAX_RESTARTS", 2)
    script = (
        'opened(9)\npage(0, "One.")\ni = max(1, r["first"])\nsay(kind="begin", page=i); os.abort()'
    )
    read = _read(tmp_path, monkeypatch, script, SHORT)
    statuses = [page.status for page in read.pages]
    assert statuses == ["ok", *["corrupt"] * 3, *["timeout"] * 5]


def test_the_whole_file_has_a_limit_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = 'opened(1000)\nfor i in range(1000): page(i, "On and on."); time.sleep(0.05)'
    limits = Limits(page_timeout_s=5, file_timeout_s=1.5)
    read = _read(tmp_path, monkeypatch, script, limits)
    assert read.status == "partial" and read.pages[0].text == "On and on."
    assert read.pages[-1].status == "timeout"


def test_a_file_of_which_no_page_comes_is_a_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for script in (
        'say(kind="started"); time.sleep(60)',
        'opened(1); say(kind="begin", page=0); time.sleep(60)',
    ):
        with pytest.raises(PdfError) as caught:
            _read(tmp_path, monkeypatch, script, SHORT)
        assert caught.value.status == "timeout"


def test_half_a_message_is_a_death(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = (
        'opened(2); page(0, "One."); say(kind="begin", page=1)\n'
        'os.write(1, b\'{"kind": "pa\'); os._exit(1)'
    )
    assert [p.status for p in _read(tmp_path, monkeypatch, script, SHORT).pages] == [
        "ok",
        "corrupt",
    ]


def test_a_flood_of_messages_waits_for_its_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf_process, "MAX_CHARACTERS", 1000)
    read = _read(
        tmp_path, monkeypatch, 'opened(5000)\nfor i in range(5000): page(i, "x" * 100)', SHORT
    )
    assert read.status == "partial" and len(read.text) < 10_000
    assert any("more than 1000 characters" in warning for warning in read.warnings)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory are POSIX")
def test_memory_has_a_limit(tmp_path: Path) -> None:
    """Enough for Python to start, not for pdfium to open anything."""
    error = failure(write(tmp_path / "a.pdf", [lines("a")]), limits=Limits(memory_bytes=2**26))
    assert error.status in ("too_large", "corrupt") and "memory" in str(error)


def test_the_reader_dies_with_its_parent(tmp_path: Path) -> None:
    """Closing its standard input is how a parent's death looks to it."""
    import json
    import subprocess

    request = pdf_process.Request(tmp_path / "gone.pdf", None, "pdfium", Limits(), 0.0)
    line = json.loads(request.from_page(0, structure=True))
    process = subprocess.Popen(pdf_process.WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(json.dumps({**line, "path": "/dev/stdin"}).encode() + b"\n")
    process.stdin.close()
    assert process.wait(timeout=60) in (0, 1)
    process.stdout.close()


def test_modules_in_the_working_directory_are_never_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json", "logging", "pypdfium2", "ragctx"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(3)")
    path = write(tmp_path / "a.pdf", [lines("Safe.")])
    monkeypatch.chdir(tmp_path)
    assert read_pdf(path).text == "Safe."


@pytest.mark.slow
def test_ten_thousand_pages_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pdf", [lines(f"This is page {i}.") for i in range(10_000)])
    read = read_pdf(path)
    assert (len(read.pages), read.status) == (10_000, "ok")
    assert read.pages[9_999].text == "This is page 9999."
