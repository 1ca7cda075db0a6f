"""Laws of reading a long file by several processes: it gives what one of them gives."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from ragctx.pdf import parts
from ragctx.pdf.parts import read_in_parts
from ragctx.pdf.process import Limits, Request, read
from ragctx.pdf.read import read_pdf
from ragctx.pdf.readers import StartedReaders
from ragctx.pdf.reading import Reading
from tests.pdf.test_process import SAY
from tests.support import pdf_files

PAGES = """
def wanted(n):
    only = request["only"]
    return [i for i in (range(min(n, request["max_pages"])) if only is None else only)
            if i >= request["first"]]
def serve(n, at=lambda i: None, size=1):
    opened(n)
    for i in wanted(n):
        say(kind="begin", page=i); at(i)
        say(kind="page", page=i, text=f"text {i}" * size, reader="stand-in", pictures=False,
            label="", filled_in=[], fields=[], hidden=[], glyphs_only=False, doubtful=False,
            cut=False, lost=0)
    if request["structure"]:
        say(kind="begin", page=-1)
        say(kind="structure", title="Title", outline=[], labels=[f"l{i}" for i in range(n)])
    end()
"""


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MIN_BYTES", 10)
    monkeypatch.setattr(parts, "MIN_PAGES", 3)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "long.pdf"
    path.write_bytes(b"%PDF" + bytes(40_000))
    return path


def request(file: Path, script: str, *, max_pages: int = 1000, timeout_s: float = 60) -> Request:
    return Request(
        path=file,
        password=None,
        reader="pdfium",
        limits=Limits(max_pages=max_pages, page_timeout_s=timeout_s),
        deadline=time.monotonic() + 300,
        readers=StartedReaders((sys.executable, "-S", "-c", SAY + PAGES + script)),
    )


def told(reading: Reading) -> tuple[object, ...]:
    return (
        reading.opening,
        dict(sorted(reading.pages.items())),
        reading.lost,
        reading.structure,
        sorted(reading.warnings),
        reading.characters,
    )


@pytest.mark.parametrize(
    "processes",
    [2, pytest.param(3, marks=pytest.mark.slow), pytest.param(9, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize(
    "script",
    [
        "serve(20)",
        "serve(7)",
        "serve(5)",  # too few for two
        "serve(1)",
        "serve(20, lambda i: i in (0, 8, 19) and os._exit(9))",
        "serve(20, lambda i: i == 15 and time.sleep(900))",
        "serve(20, size=20_000)",  # more characters than a file of its size can have
        "opened(0)",
        "say(kind='failed', status='encrypted', message='is encrypted')",
    ],
)
def test_several_processes_give_what_one_gives(file: Path, script: str, processes: int) -> None:
    asked = request(file, script, timeout_s=3)
    one, several = read(asked), read_in_parts(asked, None, processes)
    if "20_000" in script:
        assert set(one.lost.values()) == {"too_long"}
        one.structure = several.structure  # one process never comes to it
    assert told(several) == told(one)


def test_no_more_pages_than_the_limit_are_read(file: Path) -> None:
    asked = request(file, "serve(20)", max_pages=13)
    assert told(read_in_parts(asked, None, 2)) == told(read(asked))
    assert sorted(read_in_parts(asked, None, 2).pages) == list(range(13))


def test_each_page_is_told_once(file: Path) -> None:
    seen: list[tuple[int, int]] = []
    told = request(file, "serve(20)")
    read_in_parts(told, lambda page, pages: seen.append((page.page, pages)), 3)
    assert sorted(seen) == [(i, 20) for i in range(20)]


def test_what_is_raised_on_a_page_ends_every_part(file: Path) -> None:
    def stop(page: int, pages: int) -> None:
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        read_in_parts(request(file, "serve(20, lambda i: time.sleep(0.1))"), stop, 2)
    assert time.monotonic() - began < 30


def test_a_real_file_is_the_same_document(tmp_path: Path) -> None:
    pages = [pdf_files.lines(f"This is page {i} of the manual.", "Tin melts.") for i in range(12)]
    path = pdf_files.write(tmp_path / "manual.pdf", pages)
    assert read_pdf(path, processes=3) == read_pdf(path)
