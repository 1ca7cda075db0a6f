"""Laws of chunking, checked for tokenizers of several kinds."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragctx.chunking import CHARACTERS_PER_TOKEN, chunk_document, plan_cuts
from ragctx.errors import InputError
from ragctx.records import Chunk, Document, Page
from ragctx.text.sentences import sentence_spans
from ragctx.tokens.load import load_tokenizer
from ragctx.tokens.tokenizer import Encoding, Tokenizer
from tests.support.paths import SHARED

BUNDLED = load_tokenizer("bundled")


class SpacePrefixTokenizer:
    """A tokenizer whose counts do not add up: a word costs more when no space stands before it.

    Byte-level vocabularies are like that: " word" is one token, "word" at the start often two.
    """

    name = "space-prefix"
    chat_frame = None

    def encode_with_offsets(self, text: str) -> Encoding:
        offsets: list[tuple[int, int]] = []
        start = 0
        for piece in text.replace("\n", " ").split(" "):
            end = start + len(piece)
            if piece and start:
                offsets.append((start - 1, end))
            elif piece:
                middle = max(1, end // 2)
                offsets += [(0, middle), (middle, end)] if end > 1 else [(0, end)]
            start = end + 1
        return Encoding(tuple(range(len(offsets))), tuple(offsets))

    def encode(self, text: str) -> list[int]:
        return list(self.encode_with_offsets(text).token_ids)

    encode_markup = encode

    def decode(self, token_ids: Sequence[int]) -> str:
        raise NotImplementedError

    def count(self, text: str) -> int:
        return len(self.encode(text))


def document(*pages: str) -> Document:
    return Document(
        id="d",
        path="d.pdf",
        pages=tuple(Page(number=i, label=str(i), text=p) for i, p in enumerate(pages, 1)),
    )


def check_laws(doc: Document, tokenizer: Tokenizer, max_tokens: int, overlap: int) -> list[Chunk]:
    chunks = chunk_document(doc, tokenizer, max_tokens=max_tokens, overlap_tokens=overlap)
    covered = 0
    for chunk in chunks:
        assert chunk.text == doc.text[chunk.start : chunk.end]
        assert chunk.text == chunk.text.strip() != ""
        assert chunk.token_count == tokenizer.count(chunk.text) <= max_tokens
        assert chunk.id == f"d:{chunk.start}-{chunk.end}"
        assert chunk.first_page == doc.page_of(chunk.start).number
        assert chunk.last_page == doc.page_of(chunk.end - 1).number
        assert not doc.text[covered : max(covered, chunk.start)].strip()
        assert chunk.end > covered
        if not overlap:
            assert chunk.start >= covered
        covered = chunk.end
    assert not doc.text[covered:].strip()
    return chunks


word = st.sampled_from(
    [
        "The",
        "cat",
        "sat.",
        "internationalisation",
        "e.g.",
        "3.14",
        "no,",
        "猫。",
        "é",
        "e\u0301",
        "x" * 40,
        "[SEP]",
        "\n",
        "\n\n",
        "Heading\n",
        "•",
        "\u200d",
        "👩\u200d🔬",
        "\ufffd",
        "\x00",
    ]
)
page_text = st.lists(word, max_size=30).map(" ".join) | st.text(max_size=60)
documents = st.lists(page_text, min_size=1, max_size=4).map(lambda pages: document(*pages))


@settings(max_examples=150, deadline=None)
@given(documents, st.integers(4, 40), st.booleans())
def test_laws_hold_for_word_pieces(doc: Document, max_tokens: int, overlapping: bool) -> None:
    check_laws(doc, BUNDLED, max_tokens, max_tokens // 3 if overlapping else 0)


@settings(max_examples=150, deadline=None)
@given(documents, st.integers(2, 20), st.booleans())
def test_laws_hold_where_counts_do_not_add_up(
    doc: Document, max_tokens: int, overlapping: bool
) -> None:
    check_laws(doc, SpacePrefixTokenizer(), max_tokens, max_tokens // 3 if overlapping else 0)


def costs_of_cuts(cuts: Sequence[int], sizes: list[int], costs: list[float], limit: int) -> float:
    total = 0.0
    for i, j in itertools.pairwise(cuts):
        size = sum(sizes[i:j])
        if size > limit and j - i > 1:
            return math.inf
        total += max(0.0, 1 - size / limit) ** 2 + costs[j - 1]
    return total


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 12), st.sampled_from([0.0, 0.1, 0.3, 0.8, 1.0])),
        min_size=1,
        max_size=9,
    ),
    st.integers(3, 20),
)
def test_the_plan_is_the_cheapest_of_all(units: list[tuple[int, float]], limit: int) -> None:
    """Reference: every way to put cuts between the units."""
    sizes, costs = [size for size, _ in units], [cost for _, cost in units]
    ends = list(itertools.accumulate(sizes))
    spans = [(end - size, end, end - size, end) for size, end in zip(sizes, ends, strict=True)]
    n = len(units)
    every = ((0, *inner, n) for k in range(n) for inner in itertools.combinations(range(1, n), k))
    cheapest = min(costs_of_cuts(cuts, sizes, costs, limit) for cuts in every)
    assert math.isclose(
        costs_of_cuts(plan_cuts(spans, costs, limit), sizes, costs, limit), cheapest, abs_tol=1e-9
    )


def test_no_text_gives_no_chunks() -> None:
    assert chunk_document(document("", "  \n", ""), BUNDLED) == []
    assert chunk_document(Document(id="d", path="d.pdf", pages=()), BUNDLED) == []


def test_chunking_is_deterministic() -> None:
    doc = document(*(f"Sentence {i} of the text is here. " * 20 for i in range(5)))
    assert chunk_document(doc, BUNDLED) == chunk_document(doc, BUNDLED)


def test_a_chunk_crosses_pages_and_knows_both() -> None:
    (chunk,) = check_laws(document("The cat sat on", "", "the mat."), BUNDLED, 20, 0)
    assert (chunk.first_page, chunk.last_page) == (1, 3)


def test_a_form_feed_in_the_text_moves_no_page() -> None:
    chunks = check_laws(document("One.\fOne still.", "Two."), BUNDLED, 4, 0)
    assert [(c.first_page, c.last_page) for c in chunks] == [(1, 1), (1, 1), (2, 2)]


def test_a_heading_goes_with_what_follows() -> None:
    body = "The pump moves water from the tank to the boiler through a filter. " * 3
    doc = document(f"{body}\nMaintenance Schedule\n{body}")
    first, second = check_laws(doc, BUNDLED, 56, 0)
    assert first.text == body.strip()
    assert second.text.startswith("Maintenance Schedule\n")


def test_a_heading_alone_does_not_begin_a_chunk_each_time() -> None:
    doc = document("\n".join(f"Section {i}\nIt is short." for i in range(6)))
    assert len(check_laws(doc, BUNDLED, 100, 0)) == 1


def test_table_rows_stay_whole() -> None:
    rows = [f"Model {i} 10{i} 20{i} {i}.5" for i in range(40)]
    for chunk in check_laws(document("\n".join(rows)), BUNDLED, 60, 0):
        assert set(chunk.text.split("\n")) <= set(rows)


def test_chunks_end_with_sentences_where_sentences_fit() -> None:
    text = " ".join(f"Sentence number {i} says a little about cats and dogs." for i in range(60))
    for chunk in check_laws(document(text), BUNDLED, 50, 0):
        assert chunk.text.startswith("Sentence")
        assert chunk.text.endswith("dogs.")


def test_a_long_sentence_is_cut_at_clauses_then_words() -> None:
    clauses = ", ".join(f"the {i} cats that sat on the mat and slept" for i in range(30))
    chunks = check_laws(document(clauses), BUNDLED, 40, 0)
    assert all(chunk.text.endswith(",") for chunk in chunks[:-1])
    words = "cats dogs " * 200
    for chunk in check_laws(document(words), BUNDLED, 30, 0):
        assert set(chunk.text.split()) <= {"cats", "dogs"}


def test_chinese_without_spaces_is_cut_at_its_own_stops() -> None:
    text = "今天天气很好我们去公园散步。" * 40
    for chunk in check_laws(document(text), BUNDLED, 60, 0):
        assert chunk.text.endswith("。")


def test_a_word_of_ten_thousand_letters_cannot_fill_a_prompt() -> None:
    """WordPiece makes it one unknown token, so counting tokens alone would let it through whole."""
    doc = document("A " + "x" * 10_000 + " z.")
    for chunk in check_laws(doc, BUNDLED, 20, 0):
        assert len(chunk.text) <= 20 * CHARACTERS_PER_TOKEN


def test_accents_and_joined_emoji_stay_with_their_letter() -> None:
    doc = document("e\u0301" * 3000)
    for chunk in check_laws(doc, BUNDLED, 10, 0):
        assert chunk.text[0] == "e"


def test_overlap_repeats_whole_sentences_and_no_whole_chunk() -> None:
    text = " ".join(f"Sentence number {i} says a little about cats and dogs." for i in range(60))
    doc = document(text)
    starts = {start for start, _ in sentence_spans(text)}
    chunks = check_laws(doc, BUNDLED, 60, 25)
    for before, after in itertools.pairwise(chunks):
        assert before.start < after.start < before.end
        assert after.start in starts
        assert BUNDLED.count(text[after.start : before.end]) <= 25


@pytest.mark.parametrize(("max_tokens", "overlap"), [(0, 0), (-5, 0), (10, 6), (10, -1), (1, 1)])
def test_limits_out_of_range_are_refused(max_tokens: int, overlap: int) -> None:
    with pytest.raises(InputError, match="tokens is"):
        chunk_document(document("Text."), BUNDLED, max_tokens=max_tokens, overlap_tokens=overlap)


def test_a_limit_too_small_for_one_character_says_what_it_needs() -> None:
    class Thirds(SpacePrefixTokenizer):
        def encode_with_offsets(self, text: str) -> Encoding:
            spans = tuple((i, i + 1) for i in range(len(text)) for _ in range(3))
            return Encoding(tuple(range(len(spans))), spans)

    with pytest.raises(InputError, match=r"max_tokens is 2.*'a' alone takes 3.*at least 3"):
        chunk_document(document("ab"), Thirds(), max_tokens=2)


@pytest.mark.parametrize("unit", ["7\n", "7 ", "x", "\n", "Ab\n\n", "(", "e\u0301", "．"])
def test_hostile_repetition_costs_linear_time(unit: str) -> None:
    began = time.perf_counter()
    check_laws(document(unit * (60_000 // len(unit))), BUNDLED, 180, 0)
    assert time.perf_counter() - began < 20  # seconds; quadratic would be minutes


@pytest.mark.slow
@pytest.mark.parametrize("name", ["manuals/r-intro.pdf", "multilingual/debian-reference-zh-cn.pdf"])
def test_laws_hold_for_real_documents(name: str) -> None:
    file = SHARED / "data" / "pdf" / name
    if not file.is_file():
        pytest.skip(f"{file} is not here")
    pdfium = pytest.importorskip("pypdfium2")
    with pdfium.PdfDocument(file) as pdf:
        texts = [page.get_textpage().get_text_range() for page in pdf]
    check_laws(document(*texts), BUNDLED, 180, 0)
    check_laws(document(*texts), BUNDLED, 180, 40)
