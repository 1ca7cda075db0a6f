"""Laws of citations: a quote is what the pages hold, and nothing unsupported is verified."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.citations.abstention import abstained, is_abstention
from ragctx.citations.labels import cited_statements, without_labels
from ragctx.citations.list_markers import without_list_markers
from ragctx.citations.resolve import QUOTE_CHARACTERS, cite, quote_span
from ragctx.citations.support import ReadText, find_support
from ragctx.records import (
    Chunk,
    Citation,
    CopiedSpan,
    Document,
    Generation,
    Hit,
    Page,
    Prompt,
    Segment,
)

WORDS = st.sampled_from(
    [
        "tin",
        "Lamp",
        "5",
        "1,000",
        "not",
        "melts.",
        "A.",
        "naïve",
        "日本",
        "\n",
        "\n\n",
        "  ",
        "e.g.",
    ]
)
PAGE_TEXT = st.lists(WORDS, max_size=40).map(" ".join) | st.text(max_size=120)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    texts = draw(st.lists(PAGE_TEXT, min_size=1, max_size=6))
    pages = tuple(
        Page(number=i, label=f"p-{i}", text=text) for i, text in enumerate(texts, start=1)
    )
    return Document(id="doc", path="papers/a.pdf", pages=pages)


def hit_on(document: Document, start: int, end: int, rank: int = 1) -> Hit:
    first = document.page_of(start).number
    last = document.page_of(max(start, end - 1)).number
    text = document.text[start:end]
    chunk = Chunk(
        id=f"c{rank}",
        document_id=document.id,
        start=start,
        end=end,
        first_page=first,
        last_page=last,
        text=text,
        token_count=0,
    )
    return Hit(rank=rank, score=1.0, chunk=chunk, document=document.name, path=document.path)


def prompt_with(*hits: Hit, question: str = "") -> Prompt:
    passages = tuple(
        Segment(kind="passage", label=str(i), text=hit.chunk.text, token_ids=(), hit=hit)
        for i, hit in enumerate(hits, start=1)
    )
    return Prompt(
        segments=passages,
        question=question,
        placement="edges",
        context_window=4096,
        max_new_tokens=64,
        budget_tokens=4000,
    )


def generation(text: str, *spans: CopiedSpan) -> Generation:
    return Generation(
        text=text,
        token_ids=(),
        finish_reason="stop",
        prefill_s=0.0,
        decode_s=0.0,
        reused_tokens=0,
        spans=spans,
    )


def in_library(*documents: Document) -> Callable[[str], Document | None]:
    return {document.id: document for document in documents}.get


def pages_touched(document: Document, start: int, end: int) -> set[int]:
    """The reference: page by page, character by character."""
    touched = set()
    for page, begin in zip(document.pages, document.page_starts, strict=True):
        own = range(begin, begin + len(page.text))
        if any(not document.text[i].isspace() for i in range(start, end) if i in own):
            touched.add(page.number)
    return touched


def one_document(text: str) -> Document:
    return Document(id="d", path="manual.pdf", pages=(Page(number=1, label="1", text=text),))


def cite_text(answer: str, *passages: str, question: str = "") -> tuple[Citation, ...]:
    """Cite a text answer over passages that each are a whole document of their own."""
    library = [
        Document(id=f"d{i}", path=f"{i}.pdf", pages=(Page(number=1, label="1", text=t),))
        for i, t in enumerate(passages)
    ]
    hits = [hit_on(d, 0, len(d.text), rank) for rank, d in enumerate(library, start=1)]
    prompt = prompt_with(*hits, question=question)
    return cite(generation(answer), prompt, in_library(*library))


def statuses(answer: str, *passages: str) -> list[tuple[str, str]]:
    return [(c.label, c.status) for c in cite_text(answer, *passages)]


# ---- copied answers ------------------------------------------------------------------------------


@given(documents(), st.data())
def test_a_copied_span_anywhere_is_quoted_from_its_pages(
    document: Document, data: st.DataObject
) -> None:
    text = document.text
    start = data.draw(st.integers(0, len(text)), "chunk start")
    end = data.draw(st.integers(start, len(text)), "chunk end")
    a = data.draw(st.integers(0, end - start), "span start")
    b = data.draw(st.integers(a, end - start), "span end")
    if a == b:
        return
    prompt = prompt_with(hit_on(document, 0, 0), hit_on(document, start, end, 2))
    answer = generation(text[start + a : start + b], CopiedSpan(1, a, b))
    (found,) = cite(answer, prompt, in_library(document))
    assert (found.status, found.label) == ("verified", "2")
    assert found.quote == text[found.start : found.end]
    assert (found.answer_start, found.answer_end) == (start + a, start + b)
    quoted = text[start + a : start + b].strip()
    assert quoted in found.quote
    assert len(found.quote) <= max(QUOTE_CHARACTERS, b - a)
    touched = pages_touched(document, found.start, found.end)
    if touched:
        assert (found.first_page, found.last_page) == (min(touched), max(touched))
    assert found.page_labels == tuple(
        f"p-{i}" for i in range(found.first_page, found.last_page + 1)
    )


def test_a_quote_is_the_sentence_around_the_span_and_says_its_page() -> None:
    pages = (
        Page(number=1, label="i", text="It rained."),
        Page(number=2, label="1", text="The cat slept. The dog ran. Then"),
    )
    document = Document(
        id="d",
        path="a.pdf",
        pages=(*pages, Page(number=3, label="2", text="they ate. Good night.")),
    )
    prompt = prompt_with(hit_on(document, 0, len(document.text)))

    def cited(words: str) -> Citation:
        at = document.text.index(words)
        span = CopiedSpan(0, at, at + len(words))
        return cite(generation(words, span), prompt, in_library(document))[0]

    assert (cited("dog").quote, cited("dog").first_page) == ("The dog ran.", 2)
    across = cited("they")  # its sentence begins on the page before
    assert across.quote == "Then\nthey ate."
    assert (across.first_page, across.last_page, across.page_labels) == (2, 3, ("1", "2"))


def test_a_span_outside_its_passage_is_never_verified() -> None:
    document = one_document("Tin melts.")
    prompt = prompt_with(hit_on(document, 0, 10))
    wrong = [CopiedSpan(0, 5, 99), CopiedSpan(0, -3, 2), CopiedSpan(0, 4, 4), CopiedSpan(3, 0, 1)]
    found = cite(generation("x", *wrong), prompt, in_library(document))
    assert {c.status for c in found} == {"unverified", "unknown_label"}
    assert found[-1].label == "4"


def test_a_document_that_changed_since_is_not_verified_against() -> None:
    old, new = one_document("Tin melts at 232 degrees."), one_document("Tin melts at 505 kelvin. ")
    prompt = prompt_with(hit_on(old, 0, len(old.text)))
    copied = cite(generation("232", CopiedSpan(0, 13, 16)), prompt, in_library(new))
    labelled = cite(generation("Tin melts at 232 degrees [1]."), prompt, in_library(new))
    assert [c.status for c in (*copied, *labelled)] == ["unverified"] * 2


def test_without_a_document_the_passage_itself_is_what_is_checked() -> None:
    hit = Hit.from_text(1, 0.9, "Paris is in France. It is large.", "atlas")
    prompt = prompt_with(hit)
    copied = cite(generation("Paris", CopiedSpan(0, 0, 5)), prompt, lambda _: None)
    labelled = cite(generation("Paris is in France [1]. It is small [1]."), prompt, lambda _: None)
    assert [(c.status, c.quote) for c in (*copied, labelled[0])] == [
        ("verified", "Paris is in France."),
        ("verified", "Paris is in France."),
    ]
    assert (copied[0].document, copied[0].first_page) == ("atlas", None)
    assert labelled[1].status == "unverified"


def test_abstentions_and_nothing_are_not_cited() -> None:
    prompt = prompt_with(Hit.from_text(1, 0.9, "The cause is unknown. It is not in the documents."))
    for text in ("", "Not in the documents.", "Unknown"):
        assert cite(generation(text), prompt, lambda _: None) == ()
    refused = replace(generation("tin"), finish_reason="abstain")
    assert cite(refused, prompt, lambda _: None) == ()
    # but a reader that copies may copy just such words
    (copied,) = cite(generation("unknown", CopiedSpan(0, 13, 20)), prompt, lambda _: None)
    assert copied.status == "verified"


@given(st.text(st.sampled_from("ab .\n"), max_size=300), st.data(), st.integers(1, 60))
def test_a_quote_holds_its_span_and_is_bounded(text: str, data: st.DataObject, limit: int) -> None:
    a = data.draw(st.integers(0, len(text)))
    b = data.draw(st.integers(a, len(text)))
    start, end = quote_span(text, a, b, limit)
    assert 0 <= start <= end <= len(text)
    assert text[a:b].strip() in text[start:end]
    assert end - start <= max(limit, b - a)


def test_a_long_sentence_is_cut_between_words() -> None:
    words = " ".join(f"word{i}" for i in range(500))
    at = words.index("word250")
    start, end = quote_span(words, at, at + 7)
    assert 300 < end - start <= QUOTE_CHARACTERS
    assert (
        words[start:end].split()
        == [f"word{i}" for i in range(500)][
            int(words[start:].split()[0][4:]) : int(words[:end].split()[-1][4:]) + 1
        ]
    )


# ---- labels --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "numbers"),
    [
        ("[1]", "1"),
        ("[1, 3]", "1 3"),
        ("[1,3]", "1 3"),
        ("[2–4]", "2 3 4"),
        ("[2-4]", "2 3 4"),
        ("[1][2]", "1 2"),
        ("[1], [2]", "1 2"),
        ("[1] and [3]", "1 3"),
        ("[Passage 2]", "2"),
        ("[passages 1 and 3]", "1 3"),
        ("【1】", "1"),
        ("【3†source】", "3"),
        ("[1; 2]", "1 2"),
        ("[^2]", "2"),
        ("[Source 2, Source 3]", "2 3"),
        ("(Passage 2)", "2"),
        ("Passage 2", "2"),
        ("[#1]", "1"),
        ("[4-2]", "4 2"),
        ("[2, 2]", "2"),
        ("[ 1 ]", "1"),
        ("[1-999]", "1 999"),
        ("[2] (manual v2.pdf, p. 31)", "2"),
        ("[1] (a.pdf, pp. 3–4), [2] (b.pdf, p. ix)", "1 2"),
    ],
)
def test_labels_are_read_in_every_common_form(label: str, numbers: str) -> None:
    (found,) = cited_statements(f"Tin melts {label}.", lambda _: True)
    assert found.labels == tuple(numbers.split())
    assert found.statements == ("Tin melts",)


@pytest.mark.parametrize("text", ["[2019]", "a[i]", "[x]", "[]", "[1.5]", "[-1]", "see page 3"])
def test_other_brackets_are_no_labels(text: str) -> None:
    assert cited_statements(f"Tin melts {text}.", lambda _: True) == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("A is b. [1] C is d. [2]", {"1": "A is b", "2": "C is d"}),
        ("A is b [1]. C is d.[2]", {"1": "A is b", "2": "C is d"}),
        ("A is b [1], and C is d [2].", {"1": "A is b", "2": "and C is d"}),
        ("The tower [1] is 300 m tall.", {"1": "The tower is 300 m tall"}),
        ("A is b [1], C is d [2], e too.", {"1": "A is b", "2": "C is d , e too"}),
        ("[1] A is b.\n[2] C is d.", {"1": "A is b", "2": "C is d"}),
        ("1. [1] A is b.\n2. C is d [2]", {"1": "A is b", "2": "C is d"}),
        ("- A is b [1]\n- C is d [2]", {"1": "- A is b", "2": "- C is d"}),
        ("A is b.\n[1]", {"1": "A is b"}),
        ("[1]: A is b, while [2]: C is d.", {"1": ": A is b, while", "2": "C is d"}),
    ],
)
def test_each_label_gets_its_own_statement(answer: str, expected: dict[str, str]) -> None:
    found = cited_statements(answer, lambda text: any(c.isalpha() for c in text))
    got = {label: c.statements[0] for c in found for label in c.labels}
    assert {k: v.strip(" :") for k, v in got.items()} == {
        k: v.strip(" :") for k, v in expected.items()
    }


LISTS = (
    "1. {} [1]\n2. {} [2]",
    "1) {} [1]\n2) {} [2]",
    "(1) {} [1] (2) {} [2]",
    "Two facts:\n\n  a. {} [1]\n  b. {} [2]",
    "(i) {} [1]\n(ii) {} [2]",
    "**1.** {} [1]\n**2.** {} [2]",
    "3.1. {} [1]\n3.2. {} [2]",
    "- 9) {} [1]\n- 10) {} [2]",
    "1. [1] {}\n2. [2] {}",
    "1、{}[1]\n2、{}[2]",
    "1. {}\n2. {}",  # without labels
)


@pytest.mark.parametrize("listing", LISTS)
def test_the_marks_of_list_items_need_no_support(listing: str) -> None:
    # "1." and "2." were numbers that the passage had to hold, so no numbered list was verified.
    tin, cans = "Tin becomes a superconductor below 3.72 K.", "Tin cans are made of steel."
    found = cite_text(listing.format(tin, cans), tin, cans)
    assert [(c.label, c.status, c.quote) for c in found] == [
        ("1", "verified", tin),
        ("2", "verified", cans),
    ]
    wrong = cite_text(listing.format(cans, tin), tin, cans)
    assert "[1]" not in listing or {c.status for c in wrong} == {"unverified"}


@pytest.mark.parametrize(
    ("answer", "passage"),
    [
        ("3. Mai ist der Stichtag [1]", "Der 5. Mai ist der Stichtag."),
        ("1. Weltkrieg begann 1939 [1]", "Der 2. Weltkrieg begann 1939."),
        ("B. Smith built it [1]", "C. Smith built it."),
        ("It has\n2. parts [1]", "It has parts."),
        ("It weighs 5.\n9. It is red [1]", "It is red."),
    ],
)
def test_a_number_that_numbers_no_list_is_part_of_what_is_said(answer: str, passage: str) -> None:
    assert statuses(answer, passage) == [("1", "unverified")]


@given(st.text("12aiv.)(、 \n-*tin", max_size=40))
def test_without_list_markers_an_answer_is_as_long_and_says_the_rest(answer: str) -> None:
    bare = without_list_markers(answer)
    assert len(bare) == len(answer)
    assert all(b in (a, " ") for a, b in zip(answer, bare, strict=True))
    assert without_list_markers(f"{answer}\nTin melts.")[len(answer) :] == "\nTin melts."


def test_labels_that_stand_apart_are_for_any_sentence_of_the_answer() -> None:
    tin, lead = "Tin melts at 232 degrees.", "Lead melts at 327 degrees."
    found = cite_text(f"{tin} {lead}\nSources: [1], [2], [3]", tin, lead, "Iron rusts.")
    assert [c.status for c in found] == ["verified", "verified", "unverified"]
    assert [c.quote for c in found[:2]] == [tin, lead]


@given(st.text(max_size=80) | st.text("[]1,–-【】 passage†\n.", max_size=80))
def test_any_answer_can_be_cited(answer: str) -> None:
    assert len(without_labels(answer)) == len(answer)
    passage = "Tin [1] melts.\nSee [9]."
    for found in cite_text(answer, passage):
        if found.status == "verified":
            assert found.quote == passage[found.start : found.end]


def test_labels_out_of_range_are_unknown() -> None:
    found = cite_text("Tin melts [0], [2] and [99].", "Tin melts.")
    assert [(c.label, c.status, c.quote) for c in found] == [
        ("0", "unknown_label", ""),
        ("2", "unknown_label", ""),
        ("99", "unknown_label", ""),
    ]


# ---- what is verified ----------------------------------------------------------------------------

TIN = (
    "Tin is a soft metal. Tin melts at 232 degrees Celsius and boils at 2,602 degrees Celsius. "
    "Never heat the open pot for more than five minutes. Ann Bell hired Robert Ray in 1998. "
    "The report calls it “the metal of a thousand uses”."
)


@pytest.mark.parametrize(
    "answer",
    [
        "Tin melts at 232 degrees Celsius [1].",
        "tin melts at 232 degrees celsius. [1]",
        "According to the passage, tin melts at 232 degrees Celsius [1].",
        "Tin boils at 2602 degrees Celsius [1].",
        "232 [1]",
        "**Tin** is a *soft* metal [1].",
        "Ann Bell hired Robert Ray in 1998 [1].",
        "In 1998, Ann Bell hired Robert Ray [1].",
        "Never heat the pot for more than 5 minutes [1].",
        'The report calls it "the metal of a thousand uses" [1].',
        "Passage 1 says that tin is a soft metal.",
        'The document states: "Tin is a soft metal." [1]',
        "It is a soft metal [1].",
    ],
)
def test_what_the_passage_says_is_verified(answer: str) -> None:
    (found,) = cite_text(answer, TIN)
    assert found.status == "verified", found
    assert found.quote == TIN[found.start : found.end]


@pytest.mark.parametrize(
    "answer",
    [
        "Tin melts at 233 degrees Celsius [1].",  # another number
        "Tin melts at 232 degrees Fahrenheit [1].",  # another unit
        "Tin boils at 232 degrees Celsius [1].",  # stitched within a sentence
        "Lead melts at 232 degrees Celsius and boils at 2602 degrees Celsius [1].",  # another name
        "Robert Ray hired Ann Bell in 1998 [1].",  # actors swapped
        "Heat the open pot for more than five minutes [1].",  # a denial dropped
        "Tin is not a soft metal [1].",  # a denial added
        "Never heat the open pot for more than six minutes [1].",
        "Tin is a soft metal that Ann Bell hired [1].",  # stitched from two sentences
        "The report calls it “the metal of many uses” [1].",  # a quotation that is none
        "Gold is dear [1].",  # fabricated
        "Yes [1].",  # nothing to check
        "Minus -232 degrees Celsius [1].",
    ],
)
def test_what_the_passage_does_not_say_is_not_verified(answer: str) -> None:
    assert statuses(answer, TIN) == [("1", "unverified")]


@pytest.mark.parametrize(
    ("answer", "passage"),
    [
        ("It takes 5 minutes with care [1].", "It takes 5 hours, or minutes with less care."),
        (
            "Ann lives in Rome [1].",
            "Ann lives in Paris near the old river and her tall brother Bob lives in Rome.",
        ),
        ("He called it “metal for the thousand uses” [1].", "He called it metal of thousand uses."),
    ],
)
def test_the_right_words_put_together_wrongly_are_not_verified(answer: str, passage: str) -> None:
    """A number with another's unit, words from far apart, a quotation that is not literal."""
    assert statuses(answer, passage) == [("1", "unverified")]


