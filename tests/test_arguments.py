"""What Python users pass: taken, or refused with the sentence that helps; never AttributeError."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx import (
    Assembly,
    Hit,
    Index,
    ask,
    assemble,
    ingest,
    load_embedder,
    load_generator,
    load_tokenizer,
    search,
)
from ragctx.embedding import require_embedder
from ragctx.errors import InputError, TemplateError
from ragctx.pdf.read import read_pdf
from ragctx.prompt.template import load_template
from ragctx.retrieval import Retrieval, diversified, lexical, retrieve
from ragctx.selection.selectors import knapsack
from ragctx.tokens.load import BUNDLED_TOKENIZER
from tests.support.fakes import HashEmbedder, WordTokenizer
from tests.support.generators import CopyingGenerator
from tests.support.index_samples import index_with
from tests.support.paths import SAMPLES

QUESTION = "At what temperature does tin melt?"
HITS = [Hit.from_text(1, 0.9, "Tin melts at 232 degrees.", "tin.pdf")]
EMBEDDER = HashEmbedder()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return index_with(tmp_path / "index", {"tin": ["Tin melts at 232 degrees."]}).path


# ---- taken


@pytest.mark.parametrize("tokenizer", ["bundled", str(BUNDLED_TOKENIZER), BUNDLED_TOKENIZER])
def test_a_tokenizer_by_its_name_or_path_is_loaded(tokenizer: str | Path) -> None:
    loaded = assemble(QUESTION, HITS, load_tokenizer("bundled"), context_window=512)
    assert assemble(QUESTION, HITS, tokenizer, context_window=512).token_ids == loaded.token_ids


@pytest.mark.parametrize("kind", [str, Path])
def test_an_index_by_its_path_is_opened(folder: Path, kind: Callable[[Path], Any]) -> None:
    index = Index.open(folder)
    assert search(kind(folder), EMBEDDER, QUESTION) == search(index, EMBEDDER, QUESTION)
    assert retrieve(QUESTION, kind(folder), EMBEDDER) == retrieve(QUESTION, index, EMBEDDER)
    answer = ask(QUESTION, kind(folder), EMBEDDER, CopyingGenerator("232 degrees"))
    assert [citation.document for citation in answer.citations] == ["tin.pdf"]


@pytest.mark.parametrize("kind", [str, Path])
def test_one_path_is_as_good_as_a_list_of_one(tmp_path: Path, kind: Callable[[Path], Any]) -> None:
    # A text is an iterable too: every letter of "manuals/" was looked for as a file.
    [sample, *_] = sorted(SAMPLES.glob("*.pdf"))
    [row] = ingest(kind(sample), str(tmp_path / "index"), EMBEDDER)
    assert row.outcome == "added"
    assert [source.path for source in Index.open(tmp_path / "index").sources()]


def test_selectors_and_retrievers_are_known_by_name(folder: Path) -> None:
    for select in ("knapsack", knapsack):
        assembly = Assembly(select=select)
        assert assemble(QUESTION, HITS, "bundled", context_window=512, assembly=assembly).passages
    by_name = search(folder, EMBEDDER, QUESTION, retriever="lexical")
    assert by_name == search(folder, EMBEDDER, QUESTION, retriever=lexical)
    assert by_name == retrieve(QUESTION, folder, EMBEDDER, Retrieval(retriever="lexical"))


TEMPLATE = "{system}Be brief.{/system}Use this.\n{passages}[{label}] {text}\n{/passages}{question}"


def test_a_template_may_be_its_own_text(tmp_path: Path) -> None:
    file = tmp_path / "mine.prompt"
    file.write_text(TEMPLATE, "utf-8")
    prompts = [
        assemble(
            QUESTION, HITS, "bundled", context_window=512, assembly=Assembly(template=template)
        )
        for template in (TEMPLATE, str(file), file)
    ]
    assert len({prompt.text for prompt in prompts}) == 1
    assert "Use this.\n[1] Tin melts at 232 degrees.\nAt what" in prompts[0].text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{passages}{text}{/passages}", "must hold {question}"),
        ("Answer this:\n{question}", "must hold {passages} once"),
        ("Use the context.\n" * 100, "must hold {passages} once"),
    ],
)
def test_a_text_that_is_no_template_says_what_it_lacks(text: str, why: str) -> None:
    with pytest.raises(TemplateError, match=why):
        load_template(text)


@given(score=st.floats() | st.integers(0, 9), kind=st.sampled_from([float, np.float32, np.float64]))
def test_a_hit_takes_any_number_for_a_score(score: float, kind: Callable[[float], Any]) -> None:
    with np.errstate(over="ignore"):
        assert Hit.from_text(np.int64(1), kind(score), "Tin.").rank == 1


def test_a_pdf_by_its_path_as_a_text_is_read() -> None:
    [sample, *_] = sorted(SAMPLES.glob("*.pdf"))
    assert read_pdf(str(sample)) == read_pdf(sample)


def test_a_server_s_tokenizer_and_a_cache_may_be_named(tmp_path: Path) -> None:
    served = load_generator("http://127.0.0.1:9/v1#m", tokenizer="bundled", context_window=512)
    assert served.tokenizer.count("Tin melts.") == load_tokenizer().count("Tin melts.")
    load_generator("bundled", kv_cache=str(tmp_path / "kv"))
    assert (tmp_path / "kv").is_dir()


def test_an_embedder_of_one_s_own_may_give_lists(folder: Path) -> None:
    class Lists(HashEmbedder):
        def encode(self, texts: Sequence[str], **_: Any) -> Any:
            return super().encode(texts).tolist()

    assert search(folder, Lists(), QUESTION) == search(folder, EMBEDDER, QUESTION)
    vectors: Any = [[1.0, 0.0], [0.0, 1.0]]
    hits = [*HITS, Hit.from_text(2, 0.1, "Lead.")]
    assert diversified(hits, vectors, 2, 0.5) == hits


def test_an_index_can_be_sent_to_another_process(folder: Path) -> None:
    again = pickle.loads(pickle.dumps(Index.open(folder)))
    assert again.sources() == Index.open(folder).sources()


# ---- refused


def refusals(folder: Path) -> dict[str, tuple[Callable[[], object], str]]:
    """Calls that are wrong in a usual way, and what is said to each."""
    wrong: Any = {"a": 1}
    reader = CopyingGenerator("232 degrees")
    any_: Callable[[Any], Any] = lambda value: value  # noqa: E731
    words = WordTokenizer()
    return {
        "texts for hits": (
            lambda: assemble(QUESTION, any_(["Tin."]), words, context_window=99),
            r"hits holds a str \('Tin.'\); make a hit of a text with Hit.from_text",
        ),
        "one hit": (
            lambda: assemble(QUESTION, any_(HITS[0]), words, context_window=99),
            "hits is a Hit; give a list",
        ),
        "no question": (
            lambda: assemble(any_(None), HITS, words, context_window=99),
            "question is a NoneType",
        ),
        "another tokenizer": (
            lambda: assemble(QUESTION, HITS, wrong, context_window=99),
            "tokenizer is a dict, which is none of ragctx's. Give its name",
        ),
        "embedder by name, search": (
            lambda: search(folder, any_("default"), QUESTION),
            r"embedder = load_embedder\('default'\)",
        ),
        "embedder by name, ask": (
            lambda: ask(QUESTION, folder, any_("default"), reader),
            "load it once",
        ),
        "embedder by name, ingest": (
            lambda: ingest(SAMPLES, folder, any_("default")),
            "load it once",
        ),
        "embedder by name, open": (
            lambda: Index.open(folder, embedder=any_("default")),
            "load it once",
        ),
        "embedder by name, create": (
            lambda: Index.open_or_create(folder, embedder=any_("default")),
            "load it once",
        ),
        "no embedder": (lambda: require_embedder(None), "embedder is a NoneType, which has no id"),
        "generator by name": (
            lambda: ask(QUESTION, folder, EMBEDDER, any_("bundled")),
            "generator is a str; give what load_generator returns",
        ),
        "an index for a path": (
            lambda: Index.open(any_(Index.open(folder))),
            "the path of an index is a text or a Path",
        ),
        "no index": (
            lambda: search(any_(None), EMBEDDER, QUESTION),
            "an index is a text, a Path or an Index, not a NoneType",
        ),
        "swapped": (
            lambda: search(any_(QUESTION), EMBEDDER, any_(Index.open(folder))),
            r"the order is search\(index, embedder, question\)",
        ),
        "a retriever that is none": (
            lambda: search(folder, EMBEDDER, QUESTION, retriever="bm25"),
            "retriever is 'bm25'. Valid: hybrid, dense, lexical",
        ),
        "a selector that is none": (
            lambda: assemble(
                QUESTION, HITS, words, context_window=200, assembly=Assembly(select="best")
            ),
            "select is 'best'. Valid: fill, prefix, knapsack",
        ),
        "no template": (lambda: load_template(wrong), "a template is a name, a path or a text"),
        "no name": (lambda: load_embedder(wrong), "takes a name or a path, not a dict"),
        "no tokenizer": (lambda: load_tokenizer(wrong), "takes a name or a path, not a dict"),
    }


@pytest.mark.parametrize("what", refusals(Path()))
def test_what_is_wrong_in_a_usual_way_is_refused_with_what_helps(folder: Path, what: str) -> None:
    call, why = refusals(folder)[what]
    with pytest.raises(InputError, match=why):
        call()
