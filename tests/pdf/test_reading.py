"""Laws of the pipe's end: what a taken-over process sends is a sound record, or nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ragctx.pdf.messages import PageMessage, unplaced_line
from ragctx.pdf.reading import Line, PageText, event_of

PAGE: PageMessage = {
    "kind": "page",
    "page": 3,
    "reader": "pdfium",
    "text": None,
    "lines": [{**unplaced_line("Tin."), "left": 72, "size": 9.5}],
    "filled_in": [],
    "label": "iv",
    "pictures": False,
    "lost": 0,
    "hidden": [],
    "fields": [],
    "glyphs_only": False,
    "doubtful": True,
    "cut": False,
}


def told(message: object) -> object:
    return event_of(json.dumps(message).encode() + b"\n")


def test_a_page_becomes_a_record() -> None:
    page = told(PAGE)
    assert isinstance(page, PageText)
    line = Line(text="Tin.", turn=0, left=72.0, top=0.0, right=0.0, bottom=0.0, size=9.5)
    assert page.lines == (line,) and page.filled_in == ()
    assert (page.page, page.label, page.doubtful, page.raw_text) == (3, "iv", True, "Tin.")


def test_a_page_may_be_text_without_places() -> None:
    page = told({**PAGE, "text": "Tin.\nLead.", "lines": []})
    assert isinstance(page, PageText) and page.raw_text == "Tin.\nLead."


@pytest.mark.parametrize("key", [key for key in PAGE if key not in ("text", "lines")])
def test_a_page_that_lacks_something_is_not_a_message(key: str) -> None:
    assert told({name: value for name, value in PAGE.items() if name != key}) is None


@pytest.mark.parametrize(
    "change",
    [
        {"page": "3"},
        {"lost": None},
        {"cut": 1},
        {"text": 7},
        {"lines": [["Tin.", 0, 1.0, 2.0, 3.0, 4.0, 9.0]]},
        {"lines": [{**unplaced_line("Tin."), "size": float("nan")}]},
        {"lines": [{**unplaced_line("Tin."), "top": float("inf")}]},
        {"lines": [{**unplaced_line("Tin."), "top": 10**400}]},
        {"lines": [{**unplaced_line("Tin."), "text": None}]},
        {"filled_in": [unplaced_line("ok"), {}]},
    ],
)
def test_a_page_that_holds_another_type_is_not_a_message(change: dict[str, Any]) -> None:
    assert told({**PAGE, **change}) is None


@pytest.mark.parametrize(
    "message",
    [
        {"kind": "structure", "title": "T", "outline": [["T", 1, 0]], "labels": []},
        {"kind": "structure", "title": "T", "outline": [], "labels": "iv"},
        {"kind": "failed", "status": "very", "message": "no"},
        {"kind": "open", "pages": -1, "attachments": 0, "xfa": False},
        {"kind": "end", "warnings": "none"},
        {"kind": "another"},
    ],
)
def test_other_messages_are_checked_as_well(message: dict[str, Any]) -> None:
    assert told(message) is None
