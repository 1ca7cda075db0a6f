"""Laws of Hugging Face generators: cached equals uncached, streamed equals whole, loads are safe.

References: one forward pass over all ids without any cache, and transformers' own `generate`.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragctx.errors import BudgetError, InputError, MissingExtraError, ModelError, TokenizerError
from ragctx.generator.decoding import Decoding
from ragctx.generator.huggingface import memory, own_tokenizer, weights
from ragctx.generator.huggingface.config import rope_is_fixed, window_of
from ragctx.generator.huggingface.kept_prefixes import BLOCK_TOKENS
from ragctx.generator.huggingface.load import load_huggingface
from ragctx.generator.huggingface.model import HuggingFaceGenerator
from ragctx.generator.huggingface.sampling import choose_token, random_source
from ragctx.generator.huggingface.streaming import StopTexts, TextStream
from ragctx.generator.load import LocalOptions, load_generator, sampling_of
from ragctx.generator.protocol import Generator
from ragctx.records import Prompt, Segment
from ragctx.tokens.load import load_tokenizer
from tests.support.paths import ROOT

transformers = pytest.importorskip("transformers", reason="the hf extra is not installed")
tokenizers = pytest.importorskip("tokenizers")

IS_OLD = int(transformers.__version__.split(".")[0]) < 5
END = "<|end|>"
SHAPE = {
    "vocab_size": 300,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", {"num_key_value_heads": 2}),
    "llama3-rope": (
        "LlamaConfig",
        {
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 10000.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 32,
            }
        },
    ),
    "qwen2": ("Qwen2Config", {"num_key_value_heads": 2}),
    "gpt_neox": ("GPTNeoXConfig", {}),
    "gpt2": ("GPT2Config", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256}),
    "gemma": ("GemmaConfig", {"num_key_value_heads": 1, "head_dim": 8}),
    "bloom": ("BloomConfig", {"n_layer": 2, "n_head": 4}),
    "ernie4_5": ("Ernie4_5Config", {"num_key_value_heads": 2, "head_dim": 8}),  # no encoder
}
NOT_CAUSAL: dict[str, tuple[str, dict[str, Any]]] = {"bert": ("BertConfig", {})}
# Windows of 8, shorter than the prompts here.
SLIDING: dict[str, tuple[str, dict[str, Any]]] = {
    "mistral-sliding": ("MistralConfig", {"num_key_value_heads": 2, "sliding_window": 8}),
    "gemma3": (
        "Gemma3TextConfig",
        {
            "num_key_value_heads": 1,
            "head_dim": 8,
            "sliding_window": 8,
            "layer_types": ["sliding_attention", "full_attention"],
        },
    ),
    "gpt_oss": (
        "GptOssConfig",
        {
            "num_key_value_heads": 2,
            "head_dim": 8,
            "sliding_window": 8,
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "layer_types": ["sliding_attention", "full_attention"],
        },
    ),
}
MIXED: dict[str, tuple[str, dict[str, Any]]] = {
    "moe": ("MixtralConfig", {"num_key_value_heads": 2, "num_local_experts": 4}),
}
# Every key is rotated otherwise once a text has more than 40 tokens.
LONGROPE: dict[str, tuple[str, dict[str, Any]]] = {
    "phi3-longrope": (
        "Phi3Config",
        {
            "num_key_value_heads": 2,
            "original_max_position_embeddings": 40,
            "rope_parameters": {
                "rope_type": "longrope",
                "rope_theta": 10000.0,
                "short_factor": [1.0] * 4,
                "long_factor": [1.5, 2.0, 4.0, 6.0],
                "original_max_position_embeddings": 40,
            },
        },
    ),
}
RECURRENT: dict[str, tuple[str, dict[str, Any]]] = {
    "mamba": ("MambaConfig", {"state_size": 8}),
    "bamba": (  # counts positions from 0 unless it is told them
        "BambaConfig",
        {
            "num_key_value_heads": 2,
            "attn_layer_indices": [1],
            "mamba_n_heads": 8,
            "mamba_d_head": 8,
            "mamba_d_state": 8,
            "mamba_n_groups": 1,
        },
    ),
}
# These forget or rotate by length: never reused. (Those that recur have caches of their own before
# version 5.)
FORGETFUL: dict[str, tuple[str, dict[str, Any]]] = {
    **({} if IS_OLD else RECURRENT),
    "dynamic-rope": (
        "LlamaConfig",
        {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}},
    ),
}


ALL = KINDS | SLIDING | LONGROPE | FORGETFUL | NOT_CAUSAL | MIXED


def byte_characters() -> dict[int, str]:
    """How byte-level vocabularies write each byte (GPT-2's table: printable ones as they are)."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [code for code in range(256) if code not in shown]
    return {code: chr(code) for code in shown} | {c: chr(256 + i) for i, c in enumerate(hidden)}


def byte_level_tokenizer() -> Any:
    """Every byte is a token whose id is the byte, so most characters are split; an end token."""
    vocabulary = {piece: code for code, piece in byte_characters().items()}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.add_special_tokens([END])
    return tokenizer


def make_directory(
    folder: Path,
    kind: str,
    kinds: dict[str, tuple[str, dict[str, Any]]] = ALL,
    *,
    context_window: int = 256,
) -> Path:
    """A tiny random model with its tokenizer, saved as a user would have it."""
    name, own = kinds[kind]
    shape = SHAPE | {"max_position_embeddings": context_window} | own
    if kind == "bloom":  # has no positions and states no length
        shape.pop("max_position_embeddings")
    config = getattr(transformers, name)(**shape)
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config)
    for parameter in model.parameters():  # larger than the usual start: scores that differ
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    byte_level_tokenizer().save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="session")
def directory_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def give(kind: str) -> Path:
        if kind not in made:
            made[kind] = make_directory(tmp_path_factory.mktemp(kind), kind)
        return made[kind]

    return give


@pytest.fixture(scope="session")
def generator_of(
    directory_of: Callable[[str], Path],
) -> Callable[[str], HuggingFaceGenerator]:
    loaded: dict[str, HuggingFaceGenerator] = {}

    def give(kind: str) -> HuggingFaceGenerator:
        if kind not in loaded:
            loaded[kind] = load_huggingface(directory_of(kind), context_window=256)
        loaded[kind].forget()
        return loaded[kind]

    return give


@pytest.fixture
def llama(generator_of: Callable[[str], HuggingFaceGenerator]) -> HuggingFaceGenerator:
    return generator_of("llama")


