"""Laws of question files, candidates, prompts and scores."""

from __future__ import annotations

import gzip
import json
import math
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.assembly import Assembly
from ragctx.errors import InputError, StoreError
from ragctx.evaluation.answer_cache import AnswerCache, answer_key
from ragctx.evaluation.bm25 import Bm25
from ragctx.evaluation.candidates import FilePassages, IndexPassages, MinedPassages, source_of
from ragctx.evaluation.conditions import Plan, slots_of
from ragctx.evaluation.datasets import LabelledQuestion, read_questions
from ragctx.evaluation.json_records import record_from_json, record_to_json
from ragctx.evaluation.metrics import best_subspan_em, exact_match, token_f1
from ragctx.evaluation.prompts import ConditionPrompt, PromptMaker
from ragctx.evaluation.results import Outcome
from ragctx.evaluation.scoring import Scorer, prediction_of
from ragctx.evaluation.text_match import holds_any
from ragctx.index.index import Index
from ragctx.records import CopiedSpan, Generation
from ragctx.retrieval import Retrieval
from tests.support.fakes import HashEmbedder
from tests.support.index_samples import index_with, made_of
from tests.support.simulated import PositionalGenerator, level, questions

LITM = {
    "question": "who wrote it",
    "answers": ["Ada"],
    "ctxs": [
        {"title": "A", "text": "Ada wrote it.", "isgold": True, "hasanswer": True},
        {"title": "B", "text": "Bob read it.", "isgold": False, "hasanswer": False},
    ],
}
KEY_VALUE = {"ordered_kv_records": [["k1", "v1"], ["k2", "v2"]], "key": "k1", "value": "v1"}
SQUAD = {
    "version": "v2.0",
    "data": [
        {
            "title": "Tin",
            "paragraphs": [
                {
                    "context": "Tin melts at 232 degrees.",
                    "qas": [
                        {"id": "1", "question": "How hot?", "is_impossible": False,
                         "answers": [{"text": "232 degrees", "answer_start": 13},
                                     {"text": "232", "answer_start": 13}]},
                        {"id": "2", "question": "Who?", "is_impossible": True, "answers": []},
                    ],
                }
            ],
        }
    ],
}  # fmt: skip
OWN = {"question": "How hot?", "answers": ["232"], "document": "tin.pdf", "pages": [2, 3]}


def written(path: Path, *rows: object) -> Path:
    text = "\n".join(json.dumps(row) for row in rows) + "\n"
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


# ---- question files


@pytest.mark.parametrize("shape", ["lines", "list", "data"])
def test_squad_as_hugging_face_keeps_it_is_read(tmp_path: Path, shape: str) -> None:
    # One question a row, the answers as parallel lists. The names of those lists, "text" and
    # "answer_start", were taken for the answers, also where there are none.
    context = "Tin becomes a superconductor below 3.72 K."
    asked = {"id": "q1", "title": "Tin", "context": context, "question": "Below what?"}
    rows = [
        {**asked, "answers": {"text": ["3.72 K", "3.72 K"], "answer_start": [34, 34]}},
        {**asked, "id": "q2", "answers": {"text": [], "answer_start": []}},
        {**asked, "id": "q3", "answers": [{"text": "3.72 K", "answer_start": 34}]},
    ]
    made: dict[str, list[object]] = {"lines": [*rows], "list": [rows], "data": [{"data": rows}]}
    found = read_questions(written(tmp_path / "q.json", *made[shape]))
    assert [(question.answers, question.answerable) for question in found.questions] == [
        (("3.72 K",), True),
        ((), False),
        (("3.72 K",), True),
    ]
    assert [len(question.passages) for question in found.questions] == [1, 1, 1]


