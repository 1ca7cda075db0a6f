"""A Llama written as a GGUF file, and llama.cpp run with it in this process.

For `benchmarks.kv_cache`: the same weights, float32, on one thread. Needs `pip install gguf
xllamacpp`. llama.cpp turns neighbouring numbers of a key as a pair where transformers turns halves,
so the rows of the query and key weights are put in its order.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def write_gguf(model: Any, file: Path) -> Path:
    """The weights of a transformers Llama, with a vocabulary of words that nobody reads."""
    gguf: Any = importlib.import_module("gguf")
    config = model.config
    writer = gguf.GGUFWriter(str(file), "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([f"w{i}" for i in range(config.vocab_size)])
    writer.add_token_merges(["w 0"])
    writer.add_token_types([1] * config.vocab_size)
    writer.add_add_bos_token(False)
    for name, tensor in model.state_dict().items():
        if "rotary" not in name:
            writer.add_tensor(_gguf_name(name), _in_their_order(name, tensor, config).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _gguf_name(name: str) -> str:
    stem = name.removesuffix(".weight")
    if stem.startswith("model.layers."):
        _, _, number, rest = stem.split(".", 3)
        return f"blk.{number}.{_NAMES[rest]}.weight"
    return f"{_NAMES[stem]}.weight"


def _in_their_order(name: str, tensor: Tensor, config: Any) -> Tensor:
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    count = next((n for part, n in heads.items() if part in name), None)
    if count is None:
        return tensor
    halves = tensor.reshape(count, 2, tensor.shape[0] // count // 2, tensor.shape[1])
    return halves.transpose(1, 2).reshape(tensor.shape).contiguous()


class LlamaCpp:
    """llama.cpp with one model, on one thread, greedy."""

    def __init__(self, file: Path, window: int) -> None:
        library: Any = importlib.import_module("xllamacpp")
        wanted = library.CommonParams()
        wanted.model.path = str(file)
        wanted.n_ctx = window
        wanted.n_parallel = 1
        wanted.n_gpu_layers = 0
        wanted.cpuparams.n_threads = wanted.cpuparams_batch.n_threads = 1
        wanted.sampling.temp = 0.0
        wanted.cache_type_k = wanted.cache_type_v = library.ggml_type.GGML_TYPE_F32
        wanted.verbosity = -1
        self._server = library.Server(wanted)

    def answer(self, ids: Sequence[int], tokens: int, *, cached: bool = False) -> list[int]:
        """The ids that it answers."""
        body = {
            "prompt": list(ids),
            "n_predict": tokens,
            "temperature": 0.0,
            "cache_prompt": cached,
            "ignore_eos": True,
        }
        given = self._server.handle_completions(body)
        return [int(number) for number in re.findall(r"w(\d+)", given["choices"][0]["text"])]


def is_installed() -> bool:
    """Whether both packages are here."""
    try:
        importlib.import_module("gguf")
        importlib.import_module("xllamacpp")
    except ImportError:
        return False
    return True


def same_answers(model: Any, runner: LlamaCpp, ids: Sequence[int], tokens: int) -> int:
    """How many tokens both answer alike before they differ: they add numbers in another order."""
    inputs = torch.tensor([list(ids)])
    given = model.generate(
        inputs,
        attention_mask=torch.ones_like(inputs),
        max_new_tokens=tokens,
        do_sample=False,
        pad_token_id=0,
    )
    own = given[0, len(ids) :].tolist()
    theirs = runner.answer(ids, tokens)
    alike = [a == b for a, b in zip(own, theirs, strict=False)]
    return alike.index(False) if False in alike else len(alike)