def prompt_of(token_ids: Sequence[int], max_new_tokens: int = 12) -> Prompt:
    segment = Segment(kind="instruction", label="", text="", token_ids=tuple(token_ids))
    return Prompt(
        segments=(segment,),
        question="",
        placement="edges",
        context_window=256,
        max_new_tokens=max_new_tokens,
        budget_tokens=256,
    )


def one_pass_scores(generator: HuggingFaceGenerator, token_ids: Sequence[int]) -> torch.Tensor:
    """The reference: everything at once, no cache anywhere."""
    with torch.inference_mode():
        model: Any = generator.reading.model
        scores: torch.Tensor = model(
            input_ids=torch.tensor([list(token_ids)]), use_cache=False
        ).logits[0, -1]
    return scores


def one_pass_answer(generator: HuggingFaceGenerator, ids: Sequence[int], limit: int) -> list[int]:
    answer: list[int] = []
    for _ in range(limit):
        token = int(one_pass_scores(generator, [*ids, *answer]).argmax())
        if token in generator.end_ids:
            break
        answer.append(token)
    return answer


IDS = st.lists(st.integers(0, 255), min_size=1, max_size=40)
MORE = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


# ---- cached equals uncached ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*KINDS, *SLIDING, *LONGROPE, *FORGETFUL])
def test_greedy_ids_equal_one_pass_and_transformers_generate(
    kind: str, generator_of: Callable[[str], HuggingFaceGenerator]
) -> None:
    generator = generator_of(kind)
    ids = list(range(40, 70))
    found = generator.generate(prompt_of(ids, 20))
    theirs = generator.reading.model.generate(  # type: ignore[attr-defined]
        torch.tensor([ids]), max_new_tokens=20, do_sample=False, attention_mask=torch.ones(1, 30)
    )
    assert list(found.token_ids) == theirs[0, 30:].tolist()
    assert list(found.token_ids) == one_pass_answer(generator, ids, 20)
    assert len(set(found.token_ids)) > 1, "a constant answer would show nothing"


@pytest.mark.parametrize("kind", [*KINDS, *SLIDING, *LONGROPE])
def test_any_reuse_gives_the_cold_answer(
    kind: str, generator_of: Callable[[str], HuggingFaceGenerator]
) -> None:
    generator = generator_of(kind)
    first, shared = list(range(30, 60)), list(range(30, 50))
    for ids in (first, [*shared, 99, 98, 97], first, shared, [7, *first]):
        warm = generator.generate(prompt_of(ids))
        scores = generator.next_scores(ids)
        assert warm.token_ids == tuple(one_pass_answer(generator, ids, 12))
        assert torch.allclose(scores, one_pass_scores(generator, ids), atol=1e-3)


@MORE
@given(prompts=st.lists(IDS, min_size=1, max_size=4), size=st.integers(1, 40), cut=st.data())
def test_any_split_and_any_history_give_the_one_pass_scores(
    llama: HuggingFaceGenerator, prompts: list[list[int]], size: int, cut: st.DataObject
) -> None:
    llama.reading.prefill_tokens = size
    history: list[list[int]] = [[]]
    for ids in prompts:  # each begins with some part of one that came before
        before = cut.draw(st.sampled_from(history))
        whole = before[: cut.draw(st.integers(0, len(before)))] + ids
        assert torch.allclose(llama.next_scores(whole), one_pass_scores(llama, whole), atol=1e-3)
        history.append(whole)


def test_reused_tokens_are_the_common_prefix_but_never_the_whole_prompt(
    llama: HuggingFaceGenerator,
) -> None:
    ids = list(range(20, 50))
    assert llama.generate(prompt_of(ids)).reused_tokens == 0
    again = llama.generate(prompt_of(ids))
    assert again.reused_tokens == len(ids) - 1
    assert llama.generate(prompt_of([*ids[:11], 200, 201])).reused_tokens == 11
    assert llama.generate(prompt_of([1, *ids])).reused_tokens == 0
    answer = llama.generate(prompt_of(ids)).token_ids
    # The answer's ids are in the cache too (all but the last, which was never read).
    assert llama.generate(prompt_of([*ids, *answer, 5])).reused_tokens == 30 + len(answer) - 1


@pytest.mark.parametrize("kind", ["llama", *SLIDING])
def test_a_prompt_is_reused_though_others_came_in_between(
    kind: str, generator_of: Callable[[str], HuggingFaceGenerator]
) -> None:
    generator = generator_of(kind)
    one, other = list(range(20, 170)), list(range(60, 210))
    first = generator.generate(prompt_of(one))
    assert generator.generate(prompt_of(other)).reused_tokens == 0
    again = generator.generate(prompt_of(one))
    assert (again.token_ids, again.reused_tokens) == (first.token_ids, len(one) - 1)


@MORE
@given(lengths=st.lists(st.integers(1, 80), min_size=1, max_size=5), size=st.integers(1, 60))
def test_longrope_is_exact_on_both_sides_of_its_border(
    generator_of: Callable[[str], HuggingFaceGenerator], lengths: list[int], size: int
) -> None:
    """Its border is at 40 tokens: prompts before, at and beyond it, answers that cross it."""
    generator = generator_of("phi3-longrope")
    generator.reading.prefill_tokens = size
    for length in lengths:
        ids = [7 + i % 200 for i in range(length)]
        found = generator.generate(prompt_of(ids, 6))
        assert list(found.token_ids) == one_pass_answer(generator, ids, 6)
        assert torch.allclose(
            generator.next_scores(ids), one_pass_scores(generator, ids), atol=1e-3
        )


def test_longrope_reuses_what_has_the_same_rotation(
    generator_of: Callable[[str], HuggingFaceGenerator],
) -> None:
    generator = generator_of("phi3-longrope")
    ids = list(range(20, 90))
    assert generator.generate(prompt_of(ids)).reused_tokens == 0
    assert generator.generate(prompt_of(ids[:30], 4)).reused_tokens == 0
    assert generator.generate(prompt_of(ids[:35], 4)).reused_tokens == 30
    assert generator.generate(prompt_of(ids)).reused_tokens == 69


def test_another_process_finds_whole_blocks_on_disk(
    directory_of: Callable[[str], Path], tmp_path: Path
) -> None:
    ids = list(range(20, 170))
    load = partial(load_huggingface, directory_of("llama"), kv_cache=tmp_path)
    first = load().generate(prompt_of(ids))
    warm = load()
    again = warm.generate(prompt_of(ids))
    assert (again.token_ids, again.reused_tokens) == (first.token_ids, 2 * BLOCK_TOKENS)
    assert torch.allclose(warm.next_scores(ids), one_pass_scores(warm, ids), atol=1e-3)
    other = load(dtype="bfloat16").generate(prompt_of(ids))
    assert other.reused_tokens == 0, "other numbers, other keys"


