"""Laws of how records show themselves: one short line, a small card, and all text is only text."""

from __future__ import annotations

import ast
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.assembly import assemble
from ragctx.cards import MOST_ITEMS, card, clipped, line
from ragctx.pipeline import ask
from ragctx.records import Answer, Chunk, Document, Hit, Page, Prompt, Refusal
from ragctx.text.display import printable
from tests.support.fakes import HashEmbedder, WordTokenizer
from tests.support.generators import CopyingGenerator, ScriptedGenerator
from tests.support.index_samples import index_with

PAYLOADS = (
    "<script>alert(1)</script>",
    "</div><img src=x onerror=alert(1)>",
    "\"'><b>",
    "\x1b[2Jpump\u202efdp.exe\u2066",
    "lone \ud800 surrogate\x00",
    "line\nbreaks\r\n\u2028\x85",
)
hostile = st.sampled_from(PAYLOADS) | st.text(max_size=80)
ALLOWED = {"div", "b", "small"}


class Parsed(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(html: str) -> Parsed:
    """The card, once it is known to be nothing but our own elements around text."""
    found = Parsed(html)
    assert {tag for tag, _ in found.tags} <= ALLOWED
    assert {name for _, attributes in found.tags for name in attributes} <= {"style", "dir"}
    assert printable(html) == html and "\n" not in html
    return found


def document_of(*texts: str, title: str = "", name: str = "a.pdf") -> Document:
    pages = [Page(number=i, label=f"{i}", text=text) for i, text in enumerate(texts, 1)]
    return Document(id="d", path=name, pages=tuple(pages), title=title)


def prompt_of(*texts: str, question: str = "Who?") -> Prompt:
    hits = [Hit.from_text(i, 1 / i, text, "a.pdf", page=i) for i, text in enumerate(texts, 1)]
    return assemble(question, hits, WordTokenizer(), context_window=4096)


@pytest.fixture
def answer(tmp_path: Path) -> Answer:
    metals = {"tin": ["Tin melts at 232 degrees."], "lead": ["Lead is soft."]}
    index = index_with(tmp_path / "index", metals)
    return ask("When does tin melt?", index, HashEmbedder(), CopyingGenerator("232 degrees"))


# ---- a line


def test_records_are_told_in_one_line(answer: Answer) -> None:
    assert repr(answer) == "Answer('232 degrees', confidence 0.75, 1 citation)"
    assert repr(answer.prompt).startswith("Prompt('When does tin melt?', 2 passages, ")
    assert re.fullmatch(r"Prompt\(.*, \d+ of \d,\d{3} tokens\)", repr(answer.prompt))
    (passage,) = (p for p in answer.prompt.passages if "Tin" in p.own_text)
    assert repr(passage).startswith(f"Segment(passage [{passage.label}], ")
    assert passage.hit is not None
    assert re.fullmatch(
        r"Hit\(rank \d, score 0\.\d+, 'tin.pdf', page 1, 'Tin melts at 232 degrees.'\)",
        repr(passage.hit),
    )
    assert repr(passage.hit.chunk) == "Chunk('tin:0-25', page 1, 'Tin melts at 232 degrees.')"
    assert repr(document_of("One.", "Two.")) == "Document('a.pdf', 2 pages)"
    assert repr(replace(document_of("One."), status="partial")).endswith("1 page, partial)")
    assert repr(Hit.from_text(1, None, "Tin.")) == "Hit(rank 1, no score, 'Tin.')"


def test_an_abstention_says_why(answer: Answer) -> None:
    refusal = Refusal("below_min_confidence", "Too unsure. Ask otherwise.")
    refused = replace(answer, text="", abstained=True, refusal=refusal, citations=())
    assert repr(refused).startswith("Answer(abstained: below_min_confidence, ")
    assert "Too unsure." in parsed(refused._repr_html_()).text


@given(text=hostile, question=hostile)
def test_a_line_is_short_and_safe_whatever_it_tells(text: str, question: str) -> None:
    shown = [document_of(text * 50, name=f"{question}.pdf"), Hit.from_text(1, 1.0, text * 50)]
    for one in (*shown, prompt_of(f"{text}.", question=f"{question}?")):
        told = repr(one)
        assert printable(told) == told and len(told.splitlines()) == 1
        assert len(told) < 1000  # some characters are told by ten
    assert len(repr(document_of("a" * 10**6))) < 100


@given(st.text(max_size=200), st.integers(2, 80))
def test_a_clipped_text_begins_as_the_text_does(text: str, width: int) -> None:
    shown = ast.literal_eval(clipped(text, width))
    assert len(shown) <= width
    if len(text) <= width and text == " ".join(text.split()):
        assert shown == text
    assert " ".join(text.split()).startswith(shown.removesuffix("…"))


def test_parts_that_are_empty_are_left_out() -> None:
    assert line("Kind", "", "one", "") == "Kind(one)"


# ---- a card


def test_an_answer_s_card_has_the_answer_its_confidence_and_its_quotes(answer: Answer) -> None:
    text = parsed(answer._repr_html_()).text
    for part in (
        "232 degrees",
        "When does tin melt?",
        "confidence 0.75",
        "] tin.pdf, page 1 (“p1”), verified",
        "Tin melts at 232 degrees.",
        "copying",
    ):
        assert part in text


def test_a_refusal_s_card_has_its_remedy_and_what_was_nearest(tmp_path: Path) -> None:
    index = index_with(tmp_path / "index", {"tin": ["Tin melts at 232 degrees."]})
    refused = ask("Who won in 1998?", index, HashEmbedder(), ScriptedGenerator(""))
    text = parsed(refused._repr_html_()).text
    assert refused.refusal is not None and refused.refusal.message[:40] in text
    assert "nearest: tin.pdf" in text


def test_a_prompt_s_card_has_its_passages_and_its_tokens() -> None:
    prompt = prompt_of("Tin melts.", "Lead does.")
    text = parsed(prompt._repr_html_()).text
    assert f"{prompt.token_count} of {prompt.budget_tokens:,} tokens" in text
    assert "[1] a.pdf, " in text and "Tin melts." in text and "Lead does." in text


def test_a_document_s_card_has_its_pages_and_stays_small() -> None:
    text = parsed(document_of("One.", "Two.", title="The title")._repr_html_()).text
    assert "The title" in text and "page 2" in text and "Two." in text
    long = document_of(*["word " * 1000] * 400)._repr_html_()
    assert len(long) < 12_000 and f"… and {400 - MOST_ITEMS} more" in long


def test_an_index_s_card_has_its_counts_and_tells_a_missing_folder(tmp_path: Path) -> None:
    index = index_with(tmp_path / "index", {"tin": ["One.", "Two."], "lead": ["Three."]})
    assert repr(index) == f"Index('{tmp_path}/index', embedder 'hash@1')"
    text = parsed(index._repr_html_()).text
    assert "2 documents · 3 pages · 3 passages · embedder hash@1" in text and "tin.pdf" in text
    shutil.rmtree(tmp_path / "index")
    assert "no index" in parsed(index._repr_html_()).text
    assert repr(index)


@given(title=hostile, text=hostile, question=hostile)
def test_what_documents_hold_is_only_text(title: str, text: str, question: str) -> None:
    for shown in (
        document_of(text, title=title, name=f"{question}.pdf"),
        prompt_of(f"{text}.", question=f"{question}?"),
    ):
        assert parsed(shown._repr_html_()).tags
    found = parsed(card(title, (question,), [(title, text)]))
    assert [tag for tag, _ in found.tags][:3] == ["div", "b", "div"]


def test_a_card_has_no_colours_of_its_own(answer: Answer) -> None:
    # So it can be read in light and in dark notebooks.
    assert not re.search(r"#[0-9a-f]{3}|rgb|background|(?<!-)color", answer._repr_html_())


def test_chunks_of_another_retriever_have_no_pages() -> None:
    chunk = Chunk(
        id="x",
        document_id="",
        start=0,
        end=4,
        first_page=None,
        last_page=None,
        text="Tin.",
        token_count=1,
    )
    assert repr(chunk) == "Chunk('x', 'Tin.')"
