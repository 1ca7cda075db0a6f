"""Questions for yes or no get the sentence that bears on them, and never as sure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ragctx.embedding import load_embedder
from ragctx.generator.reader.certainty import UNDECIDED, Certainty, Signs
from ragctx.generator.reader.reader import load_bundled
from ragctx.generator.reader.spans import Span
from ragctx.generator.reader.yes_or_no import asks_yes_or_no, bearing_sentence
from ragctx.index.index import Index
from ragctx.ingestion import ingest
from ragctx.pipeline import ask
from ragctx.records import SURE, CopiedSpan
from tests.generator.test_rows import TOKENIZER, prompt_of

HARBOUR = (
    "Mooring for the night costs nothing between October and March; in summer it is charged by "
    "length. The lock closes an hour before low water. In winter it is shut on Sundays."
)
"""Without the rule the reader answered "an hour before low water" and the like, 57 % sure."""


@pytest.mark.parametrize(
    ("question", "asks"),
    [
        ("Are night berths free?", True),
        ("doesn’t the lock open on Sundays?", True),
        ("  May I bring a dog?", True),
        ("Is the ferry or the bridge shorter?", False),  # a choice: the answer is a thing
        ("Could you please list the locks?", False),
        ("When are night berths free?", False),
        ("Isolation of the motor?", False),
        ("", False),
    ],
)
def test_a_question_for_yes_or_no_begins_with_its_verb(question: str, asks: bool) -> None:
    assert asks_yes_or_no(question) == asks


def test_the_sentence_has_most_of_the_words_and_of_the_likely_spans() -> None:
    vectors = np.eye(30_522, dtype=np.float32)

    def bearing(question: str, *spans: tuple[str, float]) -> str:
        prompt = prompt_of(HARBOUR, question)
        text = prompt.passages[0].own_text
        located = [CopiedSpan(0, text.index(s), text.index(s) + len(s)) for s, _ in spans]
        likely = [Span(first=0, last=0, log_probability=p) for _, p in spans]
        found = bearing_sentence(vectors.__getitem__, prompt, located, likely, TOKENIZER)
        assert found is not None
        return text[found.start : found.end]

    asked = "Is the lock shut on Sundays?"
    assert bearing(asked, ("October", -1.0)).startswith("Mooring")  # all there is, in one sentence
    assert bearing(asked, ("October", -2.0), ("winter", -2.0)).startswith("In winter")
    assert bearing("Is it cheap?", ("low water", -0.1), ("winter", -3.0)).startswith("The lock")


def test_it_is_answered_by_a_sentence_that_is_cited_and_not_sure(tmp_path: Path) -> None:
    (tmp_path / "harbour.md").write_text(f"# Harbour\n\n{HARBOUR}\n", "utf-8")
    embedder, reader = load_embedder(), load_bundled()
    index = Index.open_or_create(tmp_path / "index", embedder=embedder)
    ingest([tmp_path / "harbour.md"], index, embedder)
    answer = ask("Do I have to pay for mooring in summer?", index, embedder, reader)
    assert answer.outcome == "unsure"
    assert answer.text == HARBOUR.split(". ")[0]
    [citation] = answer.citations
    assert citation.status == "verified"
    guess, signs = reader.guess(answer.prompt)
    assert guess == answer.text and signs.undecided


def test_it_is_never_called_sure() -> None:
    assert UNDECIDED < SURE
    assert Certainty().of(Signs(0.99, 0.99, undecided=True)) == UNDECIDED
    assert Certainty().of(Signs(0.3, 0.3, undecided=True)) == Certainty().of(Signs(0.3, 0.3))