def test_a_statement_cited_to_the_wrong_passage_is_not_verified() -> None:
    lead = "Lead melts at 327 degrees Celsius."
    assert statuses("Lead melts at 327 degrees Celsius [1].", TIN, lead) == [("1", "unverified")]
    assert statuses("Lead melts at 327 degrees Celsius [1, 2].", TIN, lead) == [
        ("1", "unverified"),
        ("2", "verified"),
    ]


def test_an_unverified_citation_shows_the_closest_sentence() -> None:
    (found,) = cite_text("Tin melts at 300 degrees Celsius [1].", TIN)
    assert found.quote.startswith("Tin melts at 232")
    assert (found.status, found.answer_start, found.statement) == (
        "unverified",
        None,
        "Tin melts at 300 degrees Celsius",
    )


def test_the_question_chooses_among_sentences_that_say_a_short_answer() -> None:
    text = "Paris is large. The capital of France is Paris. Paris has cafés."
    (found,) = cite_text("Paris [1]", text, question="What is the capital of France?")
    assert found.quote == "The capital of France is Paris."


def test_an_answer_without_labels_is_cited_where_it_stands_word_for_word() -> None:
    found = cite_text(
        "The capital of France is Paris. It has two million cafés.",
        "Lyon is in France.",
        "As we know, the capital\nof France is Paris, in the north.",
    )
    assert [(c.label, c.status, c.first_page) for c in found] == [("2", "verified", 1)]
    assert cite_text("Iron rusts.", TIN) == ()


