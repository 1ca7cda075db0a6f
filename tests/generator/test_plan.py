"""Laws of plans: what is told before a model is loaded is what it then takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from ragctx.errors import ModelError
from ragctx.generator.huggingface.load import load_huggingface
from ragctx.generator.huggingface.memory import read_numbers, weight_bytes, weight_numbers
from ragctx.generator.huggingface.plan import Plan, plan_model
from ragctx.generator.huggingface.shapes import layer_numbers
from tests.generator.test_huggingface import (
    IS_OLD,
    KINDS,
    LONGROPE,
    MIXED,
    SLIDING,
    make_directory,
    prompt_of,
)
from tests.support.command_line import said

LLAMA = {
    "model_type": "llama",
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "hidden_size": 4096,
    "max_position_embeddings": 131072,
    "rope_scaling": {"rope_type": "llama3", "factor": 8.0},
}


def plan_of(folder: Path, config: dict[str, Any], **options: Any) -> Plan:
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    given = {"dtype": "bfloat16", "weights": 8_030_000_000, "free_bytes": 32 * 10**9, **options}
    return plan_model(folder, name="tiny", **given)


def test_a_known_model_has_its_known_numbers(tmp_path: Path) -> None:
    """Llama 3.1 8B keeps 128 KiB per token in 16 bits."""
    plan = plan_of(tmp_path, LLAMA)
    assert (plan.kv_bytes_per_token, plan.attention, plan.rope) == (131072, "GQA", "llama3")
    assert plan.weights_bytes == 16_060_000_000
    assert plan.fitting_tokens == (32 * 10**9 - 16_060_000_000) // 131072
    assert (plan.binds, plan.context_tokens) == ("memory", plan.fitting_tokens)
    small = plan_of(tmp_path, LLAMA, context_tokens=1000)
    assert (small.binds, small.kv_bytes) == ("budget", 131_072_000)
    assert small.step_bytes == small.weights_bytes + small.kv_bytes
    assert plan_of(tmp_path, LLAMA, free_bytes=10**12).binds == "window"


@pytest.mark.parametrize(
    ("changed", "growing", "sliding", "recurrent", "attention"),
    [
        ({"num_key_value_heads": 32}, 32, 0, 0, "MHA"),
        ({"num_key_value_heads": 1}, 32, 0, 0, "MQA"),
        ({"sliding_window": 4096}, 0, 32, 0, "GQA"),
        ({"sliding_window": 4096, "use_sliding_window": False}, 32, 0, 0, "GQA"),
        (
            {
                "sliding_window": 512,
                "layer_types": ["sliding_attention"] * 24 + ["full_attention"] * 8,
            },
            8,
            24,
            0,
            "GQA",
        ),
        ({"layer_types": ["linear_attention"] * 24 + ["full_attention"] * 8}, 8, 0, 24, "GQA"),
        ({"model_type": "mamba"}, 0, 0, 32, "none"),
        (
            {
                "kv_lora_rank": 512,
                "qk_rope_head_dim": 64,
                "qk_nope_head_dim": 128,
                "v_head_dim": 128,
            },
            32,
            0,
            0,
            "MLA",
        ),
    ],
)
def test_layers_of_every_kind_are_told_apart(
    tmp_path: Path,
    changed: dict[str, Any],
    growing: int,
    sliding: int,
    recurrent: int,
    attention: str,
) -> None:
    plan = plan_of(tmp_path, {**LLAMA, **changed})
    assert (plan.growing_layers, plan.sliding_layers, plan.recurrent_layers) == (
        growing,
        sliding,
        recurrent,
    )
    assert plan.attention == attention
    assert (plan.kv_bytes_per_token > 0) == (growing + sliding > 0)


MLA = {
    "num_key_value_heads": 4,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
    "n_routed_experts": 4,
    "first_k_dense_replace": 2,
    "moe_intermediate_size": 16,
    "n_group": 1,
    "topk_group": 1,
    "num_experts_per_tok": 2,
}
KEPT: dict[str, tuple[str, dict[str, Any]]] = {
    "mla": ("DeepseekV3Config", {**MLA, "q_lora_rank": 16}),
    "falcon": ("FalconConfig", {"new_decoder_architecture": False, "multi_query": True}),
    "two-widths": ("FalconConfig", {"new_decoder_architecture": True, "num_kv_heads": 2}),
}
"""Models whose configs do not say, or say wrongly, what is kept of a token."""


@pytest.mark.parametrize("kind", [*KEPT, *KINDS, *SLIDING, *LONGROPE, *MIXED])
def test_what_is_estimated_is_what_is_measured(kind: str, tmp_path: Path) -> None:
    """Layers that slide keep every token here, so that prompts can be reused."""
    if IS_OLD and kind == "two-widths":
        pytest.skip("transformers 4 does not run on shapes alone")
    directory = make_directory(tmp_path, kind, KINDS | SLIDING | LONGROPE | MIXED | KEPT)
    plan = planned(directory)
    model = load_huggingface(directory, context_window=256)
    model.generate(prompt_of([5, 6, 7, *range(20, 40)], 4))
    assert model.kv_bytes_per_token == plan.kv_bytes_per_token
    assert model.reading.model.dtype == torch.float32


def planned(directory: Path, **options: Any) -> Plan:
    """The plan of a directory, as the command makes it."""
    return plan_model(
        directory,
        name="tiny",
        dtype="float32",
        weights=weight_numbers(directory).total(),
        free_bytes=None,
        read=read_numbers(directory),
        kept=layer_numbers(directory),
        **options,
    )


@pytest.mark.skipif(IS_OLD, reason="transformers 4 has caches of their own for these")
def test_what_recurs_keeps_nothing_of_a_token(tmp_path: Path) -> None:
    plan = planned(make_directory(tmp_path / "mamba", "mamba"))
    assert (plan.kv_bytes_per_token, plan.attention, plan.recurrent_layers) == (0, "none", 2)
    plan = planned(make_directory(tmp_path / "bamba", "bamba"))  # one layer attends
    assert (plan.kv_bytes_per_token, plan.attention, plan.recurrent_layers) == (128, "GQA", 1)


def test_where_nothing_is_reused_a_window_bounds_what_slides(tmp_path: Path) -> None:
    """A model that also recurs keeps each layer's own kind of cache."""
    config = LLAMA | {
        "sliding_window": 512,
        "layer_types": ["mamba"] * 16 + ["sliding_attention"] * 8 + ["full_attention"] * 8,
    }
    plan = plan_of(tmp_path, config, context_tokens=4096)
    assert not plan.sliding_keeps_all and plan.kv_bytes_per_token == 8 * 4096
    assert plan.kv_bytes == 8 * 4096 * 4096 + 8 * 4096 * 512
    full = plan_of(tmp_path, config, free_bytes=16_060_000_000 + 8 * 4096 * 512 + 8 * 4096 * 100)
    assert full.fitting_tokens == 100
    tight = plan_of(tmp_path, config, free_bytes=16_060_000_000 + 16 * 4096 * 100)
    assert tight.fitting_tokens == 100