def test_answers_that_are_no_texts_are_refused(tmp_path: Path) -> None:
    for answers in ({"text": [1]}, [{"start": 3}], 7, "Ada"):
        path = written(tmp_path / "q.jsonl", {"question": "Who?", "answers": answers})
        with pytest.raises(InputError, match=r"line 1 of .*answers"):
            read_questions(path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_question_files_may_be_utf_16(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "q.jsonl"
    path.write_bytes((json.dumps(OWN) + "\r\n").encode(encoding))
    assert [question.question for question in read_questions(path).questions] == ["How hot?"]


@pytest.mark.parametrize("name", ["q.jsonl", "q.jsonl.gz"])
def test_lost_in_the_middle_files_are_read(tmp_path: Path, name: str) -> None:
    found = read_questions(written(tmp_path / name, LITM))
    assert found.layout == "lost-in-the-middle"
    [question] = found.questions
    assert question.answers == ("Ada",)
    assert [(p.title, p.is_gold) for p in question.passages] == [("A", True), ("B", False)]


def test_key_value_files_are_read(tmp_path: Path) -> None:
    found = read_questions(written(tmp_path / "kv.jsonl", KEY_VALUE))
    assert found.layout == "key-value"
    [question] = found.questions
    assert question.question == 'What is the value of "k1"?'
    assert [p.text for p in question.passages if p.is_gold] == ['"k1": "v1"']


def test_squad_files_are_read_with_unanswerable_questions(tmp_path: Path) -> None:
    found = read_questions(written(tmp_path / "dev.json", SQUAD))
    answerable, impossible = found.questions
    assert found.layout == "squad"
    assert answerable.answers == ("232 degrees", "232")
    assert answerable.passages[0].is_gold
    assert not impossible.answerable
    assert not impossible.passages[0].is_gold


def test_own_files_are_read_and_missing_ids_are_numbers(tmp_path: Path) -> None:
    rows = [OWN, {**OWN, "id": "x"}, {**OWN, "id": "x"}]
    found = read_questions(written(tmp_path / "q.jsonl", *rows))
    assert found.layout == "ragctx"
    assert [question.id for question in found.questions] == ["1", "x", "x#3"]
    assert (found.questions[0].document, found.questions[0].pages) == ("tin.pdf", (2, 3))


def test_a_json_list_is_as_good_as_lines(tmp_path: Path) -> None:
    path = tmp_path / "q.json"
    path.write_text(json.dumps([LITM, LITM]))
    assert len(read_questions(path).questions) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no question"),
        ('{"question": "a?"}\n{"broken', "line 2"),
        ('{"question": ""}', 'line 1 .* has no "question"'),
        ('["not an object"]', "record 1 .* not a JSON object"),
        ('{"question": "a?", "answers": "text"}', "not a list of texts"),
        ('{"question": "a?", "ctxs": [{"title": "no text"}]}', 'has no "text"'),
        ('{"data": [{"paragraphs": [{}]}]}', "SQuAD document"),
        ('{"ordered_kv_records": 7, "key": "a", "value": "b"}', "does not fit its layout"),
        ("[" * 100_000, "nested too deeply|not JSON"),
    ],
)
def test_what_is_no_question_file_is_refused_by_line(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "q.jsonl").write_text(text)
    with pytest.raises(InputError, match=message):
        read_questions(tmp_path / "q.jsonl")


def test_a_damaged_gzip_file_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "q.jsonl.gz", LITM)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match="cannot be read"):
        read_questions(path)


def test_the_shared_question_files_load(shared_data: Path) -> None:
    layouts = {
        path.name: read_questions(path).layout
        for path in sorted((shared_data / "qa").glob("*.dev.jsonl.gz"))[:4]
    }
    assert len(layouts) == 4
    assert set(layouts.values()) == {"ragctx"}
    keys = read_questions(shared_data / "qa" / "kv-retrieval-75_keys.jsonl.gz")
    assert (keys.layout, len(keys.questions[0].passages)) == ("key-value", 75)


# ---- candidates


def slow_bm25(texts: list[str], question: str) -> list[float]:
    """The formula, text by text."""
    split = [text.lower().split() for text in texts]
    mean = sum(map(len, split)) / len(split)
    scores = []
    for words in split:
        score = 0.0
        for word in set(question.lower().split()):
            holding = sum(word in other for other in split)
            rarity = math.log(1 + (len(split) - holding + 0.5) / (holding + 0.5))
            count = words.count(word)
            score += rarity * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * len(words) / mean))
        scores.append(score)
    return scores


words = st.lists(st.sampled_from(["tin", "iron", "melts", "late", "early"]), min_size=1, max_size=8)


@given(st.lists(words.map(" ".join), min_size=1, max_size=6), words.map(" ".join))
def test_bm25_is_its_formula(texts: list[str], question: str) -> None:
    assert Bm25(texts).scores(question) == pytest.approx(slow_bm25(texts, question))


def test_passages_of_a_file_are_ranked_by_words_not_by_where_gold_stands(tmp_path: Path) -> None:
    row = {**LITM, "question": "Who read it, was it Bob?"}
    found = read_questions(written(tmp_path / "q.jsonl", row))
    candidates = source_of(found, 20).candidates(found.questions[0])
    assert [hit.document for hit in candidates.hits] == ["B", "A"]
    assert candidates.first_gold_rank == 2