WORD_LIST = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda sigma omega".split()


@given(st.lists(st.sampled_from(WORD_LIST), min_size=6, max_size=12, unique=True), st.data())
def test_a_statement_with_one_foreign_word_or_number_is_never_verified(
    words: list[str], data: st.DataObject
) -> None:
    passage = " ".join(words) + " 17 metres."
    assert statuses(f"{passage} [1]", passage) == [("1", "verified")]
    at = data.draw(st.integers(0, len(words) - 1))
    foreign = data.draw(st.sampled_from(["Zanzibar", "18", "-17", "NATO", "six", "zebra"]))
    changed = [*words[:at], foreign, *words[at + 1 :]]
    assert statuses(f"{' '.join(changed)} 17 metres. [1]", passage) == [("1", "unverified")]


@given(st.data())
def test_stitching_two_sentences_is_never_verified(data: st.DataObject) -> None:
    first = data.draw(st.lists(st.sampled_from(WORD_LIST[:6]), min_size=2, max_size=6, unique=True))
    second = data.draw(
        st.lists(st.sampled_from(WORD_LIST[6:]), min_size=2, max_size=6, unique=True)
    )
    passage = f"The {' '.join(first)}. There was rain. The {' '.join(second)}."
    i = data.draw(st.integers(1, len(first)))
    j = data.draw(st.integers(0, len(second) - 1))
    statement = " ".join(first[:i] + second[j:])
    assert find_support(statement, ReadText(passage), ReadText("")) is None


