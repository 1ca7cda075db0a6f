"""Laws of what is shown: names in JSON are an interface, and document text is only text."""

from __future__ import annotations

import json
import math
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ragctx import views
from ragctx.assembly import assemble
from ragctx.cli.output import json_text
from ragctx.ingest_ledger import IngestRow
from ragctx.pipeline import answer_prompt, ask
from ragctx.records import Answer, Hit, LedgerRow, Prompt
from tests.support.fakes import HashEmbedder, WordTokenizer
from tests.support.generators import CopyingGenerator, ScriptedGenerator
from tests.support.index_samples import index_with


def prompt_of(*texts: str) -> Prompt:
    hits = [Hit.from_text(i, 1 / i, text, "a.pdf") for i, text in enumerate(texts, 1)]
    return assemble("How hot?", hits, WordTokenizer(), context_window=512)


def answer_of(tmp_path: Path, generator: ScriptedGenerator) -> Answer:
    index = index_with(tmp_path / "index", {"tin": ["Tin melts at 232 degrees."]})
    return ask("How hot?", index, HashEmbedder(), generator)


# --- the names of the JSON objects: add to these lists, change nothing in them


def test_the_names_of_an_answer(tmp_path: Path) -> None:
    view = views.answer_view(answer_of(tmp_path, CopyingGenerator("232 degrees")))
    assert {
        "question",
        "answer",
        "abstained",
        "citations",
        "placement",
        "usage",
        "timing",
        "model",
    } <= set(view)
    assert {
        "label",
        "document",
        "path",
        "first_page",
        "last_page",
        "start",
        "end",
        "quote",
        "status",
    } <= set(view["citations"][0])
    assert {
        "context_window",
        "budget_tokens",
        "prompt_tokens",
        "max_new_tokens",
        "reused_tokens",
    } <= set(view["usage"])
    assert {"retrieve_s", "assemble_s", "prefill_s", "decode_s", "total_s"} <= set(view["timing"])
    assert view["confidence"] == 0.75


def test_the_names_of_a_prompt() -> None:
    view = views.prompt_view(prompt_of("Tin.", "Iron."))
    assert {
        "text",
        "token_count",
        "token_ids",
        "context_window",
        "max_new_tokens",
        "budget_tokens",
        "placement",
        "segments",
        "ledger",
    } <= set(view)
    assert {"kind", "label", "tokens"} <= set(view["segments"][0])
    assert {
        "chunk",
        "document",
        "rank",
        "score",
        "tokens",
        "outcome",
        "reason",
    } <= set(view["ledger"][0])
    assert view["token_count"] == len(view["token_ids"])
    made = view["certificate"]
    assert {
        "context_window",
        "max_new_tokens",
        "budget_tokens",
        "prompt_tokens",
        "text_tokens",
        "cached_tokens",
        "order_saved_tokens",
        "slack_tokens",
        "segments",
    } == set(made)
    assert made["segments"] == view["segments"]
    total = made["prompt_tokens"] + made["max_new_tokens"] + made["slack_tokens"]
    assert total == made["context_window"] == 512
    assert view["token_count"] == sum(segment["tokens"] for segment in view["segments"])


def test_the_names_of_a_search() -> None:
    [hit] = views.search_view("How hot?", [Hit.from_text(1, 0.5, "Tin.", "a.pdf")])["hits"]
    assert {
        "rank",
        "score",
        "document",
        "path",
        "first_page",
        "last_page",
        "start",
        "end",
        "text",
        "title",
        "section",
        "lead_in",
    } <= set(hit)


def test_the_names_of_an_ingest_run() -> None:
    view = views.ingest_view(
        [IngestRow(path="a.pdf", outcome="added", status="ok", pages=2, chunks=3)], 0.5
    )
    assert {
        "rows",
        "files",
        "pages",
        "chunks",
        "seconds",
        "pages_per_s",
        "chunks_per_s",
    } <= set(view)
    assert view["pages_per_s"] == 4.0


# --- values


def test_an_abstention_has_an_empty_answer_whatever_was_said(tmp_path: Path) -> None:
    view = views.answer_view(answer_of(tmp_path, ScriptedGenerator("The documents do not say.")))
    assert (view["answer"], view["abstained"], view["citations"]) == ("", True, [])


def test_only_pages_of_this_run_count() -> None:
    rows = [
        IngestRow(path="a.pdf", outcome="unchanged", status="ok", pages=100, chunks=300),
        IngestRow(path="b.pdf", outcome="replaced", status="ok", pages=2, chunks=3),
        IngestRow(path="c.pdf", outcome="failed", status="corrupt"),
    ]
    view = views.ingest_view(rows, 1.0)
    assert (view["files"], view["pages"], view["chunks"]) == (3, 2, 3)


def test_what_is_no_number_is_null() -> None:
    row = LedgerRow(
        chunk="c", document="d", rank=1, score=math.nan, tokens=5, outcome="selected", reason="fits"
    )
    assert json.loads(json_text(views.ledger_view([row])))[0]["score"] is None


def test_a_certificate_adds_up() -> None:
    prompt = prompt_of("Tin melts.", "Iron too.")
    line = views.certificate(prompt)
    kinds = [int(part.split()[-1]) for part in line.split(" = ")[1].split(" (")[0].split(" + ")]
    assert sum(kinds) == prompt.token_count
    assert f"slack {512 - 256 - prompt.token_count}" in line


@given(st.text())
def test_json_is_one_line_that_reads_back(text: str) -> None:
    line = json_text({"text": text})
    assert json.loads(line) == {"text": text}
    assert len(line.splitlines()) == 1
    line.encode("utf-8")


# --- pages that nobody gave


def test_a_hit_of_ones_own_has_no_page_unless_it_is_given() -> None:
    hit = Hit.from_text(1, 0.9, "Tin melts at 232 degrees.", "wiki")
    assert views.place_words(hit) == "wiki"
    assert views.hit_view(hit)["first_page"] is None and views.hit_view(hit)["last_page"] is None
    prompt = assemble("How hot?", [hit], WordTokenizer(), context_window=512)
    answer = answer_prompt(prompt, CopyingGenerator("232 degrees"), lambda _: None)
    [citation] = answer.citations
    assert views.citation_words(citation) == "[1] wiki"
    assert views.status_words(citation) == "quote found in this passage"
    assert views.citation_view(citation)["first_page"] is None
    given = Hit.from_text(1, 0.9, "Tin melts.", "wiki", page=7)
    assert views.place_words(given) == "wiki, page 7"
    assert "(wiki, p. 7)" in assemble("?", [given], WordTokenizer(), context_window=512).text