def test_a_changed_model_finds_nothing_on_disk(
    directory_of: Callable[[str], Path], tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    folder = copied(directory_of, tmp_path)
    ids = list(range(20, 170))
    load_huggingface(folder, kv_cache=tmp_path / "kv").generate(prompt_of(ids))
    weights = folder / "model.safetensors"
    changed = {name: tensor * 1.01 for name, tensor in load_file(weights).items()}
    save_file(changed, weights, {"format": "pt"})
    warm = load_huggingface(folder, kv_cache=tmp_path / "kv")
    assert warm.generate(prompt_of(ids)).reused_tokens == 0


def test_same_length_but_other_ids_are_not_taken_from_the_cache(
    llama: HuggingFaceGenerator,
) -> None:
    """transformers' generate does so, silently."""
    one, other = list(range(20, 50)), list(range(60, 90))
    llama.generate(prompt_of(one))
    found = llama.generate(prompt_of(other))
    assert found.reused_tokens == 0
    assert found.token_ids == tuple(one_pass_answer(llama, other, 12))


@pytest.mark.parametrize("kind", FORGETFUL)
def test_models_that_forget_are_never_reused(
    kind: str, generator_of: Callable[[str], HuggingFaceGenerator]
) -> None:
    generator = generator_of(kind)
    ids = list(range(40, 70))
    cold = generator.generate(prompt_of(ids))
    warm = generator.generate(prompt_of(ids))
    assert not generator.reading.reuses_prefix
    assert warm.reused_tokens == 0
    assert warm.token_ids == cold.token_ids
    assert generator.kv_bytes_per_token is None


def test_a_model_that_forgets_says_that_it_keeps_nothing_on_disk(
    directory_of: Callable[[str], Path], tmp_path: Path
) -> None:
    generator = load_huggingface(directory_of("dynamic-rope"), kv_cache=tmp_path)
    generator.generate(prompt_of(range(20, 200)))
    assert any("forgets what it read" in note for note in generator.take_notes())
    assert not [*tmp_path.iterdir()]


def test_an_exception_in_the_middle_leaves_no_dirty_cache(llama: HuggingFaceGenerator) -> None:
    ids = list(range(20, 50))
    cold = llama.generate(prompt_of(ids))
    seen: list[str] = []

    def fail(piece: str) -> None:
        seen.append(piece)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        llama.generate(prompt_of(ids), on_text=fail)
    assert seen
    assert llama.generate(prompt_of(ids)).token_ids == cold.token_ids


def test_an_exception_inside_the_model_leaves_no_dirty_cache(
    llama: HuggingFaceGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first layer had already appended to its cache, the second had not."""
    ids = list(range(20, 50))
    cold = llama.generate(prompt_of(ids))
    layer = llama.reading.model.model.layers[1]  # type: ignore[attr-defined]
    calls = iter(range(100))

    def fail(*_: object) -> None:
        if next(calls) == 3:
            raise MemoryError

    hook = layer.register_forward_pre_hook(fail)
    with pytest.raises(ModelError, match=r"memory ran out while llama.* read \d+ tokens on cpu"):
        llama.generate(prompt_of(ids))
    hook.remove()
    assert llama.generate(prompt_of(ids)).token_ids == cold.token_ids


def test_threads_get_their_own_answers(llama: HuggingFaceGenerator) -> None:
    prompts = [prompt_of(range(20 + i, 50 + i)) for i in range(6)]
    expected = [llama.generate(prompt).token_ids for prompt in prompts]
    found: dict[int, tuple[int, ...]] = {}

    def answer(i: int) -> None:
        for _ in range(3):
            found[i] = llama.generate(prompts[i]).token_ids

    threads = [threading.Thread(target=answer, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[i] for i in range(6)] == expected


def test_kv_bytes_per_token_is_what_the_shape_says(llama: HuggingFaceGenerator) -> None:
    assert llama.kv_bytes_per_token is None
    llama.generate(prompt_of(range(20, 50)))
    # 2 layers, keys and values, 2 key-value heads of width 8, float32
    assert llama.kv_bytes_per_token == 2 * 2 * 2 * 8 * 4


# ---- stopping, limits ----------------------------------------------------------------------------


def test_max_new_tokens_is_respected(llama: HuggingFaceGenerator) -> None:
    for limit in (1, 2, 7):
        found = llama.generate(prompt_of(range(20, 50), limit))
        assert len(found.token_ids) == limit
        assert found.finish_reason == "length"


@pytest.mark.parametrize("where", ["generation_config", "config", "list", "tokenizer_config"])
def test_the_end_token_stops_and_is_not_in_the_answer(
    where: str, llama: HuggingFaceGenerator, directory_of: Callable[[str], Path], tmp_path: Path
) -> None:
    ids = list(range(20, 50))
    free = llama.generate(prompt_of(ids)).token_ids
    end = next(token for i, token in enumerate(free) if i >= 2 and token not in free[:2])
    folder = tmp_path / "model"
    shutil.copytree(directory_of("llama"), folder)
    if where == "tokenizer_config":
        text = json.loads((folder / "tokenizer.json").read_text())
        piece = next(p for p, i in text["model"]["vocab"].items() if i == end)
        text["added_tokens"].append(text["added_tokens"][0] | {"id": end, "content": piece})
        (folder / "tokenizer.json").write_text(json.dumps(text))
        (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": piece}}))
    else:
        name = "config.json" if where == "config" else "generation_config.json"
        table = json.loads((folder / name).read_text())
        table["eos_token_id"] = [299, end] if where == "list" else end
        (folder / name).write_text(json.dumps(table))
    found = load_huggingface(folder).generate(prompt_of(ids))
    assert found.finish_reason == "stop"
    assert found.token_ids == free[: free.index(end)]


def test_prompts_that_cannot_be_read_are_refused_with_the_numbers(
    llama: HuggingFaceGenerator,
) -> None:
    with pytest.raises(BudgetError, match=r"250 tokens and 12 .* 6 more than the 256"):
        llama.generate(prompt_of([1] * 250))
    with pytest.raises(InputError, match=r"token id 30000 .* generator.tokenizer"):
        llama.generate(prompt_of([5, 30000]))
    with pytest.raises(InputError, match="no tokens"):
        llama.generate(prompt_of([]))
    with pytest.raises(InputError, match="max_new_tokens is 0"):
        llama.generate(prompt_of([5], 0))
    assert len(llama.generate(prompt_of([1] * 244)).token_ids) <= 12  # exactly full


def test_scores_that_are_not_numbers_are_an_error(directory_of: Callable[[str], Path]) -> None:
    generator = load_huggingface(directory_of("llama"))
    generator.reading.model.get_input_embeddings().weight.data[7] = float("nan")
    with pytest.raises(ModelError, match="its weights are damaged: copy it again"):
        generator.generate(prompt_of([7, 8]))
    coarse = load_huggingface(directory_of("llama"), dtype="bfloat16")
    coarse.reading.model.get_input_embeddings().weight.data[7] = float("nan")
    with pytest.raises(ModelError, match="bfloat16 is too coarse for it: --dtype float32"):
        coarse.generate(prompt_of([7, 8]))


def test_numbers_that_are_none_at_loading_are_told_once(
    directory_of: Callable[[str], Path], tmp_path: Path
) -> None:
    model = transformers.AutoModelForCausalLM.from_pretrained(str(directory_of("llama")))
    model.get_input_embeddings().weight.data.fill_(float("nan"))
    model.save_pretrained(tmp_path)
    shutil.copy(directory_of("llama") / "tokenizer.json", tmp_path)
    with pytest.raises(ModelError, match=r"damaged: copy it again$"):
        load_huggingface(tmp_path)


# ---- sampling ------------------------------------------------------------------------------------


def test_same_seed_same_answer_other_seed_other_answer(
    directory_of: Callable[[str], Path],
) -> None:
    def answer(seed: int, top_k: int = 0, top_p: float = 1.0) -> tuple[int, ...]:
        decoding = Decoding(temperature=2.0, top_k=top_k, top_p=top_p, seed=seed)
        generator = load_huggingface(directory_of("llama"), decoding=decoding)
        first = generator.generate(prompt_of(range(20, 50))).token_ids
        assert generator.generate(prompt_of(range(20, 50))).token_ids == first
        return first

    state = torch.random.get_rng_state()
    assert answer(1) == answer(1)
    assert answer(1) != answer(2)
    assert answer(1, top_k=1) == answer(2, top_p=1e-9)  # both are greedy
    assert torch.equal(torch.random.get_rng_state(), state), "the global source is not touched"


@given(
    st.lists(st.floats(-20, 20), min_size=2, max_size=30),
    st.floats(1e-3, 5),
    st.integers(0, 8),
    st.floats(0.01, 1.0),
    st.integers(0, 1000),
)
def test_a_sampled_token_is_in_the_top_k_and_the_top_p(
    scores: list[float], temperature: float, top_k: int, top_p: float, seed: int
) -> None:
    decoding = Decoding(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
    token = choose_token(torch.tensor(scores), decoding, random_source(decoding))
    order = sorted(range(len(scores)), key=lambda i: -torch.tensor(scores)[i].item())
    order = order[: top_k or None]
    weights = (torch.tensor(scores).double()[order] / temperature).softmax(0)
    before = float(sum(weights[: order.index(token)]))
    assert before < top_p + 1e-9


def test_decoding_refuses_what_cannot_be() -> None:
    for wrong in ({"temperature": -1.0}, {"top_k": -1}, {"top_p": 1.5}, {"seed": -1}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            Decoding(**wrong)


# ---- streaming -----------------------------------------------------------------------------------

TEXTS = st.text(st.characters(codec="utf-8"), max_size=60) | st.sampled_from(
    [
        "naïve café",
        "日本語のテキスト",
        "👩‍👩‍👧‍👦🇩🇪",
        "a\ufffdb",
        "\ufffd" * 20,
        "</s><|end|>[1] {question}",
    ]
)


def stream_all(decode: Callable[[Sequence[int]], str], ids: Sequence[int]) -> list[str]:
    stream = TextStream(decode)
    return [*(stream.push(token) for token in ids), stream.finish()]


DECODE = byte_level_tokenizer().decode


@given(TEXTS)
def test_streamed_pieces_join_to_the_text_and_split_no_character(text: str) -> None:
    ids = list(text.encode("utf-8"))
    pieces = stream_all(DECODE, ids)
    whole = DECODE(ids)
    assert "".join(pieces) == whole
    if "\ufffd" not in whole:
        assert not any("\ufffd" in piece for piece in pieces)


@given(st.binary(max_size=80))
def test_streamed_pieces_join_to_the_text_for_broken_bytes(data: bytes) -> None:
    ids = list(data)
    assert "".join(stream_all(DECODE, ids)) == DECODE(ids)


def word_piece() -> Any:
    words = ["[UNK]", "do", "##n", "##'", "walk", "##ing", ".", ",", "'", "s", "n't", "!", "the"]
    made = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({w: i for i, w in enumerate(words)}, unk_token="[UNK]")
    )
    made.decoder = tokenizers.decoders.WordPiece()
    return made


def metaspace_with_byte_fallback() -> Any:
    words = ["<unk>", "▁", "▁a", "b", "▁word", *(f"<0x{i:02X}>" for i in range(256)), "é", "</s>"]
    made = tokenizers.Tokenizer(
        tokenizers.models.BPE({w: i for i, w in enumerate(words)}, [], byte_fallback=True)
    )
    made.decoder = tokenizers.decoders.Sequence(
        [
            tokenizers.decoders.Replace("▁", " "),
            tokenizers.decoders.ByteFallback(),
            tokenizers.decoders.Fuse(),
            tokenizers.decoders.Strip(" ", 1, 0),
        ]
    )
    made.add_special_tokens(["</s>"])
    return made


@given(st.lists(st.integers(0, 12), max_size=30))
def test_streamed_pieces_join_to_the_text_for_word_pieces(ids: list[int]) -> None:
    decode = word_piece().decode
    assert "".join(stream_all(decode, ids)) == decode(ids)


@given(st.lists(st.sampled_from([0, 1, 2, 3, 4, 261, 262]) | st.characters(codec="utf-8")))
def test_streamed_pieces_join_to_the_text_for_byte_fallback(parts: list[int | str]) -> None:
    """Characters in bytes, whole. (Of broken bytes these decoders spoil even the good ones.)"""
    decode = metaspace_with_byte_fallback().decode
    ids = [
        token
        for part in parts
        for token in ([part] if isinstance(part, int) else [5 + b for b in part.encode()])
    ]
    assert "".join(stream_all(decode, ids)) == decode(ids)


@pytest.mark.parametrize("text", ["plain words here " * 60, "日本" * 170])
def test_streaming_does_not_decode_the_text_over_and_over(text: str) -> None:
    assert decoded_tokens(text.encode()) < 20 * len(text.encode())


def test_endless_broken_bytes_do_not_make_streaming_quadratic() -> None:
    """Every token alone is a broken character: the window would grow, decoded at each step."""
    assert decoded_tokens(b"\x80" * 4000) < 20 * 4000


def decoded_tokens(ids: Sequence[int]) -> int:
    total = 0

    def decode(window: Sequence[int]) -> str:
        nonlocal total
        total += len(window)
        return str(DECODE(list(window)))

    assert "".join(stream_all(decode, ids)) == DECODE(list(ids))
    return total


def test_on_text_gets_the_text_of_the_generation(llama: HuggingFaceGenerator) -> None:
    pieces: list[str] = []
    found = llama.generate(prompt_of(range(20, 50), 40), on_text=pieces.append)
    assert "".join(pieces) == found.text == llama.tokenizer.decode(found.token_ids)
    assert all(pieces)
    assert found.prefill_s > 0
    assert found.decode_s > 0


# ---- loading -------------------------------------------------------------------------------------


def test_a_directory_is_loaded_through_the_one_door(directory_of: Callable[[str], Path]) -> None:
    generator = load_generator(str(directory_of("qwen2")))
    assert isinstance(generator, Generator)
    assert generator.name == directory_of("qwen2").name
    assert generator.context_window == 256
    assert generator.template == "qa"


def test_half_precision_answers(directory_of: Callable[[str], Path]) -> None:
    generator = load_huggingface(directory_of("llama"), dtype="bfloat16")
    generator.generate(prompt_of(range(20, 50)))
    assert generator.kv_bytes_per_token == 2 * 2 * 2 * 8 * 2


def copied(directory_of: Callable[[str], Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(directory_of("llama"), tmp_path / "model"))


def test_no_directory_no_config_no_weights(
    directory_of: Callable[[str], Path], tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="not a directory"):
        load_huggingface(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="bundled"):
        load_generator("some/deep/folder")
    with pytest.raises(ModelError, match=r"config\.json"):
        load_huggingface(tmp_path)
    folder = copied(directory_of, tmp_path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="no weights"):
        load_huggingface(folder)


def test_a_note_of_git_lfs_in_place_of_the_weights_says_how_to_fetch_them(
    directory_of: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = copied(directory_of, tmp_path)
    note = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    (folder / "model.safetensors").write_text(note)
    with pytest.raises(ModelError, match=r"model\.safetensors is not the file.*git lfs pull"):
        load_huggingface(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "generation_config.json"])
def test_a_note_of_git_lfs_in_place_of_any_file_does(
    name: str, directory_of: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = copied(directory_of, tmp_path)
    (folder / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n")
    with pytest.raises(ModelError, match=rf"{re.escape(name)} is not the file.*git lfs pull"):
        load_huggingface(folder)


def stating(folder: Path, **values: object) -> Path:
    """The directory, with other values in its config."""
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))
    return folder


def test_a_file_of_ends_that_cannot_be_read_is_not_passed_over(
    directory_of: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(directory_of("llama"), tmp_path / "llama")
    (folder / "generation_config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match=r"generation_config\.json cannot be read .*copy it again"):
        load_huggingface(folder)


def test_a_folder_of_gguf_files_says_which_to_name(
    directory_of: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = tmp_path / "llama"
    folder.mkdir()
    shutil.copy(directory_of("llama") / "config.json", folder)
    (folder / "q4.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelError, match=r"name one of them \(--model .*q4\.gguf\)"):
        load_huggingface(folder)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"intermediate_size": 64}, "other shapes than its config.json states.*copy both again"),
        ({"model_type": "t5"}, "it is a t5, and no model that goes on with a text: give one"),
        (
            {"quantization_config": {"quant_method": "awq", "bits": 4}},
            "install what that names, or take the same model with weights as they were trained",
        ),
        ({"num_attention_heads": 5}, "size|heads|dimension|shapes"),
        ({"max_position_embeddings": -1}, "states no length: give it, --context-window TOKENS"),
    ],
)
def test_what_a_config_states_wrong_is_told_with_a_remedy(
    values: dict[str, object], told: str, directory_of: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = stating(copied(directory_of, tmp_path), **values)
    with pytest.raises(ModelError, match=told) as caught:
        load_huggingface(folder)
    assert "\n" not in str(caught.value) and "ignore_mismatched" not in str(caught.value)


def test_weights_without_a_place_are_told_of(
    directory_of: Callable[[str], Path], tmp_path: Path
) -> None:
    """As of a config that states one layer less, whose model answered without a word."""
    folder = stating(copied(directory_of, tmp_path), num_hidden_layers=1)
    # older versions of transformers also find that the prompts differ a little
    [note] = [one for one in load_huggingface(folder).take_notes() if "no place" in one]
    assert "has no place for 9 weights in its files (first: model.layers.1." in note
    sound = load_huggingface(directory_of("llama")).take_notes()
    assert not any("no place" in one for one in sound)


def test_masks_in_old_files_are_no_weights_without_a_place(
    directory_of: Callable[[str], Path], tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(directory_of("gpt2"), tmp_path / "model"))
    tensors = load_file(folder / "model.safetensors")
    tensors["transformer.h.0.attn.masked_bias"] = torch.tensor(-1e4)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    assert load_huggingface(folder).take_notes() == ()


def test_no_memory_while_loading_is_no_word_of_damaged_files(
    directory_of: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 7 GB")

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", fail)
    with pytest.raises(ModelError, match=r"memory ran out while .* was loaded.*int8"):
        load_huggingface(directory_of("llama"))


def test_pickled_weights_are_refused_and_never_opened(
    directory_of: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = copied(directory_of, tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pickle \(pytorch_model\.bin\).*save_pretrained"):
        load_huggingface(folder)


def test_truncated_incomplete_and_foreign_weights_are_one_line_errors(
    directory_of: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = copied(directory_of, tmp_path)
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError) as caught:
        load_huggingface(folder)
    assert "\n" not in str(caught.value)

    from safetensors.torch import load_file, save_file

    weights.write_bytes(whole)
    tensors = load_file(weights)
    missing = "model.layers.1.mlp.up_proj.weight"
    save_file({k: v for k, v in tensors.items() if k != missing}, weights, {"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 1 .*up_proj.*random"):
        load_huggingface(folder)

    save_file(tensors | {missing: torch.zeros(3, 3)}, weights, {"format": "pt"})
    with pytest.raises(ModelError):
        load_huggingface(folder)


@pytest.mark.parametrize("named", ["model-00002-of-00002.safetensors", "../llama/b.safetensors"])
def test_shards_that_are_not_beside_their_index_are_named(
    directory_of: Callable[[str], Path], tmp_path: Path, named: str
) -> None:
    """Nor is a file read that lies elsewhere."""
    from safetensors.torch import load_file, save_file

    folder = copied(directory_of, tmp_path)
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    first, second = "model-00001-of-00002.safetensors", "b.safetensors"
    names = sorted(tensors)
    save_file({name: tensors[name] for name in names[::2]}, folder / first, {"format": "pt"})
    save_file({name: tensors[name] for name in names[1::2]}, folder / second, {"format": "pt"})
    files = {name: named if i % 2 else first for i, name in enumerate(names)}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": files}), encoding="utf-8")
    with pytest.raises(ModelError, match=f"has no file '{re.escape(named)}'"):
        load_huggingface(folder)
    whole = {name: second if file == named else file for name, file in files.items()}
    index.write_text(json.dumps({"metadata": {}, "weight_map": whole}), encoding="utf-8")
    assert load_huggingface(folder).context_window == 256


OWN_CODE = """
from transformers import LlamaConfig, LlamaForCausalLM

class C(LlamaConfig):
    model_type = "mine"

class M(LlamaForCausalLM):
    config_class = C

open({ran!r}, "w").close()
"""


@pytest.fixture
def with_own_code(directory_of: Callable[[str], Path], tmp_path: Path) -> Path:
    """A model that needs the Python code beside it; that code leaves a file named "ran"."""
    folder = copied(directory_of, tmp_path)
    config = json.loads((folder / "config.json").read_text())
    auto_map = {"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"}
    config |= {"model_type": "mine", "architectures": ["M"], "auto_map": auto_map}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(OWN_CODE.format(ran=str(tmp_path / "ran")))
    return folder


def test_code_in_the_directory_is_not_run_and_the_risk_is_named(
    with_own_code: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=r"own\.py.*whatever you can.*--trust-remote-code"):
        load_generator(with_own_code)
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow  # in a process of its own, since transformers keeps such classes
def test_trusted_code_is_run_and_its_model_answers_as_the_same_model_without(
    with_own_code: Path, tmp_path: Path, directory_of: Callable[[str], Path]
) -> None:
    script = f"""
from ragctx.generator.load import LocalOptions, load_generator
from tests.generator.test_huggingface import prompt_of

trusting = LocalOptions(dtype="float32", trust_remote_code=True)
model = load_generator({str(with_own_code)!r}, local=trusting)
print(list(model.generate(prompt_of(range(1, 30))).token_ids))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "HF_MODULES_CACHE": str(tmp_path / "modules"), "PYTHONPATH": str(ROOT)},
    )
    own = load_huggingface(directory_of("llama")).generate(prompt_of(range(1, 30)))
    assert json.loads(done.stdout) == list(own.token_ids), done.stderr
    assert (tmp_path / "ran").exists()