@given(PAGE_TEXT, st.data())
def test_words_copied_from_a_passage_are_always_supported(text: str, data: st.DataObject) -> None:
    read = ReadText(text)
    plain = [i for i, word in enumerate(read.words) if word.is_content]
    if not plain:
        return
    a = data.draw(st.sampled_from(plain))
    word = read.words[a]
    found = find_support(word.text, read, ReadText(""))
    denied = any(other.denies for other in read.words)
    assert found is not None or denied


def test_hostile_lengths_cost_little() -> None:
    began = time.perf_counter()
    many = "alpha beta " * 3000
    for answer in (many + "[1]", "[1 " * 5000, "[1-" * 5000, "-" * 20000 + "x [1]", "“" * 9000):
        cite_text(answer, "beta alpha gamma " * 2000)
    quote_span("x" * 100_000, 50_000, 50_001)
    assert time.perf_counter() - began < 20


# ---- abstention ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "This is not in the documents.",  # what prompts/qa.prompt asks for
        '"This is not in the documents."',
        "this is not in the documents",
        "Not in the documents.",
        "The passages do not say.",
        "The provided passages don’t mention the price of the pump.",
        "The context does not contain enough information to answer the question.",
        "I'm sorry, but the documents do not say this.",
        "Unfortunately, the text doesn't specify when.",
        "None of the passages mention a price.",
        "I don't know.",
        "I do not know. The documents do not mention it.",
        "I cannot find the answer in the passages.",
        "There is no information about pumps in the documents.",
        "Based on the passages, it is not possible to determine the price.",
        "The question cannot be answered from the passages.",
        "The answer is not given in the passages.",
        "**Not found.**",
        "No answer",
        "Unanswerable",
        "The passages [1] and [2] do not mention this.",
        "",
        " \n",
        "[1]",
    ],
)
def test_abstentions_are_recognised(text: str) -> None:
    assert is_abstention(text)


