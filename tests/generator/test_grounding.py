"""Laws of grounded answers: every span is a passage's own, whatever the model would rather say.

The models have random weights, so that nothing but the bounds keeps them to the passages. The
reference reads the answer as text and looks for each statement in the passage that it cites.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragctx.assembly import Assembly, assemble
from ragctx.citations.resolve import cite
from ragctx.errors import InputError
from ragctx.generator.decoding import Decoding
from ragctx.generator.huggingface.grounding import CONNECTIVES, NOT_FOUND, Grounding, Place
from ragctx.records import Generation, Hit, Prompt
from ragctx.tokens.load import load_tokenizer
from ragctx.tokens.tokenizer import Tokenizer, within_text
from tests.support.model_zoo import FAMILIES, write_tokenizer
from tests.support.tiny_llama import write_llama

pytest.importorskip("transformers", reason="the hf extra is not installed")

from ragctx.generator.huggingface.load import load_huggingface
from ragctx.generator.huggingface.model import HuggingFaceGenerator

TEXTS = (
    "The filter must be cleaned\nevery week, at 3.5 bar, with 1,250 litres of water.",
    "Oil the pump (twice a year). It holds 0.75 litres; see “Care” on p. 9.",
    "フィルターは毎週掃除する。Naïve café: 12 °C.\n\nEnd",
)
HITS = [Hit.from_text(rank, 1 / rank, text, f"{rank}.pdf") for rank, text in enumerate(TEXTS, 1)]
QUICK = ("llama3", "llama2", "qwen2", "gemma")
families = pytest.mark.parametrize(
    "family",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in FAMILIES],
)
_STATEMENT = re.compile(r"(.*?) \[(\d)\]", re.DOTALL)


def prompt_of(tokenizer: Tokenizer, max_new_tokens: int = 60) -> Prompt:
    assembly = Assembly(max_new_tokens=max_new_tokens, placement="best_first")
    return assemble("How often?", HITS, tokenizer, context_window=4096, assembly=assembly)


def plain(text: str) -> str:
    return " ".join(text.split())


def statements(answer: str) -> list[tuple[str, str]]:
    """Each statement and the label behind it; what is left over must be a connective."""
    found, at = [], 0
    for match in _STATEMENT.finditer(answer):
        found.append((match[1], match[2]))
        at = match.end()
    assert answer[at:].strip() in ("", "."), answer[at:]
    return found


def is_grounded(statement: str, label: str, *, first: bool) -> bool:
    """Whether a statement stands in its passage, once the connective before it is taken off."""
    connectives = ("",) if first else ("", *CONNECTIVES)
    text = plain(TEXTS[int(label) - 1])
    rests = {
        plain(statement.removeprefix(c)) for c in connectives if statement.lstrip(" ").startswith(c)
    }
    whole = [rest for rest in rests if rest and rest in text]
    return any(_is_whole(rest, text) for rest in whole)


def _is_whole(span: str, text: str) -> bool:
    """Whether it begins and ends where words do (or in a script without spaces)."""
    spaceless = r"[぀-ヿ一-鿿、。]"
    begins = rf"(?:(?<!\S)|(?<={spaceless})|(?={spaceless}))"
    ends = rf"(?:(?!\S)|(?=[.,;:!?)”]+(?:\s|$))|(?<={spaceless})|(?={spaceless}))"
    return re.search(begins + re.escape(span) + ends, text) is not None


def assert_grounded(answer: str) -> None:
    if answer.strip() == NOT_FOUND:
        return
    found = statements(answer)
    assert found
    for number, (statement, label) in enumerate(found):
        assert is_grounded(statement, label, first=number == 0), (statement, label)


@pytest.fixture(scope="session")
def directory_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("grounded")
    return lambda family: write_tokenizer(folder / family, family)


def walk(grounding: Grounding, choose: Callable[[list[int]], int], tokens: int) -> list[int]:
    """An answer whose tokens `choose` takes from those allowed; it ends at the first place it may
    once it has some tokens."""
    places: frozenset[Place] = grounding.start
    ids: list[int] = []
    while allowed := sorted(grounding.allowed(places)):
        if grounding.may_end(places) and len(ids) > tokens:
            return ids
        ids.append(choose(allowed))
        places = grounding.after(places, ids[-1])
        assert places
        assert len(ids) < 5000
    assert grounding.may_end(places)
    return ids


@families
def test_whatever_is_chosen_every_statement_stands_in_the_passage_it_cites(
    family: str, directory_of: Callable[[str], Path]
) -> None:
    tokenizer = load_tokenizer(directory_of(family))
    prompt = prompt_of(tokenizer)
    grounding = Grounding(prompt.passages, within_text(tokenizer).encode, tokenizer.decode)

    @settings(max_examples=25, deadline=None)
    @given(st.integers(0, 80), st.randoms(use_true_random=False))
    def law(tokens: int, random: Any) -> None:
        answer = tokenizer.decode(walk(grounding, random.choice, tokens))
        assert_grounded(answer)

    law()


def decode_of(tokenizer: Tokenizer, text: str) -> str:
    return tokenizer.decode(within_text(tokenizer).encode(text)).strip()


@families
def test_every_statement_a_reader_would_quote_can_be_said(
    family: str, directory_of: Callable[[str], Path]
) -> None:
    tokenizer = load_tokenizer(directory_of(family))
    encode = within_text(tokenizer).encode
    grounding = Grounding(prompt_of(tokenizer).passages, encode, tokenizer.decode)
    for span, label in (
        ("every week", 1),
        ("cleaned every week", 1),
        ("1,250 litres of water.", 1),
        ("3.5 bar", 1),
        ("(twice a year)", 2),
        ("It holds 0.75 litres", 2),
        ("12 °C", 3),
    ):
        if decode_of(tokenizer, span) != span:
            continue  # the tokenizer does not know a character of it
        for lead in ("", " "):
            reached = grounding.start
            for token in [*encode(lead + span), *encode(f" [{label}]")]:
                reached = grounding.after(reached, token)
            if grounding.may_end(reached):
                break
        else:
            pytest.fail(f"{span!r} cannot be said")


@families
def test_what_would_change_a_number_or_a_word_cannot_be_said(
    family: str, directory_of: Callable[[str], Path]
) -> None:
    tokenizer = load_tokenizer(directory_of(family))
    encode = within_text(tokenizer).encode
    grounding = Grounding(prompt_of(tokenizer).passages, encode, tokenizer.decode)
    for wrong in ("250 litres", "at 3", "5 bar", "week 1", "clean", "never"):
        reached = grounding.start
        for token in [*encode(wrong), *encode(" [1]")]:
            reached = grounding.after(reached, token)
        assert not grounding.may_end(reached), wrong


# ---- with a model --------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def model_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llama(tmp_path_factory.mktemp("grounded-model"), "llama3")


def whole_statements(generation: Generation) -> str:
    """The answer without the statement that the limit of tokens cut."""
    if generation.finish_reason == "stop":
        return generation.text
    return generation.text[: generation.text.rfind("]") + 1]


@pytest.mark.parametrize("temperature", [0.0, 2.0])
def test_a_model_says_only_what_the_passages_say_cached_or_not(
    model_directory: Path, temperature: float
) -> None:
    decoding = Decoding(temperature=temperature, seed=3)
    model = load_huggingface(model_directory, decoding=decoding, grounded=True)
    prompt = prompt_of(model.tokenizer)
    pieces: list[str] = []
    cold = model.generate(prompt, on_text=pieces.append)
    warm = model.generate(prompt)
    assert warm.reused_tokens > 0
    assert temperature or warm.token_ids == cold.token_ids  # a draw may turn on the last bit
    assert "".join(pieces) == cold.text
    text = whole_statements(cold)
    assert text
    assert_grounded(text)
    cited = cite(replace(cold, text=text), prompt, lambda _: None)
    assert cited and all(citation.status != "unknown_label" for citation in cited)


def test_grounded_is_another_identity_and_is_told(model_directory: Path) -> None:
    free, bound = (
        load_huggingface(model_directory),
        load_huggingface(model_directory, grounded=True),
    )
    assert free.identity() != bound.identity() and bound.decoding == "greedy, grounded"
    prompt = prompt_of(free.tokenizer)
    assert free.generate(prompt).token_ids != bound.generate(prompt).token_ids


def test_an_answer_ends_where_nothing_may_follow(model_directory: Path) -> None:
    """Without passages, only that the documents do not hold the answer; this model has no end."""
    model: HuggingFaceGenerator = load_huggingface(model_directory, grounded=True)
    prompt = prompt_of(model.tokenizer)
    bare = replace(prompt, segments=tuple(s for s in prompt.segments if s.kind != "passage"))
    generation = model.generate(bare)
    assert generation.text.strip() == NOT_FOUND and generation.finish_reason == "stop"


def test_a_model_that_is_made_to_think_is_refused(model_directory: Path) -> None:
    model = load_huggingface(model_directory, grounded=True)
    prompt = prompt_of(model.tokenizer)
    last = replace(prompt.segments[-1], text=prompt.segments[-1].text + "<think>\n")
    with pytest.raises(InputError, match=r"turn thinking off"):
        model.generate(replace(prompt, segments=(*prompt.segments[:-1], last)))


def test_long_passages_take_linear_time(directory_of: Callable[[str], Path]) -> None:
    tokenizer = load_tokenizer(directory_of("llama3"))
    decoded: list[int] = []

    def decode(ids: Any) -> str:
        decoded.append(len(ids))
        return tokenizer.decode(ids)

    def tokens_decoded(words: int) -> int:
        decoded.clear()
        hits = [Hit.from_text(1, 0.9, "The filter must be cleaned every week. " * words)]
        prompt = assemble("How?", hits, tokenizer, context_window=60_000)
        Grounding(prompt.passages, within_text(tokenizer).encode, decode)
        return sum(decoded)

    assert tokens_decoded(400) < 5 * tokens_decoded(100)
