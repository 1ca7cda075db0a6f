"""What is counted is what is sent and shown, whatever halves of characters a text comes with.

A question of lone surrogates was counted as U+FFFD, 105 tokens, sent joined to other characters,
305 tokens, and printed as "?". Now they are replaced once, where text comes in.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragctx.assembly import assemble
from ragctx.cli.batch import parse_line
from ragctx.cli.options import read_question
from ragctx.evaluation.datasets import read_questions
from ragctx.pdf.reading import Structure, event_of
from ragctx.records import Hit
from ragctx.text.well_formed import well_formed
from ragctx.tokens.load import load_tokenizer

BROKEN = "caf\udce9 \ud83d\ude00 \ud800"
WHOLE = "caf\ufffd \ufffd\ufffd \ufffd"


def test_offsets_stay_and_sound_text_is_left_alone() -> None:
    assert well_formed(BROKEN) == WHOLE
    assert well_formed("naïve 猫 😀") == "naïve 猫 😀"


@pytest.mark.parametrize("tokenizer", ["bundled", "tiktoken:o200k_base"])
def test_a_prompt_counts_what_is_sent(tokenizer: str) -> None:
    from ragctx.errors import TokenizerError

    try:
        counts = load_tokenizer(tokenizer)
    except TokenizerError:
        pytest.skip("its vocabulary is not on this machine")
    hits = [Hit.from_text(1, 0.9, BROKEN * 20, BROKEN)]
    prompt = assemble(BROKEN * 10, hits, counts, context_window=2048)
    sent = prompt.text.encode("utf-16", "surrogatepass").decode("utf-16")
    assert sent == prompt.text
    assert prompt.question == WHOLE * 10
    assert counts.count(sent) == counts.count(prompt.text)
    prompt.text.encode()  # it can be printed


def test_the_command_line_and_batches_replace_them() -> None:
    assert read_question(BROKEN) == WHOLE
    line = json.dumps({"question": BROKEN}).encode()
    assert parse_line(1, line).question == "caf\ufffd 😀 \ufffd"  # JSON joins what is a pair


def test_question_files_replace_them(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    row = {"id": "\ud800", "question": "caf\udce9?", "answers": ["\udce9"], "context": "Tin."}
    path.write_text(json.dumps(row), encoding="utf-8")
    (question,) = read_questions(path).questions
    assert (question.id, question.question, question.answers) == (
        "\ufffd",
        "caf\ufffd?",
        ("\ufffd",),
    )


def test_strings_of_a_pdf_are_replaced_as_they_leave_the_pipe() -> None:
    outline = [{"title": "\ud800", "page": 1, "depth": 0}]
    message = {"kind": "structure", "title": "caf\udce9", "outline": outline, "labels": ["\udcff"]}
    event = event_of(json.dumps(message).encode())
    assert isinstance(event, Structure)
    assert (event.title, event.outline[0].title, event.labels) == (
        "caf\ufffd",
        "\ufffd",
        ("\ufffd",),
    )
