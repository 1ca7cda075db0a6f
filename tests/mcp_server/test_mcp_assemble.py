"""What `assemble` gives fits: the tokenizer itself counts what was told, within the budget."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from ragctx.errors import BudgetError, InputError
from ragctx.mcp_server.parameters import ASSEMBLE, TEMPLATES
from ragctx.mcp_server.tokenizers import NamedTokenizers
from ragctx.mcp_server.tools import Result, Toolbox
from ragctx.placement.strategies import STRATEGIES
from ragctx.server.service import Service
from ragctx.tokens.load import BUNDLED_TOKENIZER
from tests.support.agents import called, error_of, texts_of, view_of
from tests.support.small_tokenizers import CHATML, byte_level, tiny_tiktoken, unigram

QUESTION = "How often must the pump be oiled, and what does the valve cost?"
Count = Callable[[str], int]


@pytest.fixture(scope="module")
def counts() -> dict[str, Count]:
    """How many tokens a text has, by the libraries themselves, for each name."""
    bundled = tokenizers.Tokenizer.from_file(str(BUNDLED_TOKENIZER))
    chat = tokenizers.Tokenizer.from_str(json.dumps(byte_level()))
    space = tokenizers.Tokenizer.from_str(json.dumps(unigram()))
    tiny = tiny_tiktoken()._encoding
    return {
        "bundled": lambda text: len(bundled.encode(text, add_special_tokens=False).ids),
        "chat": lambda text: len(chat.encode(text, add_special_tokens=False).ids),
        "space": lambda text: len(space.encode(text, add_special_tokens=False).ids),
        "tiktoken:tiny": lambda text: len(tiny.encode_ordinary(text)),
    }


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> NamedTokenizers:
    """The same tokenizers as whoever starts the server allows them; one has a chat template."""
    folder = tmp_path_factory.mktemp("models")
    for name, definition in (("chat", byte_level()), ("space", unigram())):
        (folder / name).mkdir()
        (folder / name / "tokenizer.json").write_text(json.dumps(definition))
    (folder / "chat" / "tokenizer_config.json").write_text(json.dumps({"chat_template": CHATML}))
    named = NamedTokenizers(allowed={name: folder / name for name in ("chat", "space")})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ragctx.mcp_server.tokenizers.load_tiktoken", lambda name: tiny_tiktoken())
        named.load("tiktoken:tiny")
    return named


def assembled(toolbox: Toolbox, **arguments: Any) -> Result:
    tool = next(tool for tool in toolbox.tools() if tool.name == "assemble")
    return tool.run({"question": QUESTION, **arguments}, lambda text: None)


def test_what_the_tokenizer_counts_is_what_is_told_and_fits(
    folder: Path, named: NamedTokenizers, counts: dict[str, Count], loaded: Service
) -> None:
    toolbox, fitted = Toolbox(get_service=lambda: loaded, tokenizers=named), 0

    @given(
        tokenizer=st.sampled_from(sorted(counts)),
        budget=st.integers(1, 900) | st.integers(300, 2000),
        template=st.sampled_from(TEMPLATES),
        placement=st.sampled_from([name for name in STRATEGIES if name != "calibrated"]),
        trim=st.booleans(),
        expand=st.integers(0, 2),
        k=st.integers(1, 12),
    )
    def law(tokenizer: str, budget: int, **settings: Any) -> None:
        nonlocal fitted
        given = {"tokenizer": tokenizer, "budget_tokens": budget, **settings}
        try:
            result = assembled(toolbox, **given)
        except (InputError, BudgetError) as error:
            assert "budget_tokens" in str(error).replace("--budget-tokens", "budget_tokens")
            return
        fitted += 1
        text, view = result.texts[0], result.view
        assert text == view["text"]
        assert counts[tokenizer](text) == view["text_tokens"] <= view["budget_tokens"] == budget
        certificate: Any = view["certificate"]
        assert certificate["text_tokens"] == view["text_tokens"]
        used = max(certificate["prompt_tokens"], certificate["text_tokens"])
        assert used + certificate["max_new_tokens"] + certificate["slack_tokens"] == budget + 256
        ledger: Any = view["ledger"]
        labels = [source["label"] for source in view["sources"]]  # type: ignore[attr-defined]
        assert labels == [str(number) for number in range(1, len(labels) + 1)]
        assert len(labels) <= sum(row["outcome"] in ("selected", "trimmed") for row in ledger)

    law()
    assert fitted > 5  # most budgets are large enough for something


def test_a_chat_template_goes_around_messages_not_around_a_context(
    named: NamedTokenizers, loaded: Service
) -> None:
    toolbox = Toolbox(get_service=lambda: loaded, tokenizers=named)
    result = assembled(toolbox, tokenizer="chat", budget_tokens=2000)
    assert result.texts[0].startswith("Passages found in documents for: How often must the pump")
    assert "<|im_start|>" not in result.texts[0]


def test_a_window_is_shared_with_the_answer(named: NamedTokenizers, loaded: Service) -> None:
    toolbox = Toolbox(get_service=lambda: loaded, tokenizers=named)
    shared = {"tokenizer": "bundled", "budget_tokens": 300, "max_new_tokens": 100}
    view = assembled(toolbox, **shared, context_window=400).view
    assert (view["context_window"], view["max_new_tokens"]) == (400, 100)
    with pytest.raises(InputError, match="context_window is 399 tokens, but max_new_tokens 100"):
        assembled(toolbox, **shared, context_window=399)


def test_what_is_left_out_is_told(toolbox: Toolbox) -> None:
    given = {"question": QUESTION, "tokenizer": "bundled", "budget_tokens": 100}
    result = called(toolbox, "assemble", given)
    text, told = texts_of(result)
    view = view_of(result)
    tokens = view["text_tokens"]
    assert told.startswith(f"The text above is complete: {tokens} tokens of bundled as one text")
    left_out = sum(row["outcome"] == "dropped" for row in view["ledger"])
    assert left_out and f"{left_out} dropped" in told and "Best left out: rank" in told
    assert [source["document"] for source in view["sources"]] and "[1] (" in text


def test_a_context_without_passages_says_so(toolbox: Toolbox) -> None:
    given = {"question": QUESTION, "tokenizer": "bundled", "budget_tokens": 100, "first_page": 9}
    result = called(toolbox, "assemble", given)
    assert texts_of(result)[1].startswith("Nothing was found: the text has no passages.")
    assert view_of(result)["ledger"] == view_of(result)["sources"] == []


def test_the_placement_is_what_was_asked_for(toolbox: Toolbox) -> None:
    given = {"question": QUESTION, "tokenizer": "bundled", "budget_tokens": 900}
    views = {
        name: view_of(called(toolbox, "assemble", {**given, "placement": name}))
        for name in ("best_first", "best_last")
    }
    first, last = (
        [segment["tokens"] for segment in views[name]["segments"] if segment["kind"] == "passage"]
        for name in ("best_first", "best_last")
    )
    assert len(first) > 1 and sorted(first) == sorted(last)
    texts = [views[name]["text"] for name in ("best_first", "best_last")]
    assert texts[0] != texts[1]


def test_the_agent_is_told_which_tokenizers_are_allowed(
    named: NamedTokenizers, loaded: Service
) -> None:
    toolbox = Toolbox(get_service=lambda: loaded, tokenizers=named)
    tool = next(tool for tool in toolbox.tools() if tool.name == "assemble")
    assert tool.parameters["tokenizer"].description.endswith("Here also: chat, space.")
    assert ASSEMBLE["tokenizer"].description.endswith("(then leave a margin).")
    given = {"question": QUESTION, "tokenizer": "nope", "budget_tokens": 900}
    assert "give chat, space, bundled or tiktoken:NAME" in error_of(
        called(toolbox, "assemble", given)
    )


def test_names_of_models_without_end_are_one_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    """tiktoken takes any name that begins like a model's: an agent must not fill the memory."""
    monkeypatch.setattr("ragctx.mcp_server.tokenizers.load_tiktoken", lambda name: tiny_tiktoken())
    named = NamedTokenizers()
    loaded = {id(named.load(f"{prefix}gpt-4o-{n}")) for prefix in ("", "tiktoken:") for n in "abc"}
    assert loaded == {id(named.load("tiktoken:tiny"))}


def test_the_directory_of_a_tokenizer_cannot_be_named(
    named: NamedTokenizers, loaded: Service
) -> None:
    """An agent knows names; a path would let it make the server open any file."""
    toolbox = Toolbox(get_service=lambda: loaded, tokenizers=named)
    for path in (str(named.allowed["chat"]), "./chat", "chat/../chat", "~", "tiktoken:../chat"):
        given = {"question": QUESTION, "tokenizer": path, "budget_tokens": 900}
        assert "there is no tokenizer" in error_of(called(toolbox, "assemble", given))