def test_code_that_no_model_needs_is_no_reason_to_refuse(
    directory_of: Callable[[str], Path], tmp_path: Path
) -> None:
    """Some directories name code for which transformers has its own by now, and do not bring it."""
    folder = copied(directory_of, tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config |= {"auto_map": {"AutoConfig": "gone.C", "AutoModelForCausalLM": ["gone.M", None]}}
    (folder / "config.json").write_text(json.dumps(config))
    assert load_huggingface(folder).name == folder.name


def test_an_adapter_is_refused(directory_of: Callable[[str], Path], tmp_path: Path) -> None:
    folder = copied(directory_of, tmp_path)
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "../other"}')
    with pytest.raises(ModelError, match="merge"):
        load_huggingface(folder)


def test_a_model_that_is_not_causal_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BERT loads as a "causal" model, sees both ways and would answer nonsense."""
    make_directory(tmp_path, "bert")
    with pytest.raises(ModelError, match="holds an encoder"):
        load_huggingface(tmp_path)
    monkeypatch.setattr(weights, "_is_encoder", lambda config: False)
    with pytest.raises(ModelError, match="not a causal model"):
        load_huggingface(tmp_path)


def test_a_thought_is_no_part_of_the_answer(
    llama: HuggingFaceGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = "<think>[2]?</think>\n\n[1]"
    script = iter([*written.encode(), 256])

    def forward(run: Any, token_ids: Sequence[int]) -> torch.Tensor:
        run.token_ids.extend(token_ids)
        return torch.nn.functional.one_hot(torch.tensor(next(script)), 300).float()

    monkeypatch.setattr(llama.reading, "forward", forward)
    monkeypatch.setattr(llama.reading, "prefill_tokens", 1024)
    monkeypatch.setattr(llama, "end_ids", frozenset({256}))
    pieces: list[str] = []
    answer = llama.generate(prompt_of([1, 2], 40), on_text=pieces.append)
    assert (answer.text, answer.thought, answer.finish_reason) == ("[1]", "[2]?", "stop")
    assert "".join(pieces) == "[1]"
    assert llama.tokenizer.decode(answer.token_ids) == written


def test_a_tokenizer_that_is_not_the_model_s_is_refused(
    directory_of: Callable[[str], Path], tmp_path: Path
) -> None:
    """Its ids would be ids of this model too, which would read nonsense and say nothing of it."""
    directory = directory_of("llama")
    own = load_huggingface(directory, tokenizer=load_tokenizer(directory))
    assert IS_OLD or own.take_notes() == ()  # before 5 a Llama without settings began with <s>
    other = byte_level_tokenizer()
    vocabulary = {piece: 255 - code for code, piece in byte_characters().items()}
    other.model = tokenizers.models.BPE(vocab=vocabulary, merges=[])
    other.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(InputError, match=r"is not that of the model in .*: 512 of its tokens have"):
        load_huggingface(directory, tokenizer=load_tokenizer(tmp_path))
    with pytest.raises(InputError, match="is not that of the model"):
        load_huggingface(directory, tokenizer=load_tokenizer("bundled"))


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(
    directory_of: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = copied(directory_of, tmp_path)
    larger = byte_level_tokenizer()
    larger.add_tokens([f"word{i}" for i in range(60)])
    larger.save(str(folder / "tokenizer.json"))
    with pytest.raises(ModelError, match="has ids up to 316, and the model only those up to 299"):
        load_huggingface(folder)


def test_a_prompt_unlike_the_model_s_own_is_noted(
    directory_of: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_tokenizer, "_theirs", lambda *_: [1, 2, 3])
    [note] = load_huggingface(directory_of("llama")).take_notes()
    assert re.search(r"differ from its own chat template: \d+ of a small prompt's tokens", note)


def test_a_directory_without_tokenizer_says_so(
    directory_of: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = copied(directory_of, tmp_path)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(TokenizerError):
        load_huggingface(folder)


def test_wrong_options_name_the_valid_ones(directory_of: Callable[[str], Path]) -> None:
    with pytest.raises(InputError, match=r"int4.*float32"):
        load_huggingface(directory_of("llama"), dtype="int4")
    with pytest.raises(InputError, match=r"abacus.*cpu"):
        load_huggingface(directory_of("llama"), device="abacus")


def test_without_transformers_the_message_names_the_extra(
    directory_of: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "transformers.utils.logging", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'ragctx\[hf\]'"):
        load_huggingface(directory_of("llama"))


def test_loading_is_silent_and_leaves_the_settings_of_transformers_alone(
    directory_of: Callable[[str], Path], capfd: pytest.CaptureFixture[str]
) -> None:
    from transformers.utils import logging as chatter

    before = (chatter.get_verbosity(), chatter.is_progress_bar_enabled())
    root = logging.getLogger().handlers[:]
    generator = load_huggingface(directory_of("gpt_neox"))
    generator.generate(prompt_of(range(20, 50)))
    assert capfd.readouterr() == ("", "")
    assert (chatter.get_verbosity(), chatter.is_progress_bar_enabled()) == before
    assert logging.getLogger().handlers == root


# ---- the context window --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "window"),
    [
        ({"max_position_embeddings": 2048}, 2048),
        ({"n_positions": 1024}, 1024),
        (
            {
                "max_position_embeddings": 131072,
                "rope_parameters": {
                    "rope_type": "llama3",
                    "factor": 32.0,
                    "original_max_position_embeddings": 8192,
                },
            },
            131072,
        ),
        (
            {
                "max_position_embeddings": 32768,
                "rope_scaling": {
                    "type": "yarn",
                    "factor": 4.0,
                    "original_max_position_embeddings": 32768,
                },
            },
            131072,
        ),
        (
            {
                "max_position_embeddings": 163840,
                "rope_parameters": {
                    "rope_type": "yarn",
                    "factor": 40.0,
                    "original_max_position_embeddings": 4096,
                },
            },
            163840,
        ),
        (
            {
                "max_position_embeddings": 131072,
                "rope_parameters": {
                    "full_attention": {"rope_type": "linear", "factor": 8.0},
                    "sliding_attention": {"rope_type": "default"},
                },
            },
            131072,
        ),
    ],
)
def test_the_context_window_is_what_the_config_means(
    attributes: dict[str, Any], window: int
) -> None:
    config = SimpleNamespace(**attributes)
    assert window_of(config) == window
    assert window_of(config, 100) == 100


def test_a_config_without_a_length_asks_for_one(
    directory_of: Callable[[str], Path],
) -> None:
    with pytest.raises(ModelError, match="context_window"):
        window_of(SimpleNamespace())
    with pytest.raises(ModelError, match="context_window is 1"):
        window_of(SimpleNamespace(), 1)
    with pytest.raises(ModelError, match="context_window=TOKENS"):
        load_huggingface(directory_of("bloom"))


@pytest.mark.parametrize("kind", ["dynamic", "longrope"])
def test_rotations_that_depend_on_length_are_known(kind: str) -> None:
    assert not rope_is_fixed(SimpleNamespace(rope_scaling={"type": kind}))
    assert not rope_is_fixed(SimpleNamespace(rope_parameters={"full": {"rope_type": kind}}))
    assert rope_is_fixed(SimpleNamespace(rope_parameters={"rope_type": "yarn"}))
    assert rope_is_fixed(SimpleNamespace())


def test_without_torch_a_model_directory_names_the_extra(tmp_path: Path) -> None:
    """ragctx itself is installed without torch."""
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from ragctx.errors import MissingExtraError\n"
        "from ragctx.generator.load import load_generator\n"
        "try:\n"
        f"    load_generator({str(tmp_path)!r})\n"
        "except MissingExtraError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch and transformers" in done.stdout and "pip install 'ragctx[hf]'" in done.stdout


# ---- Sampling limits, stop texts, memory, names ------------------------------------------------


def test_min_p_leaves_what_is_likely_enough_beside_the_likeliest() -> None:
    logits = torch.tensor([2.0, 1.9, -3.0, 1.0])
    decoding = Decoding(temperature=1.0, min_p=0.5)
    source = random_source(decoding)
    assert {choose_token(logits, decoding, source) for _ in range(60)} == {0, 1}


@given(
    text=st.text("abSTOP ", max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=6),
    stops=st.sampled_from([(), ("STOP",), ("STOP", "TO"), ("ab", "b ")]),
)
def test_an_answer_ends_before_the_first_stop_text_in_whatever_pieces_it_comes(
    text: str, cuts: list[int], stops: tuple[str, ...]
) -> None:
    given_out: list[str] = []
    until = StopTexts(stops, given_out.append)
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    stopped = False
    for start, end in pairwise(edges):
        if stopped := until.push(text[start:end]):
            break
    if not stopped:
        until.finish()
    read = text[:end] if stopped else text
    first = min((at for stop in stops if (at := read.find(stop)) >= 0), default=len(read))
    assert "".join(given_out) == read[:first]
    assert stopped == any(stop in read for stop in stops)


def test_a_stop_text_ends_the_answer(
    directory_of: Callable[[str], Path], llama: HuggingFaceGenerator
) -> None:
    whole = llama.generate(prompt_of([1, 2, 3], 24))
    stop = whole.text[5:7]
    model = load_huggingface(directory_of("llama"), decoding=Decoding(stop=(stop,)))
    pieces: list[str] = []
    answer = model.generate(prompt_of([1, 2, 3], 24), on_text=pieces.append)
    assert answer.text == "".join(pieces) == whole.text[: whole.text.index(stop)]
    assert answer.finish_reason == "stop"
    assert model.decoding == f"greedy, stop {(stop,)}"


@pytest.mark.parametrize(
    "wrong", [{"min_p": 1.0}, {"min_p": -0.1}, {"stop": ("",)}, {"temperature": -1.0}]
)
def test_more_that_decoding_refuses(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Decoding(**wrong)


def test_auto_takes_the_weights_own_numbers_where_they_are_quick(
    directory_of: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = torch.device("cpu")
    assert memory.quick_dtype(directory_of("llama"), cpu) == torch.float32
    model = transformers.AutoModelForCausalLM.from_pretrained(str(directory_of("llama")))
    model.to(torch.bfloat16).save_pretrained(tmp_path)
    for has, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(memory, "_processor_has_bfloat16", lambda has=has: has)
        assert memory.quick_dtype(tmp_path, cpu) == dtype
    assert memory.quick_dtype(tmp_path, torch.device("cuda")) == torch.bfloat16


def test_a_model_larger_than_the_memory_says_what_would_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path
    (directory / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    tensor = {"dtype": "F32", "shape": [1000, 1000], "data_offsets": [0, 0]}
    header = json.dumps({"model.layers.0.mlp.up_proj.weight": tensor}).encode()
    (directory / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    numbers = sum(memory.weight_numbers(directory).values())
    for free, dtype, remedy in (
        (3.0, "float32", "--dtype bfloat16 needs"),
        (1.5, "float32", "--dtype int8 needs"),
        (1.5, "bfloat16", "--dtype int8 needs"),
        (0.5, "bfloat16", "a model of at most .* billion numbers fits"),
        (0.5, "int8", "a model of at most .* billion numbers fits"),
    ):
        monkeypatch.setattr(memory, "free_bytes", lambda device, free=free: int(free * numbers))
        with pytest.raises(ModelError, match=rf"needs .* GB for its weights.*{remedy}"):
            load_huggingface(directory, dtype=dtype)


def test_int8_weights_answer_and_are_told_apart(directory_of: Callable[[str], Path]) -> None:
    pytest.importorskip("torchao", reason="the int8 extra is not installed")
    exact, int8 = (load_huggingface(directory_of("llama"), dtype=d) for d in ("float32", "int8"))
    weight = int8.reading.model.model.layers[0].mlp.up_proj.weight  # type: ignore[attr-defined]
    assert "Int8" in type(weight).__name__
    ids = [*range(1, 40)]
    own, close = exact.next_scores(ids), int8.next_scores(ids)
    assert 0 < float((own - close).std() / own.std()) < 0.1
    assert int8.generate(prompt_of(ids)).reused_tokens == len(ids) - 1, "cached as ever"
    assert exact.identity() != int8.identity() and "int8" in int8.identity()


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("gpt2", "no layers that torchao could hold in 8 bits: leave --dtype int8 out"),
        pytest.param(
            "mamba",
            "torchao cannot run all its layers in 8 bits: leave --dtype int8 out",
            marks=pytest.mark.skipif(IS_OLD, reason="Mamba needs transformers 5"),
        ),
    ],
)
def test_a_model_that_cannot_be_held_in_8_bits_is_refused(
    kind: str, told: str, directory_of: Callable[[str], Path]
) -> None:
    """Not silently held whole, which GPT-2 was."""
    pytest.importorskip("torchao", reason="the int8 extra is not installed")
    with pytest.raises(ModelError, match=re.escape(told)):
        load_huggingface(directory_of(kind), dtype="int8", context_window=64)


def test_without_torchao_int8_names_the_extra(
    directory_of: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torchao.quantization", None)
    with pytest.raises(MissingExtraError, match=r"torchao.*pip install 'ragctx\[int8\]'"):
        load_huggingface(directory_of("llama"), dtype="int8")


def test_sampling_as_its_makers_do_is_read_from_the_directory(tmp_path: Path) -> None:
    file = tmp_path / "generation_config.json"
    file.write_text('{"do_sample": true, "temperature": 0.6, "top_p": 0.95, "top_k": 20}')
    assert sampling_of(str(tmp_path)) == {"temperature": 0.6, "top_p": 0.95, "top_k": 20}
    file.write_text('{"do_sample": true}')
    assert sampling_of(str(tmp_path)) == {"temperature": 1.0}
    for content in ('{"eos_token_id": 2}', "[]", "no JSON"):
        file.write_text(content)
        with pytest.raises(ModelError, match=r"give --temperature"):
            sampling_of(str(tmp_path))
    file.unlink()
    with pytest.raises(ModelError, match=r"give --temperature"):
        sampling_of(str(tmp_path))
    for spec in ("bundled", "http://127.0.0.1:9/v1#m", "a.gguf"):
        with pytest.raises(InputError, match=r"--sample reads the generation_config.json"):
            sampling_of(spec)


@pytest.mark.parametrize("name", ["grounded", "reuse_passages", "trust_remote_code"])
@pytest.mark.parametrize("spec", ["bundled", "http://127.0.0.1:9/v1#m", "a.gguf"])
def test_options_of_directories_are_refused_elsewhere(spec: str, name: str) -> None:
    option = name.replace("_", "-")
    with pytest.raises(InputError, match=rf"--{option} is for a model's directory.*leave it out"):
        load_generator(spec, local=LocalOptions(**{name: True}), tokenizer=None)


def test_a_model_in_the_local_cache_has_its_hub_name(
    directory_of: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"does not download; fetch it first: hf download me/tiny"):
        load_generator("me/tiny")
    folder = tmp_path / "models--me--tiny"
    shutil.copytree(directory_of("llama"), folder / "snapshots" / "0123abcd")
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("0123abcd")
    assert load_generator("me/tiny").name == "me/tiny"
    (folder / "refs" / "main").write_text("../../../etc")
    with pytest.raises(ModelError, match="fetch it first"):
        load_generator("me/tiny")


def test_a_window_that_the_config_does_not_state_is_the_one_given(
    directory_of: Callable[[str], Path],
) -> None:
    assert load_generator(directory_of("bloom"), context_window=200).context_window == 200
    with pytest.raises(ModelError, match="--context-window TOKENS"):
        load_generator(directory_of("bloom"))
    assert load_generator(directory_of("llama"), context_window=99).context_window == 256


def test_what_is_told_to_be_cached_is_what_is_reused(
    generator_of: Callable[[str], HuggingFaceGenerator],
) -> None:
    for kind in ("llama", "mistral-sliding", "dynamic-rope"):
        generator = generator_of(kind)
        generator.generate(prompt_of([*range(1, 101)]))
        for ids in ([*range(1, 101)], [*range(1, 91), 7], [*range(1, 65)], [5, 6]):
            told = generator.cached_tokens(ids)
            assert generator.generate(prompt_of(ids)).reused_tokens == told


def test_what_another_process_wrote_counts_as_cached(
    directory_of: Callable[[str], Path], tmp_path: Path
) -> None:
    ids = [*range(1, 101)]
    load_huggingface(directory_of("llama"), kv_cache=tmp_path).generate(prompt_of(ids))
    other = load_huggingface(directory_of("llama"), kv_cache=tmp_path)
    assert other.cached_tokens(ids) == BLOCK_TOKENS
    assert other.generate(prompt_of(ids)).reused_tokens == BLOCK_TOKENS
