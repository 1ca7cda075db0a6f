"""Laws of the walk from a question to a checked answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.assembly import Assembly, assemble, trace
from ragctx.cli.output import json_text
from ragctx.errors import BudgetError, InputError
from ragctx.index.filters import Filter
from ragctx.index.index import Index
from ragctx.pipeline import answer_prompt, ask, fit_generator
from ragctx.placement.strategies import STRATEGIES
from ragctx.prompt.build import passage_costs
from ragctx.prompt.template import load_template
from ragctx.records import Chunk, Generation, Hit, Prompt
from ragctx.retrieval import Retrieval, lexical, retrieve
from ragctx.selection.floors import Floor, at_least, near_best
from ragctx.selection.selectors import Selector, fill, knapsack, prefix
from ragctx.views import answer_view, prompt_view, quote_parts
from tests.support.fakes import HashEmbedder, WordTokenizer
from tests.support.generators import CopyingGenerator, ScriptedGenerator
from tests.support.index_samples import index_with

METALS = {
    "tin": ["Tin melts at 232 degrees.", "Tin is used for cans."],
    "iron": ["Iron melts at 1538 degrees."],
    "lead": ["Lead is heavy and soft."],
}
QUESTION = "At what temperature does tin melt?"
TOKENIZER = WordTokenizer()

texts = st.lists(st.text("ab c.\n", min_size=1, max_size=40), min_size=1, max_size=12)
hits_of = texts.map(
    lambda found: [Hit.from_text(i, 1 / i, text, f"own {i}") for i, text in enumerate(found, 1)]
)


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return index_with(tmp_path / "index", METALS)


def answered(index: Index, generator: ScriptedGenerator, **assembly: object) -> Prompt:
    ask(QUESTION, index, HashEmbedder(), generator, assembly=replace(Assembly(), **assembly))
    return generator.prompts[-1]


# --- assemble


@given(
    hits=hits_of,
    window=st.integers(1, 400),
    answer=st.integers(1, 60),
    budget=st.none() | st.integers(1, 400),
    select=st.sampled_from([fill, prefix, knapsack]),
    placement=st.sampled_from(sorted(STRATEGIES)),
    template=st.sampled_from(["qa", "plain", "reader"]),
)
def test_a_prompt_fits_or_there_is_an_error(
    hits: list[Hit],
    window: int,
    answer: int,
    budget: int | None,
    select: object,
    placement: str,
    template: str,
) -> None:
    assembly = Assembly(
        budget_tokens=budget,
        max_new_tokens=answer,
        placement=placement,
        template=template,
        select=select,
    )
    try:
        prompt = assemble(QUESTION, hits, TOKENIZER, context_window=window, assembly=assembly)
    except (BudgetError, InputError):
        return
    assert len(prompt.token_ids) + answer <= window
    assert len(prompt.token_ids) <= prompt.budget_tokens
    assert budget is None or prompt.budget_tokens == budget
    assert {hit.chunk.id for hit in hits} <= {row.chunk for row in prompt.ledger}
    selected = [row.chunk for row in prompt.ledger if row.outcome == "selected"]
    assert sorted(selected) == sorted(p.hit.chunk.id for p in prompt.passages if p.hit)


@given(hits=hits_of, short_by=st.integers(1, 30))
def test_the_error_says_how_many_tokens_are_missing(hits: list[Hit], short_by: int) -> None:
    costs = passage_costs(load_template("plain"), hits, TOKENIZER)
    enough = Assembly(template="plain", budget_tokens=min(costs) + TOKENIZER.count(QUESTION))
    assert enough.budget_tokens is not None
    small = replace(enough, budget_tokens=enough.budget_tokens - min(short_by, min(costs)))
    assert assemble(QUESTION, hits, TOKENIZER, context_window=4096, assembly=enough).passages
    if min(costs):
        with pytest.raises(BudgetError, match=f"raise --budget-tokens to {enough.budget_tokens},"):
            assemble(QUESTION, hits, TOKENIZER, context_window=4096, assembly=small)


def test_no_hits_make_a_prompt_without_passages() -> None:
    assert assemble(QUESTION, [], TOKENIZER, context_window=512).passages == ()


def test_passages_that_touch_are_merged_and_the_ledger_says_so(index: Index) -> None:
    hits = retrieve(QUESTION, index, HashEmbedder())
    prompt = assemble(QUESTION, hits, TOKENIZER, context_window=512, get_document=index.document)
    texts = [p.text[p.text_start : p.text_end] for p in prompt.passages]
    assert "Tin melts at 232 degrees.\nTin is used for cans." in texts
    assert [row.outcome for row in prompt.ledger].count("merged") == 2


def test_merged_passages_stay_below_their_bound(index: Index) -> None:
    hits = retrieve(QUESTION, index, HashEmbedder())
    prompt = assemble(
        QUESTION,
        hits,
        TOKENIZER,
        context_window=512,
        assembly=Assembly(merged_tokens=8),
        get_document=index.document,
    )
    assert len(prompt.passages) == 4


def test_hits_of_ones_own_need_no_index() -> None:
    hits = [Hit.from_text(1, 0.9, "Tin melts at 232 degrees.", "wiki")]
    prompt = assemble(QUESTION, hits, TOKENIZER, context_window=512)
    answer = answer_prompt(prompt, CopyingGenerator("232 degrees"), lambda _: None)
    assert [(c.document, c.status) for c in answer.citations] == [("wiki", "verified")]


def test_an_unknown_placement_names_the_valid_ones() -> None:
    hits = [Hit.from_text(1, 0.9, "Tin.")]
    with pytest.raises(InputError, match=r"'sideways'.*best_first.*edges"):
        assemble(
            QUESTION, hits, TOKENIZER, context_window=512, assembly=Assembly(placement="sideways")
        )


@pytest.mark.parametrize("question", ["", "  \n"])
def test_an_empty_question_is_refused(index: Index, question: str) -> None:
    with pytest.raises(InputError, match="question is"):
        assemble(question, [], TOKENIZER, context_window=512)
    with pytest.raises(InputError, match="question is"):
        ask(question, index, HashEmbedder(), ScriptedGenerator("x"))


# --- ask


def test_a_copied_answer_is_cited_with_its_page(index: Index) -> None:
    answer = ask(QUESTION, index, HashEmbedder(), CopyingGenerator("232 degrees"))
    [citation] = answer.citations
    assert (citation.document, citation.first_page, citation.status) == ("tin.pdf", 1, "verified")
    document = index.document("tin")
    assert document is not None
    assert document.text[citation.start : citation.end] == citation.quote
    assert "232 degrees" in citation.quote
    assert (answer.text, answer.abstained, answer.model) == ("232 degrees", False, "copying")


def test_a_copied_answer_has_no_line_breaks_and_its_quote_keeps_them(tmp_path: Path) -> None:
    # "232\\ndegrees" was printed as two lines, and was so in JSON.
    index = index_with(tmp_path / "broken", {"tin": ["Tin melts at 232\ndegrees."]})
    answer = ask(QUESTION, index, HashEmbedder(), CopyingGenerator("232\ndegrees"))
    assert answer.text == "232 degrees" and answer_view(answer)["answer"] == "232 degrees"
    [citation] = answer.citations
    document = index.document("tin")
    assert document is not None
    assert citation.quote == "Tin melts at 232\ndegrees."
    assert document.text[citation.answer_start : citation.answer_end] == "232\ndegrees"
    assert quote_parts(citation, 400) == ("Tin melts at ", "232 degrees", ".")
    listed = ask(QUESTION, index, HashEmbedder(), ScriptedGenerator("Two:\n- tin [1]"))
    assert listed.text == "Two:\n- tin [1]"  # these lines are the model's own


def test_a_false_statement_is_not_verified(index: Index) -> None:
    answer = ask(QUESTION, index, HashEmbedder(), ScriptedGenerator("Tin melts at 9 degrees [1]."))
    assert [citation.status for citation in answer.citations] == ["unverified"]


def test_a_label_that_is_not_there_is_said_to_be_unknown(index: Index) -> None:
    answer = ask(QUESTION, index, HashEmbedder(), ScriptedGenerator("At 232 degrees [99]."))
    assert [citation.status for citation in answer.citations] == ["unknown_label"]


@pytest.mark.parametrize("said", ["", "The documents do not say."])
def test_an_abstention_has_no_sources(index: Index, said: str) -> None:
    answer = ask(QUESTION, index, HashEmbedder(), ScriptedGenerator(said))
    assert (answer.abstained, answer.citations) == (True, ())
    assert answer.refusal is not None and answer.refusal.reason == "not_answered"
    assert [hit.rank for hit in answer.nearest] == [1, 2, 3]
    few = Retrieval(k=1)  # three are shown nevertheless
    one = ask(QUESTION, index, HashEmbedder(), ScriptedGenerator(said), retrieval=few)
    assert one.nearest == answer.nearest
    alone = answer_prompt(answer.prompt, ScriptedGenerator(said), lambda _: None)
    assert alone.refusal == answer.refusal and alone.nearest


CONTENTS = "1 At what temperature tin melts\t3\n2 When lead melts\t7\n3 What tin is for\t12"


@pytest.mark.parametrize("said", ["", "The documents do not say."])
def test_a_table_of_contents_is_no_nearest_passage(tmp_path: Path, said: str) -> None:
    # It has the words of the question, and came first.
    index = index_with(tmp_path / "metals", {**METALS, "guide": [CONTENTS]})
    found = retrieve(QUESTION, index, HashEmbedder(), Retrieval(k=4))
    assert CONTENTS in [hit.chunk.text for hit in found[:3]]
    answer = ask(QUESTION, index, HashEmbedder(), ScriptedGenerator(said))
    nearest = [hit.chunk.text for hit in answer.nearest]
    assert len(nearest) == 3 and CONTENTS not in nearest


def test_a_table_of_contents_is_shown_where_there_is_nothing_else(tmp_path: Path) -> None:
    index = index_with(tmp_path / "guide", {"guide": [CONTENTS]})
    answer = ask(QUESTION, index, HashEmbedder(), ScriptedGenerator(""))
    assert [hit.chunk.text for hit in answer.nearest] == [CONTENTS]


@pytest.mark.parametrize("least", [-0.1, 1.1, float("nan")])
def test_a_least_confidence_is_a_probability(index: Index, least: float) -> None:
    with pytest.raises(InputError, match="min_confidence is"):
        ask(QUESTION, index, HashEmbedder(), ScriptedGenerator("x"), min_confidence=least)


def test_nothing_is_streamed_of_an_answer_that_is_too_unsure(index: Index) -> None:
    for least, streamed in ((0.8, []), (0.7, ["232 degrees"])):
        pieces: list[str] = []
        generator = CopyingGenerator("232 degrees", confidence=0.75)
        answer = ask(
            QUESTION,
            index,
            HashEmbedder(),
            generator,
            on_text=pieces.append,
            min_confidence=least,
        )
        assert pieces == streamed and answer.confidence == 0.75
        assert (answer.text, bool(answer.citations)) == ("".join(streamed), bool(streamed))


def test_what_is_streamed_is_the_answer(index: Index) -> None:
    pieces: list[str] = []
    generator = ScriptedGenerator("Tin melts at 232 degrees [1].")
    answer = ask(QUESTION, index, HashEmbedder(), generator, on_text=pieces.append)
    assert "".join(pieces) == answer.text
    assert len(pieces) > 1


def test_every_stage_is_timed(index: Index) -> None:
    answer = ask(QUESTION, index, HashEmbedder(), ScriptedGenerator("x"))
    stages = dict(answer.timing)
    assert list(stages) == ["retrieve_s", "assemble_s", "prefill_s", "decode_s", "total_s"]
    assert stages["total_s"] >= stages["retrieve_s"] + stages["assemble_s"]


def test_retrieval_settings_are_kept(index: Index) -> None:
    only = Retrieval(k=1, retriever=lexical)
    hits = retrieve("heavy lead", index, HashEmbedder(), only)
    assert [hit.document for hit in hits] == ["lead.pdf"]


def test_a_generator_brings_its_template_and_window(index: Index) -> None:
    generator = CopyingGenerator("x", context_window=600)
    prompt = answered(index, generator)
    assert prompt.context_window == 600
    assert prompt.segments[0].kind == "passage"  # "plain" begins with the passages, "qa" does not
    assert answered(index, generator, template="qa").segments[0].kind == "instruction"


def test_a_window_the_generator_does_not_have_is_refused() -> None:
    generator = ScriptedGenerator(context_window=512)
    with pytest.raises(InputError, match=r"context_window is 513 .* 512"):
        fit_generator(Assembly(context_window=513), generator)
    assert fit_generator(Assembly(context_window=300), generator).context_window == 300


def test_an_answer_is_cited_from_what_was_found_whatever_is_ingested_meanwhile(
    index: Index,
) -> None:
    # Without one snapshot for the whole walk, a document replaced between searching and citing
    # left the answer without its source.
    class Interfering(CopyingGenerator):
        def generate(self, prompt: Prompt, **settings: object) -> object:
            with Index.open(index.path).writer() as writer:
                writer.remove("tin")
            return super().generate(prompt, **settings)

    answer = ask(QUESTION, index, HashEmbedder(), Interfering("232 degrees"))
    assert [citation.status for citation in answer.citations] == ["verified"]
    assert index.document("tin") is None


# --- cutting, trimming, tracing


def test_a_floor_drops_candidates_and_the_ledger_says_why(index: Index) -> None:
    hits = retrieve(QUESTION, index, HashEmbedder())
    floor = at_least(hits[1].score)
    prompt = assemble(QUESTION, hits, TOKENIZER, context_window=512, assembly=Assembly(floor=floor))
    assert len(prompt.passages) == 2
    dropped = [row for row in prompt.ledger if row.outcome == "dropped"]
    assert {row.rank for row in dropped} == {3, 4}
    assert all("below the floor" in row.reason and row.tokens > 0 for row in dropped)


def test_no_more_chunks_are_chosen_than_allowed() -> None:
    hits = [Hit.from_text(i, 1 / i, f"Passage {i}.") for i in range(1, 6)]
    assembly = Assembly(max_chunks=2, select=knapsack)
    prompt = assemble(QUESTION, hits, TOKENIZER, context_window=512, assembly=assembly)
    assert [p.hit.rank for p in prompt.passages if p.hit] == [1, 2]
    assert prompt.ledger[4].reason == "not among the best 2"


def test_a_floor_that_nothing_reaches_leaves_a_prompt_without_passages() -> None:
    hits = [Hit.from_text(1, 0.2, "Tin.")]
    prompt = assemble(
        QUESTION, hits, TOKENIZER, context_window=512, assembly=Assembly(floor=at_least(0.5))
    )
    assert prompt.passages == ()
    assert prompt.ledger[0].reason == "score 0.2 is below the floor of 0.5"


def test_a_trimmed_passage_is_cited_where_it_stands(tmp_path: Path) -> None:
    chunk = ["Tin melts at 232 degrees. " + "It is used for cans and for solder. " * 9]
    index = index_with(tmp_path / "index", {"tin": chunk})
    hits = retrieve(QUESTION, index, HashEmbedder())
    how = Assembly(trim=True, budget_tokens=130, template="qa")
    prompt = assemble(
        QUESTION, hits, TOKENIZER, context_window=512, assembly=how, get_document=index.document
    )
    [passage] = prompt.passages
    document = index.document("tin")
    assert passage.hit is not None and document is not None
    kept = passage.hit.chunk
    assert kept.text == document.text[kept.start : kept.end] and kept.text.endswith("solder.")
    assert [row.outcome for row in prompt.ledger] == ["trimmed"]
    assert prompt.certificate.slack_tokens >= 0
    answer = answer_prompt(prompt, CopyingGenerator("232 degrees"), index.document)
    [citation] = answer.citations
    assert (citation.status, citation.quote) == ("verified", "Tin melts at 232 degrees.")
    assert document.text[citation.start : citation.end] == citation.quote


def test_what_merging_saved_is_said(index: Index) -> None:
    document = index.document("tin")
    assert document is not None
    overlapping = [(0, 25), (10, 46)]
    hits = [
        Hit(
            rank=rank,
            score=0.5,
            chunk=Chunk(
                id=f"tin:{a}-{b}",
                document_id="tin",
                start=a,
                end=b,
                first_page=1,
                last_page=1,
                text=document.text[a:b],
                token_count=0,
            ),
            document="tin.pdf",
        )
        for rank, (a, b) in enumerate(overlapping, 1)
    ]
    prompt = assemble(QUESTION, hits, TOKENIZER, context_window=512)
    assert prompt.saved_tokens == TOKENIZER.count(document.text[10:25])


def test_a_trace_holds_what_the_prompt_was_chosen_from(index: Index) -> None:
    hits = retrieve(QUESTION, index, HashEmbedder())
    made = trace(QUESTION, hits, TOKENIZER, context_window=512, get_document=index.document)
    assert made.costs == tuple(
        passage_costs(load_template("qa"), made.candidates, TOKENIZER, room_tokens=made.room_tokens)
    )
    assert made.selection == fill(made.candidates, made.costs, made.room_tokens)
    again = assemble(QUESTION, hits, TOKENIZER, context_window=512, get_document=index.document)
    assert again == made.prompt


scores = st.none() | st.floats() | st.sampled_from([0.0, -1.0, 0.5, 0.5])
wild_hits = st.lists(
    st.tuples(st.integers(1, 3), scores, st.text("ab c.\n", max_size=90)), max_size=7
).map(
    lambda drawn: [
        Hit.from_text(rank, score, text, "own")  # type: ignore[arg-type]
        for rank, score, text in drawn
    ]
)


@given(
    hits=wild_hits,
    budget=st.integers(1, 150),
    select=st.sampled_from([fill, prefix, knapsack]),
    floor=st.sampled_from([None, near_best, at_least(0.1)]),
    max_chunks=st.none() | st.integers(1, 4),
    trim=st.booleans(),
)
def test_whatever_the_scores_ids_and_budgets_a_prompt_fits_or_an_error_is_clear(
    hits: list[Hit],
    budget: int,
    select: Selector,
    floor: Floor | None,
    max_chunks: int | None,
    trim: bool,
) -> None:
    # Ranks and chunk ids may come twice, scores may be anything or nothing, texts may be empty.
    how = Assembly(
        budget_tokens=budget,
        select=select,
        floor=floor,
        max_chunks=max_chunks,
        trim=trim,
        template="plain",
    )
    try:
        prompt = assemble(QUESTION, hits, TOKENIZER, context_window=512, assembly=how)
    except (BudgetError, InputError) as error:
        assert re.search(r"--[a-z-]+ to \d+", str(error))
        return
    assert prompt.certificate.prompt_tokens <= budget
    assert len(prompt.passages) <= (max_chunks or 99)
    assert len(prompt.ledger) == len(hits)
    json_text(prompt_view(prompt))


# --- questions that compare documents


class OneSpan(CopyingGenerator):
    """Copies what one passage says of the temperature; nothing where none does."""

    copies_one_span = True

    def generate(
        self, prompt: Prompt, *, on_text: Callable[[str], None] | None = None
    ) -> Generation:
        texts = " ".join(segment.own_text for segment in prompt.passages)
        found = re.search(r"\d+ degrees", texts)
        self.answer = found[0] if found else ""
        return super().generate(prompt, on_text=on_text)


def test_documents_that_a_question_compares_are_asked_one_by_one(index: Index) -> None:
    # It named the melting point of whichever document came first, as the answer.
    question = "Compare the temperatures at which tin and iron melt"
    said: list[str] = []
    answer = ask(question, index, HashEmbedder(), OneSpan(), on_text=said.append)
    assert answer.refusal is not None and answer.refusal.reason == "compares"
    assert (answer.text, answer.abstained, answer.citations, said) == ("", True, (), [])
    found = {other.citation.document: other.text for other in answer.alternatives}
    assert found == {"tin.pdf": "232 degrees", "iron.pdf": "1538 degrees"}
    assert all(other.citation.status == "verified" for other in answer.alternatives)
    assert len({hit.document for hit in answer.nearest}) == len(answer.nearest)


def test_a_document_that_says_nothing_of_it_is_counted(index: Index) -> None:
    question = "Compare the temperatures at which tin and lead melt"
    answer = ask(question, index, HashEmbedder(), OneSpan())
    assert answer.refusal is not None and "1 of 2" in answer.refusal.message
    assert [other.citation.document for other in answer.alternatives] == ["tin.pdf"]


def test_a_model_that_reads_all_passages_answers_comparisons_itself(index: Index) -> None:
    generator = ScriptedGenerator("Iron melts later [1].")
    answer = ask("Compare tin with iron", index, HashEmbedder(), generator)
    assert (answer.text, answer.refusal) == ("Iron melts later [1].", None)
    assert len(generator.prompts) == 1


def test_within_one_document_nothing_is_compared(index: Index) -> None:
    filter = Filter(("tin.pdf",))
    asked = "Compare the temperatures of tin and iron"
    answer = ask(asked, index, HashEmbedder(), OneSpan(), retrieval=Retrieval(filter=filter))
    assert answer.refusal is None and answer.text == "232 degrees"