def test_scores_of_the_file_are_believed(tmp_path: Path) -> None:
    row = json.loads(json.dumps(LITM))
    row["ctxs"][0]["score"], row["ctxs"][1]["score"] = 1.0, 2.0
    found = read_questions(written(tmp_path / "q.jsonl", row))
    source = source_of(found, 20)
    assert isinstance(source, FilePassages)
    assert source.retriever == "scores of the file"
    assert [hit.document for hit in source.candidates(found.questions[0]).hits] == ["B", "A"]


def test_hard_negatives_look_right_and_never_hold_an_answer(tmp_path: Path) -> None:
    rows = [
        {"question": "When does tin melt?", "answers": ["232"], "context": "Tin melts at 232."},
        {"question": "When does iron melt?", "answers": ["1538"], "context": "Iron melts at 1538."},
        {"question": "Who?", "answers": ["Ada"], "context": "Ada knew that tin melts at 232."},
        {"question": "Where?", "answers": ["Rome"], "context": "It rained in Rome."},
    ]
    found = read_questions(written(tmp_path / "q.jsonl", *rows))
    source = source_of(found, 3)
    assert isinstance(source, MinedPassages)
    candidates = source.candidates(found.questions[0])
    texts = [hit.chunk.text for hit in candidates.hits]
    assert texts == ["Tin melts at 232.", "Iron melts at 1538.", "It rained in Rome."]
    assert [hit.chunk.text for hit in candidates.gold_hits] == ["Tin melts at 232."]


def test_questions_without_passages_need_an_index(tmp_path: Path) -> None:
    found = read_questions(written(tmp_path / "q.jsonl", OWN))
    with pytest.raises(InputError, match="--index"):
        source_of(found, 20)


def test_in_an_index_gold_is_what_holds_the_answer_in_the_labelled_document(tmp_path: Path) -> None:
    pages = {"tin": ("About metals.", "Tin melts at 232 degrees."), "iron": ("Iron is not 232.",)}
    embedder = HashEmbedder()
    source = IndexPassages(index_with(tmp_path / "index", pages), embedder, Retrieval(k=9))
    asked = replace(questions(1, 1).questions[0], question="When does tin melt?", answers=("232",))
    found = source.candidates(asked)
    assert {hit.document for hit in found.gold_hits} == {"tin.pdf", "iron.pdf"}
    labelled = source.candidates(replace(asked, document="tin.pdf"))
    assert {hit.document for hit in labelled.gold_hits} == {"tin.pdf"}
    [excluded, *_] = [hit.chunk.id for hit in found.hits]
    without = source.candidates(replace(asked, excluded=(excluded,)))
    assert excluded not in {hit.chunk.id for hit in without.hits}
    assert not source.candidates(replace(asked, answerable=False)).gold_hits


# ---- prompts


@given(st.integers(2, 60), st.integers(2, 12))
def test_slots_hold_both_ends_and_are_spread_evenly(passages: int, slots: int) -> None:
    found = slots_of(passages, slots)
    assert found[0] == 0
    assert found[-1] == passages - 1
    assert len(found) == min(slots, passages)
    steps = [b - a for a, b in pairwise(found)]
    assert max(steps) - min(steps) <= 1


def maker(context_window: int = 4096) -> PromptMaker:
    generator = PositionalGenerator(level, context_window=context_window)
    return PromptMaker(generator, Assembly(max_new_tokens=16), lambda document_id: None)


def test_the_gold_passage_stands_where_the_sweep_says_among_the_same_others() -> None:
    found = questions(1, 10)
    candidates = source_of(found, 10).candidates(found.questions[0])
    asked = maker().positions(candidates, 10, 4)
    assert [one.condition.name for one in asked] == [f"position/10/{slot}" for slot in (0, 3, 6, 9)]
    others = set()
    for one in asked:
        gold = [i for i, p in enumerate(one.prompt.passages) if "number0." in p.text]
        assert gold == [one.condition.slot]
        others.add(tuple(p.text for p in one.prompt.passages if "number0." not in p.text))
    assert len(others) == 1


def test_a_position_sweep_says_nothing_of_ranks() -> None:
    """The bundled reader trusts rank 1 more: ranks would plant the curve they are to measure."""
    found = questions(1, 10)
    candidates = source_of(found, 10).candidates(found.questions[0])
    hits = [p.hit for one in maker().positions(candidates, 10, 3) for p in one.prompt.passages]
    assert {hit.rank for hit in hits if hit} == {1}


