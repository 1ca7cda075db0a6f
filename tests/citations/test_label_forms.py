"""Laws of labels in other forms than the one asked for: each is checked as the one asked for is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.assembly import assemble
from ragctx.citations.label_forms import Labelled, in_square_brackets
from ragctx.citations.resolve import cite
from ragctx.records import Generation, Hit, Prompt
from tests.support.fakes import WordTokenizer

TIN = "Tin becomes a superconductor below 3.72 K"
CANS = "Tin cans are made of steel"
HITS = [
    Hit.from_text(1, 0.9, f"{TIN}.", "metals.pdf", page=1),
    Hit.from_text(2, 0.6, f"{CANS}.", "packaging (new).pdf", page=4),
    Hit.from_text(3, 0.5, "Lead melts at 327 degrees.", "metals.pdf", page=9),
]
QUESTION = "When is tin a superconductor?"


@pytest.fixture(scope="module")
def prompt() -> Prompt:
    return assemble(QUESTION, HITS, WordTokenizer(), context_window=2000)


def cited(prompt: Prompt, answer: str) -> list[tuple[str, str]]:
    """Document and status of each citation."""
    generation = Generation(
        text=answer, token_ids=(), finish_reason="stop", prefill_s=0, decode_s=0, reused_tokens=0
    )
    return [(c.document, c.status) for c in cite(generation, prompt, lambda id: None)]


@pytest.fixture(scope="module")
def label(prompt: Prompt) -> str:
    """The label of the passage about tin."""
    [found] = [p.label for p in prompt.passages if TIN in p.text]
    return found


@pytest.mark.parametrize(
    "form",
    [
        " [{0}].",
        " ({0}).",
        ". ({0})",
        " ({0}), and so on",
        " [{0}, p. 1].",
        " [{0}, page 1].",
        " [{0}: pp. 1-2].",
        " ({0}, p. 1).",
        " [metals.pdf].",
        " [metals.pdf, p. 1].",
        " (metals.pdf, p. 1).",
        " [Metals].",
        " [Source: metals.pdf].",
        " (see metals.pdf, p. 1).",
        " 【{0}】.",
        " 【{0}†source】.",
        " [^{0}].",
        " <sup>{0}</sup>.",
        " <ref>{0}</ref>.",
        " [citation:{0}].",
        " [[citation:{0}]].",
        " [source_{0}].",
        " (Source {0}).",
        " [ID: {0}].",
        " \\[{0}\\].",
        " [{0}](#source-{0}).",
        " ［{0}］。",
        "（{0}）。",
        " [{0}] (metals.pdf, p. 1).",
        ".\n\nSources: [{0}] metals.pdf, p. 1",
        ".\n\n## Sources\n\n[{0}] metals.pdf, p. 1",
        ".\n\nReferences:\n{0}. metals.pdf",
        " [{0}].\n\n**References**\n[{0}] metals.pdf, p. 1\n[2] packaging (new).pdf, p. 4",
    ],
)
def test_every_form_is_checked_as_the_one_asked_for(prompt: Prompt, label: str, form: str) -> None:
    assert cited(prompt, TIN + form.format(label)) == [("metals.pdf", "verified")]


def test_circled_numbers_are_labels_where_no_passage_writes_them(label: str) -> None:
    tin = Labelled(label=label, document="a.pdf", first_page=1, last_page=1, text=f"{TIN}.")
    circled = chr(ord("①") - 1 + int(label))
    assert in_square_brackets(f"{TIN}{circled}.", [tin]) == f"{TIN} [{label}]."
    assert in_square_brackets(f"{circled} {TIN}.", [tin]) == f"{circled} {TIN}.", "marks of a list"
    parts = Labelled(label=label, document="", first_page=1, last_page=1, text=f"Valve {circled}")
    assert in_square_brackets(f"Open valve {circled}.", [parts]) == f"Open valve {circled}."


@pytest.mark.parametrize("written", ["(ID 77)", "[source code]", "\\[x\\]", "[1](other.pdf)"])
def test_what_names_no_passage_stays(prompt: Prompt, written: str) -> None:
    labelled = [Labelled(label="1", document="", first_page=1, last_page=1, text="Tin.")]
    assert in_square_brackets(f"Tin {written}.", labelled) == f"Tin {written}."


def test_raised_numbers_are_labels_behind_words_and_stops_alone(prompt: Prompt, label: str) -> None:
    raised = label.translate(str.maketrans("123", "¹²³"))
    assert cited(prompt, f"{TIN}.{raised}") == [("metals.pdf", "verified")]
    for answer in ("It has 3 m² of tin.", "x² + y³", "10³ cans"):
        assert in_square_brackets(answer, ()) == answer
        assert cited(prompt, answer) == []


MANY = [
    Labelled(label=str(n), document="a.pdf", first_page=n, last_page=n, text="Lead melts.")
    for n in range(1, 9)
]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("below 3.72 K¹.", "below 3.72 K[1]."),
        ("below 3.72 K².", "below 3.72 K[2]."),
        ("at 232 °C³, and", "at 232 °C[3], and"),
        ("a load of 30\u00a0kg⁴", "a load of 30\u00a0kg[4]"),
        ("in 2019².", "in 2019[2]."),
        ("from 2019¹ on", "from 2019[1] on"),
        ("costs 1,200².", "costs 1,200[2]."),
        ("by 50 %².", "by 50 %[2]."),
        ("it is tin³.", "it is tin[3]."),
        ("vitamin C¹.", "vitamin C[1]."),
        ("3.72 K¹⁻³.", "3.72 K[1-3]."),
        ("3.72 K¹,².", "3.72 K[1,2]."),
    ],
)
def test_a_raised_label_stands_behind_numbers_and_units_too(written: str, read: str) -> None:
    assert in_square_brackets(written, MANY) == read


@pytest.mark.parametrize(
    "power",
    "20 m².|20 m², or|1.5 µm².|3 ft².|x².|x² + y³|πr².|E = mc².|R² is 0.9.|10⁶.|10³ cans|10¹.|2⁸.|"
    "12².|1000².|9.8 m/s².|5 W/m²K|6 kg·m²|s⁻¹.|Ca²⁺ ions|SO₄²⁻|sin² x|sin².|3 K² of|5²⁄³.|"
    "3.72 K⁹.".split("|"),
)
def test_powers_and_charges_are_no_labels_though_passages_of_that_number_exist(power: str) -> None:
    """The last one is a label's place, and the number is no passage's."""
    assert in_square_brackets(power, MANY) == power


def test_what_a_passage_writes_raised_is_copied_and_no_label() -> None:
    noted = Labelled(
        label="1", document="a.pdf", first_page=1, last_page=1, text="It cost 320¹ euros."
    )
    assert in_square_brackets("It cost 320¹.", [noted]) == "It cost 320¹."
    assert in_square_brackets("It cost 321¹.", [noted]) == "It cost 321[1]."


def test_a_statement_that_ends_with_a_unit_is_verified_by_its_raised_label(
    prompt: Prompt, label: str
) -> None:
    raised = label.translate(str.maketrans("123", "¹²³"))
    assert cited(prompt, f"{TIN}{raised}.") == [("metals.pdf", "verified")]
    false = TIN.replace("3.72", "9.99")
    assert cited(prompt, f"{false}{raised}.") == [("metals.pdf", "unverified")]


@pytest.mark.parametrize(
    "answer",
    [
        "The notice period is two (2) months.",
        "The notice period is two (2).",
        "As section (1) says, it is so.",
        "It says so in § 3 (2).",
        "Tin (50) is Sn (119).",
        "(1) Tin melts.\n(2) Lead melts.",
    ],
)
def test_numbers_in_brackets_that_count_something_are_no_labels(
    prompt: Prompt, answer: str
) -> None:
    assert "unverified" not in [status for _, status in cited(prompt, answer)]
    assert "[" not in in_square_brackets(answer, ())


def test_a_name_stands_for_the_passage_that_says_so(prompt: Prompt) -> None:
    answer = f"{CANS} [packaging (new).pdf]. Lead melts at 327 degrees [metals.pdf]."
    assert cited(prompt, answer) == [
        ("packaging (new).pdf", "verified"),
        ("metals.pdf", "verified"),
    ]
    assert cited(prompt, "Tin is blue [metals.pdf, p. 9].") == [("metals.pdf", "unverified")]


def test_a_form_of_its_own_does_not_make_a_false_statement_true(prompt: Prompt, label: str) -> None:
    for form in ("({0})", "[{0}, p. 1]", "[metals.pdf]", "<sup>{0}</sup>"):
        answer = f"Tin becomes a superconductor below 9.99 K {form.format(label)}."
        assert cited(prompt, answer) == [("metals.pdf", "unverified")]


@given(st.text(st.sampled_from("ab1²(),;[] .\npS<>/")) | st.text())
def test_any_text_is_taken_and_one_without_forms_stays(answer: str) -> None:
    assert in_square_brackets(answer, ()) == in_square_brackets(answer, ())
    if not any(mark in answer for mark in "[(【¹²³⁰⁴⁵⁶⁷⁸⁹<") and ":" not in answer:
        assert in_square_brackets(answer, ()).strip() == answer.strip()


@pytest.mark.parametrize(
    "written", ["[1, § Use > Night]", "[notes.md, § Use > Night]", "(notes.md)", "[notes.md § Use]"]
)
def test_sections_are_named_as_pages_are(written: str) -> None:
    passage = Labelled(
        label="1", document="notes.md", first_page=2, last_page=2, text="Tin melts at 232."
    )
    assert in_square_brackets(f"Tin melts {written}.", [passage]) == "Tin melts [1]."
    listed = "Tin melts [1].\n\nSources:\n- notes.md, § Use"
    assert in_square_brackets(listed, [passage]) == "Tin melts [1]."
    law = "Tin melts [2, § 3] by (1 § 4)."
    assert in_square_brackets(law, [passage]) == law