@pytest.mark.parametrize(
    "text",
    [
        "The documents do not give a date, but the plan says May [1].",
        "The manual is not in the box.",
        "The lamp does not contain mercury [1].",
        "Tin melts at 232 degrees. This is not in the documents, I know it.",
        "The documents do not say. However, tin melts at 232 degrees.",
        "I don't know the exact year. It was after 1998 [2].",
        "There is no answer key in the box.",
        "There is no evidence that tin is toxic [1].",
        "It is not found in Europe.",
        "No.",
        "5",
        "Not available in Europe",
        "The unknown soldier",
    ],
)
def test_answers_are_not_taken_for_abstentions(text: str) -> None:
    assert not is_abstention(text)


def test_the_prompt_asks_for_words_that_are_recognised(request: pytest.FixtureRequest) -> None:
    folder = request.config.rootpath / "prompts"
    asked_for = [
        text.split('say only: "')[1].split('"')[0]
        for path in sorted(folder.glob("qa*.prompt"))
        if 'say only: "' in (text := path.read_text(encoding="utf-8"))
    ]
    assert asked_for
    assert all(map(is_abstention, asked_for)), asked_for


def test_a_generator_abstains_by_its_finish_reason_or_in_words() -> None:
    answer = generation("tin")
    assert not abstained(answer)
    assert abstained(replace(answer, finish_reason="abstain"))
    assert abstained(replace(answer, text="Not in the documents."))


@pytest.mark.parametrize("blank", ["", " ", "\n\n", "\u00ad", "\u00a0"])
def test_a_blank_passage_supports_nothing_and_breaks_nothing(blank: str) -> None:
    # Once `zip(..., strict=True)` raised ValueError: a text without a sentence has no first word.
    for answer in ("Tin is soft [1].", "Tin is soft.", "[1]", "Sources: [1]"):
        assert all(citation.status == "unverified" for citation in cite_text(answer, blank))
    span = CopiedSpan(passage=0, start=0, end=len(blank))
    hit = hit_on(one_document(blank), 0, len(blank))
    cite(generation(blank, span), prompt_with(hit), in_library())


def test_labels_that_stand_apart_are_cited_for_a_bounded_number_of_statements() -> None:
    # Each such label was checked against every statement: 580 kB of them took over 30 s.
    answer = "".join(f"Tin{i} is soft.\n\n" for i in range(1000)) + "\n\nSources:\n[1]\n[2]\n"
    apart = [group for group in cited_statements(answer, lambda text: "Tin" in text)]
    assert apart and all(len(group.statements) <= 100 for group in apart)