def test_what_does_not_fit_in_every_slot_is_asked_in_none() -> None:
    found = questions(1, 10)
    candidates = source_of(found, 10).candidates(found.questions[0])
    assert maker(context_window=60).positions(candidates, 10, 3) == []
    assert maker().positions(candidates, 11, 3) == []  # one distractor too few


def test_every_prompt_fits_its_budget() -> None:
    found = questions(3, 10)
    plan = Plan(budgets=(20, 40, 80), k=10)
    for question in found.questions:
        asked = maker().all_of(source_of(found, 10).candidates(question), plan)
        assert len(asked) == 3
        for one in asked:
            assert one.prompt.token_count <= one.condition.budget


def test_where_no_passage_fits_the_question_is_asked_alone_and_it_is_said() -> None:
    found = questions(1, 5)
    candidates = source_of(found, 5).candidates(found.questions[0])
    [one] = maker().budgets(candidates, Plan(budgets=(12,), k=5))
    assert one.prompt.passages == ()
    assert "without passages" in one.note


def test_random_orders_are_conditions_of_their_own() -> None:
    found = questions(1, 8)
    candidates = source_of(found, 8).candidates(found.questions[0])
    asked = maker().strategies(
        candidates, Plan(strategies=("random", "edges"), random_seeds=(0, 1), k=8)
    )
    orders = {one.condition.name: [p.text for p in one.prompt.passages] for one in asked}
    assert list(orders) == ["strategy/edges", "strategy/random#0", "strategy/random#1"]
    assert len({tuple(order) for order in orders.values()}) == 3
    assert len({frozenset(order) for order in orders.values()}) == 1


# ---- scores


def outcome_of(text: str, *, abstain: bool = False, answerable: bool = True) -> Outcome:
    found = questions(1, 4)
    question = replace(found.questions[0], answerable=answerable)
    candidates = source_of(found, 4).candidates(question)
    [one] = maker().strategies(candidates, Plan(strategies=("best_first",), k=4))
    spans = () if abstain else (CopiedSpan(0, 0, 5),)
    answer = Generation(
        text=text,
        token_ids=(1,),
        finish_reason="abstain" if abstain else "stop",
        prefill_s=0.5,
        decode_s=0.25,
        reused_tokens=3,
        confidence=0.5,
        spans=spans,
    )
    return Scorer(candidates=candidates, get_document=lambda document_id: None).outcome(one, answer)


def test_a_right_answer_counts_in_every_metric_but_a_longer_one_not_in_exact_match() -> None:
    exact, longer = outcome_of("number0"), outcome_of("It is number0, I think")
    assert (exact.correct, exact.exact_match, exact.token_f1) == (True, 1.0, 1.0)
    assert (longer.correct, longer.exact_match) == (True, 0.0)
    assert 0 < longer.token_f1 < 1


METRICS = (best_subspan_em, exact_match, token_f1)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("gold", ["&&", "A", "the", "...", "", "  "])
def test_an_answer_of_which_normalising_leaves_nothing_is_not_in_every_text(
    metric: Callable[[str, Sequence[str]], float], gold: str
) -> None:
    # Without punctuation and articles nothing is left of "&&" or of the grade "A", and nothing is
    # contained in everything: whatever was answered, a refusal too, counted as right.
    wrong = ("", "Tin melts at 232 degrees.", "banana", "||", "&", "its rivals")
    assert [metric(prediction, [gold]) for prediction in wrong] == [0.0] * len(wrong)
    assert metric(f" {gold}", [gold]) == float(bool(gold.strip()))


def test_an_accent_counts_however_it_is_stored() -> None:
    composed, loose = (unicodedata.normalize(form, "Müller") for form in ("NFC", "NFD"))
    assert [metric(composed, [loose]) for metric in METRICS] == [1.0, 1.0, 1.0]
    assert holds_any(f"{composed} came.", [loose])


def test_blank_answers_are_refused_or_left_out(tmp_path: Path) -> None:
    path = written(tmp_path / "q.jsonl", {"question": "Who?", "answers": ["", "Ada"]})
    assert read_questions(path).questions[0].answers == ("Ada",)
    assert not holds_any("Ada wrote it.", ["", " "])
    with pytest.raises(InputError, match=r"line 1 of .*q\.jsonl' has only blank \"answers\""):
        read_questions(written(path, {"question": "Who?", "answers": [" "]}))


def test_an_abstention_is_wrong_where_there_is_an_answer_and_right_where_there_is_none() -> None:
    assert not outcome_of("", abstain=True).correct
    refused = outcome_of("", abstain=True, answerable=False)
    assert refused.correct
    assert refused.gold_in_prompt is False
    assert not outcome_of("number0", answerable=False).correct


