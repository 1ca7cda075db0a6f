"""Laws of second looks at a file: they are taken at once, and what comes of them is the same."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ragctx.pdf import second_looks
from ragctx.pdf.document import page_rows
from ragctx.pdf.later import Later
from ragctx.pdf.process import Limits, Request
from ragctx.pdf.reading import Opening, PageText, Reading
from ragctx.pdf.rows_ahead import RowsAhead
from ragctx.pdf.second_looks import with_better_pages

LACKING = "The offcer made a signifcant fnding."
TORN = "N O T I C E of the Compan y to a l l of them"


def page(number: int, text: str, reader: str = "pdfium") -> PageText:
    return PageText(
        page=number,
        reader=reader,
        text=text,
        lines=(),
        filled_in=(),
        fields=(),
        label="",
        pictures=False,
        lost=0,
        hidden=(),
        glyphs_only=False,
        doubtful=False,
        cut=False,
    )


def reading(*texts: str) -> Reading:
    opening = Opening(pages=len(texts), attachments=0, xfa=False)
    return Reading(opening=opening, pages={i: page(i, text) for i, text in enumerate(texts)})


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"%PDF")
    deadline = time.monotonic() + 60
    return Request(path=path, password=None, reader="pdfium", limits=Limits(), deadline=deadline)


class Process:
    """Stands for the reading process; what it was asked, and what it finds."""

    def __init__(self, *, mended: Reading, other: Reading) -> None:
        self.asked: list[Request] = []
        self._mended, self._other = mended, other

    def __call__(self, request: Request, on_page: object = None) -> Reading:
        self.asked.append(request)
        return self._mended if request.mend_fonts else self._other


def looked_at(
    first: Reading, request: Request, process: Process, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    monkeypatch.setattr(second_looks, "read", process)
    better = with_better_pages(first, request, None, both_libraries=True)
    return [better.pages[i].raw_text for i in sorted(better.pages)]


def test_both_looks_are_taken_at_once(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2)

    def read(request: Request, on_page: object = None) -> Reading:
        both.wait(timeout=20)
        return Reading()

    monkeypatch.setattr(second_looks, "read", read)
    first = reading(LACKING, TORN)
    assert with_better_pages(first, request_, None, both_libraries=True).pages == first.pages


def test_the_other_library_is_asked_about_mended_pages(
    request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = "NOTICE of the Company to all of them"
    process = Process(mended=reading("The officer.", whole), other=reading(LACKING, TORN * 2))
    assert looked_at(reading(LACKING, TORN), request_, process, monkeypatch) == [
        "The officer.",
        whole,
    ]
    assert [request.mend_fonts for request in process.asked].count(True) == 1


def test_without_fonts_to_mend_the_other_library_is_asked_once(
    request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = "NOTICE of the Company to all of them"
    process = Process(mended=Reading(), other=replace(reading(), pages={1: page(1, whole)}))
    assert looked_at(reading(LACKING, TORN), request_, process, monkeypatch) == [LACKING, whole]
    assert len(process.asked) == 2


def test_rows_found_ahead_are_the_pages_own_and_others_are_found_when_asked_for() -> None:
    first = reading("One.\nTwo.", "Three.")
    with RowsAhead() as ahead:
        for found in first.pages.values():
            ahead.add(found)
        first.pages[1] = page(1, "Another reading.", "pypdf")
        for found in (*first.pages.values(), None):
            assert ahead.rows(found) == page_rows(found)


def test_what_fails_later_is_raised_where_its_result_is_asked_for() -> None:
    def fail() -> int:
        raise ValueError("no")

    later = Later(fail)
    with pytest.raises(ValueError, match="no"):
        later.result()
