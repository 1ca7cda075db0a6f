"""Tables in a text: cells with the names of their rows and columns, read back from tabs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.records import Chunk
from ragctx.tables import TAB, Table, header_rows, table_spans, tables_of

SALES = (
    "\tThree Months Ended\t\tNine Months Ended\n\tJuly 1, 2023\tJune 25, 2022\tJuly 1, 2023\n"
    "Net sales:\nProducts\t60,584\t63,355\t230,901\nServices\t21,213\t\t62,886"
)


def chunk_of(text: str, lead_in: str = "") -> Chunk:
    return Chunk(
        id=f"d:0-{len(text)}",
        document_id="d",
        start=0,
        end=len(text),
        first_page=1,
        last_page=1,
        text=text,
        token_count=1,
        lead_in=lead_in,
    )


def named(table: Table) -> dict[tuple[str, str, str], str]:
    return {(cell.group, cell.row, cell.column): cell.text for row in table.rows for cell in row}


def test_a_cell_knows_its_row_its_column_and_the_label_above() -> None:
    (table,) = tables_of(chunk_of(f"Sales of metals.\n\n{SALES}\n\nSee the notes."))
    cells = named(table)
    assert cells["Net sales:", "Products", "Three Months Ended July 1, 2023"] == "60,584"
    assert cells["Net sales:", "Products", "Three Months Ended June 25, 2022"] == "63,355"
    assert cells["Net sales:", "Services", "Nine Months Ended July 1, 2023"] == "62,886"
    assert ("Net sales:", "Services", "Three Months Ended June 25, 2022") not in cells  # empty


def test_a_part_of_a_table_takes_its_columns_names_from_the_lead_in() -> None:
    header = "\n".join(SALES.split("\n")[:2])
    (table,) = tables_of(chunk_of("Other:\nServices\t21,213\t\t62,886", header))
    assert named(table)["Other:", "Services", "Nine Months Ended July 1, 2023"] == "62,886"


def test_a_lead_in_is_not_for_a_later_table_of_the_chunk() -> None:
    text = "Lead\t327\n\nMetal\tDensity\nTin\t7.3\nLead\t11.3"
    first, second = tables_of(chunk_of(text, "Metal\tMelts"))
    assert first.columns == ("Metal", "Melts") and second.columns == ("Metal", "Density")


def test_names_and_values_have_no_header() -> None:
    (table,) = tables_of(chunk_of("Name\tAnn\nTown\tBonn\nTrade\tTinner"))
    assert named(table) == {
        ("", "Name", ""): "Ann",
        ("", "Town", ""): "Bonn",
        ("", "Trade", ""): "Tinner",
    }


def test_years_are_names_and_not_figures() -> None:
    assert header_rows(["\t2023\t2022", "Tin\t60\t63"]) == 1


def test_a_text_without_tabs_has_no_tables() -> None:
    assert tables_of(chunk_of("Tin 232\nLead 327")) == () and table_spans("Tin 232") == []


lines = st.lists(
    st.lists(st.sampled_from(["", "Tin", "60", "1,2", "a b"]), min_size=1, max_size=4).map(
        TAB.join
    ),
    max_size=9,
)


@given(lines, lines)
def test_every_cell_is_where_it_says_it_is(rows: list[str], lead_in: list[str]) -> None:
    chunk = chunk_of("\n".join(rows).strip("\n"), "\n".join(lead_in))
    tables = tables_of(chunk)
    for table in tables:
        for cell in (cell for row in table.rows for cell in row):
            assert chunk.text[cell.start : cell.end] == cell.text != ""
            assert TAB not in cell.text and table.start <= cell.start < cell.end <= table.end
    assert tables_of(replace(chunk, title="T", section=("S",))) == tables


@pytest.mark.parametrize(
    ("rows", "count"),
    [
        (["Fiscal 2019\t\t", "(in millions)\t2019\t2018 (1)", "Tin\t60\t63"], 2),
        (["\tFY19\tFY18\tChange", "\t$M\t$M\t%", "Tin\t23.9\t21.8\t10%"], 2),
        (["€ million\t30/9/2018\t30/9/2019", "Tin\t344\t414"], 1),
        (["€ million\t2017/2018\t2018/19", "Tin\t344\t414"], 1),
        (["\tQ1 2020\tQ2 2020(1)", "Metals\t\t", "Tin\t344\t414"], 1),  # a label below it
        (["Tin\t2018\t414", "Lead\t2017\t300"], 0),  # a year among figures is one
        (["Metals\t\t", "Tin\t344\t414"], 0),
        (["Name\tJoined\tRoom", "Ann\t1/2/2019\tA", "Bob\t3/4/2020\t12"], 1),
    ],
)
def test_names_of_periods_and_rows_over_all_columns_belong_to_the_header(
    rows: list[str], count: int
) -> None:
    """Tables of quarterly reports had no columns' names, so that no cell could be named."""
    assert header_rows(rows) == count
