"""Laws of the command line with a model on a server: what was thought, cut, refused is said so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ragctx.embedding
import ragctx.ingestion.reading
from tests.support.chat_server import DONE, Script, event, served
from tests.support.command_line import said
from tests.support.fakes import HashEmbedder
from tests.support.small_tokenizers import byte_level
from tests.support.text_pdfs import TextReader, write

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

Ask = Callable[..., tuple[int, str, str]]


def delta(finish: str | None = None, **said: Any) -> bytes:
    choice = {"index": 0, "delta": said, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


@pytest.fixture
def script() -> Iterator[Script]:
    with served() as told:
        yield told


@pytest.fixture
def ask(
    tmp_path: Path,
    script: Script,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Ask:
    """`ragctx ask` of the server's model."""
    write(tmp_path / "tin.pdf", "About metals.", "Tin melts at 232 degrees. It is soft.")
    (tmp_path / "tokenizer.json").write_text(json.dumps(byte_level()), encoding="utf-8")
    monkeypatch.setattr(ragctx.ingestion.reading, "read_pdf", TextReader())
    monkeypatch.setattr(ragctx.embedding, "load_embedder", lambda spec: HashEmbedder())
    monkeypatch.setenv("RAGCTX_CACHE_DIR", str(tmp_path / "cache"))

    def call(*options: str) -> tuple[int, str, str]:
        pdf = str(tmp_path / "tin.pdf")
        model = ("--model", f"{script.url}#tiny", "--tokenizer", str(tmp_path / "tokenizer.json"))
        return said(capsys, "ask", "When does tin melt?", pdf, *model, *options)

    return call


def test_a_thought_is_neither_shown_nor_cited_unless_asked_for(script: Script, ask: Ask) -> None:
    thought = "<think>Passage [1]: not in the documents?</think>"
    script.body = event(f"{thought}\nTin melts at 232 degrees [1].", "stop") + DONE
    code, out, err = ask()
    assert (code, err) == (0, "")
    assert out.startswith("Tin melts at 232 degrees [1].\n\nSources\n[1] ")
    code, out, err = ask("--show-thought")
    assert (code, err) == (0, "Passage [1]: not in the documents?\n")
    code, out, _ = ask("--json")
    shown = json.loads(out)
    assert shown["thought"] == "Passage [1]: not in the documents?"
    assert (shown["answer"], len(shown["citations"])) == ("Tin melts at 232 degrees [1].", 1)


@pytest.mark.parametrize(
    ("body", "reason", "words"),
    [
        (
            delta(reasoning_content="hm") + delta("length"),
            "thought_only",
            "used up its 64 tokens with thinking and has not begun to answer. Raise "
            "--max-new-tokens (now 64)",
        ),
        (delta(reasoning="hm") + delta("length"), "thought_only", "used up its 64 tokens"),
        (event("<think>It is [1]", "length"), "thought_only", "used up its 64 tokens"),
        (event("<think>It is [1]", "stop"), "thought_only", "thought and then gave no answer"),
        (event("", "length"), "cut", "was cut off before its first word. Raise --max-new-tokens"),
        (event("", "stop"), "empty", "ended without a word"),
        (delta(refusal="I cannot.") + delta("stop"), "refused", "refused to answer"),
        (
            delta("tool_calls", tool_calls=[{"function": {"name": "search"}}]),
            "tool_call",
            "called a tool instead of answering",
        ),
        (event('<tool_call>{"name": "search"}</tool_call>', "stop"), "tool_call", "called a tool"),
    ],
)
def test_a_model_that_did_not_answer_says_nothing_of_the_documents(
    script: Script, ask: Ask, body: bytes, reason: str, words: str
) -> None:
    script.body = body + DONE
    code, out, err = ask("--max-new-tokens", "64")
    assert (code, err) == (1, "")
    assert words in out and "documents do not answer" not in out
    code, out, _ = ask("--max-new-tokens", "64", "--json")
    shown = json.loads(out)
    assert (code, shown["refusal"]["reason"], shown["answer"]) == (1, reason, "")
    assert (shown["abstained"], shown["citations"]) == (True, [])


def test_an_abstention_after_a_thought_is_one(script: Script, ask: Ask) -> None:
    script.body = event("<think>Tin is in [1].</think>This is not in the documents.", "stop") + DONE
    code, out, _ = ask()
    assert code == 3 and "The documents do not answer this." in out


def test_an_answer_that_was_cut_is_shown_and_said_to_be(script: Script, ask: Ask) -> None:
    script.body = event("Tin melts at 232 degrees [1]. It", "length") + DONE
    code, out, err = ask("--max-new-tokens", "8")
    assert (code, "Sources\n[1] tin.pdf" in out) == (0, True)
    assert err == "the answer was cut at 8 tokens; raise --max-new-tokens for more\n"


def test_template_options_go_to_the_server(script: Script, ask: Ask) -> None:
    options = ("enable_thinking=false", "reasoning_effort=low")
    ask(*(word for option in options for word in ("--template-option", option)))
    _, _, body = script.requests[0]
    assert body["chat_template_kwargs"] == {"enable_thinking": False, "reasoning_effort": "low"}
    code, _, err = ask("--template-option", "thinking")
    assert code == 2 and "no NAME=VALUE, such as enable_thinking=false" in err
