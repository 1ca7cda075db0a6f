"""Laws of attribution for local models: it is what whole readings without each passage give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ragctx.errors import InputError
from ragctx.generator.attribute import attribute
from ragctx.records import Generation, Prompt
from tests.support.generators import ScriptedGenerator

torch = pytest.importorskip("torch")
pytest.importorskip("transformers", reason="the hf extra is not installed")

from ragctx.generator.huggingface.load import load_huggingface  # noqa: E402
from tests.generator.test_apart import A, B, C, make_directory, prompt_of  # noqa: E402

KINDS = ("llama", "mistral-sliding", "phi3-longrope", "gpt2")


@pytest.fixture(scope="session")
def directories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: make_directory(tmp_path_factory.mktemp(kind), kind) for kind in KINDS}


def step_by_step(directory: Path, ids: Sequence[int], answer: Sequence[int]) -> float:
    """The obvious reference: the scores of each next token, from a fresh reading of all before."""
    total = 0.0
    for at, token in enumerate(answer):
        generator = load_huggingface(directory)
        scores = generator.next_scores([*ids, *answer[:at]])
        total += float(scores.double().log_softmax(-1)[token])
    return total


def without(prompt: Prompt, label: str) -> list[int]:
    kept = (s for s in prompt.segments if not (s.kind == "passage" and s.label == label))
    return [token for segment in kept for token in segment.token_ids]


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_what_whole_readings_give(kind: str, directories: dict[str, Path]) -> None:
    directory = directories[kind]
    generator = load_huggingface(directory)
    prompt = replace(prompt_of([A, B, C]), max_new_tokens=4)
    generation = generator.generate(prompt)
    found = attribute(generator, prompt, generation)
    answer = generation.token_ids
    assert [one.label for one in found] == ["1", "2", "3"]
    whole = step_by_step(directory, prompt.token_ids, answer)
    for one in found:
        rest = step_by_step(directory, without(prompt, one.label), answer)
        assert one.log_probability == pytest.approx(whole, abs=1e-3)
        assert one.without == pytest.approx(rest, abs=1e-3)


def test_across_the_border_of_longrope_it_is_the_reading_of_each_token(
    directories: dict[str, Path],
) -> None:
    """The border is at 512: the prompt ends before it and the answer behind."""
    generator = load_huggingface(directories["phi3-longrope"])
    long = (*A, *B, *C) * 2
    prompt = replace(prompt_of([long]), max_new_tokens=6)
    filler = 510 - len(prompt.token_ids)
    prompt = replace(prompt_of([(*long, *([3] * filler))]), max_new_tokens=6)
    assert len(prompt.token_ids) == 510
    generation = generator.generate(prompt)
    [one] = attribute(generator, prompt, generation)
    whole = step_by_step(directories["phi3-longrope"], prompt.token_ids, generation.token_ids)
    assert one.log_probability == pytest.approx(whole, abs=2e-3)


def test_what_stands_before_the_passage_left_out_is_not_read_again(
    directories: dict[str, Path],
) -> None:
    generator = load_huggingface(directories["llama"])
    prompt = prompt_of([A, B, C])
    generation = generator.generate(prompt)
    read: list[int] = []
    forward = generator.reading._scores

    def counting(run: object, token_ids: Sequence[int], rows: int) -> object:
        read.append(len(token_ids))
        return forward(run, token_ids, rows)  # type: ignore[arg-type]

    generator.reading._scores = counting  # type: ignore[method-assign, assignment]
    attribute(generator, prompt, generation)
    answer = len(generation.token_ids)
    own = [len(segment.token_ids) for segment in prompt.segments]
    behind = [sum(own[number + 1 :]) for number in (1, 2, 3)]
    # of the whole prompt the last token; of the others what is behind; of each the answer
    assert sum(read) <= 1 + sum(behind) + 4 * answer


def test_with_reused_passages_nothing_but_their_beginnings_is_read_again(
    directories: dict[str, Path],
) -> None:
    generator = load_huggingface(directories["llama"], reuse_passages=True)
    prompt = prompt_of([A, B, C])
    generation = generator.generate(prompt)
    found = attribute(generator, prompt, generation)
    assert len(found) == 3 and len({one.without for one in found}) == 3
    fresh = load_huggingface(directories["llama"], reuse_passages=True)
    again = attribute(fresh, prompt, generation)
    for one, other in zip(found, again, strict=True):
        assert one.without == pytest.approx(other.without, abs=1e-3)


def test_nothing_is_attributed_of_an_empty_answer_or_by_a_server(
    directories: dict[str, Path],
) -> None:
    generator = load_huggingface(directories["llama"])
    prompt = prompt_of([A])
    generation = generator.generate(prompt)
    empty: Generation = replace(generation, token_ids=())
    with pytest.raises(InputError, match="nothing"):
        attribute(generator, prompt, empty)
    with pytest.raises(InputError, match="needs a model that runs here, and scripted"):
        attribute(ScriptedGenerator("Yes."), prompt, generation)
