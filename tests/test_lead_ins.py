"""What a passage goes on from: rows keep their header, items the sentence that opens their list."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ragctx.chunking import chunk_document
from ragctx.lead_ins import MAX_LEAD_IN, LeadIns, list_spans
from ragctx.records import Chunk, Document, Page
from tests.support.fakes import WordTokenizer


def chunks_of(text: str, max_tokens: int) -> list[Chunk]:
    pages = (Page(number=1, label="1", text=text),)
    document = Document(id="d", path="d.pdf", pages=pages)
    return chunk_document(document, WordTokenizer(), max_tokens=max_tokens)


def test_the_header_row_goes_with_every_part_of_a_long_table() -> None:
    rows = "\n".join(f"Metal {k}\t{k}00\t{k}.5" for k in range(40))
    chunks = chunks_of(f"What metals cost.\n\n(in millions)\n\nMetal\tMelts\tCosts\n{rows}", 40)
    assert len(chunks) > 4
    for chunk in chunks[1:]:
        assert chunk.lead_in == "(in millions)\nMetal\tMelts\tCosts"


@given(st.integers(2, 40), st.integers(12, 60), st.integers(2, 4))
def test_no_chunk_ends_inside_a_row(count: int, max_tokens: int, width: int) -> None:
    rows = ["\t".join(f"cell {i} {k}" for k in range(width)) for i in range(count)]
    rows[1::3] = ["\t" + row for row in rows[1::3]]  # some begin with an empty cell
    text = "\n".join(rows)
    for chunk in chunks_of(text, max_tokens):
        assert chunk.start == 0 or text[chunk.start - 1] == "\n"
        assert chunk.end == len(text) or text[chunk.end] == "\n"


def test_a_table_that_fits_is_not_cut_though_the_text_before_it_would_fill_the_chunk() -> None:
    table = "Metal\tMelts\tCosts\n" + "\n".join(f"Metal {k}\t{k}00\t{k}.5" for k in range(5))
    text = f"Tin is soft. Lead is heavy. Zinc is neither.\n\n{table}"
    assert table in [chunk.text for chunk in chunks_of(text, 44)]


def test_a_list_that_fits_is_not_cut_from_the_sentence_that_opens_it() -> None:
    items = "The following are excluded:\n• wear and tear;\n• rust of any kind;\n• acts of war."
    text = (
        f"This warranty is limited. It ends after a year of use by anybody.\n\n{items}\n\nCall us."
    )
    assert any(items in chunk.text for chunk in chunks_of(text, 30))


def test_items_of_a_long_list_have_the_sentence_that_opens_it() -> None:
    items = "\n".join(f"- damage of the kind {k} by people;" for k in range(30))
    chunks = chunks_of(f"It is a warranty. The following are excluded:\n{items}\n\nCall us.", 40)
    inside = [chunk for chunk in chunks if chunk.text.startswith("- damage")]
    assert inside and all(c.lead_in == "The following are excluded:" for c in inside)


def test_text_after_a_list_goes_on_from_nothing() -> None:
    text = "Excluded are:\n- wear\n- rust\n\nCall us."
    assert LeadIns(text).before(text.index("Call")) == ""


def test_a_list_that_nothing_opens_has_no_lead_in() -> None:
    assert list_spans("It rains.\n- wear\n- rust") == []


@given(st.text("a:\n\t-. 1", max_size=120))
def test_a_lead_in_is_text_from_before(text: str) -> None:
    lead_ins = LeadIns(text)
    for start in range(len(text) + 1):
        found = lead_ins.before(start)
        assert len(found) <= MAX_LEAD_IN
        for line in found.split("\n"):
            assert line.rstrip() in text[:start]
