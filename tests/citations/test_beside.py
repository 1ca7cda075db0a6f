"""What is told beside an answer: documents that contradict it, and how its table reads."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from ragctx.citations.agreement import is_conflict
from ragctx.citations.table_scale import table_scale
from ragctx.records import Citation


def cited(document: str, quote: str, answer: str) -> Citation:
    start = quote.index(answer)
    return Citation(
        label="1",
        document=document,
        path=document,
        first_page=1,
        last_page=1,
        start=0,
        end=len(quote),
        quote=quote,
        status="verified",
        answer_start=start,
        answer_end=start + len(answer),
    )


CONTRACT = cited("contract.pdf", "The notice period for tenants is 30 days.", "30 days")


def test_documents_that_say_the_same_otherwise_are_in_conflict() -> None:
    annex = cited("annex.pdf", "The notice period for tenants is 60 days.", "60 days")
    assert is_conflict(CONTRACT, annex) and is_conflict(annex, CONTRACT)


@pytest.mark.parametrize(
    "other",
    [
        cited("contract.pdf", "The notice period for tenants is 60 days.", "60 days"),
        cited("annex.pdf", "Deposits are returned to tenants within 60 days.", "60 days"),
        replace(
            cited("annex.pdf", "The notice period for tenants is 60 days.", "60 days"),
            status="unverified",
        ),
        cited("annex.pdf", "It is 60 days.", "60 days"),
    ],
    ids=["one document", "about something else", "not verified", "no words to tell by"],
)
def test_what_only_differs_is_no_conflict(other: Citation) -> None:
    assert not is_conflict(CONTRACT, other)


PAGE = """Note 2 – Revenue
Net sales for the three months ended April 1, 2023 were as follows (in millions):
iPhone $ 51,334 $ 50,570
Mac 7,168 10,435
Gross margin percentage 44.3 % 43.7 %
Sales of the Mac fell by 3,267
"""


@pytest.mark.parametrize(
    ("number", "scale"),
    [("7,168", "in millions"), ("$ 51,334", "in millions"), ("2023", ""), ("3,267", "in millions")],
)
def test_a_number_of_a_table_is_told_with_the_scale_of_its_head(number: str, scale: str) -> None:
    start = PAGE.index(number)
    assert table_scale(PAGE, start, start + len(number)) == scale


def test_what_the_head_excepts_has_no_scale() -> None:
    page = "(In millions, except number of shares in thousands and per share amounts)\n"
    page += "Net income $ 24,160\nDiluted $ 1.52\n"
    for number in ("24,160", "1.52"):
        start = page.index(number)
        # the head names two scales: which one counts is not known, so none is told
        assert table_scale(page, start, start + len(number)) == ""


def test_a_scale_is_sought_in_linear_time() -> None:
    page = "(in millions) " * 5_000 + "\nMac 7,168\n" + "1 " * 50_000
    start = page.index("7,168")
    began = time.perf_counter()
    assert table_scale(page, start, start + 5) == "in millions"
    assert time.perf_counter() - began < 5