def test_saying_so_in_words_is_an_abstention_too() -> None:
    assert outcome_of("This is not in the documents.").abstained


def test_only_the_first_line_is_scored() -> None:
    assert prediction_of("Paris [2].\nDocument 3: number0") == "Paris ."
    assert not outcome_of("Paris\nnumber0").correct


def test_a_citation_is_right_if_its_passage_holds_the_answer() -> None:
    [citation] = outcome_of("Place").citations
    assert (citation.status, citation.is_gold) == ("verified", True)


# ---- answers on disk


def prompt() -> ConditionPrompt:
    found = questions(1, 4)
    candidates = source_of(found, 4).candidates(found.questions[0])
    [one] = maker().strategies(candidates, Plan(strategies=("best_first",), k=4))
    return one


def test_an_answer_is_kept_by_all_that_decides_it() -> None:
    asked = prompt().prompt
    key = answer_key("m", "greedy", asked)
    assert key == answer_key("m", "greedy", asked)
    first = asked.segments[0]
    assert first.hit is not None
    ranked = replace(first, hit=replace(first.hit, rank=7))
    near = replace(first, hit=replace(first.hit, similarity=0.25))
    others = {
        answer_key("n", "greedy", asked),
        answer_key("m", "temperature 1", asked),
        answer_key("m", "greedy", replace(asked, max_new_tokens=17)),
        answer_key("m", "greedy", replace(asked, segments=asked.segments[1:])),
        answer_key("m", "greedy", replace(asked, segments=(ranked, *asked.segments[1:]))),
        answer_key("m", "greedy", replace(asked, segments=(near, *asked.segments[1:]))),
    }
    assert len(others | {key}) == 7


@pytest.mark.parametrize("confidence", [0.25, None])
def test_answers_come_back_as_they_were(tmp_path: Path, confidence: float) -> None:
    cache = AnswerCache(tmp_path / "answers.sqlite3")
    answer = Generation(
        text="a\u2028b",
        token_ids=(1, 2),
        finish_reason="stop",
        prefill_s=0.1,
        decode_s=0.2,
        reused_tokens=3,
        confidence=confidence,
        spans=(CopiedSpan(0, 1, 2),),
    )
    cache.keep({"k": answer})
    cache.keep({"k": replace(answer, text="another")})
    [found] = AnswerCache(tmp_path / "answers.sqlite3").find(["k", "missing"]).values()
    assert repr(found) == repr(answer)


def test_a_damaged_answer_file_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "answers.sqlite3").write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match="--no-cache"):
        AnswerCache(tmp_path / "answers.sqlite3")


def test_records_survive_json_and_refuse_what_is_none() -> None:
    span = CopiedSpan(0, 1, 2)
    assert record_from_json(CopiedSpan, record_to_json(span)) == span
    for text in ("{", "[]", '{"passage": 0}', '{"passage": "0", "start": 1, "end": 2}'):
        with pytest.raises(InputError):
            record_from_json(CopiedSpan, text)


def test_what_a_question_excludes_is_kept_out_however_the_documents_are_cut(tmp_path: Path) -> None:
    """Excluded chunks are named by ids of one index; another cuts the same text in other places."""
    pages = [f"Place {i} has the number number{i}." for i in range(4)]
    whole = index_with(tmp_path / "whole", {"places": pages})
    cut = Index.open_or_create(str(tmp_path / "cut"), embedder=HashEmbedder())
    document, chunks, _ = made_of("places", *pages)
    halves = [
        replace(chunk, id=f"{chunk.id}{side}", start=start, end=end, text=document.text[start:end])
        for chunk in chunks
        for side, start, end in (
            ("a", chunk.start, chunk.start + 12),
            ("b", chunk.start + 12, chunk.end),
        )
    ]
    with cut.writer() as writer:
        vectors = HashEmbedder().encode([half.text for half in halves])
        writer.put("places.pdf", document, halves, vectors, recipe="r")
    question = LabelledQuestion(
        id="1", question="Which number has place 2?", answers=("number2",), excluded=(chunks[2].id,)
    )
    search = Retrieval(k=20)
    blind = IndexPassages(cut, HashEmbedder(), search).candidates(question)
    seeing = IndexPassages(cut, HashEmbedder(), search, excluding=whole).candidates(question)
    assert len(blind.hits) == 8
    assert len(seeing.hits) == 6
    assert not any(hit.chunk.id.startswith(chunks[2].id) for hit in seeing.hits)