def test_a_token_is_computed_with_its_experts_alone(tmp_path: Path) -> None:
    """Of four experts two are used, and of the embeddings a row."""
    directory = make_directory(tmp_path, "moe")
    weights = weight_numbers(directory).total()
    experts = 2 * 4 * 3 * 32 * 48  # layers, experts, matrices
    embeddings = 300 * 32
    assert read_numbers(directory) == weights - experts // 2 - embeddings
    plan = planned(directory, context_tokens=1)
    assert plan.step_bytes == 4 * read_numbers(directory) + plan.kv_bytes
    dense = make_directory(tmp_path / "tied", "gemma")  # its head is its embeddings
    assert read_numbers(dense) == weight_numbers(dense).total()


def test_attention_costs_what_its_heads_do(tmp_path: Path) -> None:
    """Few heads of keys and values spare memory, and no arithmetic."""
    gqa = plan_of(tmp_path, LLAMA, context_tokens=8000).prefill_flops
    mha = plan_of(tmp_path, {**LLAMA, "num_key_value_heads": 32}, context_tokens=8000).prefill_flops
    assert gqa == mha == 2 * 8.03e9 * 8000 + 4 * 32 * 4096 * 8000**2 / 2


def test_packed_weights_are_held_as_they_are(tmp_path: Path) -> None:
    """Quantised checkpoints hold integers, which no --dtype makes larger."""
    head = {"w.qweight": {"dtype": "I32", "shape": [4, 4], "data_offsets": [0, 64]}}
    head["n.weight"] = {"dtype": "F16", "shape": [8], "data_offsets": [64, 80]}
    written = json.dumps(head).encode()
    (tmp_path / "model.safetensors").write_bytes(len(written).to_bytes(8, "little") + written)
    assert weight_bytes(tmp_path, torch.float32) == 64 + 8 * 4


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gemma", "bloom", "gpt_neox", "gpt_oss", "moe"])
def test_8_bits_are_estimated_as_they_are_held(kind: str, tmp_path: Path) -> None:
    """Embeddings, head and mixed experts stay as they are, and so do keys and values."""
    pytest.importorskip("torchao", reason="the int8 extra is not installed")
    from ragctx.generator.huggingface.measure import measure

    if IS_OLD and kind == "moe":
        pytest.skip("transformers 4 keeps the experts' matrices apart")
    directory = make_directory(tmp_path, kind)
    plan = plan_model(
        directory,
        name=kind,
        dtype="int8",
        kv_dtype="float32",
        weights=weight_numbers(directory).total(),
        weights_bytes=weight_bytes(directory, torch.float32, int8=True),
        free_bytes=None,
    )
    measured = measure(load_huggingface(directory, dtype="int8", context_window=256))
    assert measured.weights_bytes == plan.weights_bytes < weight_bytes(directory, torch.float32)
    assert plan.step_bytes == plan.weights_bytes + plan.kv_bytes
    assert measured.kv_bytes_per_token == plan.kv_bytes_per_token


