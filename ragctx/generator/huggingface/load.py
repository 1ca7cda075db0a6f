"""Load a Hugging Face causal language model from a local directory, as a generator.

Only safetensors are read, nothing is fetched, and no code in the directory is run unless the user
said so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from ragctx.errors import InputError
from ragctx.generator.decoding import Decoding
from ragctx.generator.huggingface.config import end_ids, window_of
from ragctx.generator.huggingface.hub import hub_name
from ragctx.generator.huggingface.kept_prefixes import KeptPrefixes
from ragctx.generator.huggingface.memory import INT8, best_device, check_memory, quick_dtype
from ragctx.generator.huggingface.model import HuggingFaceGenerator
from ragctx.generator.huggingface.own_tokenizer import differing_tokens, require_own_tokenizer
from ragctx.generator.huggingface.reading import ReadingModel
from ragctx.generator.huggingface.weights import (
    CausalModel,
    check_directory,
    load_model,
    quick_identity,
    quiet_transformers,
    refuse_own_code,
)
from ragctx.generator.kept_files import STORE_BYTES, KeptFiles
from ragctx.paths import expanded
from ragctx.text.wording import counted
from ragctx.tokens.load import load_tokenizer, with_template_options
from ragctx.tokens.tokenizer import Tokenizer

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_AUTO = "auto"

KEPT_BYTES = 2**30
"""Bytes of keys and values kept in memory for later prompts, unless another bound is given."""

_FILE_SUFFIX = ".prefix"


def load_huggingface(
    directory: str | Path,
    *,
    dtype: str = "float32",
    device: str = "cpu",
    context_window: int | None = None,
    fallback_window: int | None = None,
    decoding: Decoding | None = None,
    grounded: bool = False,
    reuse_passages: bool = False,
    trust_remote_code: bool = False,
    tokenizer: Tokenizer | None = None,
    template_options: Mapping[str, object] | None = None,
    kept_bytes: int = KEPT_BYTES,
    kv_cache: Path | None = None,
    kv_cache_bytes: int = STORE_BYTES,
) -> HuggingFaceGenerator:
    """Load a causal language model from a local directory (safetensors only).

    Args:
        directory: holds config.json, *.safetensors and the tokenizer's files.
        dtype: "float32", "bfloat16", "float16"; "int8" (weights in 8 bits, by torchao); or "auto":
            the weights' own where the device computes with it quickly.
        device: where torch runs it, e.g. "cpu", "cuda" or "mps"; "auto" takes what there is.
        context_window: tokens the model holds; by default what its config states.
        fallback_window: the same for a model whose config states nothing.
        decoding: greedy by default.
        grounded: whether answers are bound to the passages' own words, see `grounding`.
        reuse_passages: whether passages are read alone, once: an approximation, see `apart`.
        trust_remote_code: whether Python code in the directory may run.
        tokenizer: by default the one in the directory.
        template_options: what its chat template is told, such as {"enable_thinking": False}.
        kept_bytes: of keys and values in memory, for prompts that begin as earlier ones did.
        kv_cache: a folder where they are kept for other processes too.
        kv_cache_bytes: at most in that folder.

    Raises:
        MissingExtraError: transformers is not installed, or torchao for int8.
        ModelError: no weights, pickled, damaged or incomplete ones, code of its own, or no KV cache
            as it should be.
        TokenizerError: its tokenizer cannot be read.
        InputError: unknown dtype or device, another model's tokenizer, or `reuse_passages` for a
            model that cannot.
    """
    directory = expanded(directory)
    _require_dtype(dtype)
    check_directory(directory)
    if not trust_remote_code:
        refuse_own_code(directory)
    where = best_device() if device == _AUTO else _device(device)
    precision, int8 = _DTYPES.get(dtype) or quick_dtype(directory, where), dtype == INT8
    check_memory(directory, precision, where, int8=int8)
    is_own, options = tokenizer is None, template_options or {}
    tokenizer = with_template_options(tokenizer or load_tokenizer(directory), options)
    loaded = load_model(directory, precision, where, int8=int8, trust_remote_code=trust_remote_code)
    model = loaded.model
    numbers = INT8 if int8 else "" if precision == torch.float32 else str(precision)
    files = None if kv_cache is None else KeptFiles(kv_cache, kv_cache_bytes, suffix=_FILE_SUFFIX)
    identity = _identity(directory, precision, numbers)
    reading = ReadingModel(
        model,
        name=hub_name(directory) or directory.resolve().name,
        prefixes=KeptPrefixes(kept_bytes, model=identity, files=files),
    )
    require_own_tokenizer(tokenizer, None if is_own else directory, reading.vocabulary_size)
    with quiet_transformers():
        reading.self_test()
        generator = HuggingFaceGenerator(
            reading,
            tokenizer,
            context_window=window_of(_configs(model)[-1], context_window, fallback_window),
            end_ids=end_ids(_configs(model), directory, tokenizer),
            decoding=decoding or Decoding(),
            grounded=grounded,
            reuse_passages=reuse_passages,
            numbers=numbers,
        )
        _compare_prompts(generator, directory, options)
    _tell(generator, loaded.unused, kv_cache)
    return generator


def _tell(generator: HuggingFaceGenerator, unused: Sequence[str], kv_cache: Path | None) -> None:
    """Note what is not as it may be thought to be."""
    if kv_cache is not None and not generator.reading.reuses_prefix:
        generator.note(
            f"{generator.name} forgets what it read: nothing of it is kept in {kv_cache}"
        )
    if unused:
        generator.note(
            f"{generator.name} has no place for {counted(len(unused), 'weight')} in its files "
            f"(first: {unused[0]}): if its config.json is another model's, its answers are worse"
        )


def _configs(model: CausalModel) -> tuple[object, ...]:
    """What may state how answers end, the config of the text model last."""
    config = model.config.get_text_config(decoder=True)
    return getattr(model, "generation_config", None), model.config, config


def _compare_prompts(
    generator: HuggingFaceGenerator, directory: Path, template_options: Mapping[str, object]
) -> None:
    """Note if a prompt's tokens are not those that transformers gives the model."""
    differing = differing_tokens(generator.tokenizer, directory, template_options)
    if differing:
        generator.note(
            f"prompts for {generator.name} differ from its own chat template: {differing} of a "
            "small prompt's tokens are others, so that answers may be worse than they could be"
        )


def _require_dtype(dtype: str) -> None:
    if dtype not in (*_DTYPES, INT8, _AUTO):
        raise InputError(f"dtype is {dtype!r}; valid: {_AUTO}, {', '.join(_DTYPES)}, {INT8}")


def _device(name: str) -> torch.device:
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise InputError(f'device is {name!r}; valid: "cpu", "cuda", "cuda:1", "mps"') from error


def _identity(directory: Path, precision: torch.dtype, numbers: str) -> str:
    """What keys and values depend on beside the ids."""
    import transformers

    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    return f"{quick_identity(directory)} {precision} {numbers} {versions}"
