"""A random Llama with the tokenizer of a family of the zoo, as a user's directory has it."""

from __future__ import annotations

from pathlib import Path

from ragctx.tokens.load import load_tokenizer
from tests.support.model_zoo import write_tokenizer


def write_llama(folder: Path, family: str) -> Path:
    """Two layers; its scores differ more than those of the usual random weights."""
    import torch
    import transformers

    write_tokenizer(folder, family)
    config = transformers.LlamaConfig(
        vocab_size=len(load_tokenizer(folder).vocabulary),  # type: ignore[attr-defined]
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(config)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    return folder