def test_the_command_plans_8_bits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torchao", reason="the int8 extra is not installed")

    directory = make_directory(tmp_path / "tiny", "llama")
    capsys.readouterr()
    code, out, _ = said(capsys, "plan", directory, "--dtype", "int8", "--measure", "--json")
    plan = json.loads(out)
    assert (code, plan["dtype"], plan["kv_dtype"]) == (0, "int8", "float32")
    assert plan["weights_bytes"] == plan["measured"]["weights_bytes"] < 4 * plan["weights"]
    assert plan["kv_bytes_per_token"] == plan["measured"]["kv_bytes_per_token"] == 256
    _, out, _ = said(capsys, "plan", directory, "--dtype", "int8")
    assert "billion numbers in int8 (computed with in float32)" in out


def test_the_command_tells_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = make_directory(tmp_path / "tiny", "llama")
    capsys.readouterr()  # transformers' own words
    code, out, err = said(capsys, "plan", directory, "--context", "100")
    assert (code, err) == (0, "")
    assert "KV cache  256 bytes per token (GQA; 2 layers that grow" in out
    assert "100 tokens: bound by the budget" in out
    code, out, _ = said(capsys, "plan", directory, "--json")
    assert (code, json.loads(out)["window_tokens"], json.loads(out)["measured"]) == (0, 256, None)
    code, _, err = said(capsys, "plan", "me/absent")
    assert (code, "hf download me/absent" in err) == (1, True)


def test_what_was_measured_stands_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = make_directory(tmp_path / "tiny", "llama")
    capsys.readouterr()
    code, out, _ = said(capsys, "plan", directory, "--measure", "--dtype", "float32", "--json")
    plan = json.loads(out)
    measured = plan["measured"]
    assert code == 0 and measured["kv_bytes_per_token"] == plan["kv_bytes_per_token"] == 256
    assert measured["weights_bytes"] == plan["weights_bytes"]
    assert measured["prompt_tokens"] == 248 and measured["step_s"] > 0
    code, out, _ = said(capsys, "plan", directory, "--measure")
    assert "measured  weights" in out and "256 bytes per token; prefill of 248 tokens" in out


def test_a_config_without_layers_has_no_plan(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="states no num_hidden_layers"):
        plan_of(tmp_path, {"model_type": "llama"})
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(ModelError, match="does not hold a JSON object"):
        plan_model(tmp_path, name="x", dtype="float32", weights=1, free_bytes=None)


def test_a_model_with_code_of_its_own_is_planned_and_its_code_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config: dict[str, Any] = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    config |= {"auto_map": {"AutoModelForCausalLM": "own.M"}, "max_position_embeddings": 64}
    (tmp_path / "own.py").write_text("raise SystemExit")
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes(b"\2" + bytes(7) + b"{}")
    code, out, err = said(capsys, "plan", tmp_path)
    assert (code, err) == (0, "") and "billion numbers" in out
