"""Load a generator by its name: the bundled reader, a model directory, or a server's model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ragctx.arguments import require_kind, require_whole
from ragctx.errors import InputError, ModelError, require_extra
from ragctx.generator.decoding import Decoding
from ragctx.generator.huggingface.hub import cached_model, is_hub_name
from ragctx.paths import expanded

if TYPE_CHECKING:
    from ragctx.generator.protocol import Generator
    from ragctx.tokens.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalOptions:
    """How a model from a directory is run; see `load_huggingface`."""

    dtype: str = "auto"
    device: str = "auto"
    grounded: bool = False
    reuse_passages: bool = False
    trust_remote_code: bool = False


def load_generator(
    spec: str | Path = "bundled",
    *,
    tokenizer: str | Path | Tokenizer | None = None,
    context_window: int | None = None,
    kv_cache: str | Path | None = None,
    template_options: Mapping[str, object] | None = None,
    server_options: Mapping[str, object] | None = None,
    decoding: Decoding | None = None,
    local: LocalOptions | None = None,
    dtype: str = "auto",
    device: str = "auto",
) -> Generator:
    """Load a generator: the reader that ships with ragctx, a model directory, or a server's model.

    Args:
        spec: "bundled"; a directory, or the name of a model in this machine's Hugging Face cache
            ("Qwen/Qwen3-0.6B"), loaded as a causal language model; a GGUF file, with which an
            installed llama.cpp is started; or the address of a server that speaks the OpenAI
            protocol, with the model's name: "http://127.0.0.1:8000/v1#my-model" (see
            `ragctx.generator.openai.model`). Only a server named here is contacted.
        tokenizer: counts budgets instead of the one in the model's directory, by its name or as
            `load_tokenizer` gives it; required for a server's model if its server does not count.
        context_window: tokens that a server's model holds; by default the server is asked, and
            4096 is taken where it does not tell. Other models' files tell it; it is taken for those
            whose files do not.
        kv_cache: a folder where a model here keeps the keys and values of what it read, for the
            next process (`ragctx.generator.kept_files`).
        template_options: what the model's chat template is told, such as {"enable_thinking":
            False}; a server gets them as `chat_template_kwargs`.
        server_options: how a server is asked, see `load_openai_api`.
        decoding: greedy by default.
        local: how a model from a directory is run, `dtype` and `device` included.
        dtype: short for a `local` with nothing else.
        device: likewise.

    Raises:
        ModelError: there is no such model, or its files are damaged.
        MissingExtraError: a directory is given, and torch or transformers is not installed.
        InputError: a server's model without a way to count, the bundled reader with one, a
            server's model with `kv_cache`, options for another kind of model, or options that the
            chat template does not read.
    """
    require_kind("spec", spec, (str, Path), 'give "bundled", a directory, or URL#MODEL')
    spec = str(spec)
    if context_window is not None:
        require_whole("context_window", context_window, least=1)
    local = local or LocalOptions(dtype=dtype, device=device)
    folder = None if kv_cache is None else expanded(kv_cache)
    if spec == "bundled":
        _require_no_options(tokenizer, template_options, decoding)
        return _load_bundled(local, folder)
    from ragctx.tokens.load import as_tokenizer

    load = _load_served if is_served(spec) else _load_directory
    return load(
        spec,
        local,
        tokenizer=None if tokenizer is None else as_tokenizer(tokenizer),
        context_window=context_window,
        kv_cache=folder,
        decoding=decoding,
        template_options=template_options,
        server_options=server_options,
    )


def _load_bundled(local: LocalOptions, kv_cache: Path | None) -> Generator:
    _require_unset(
        local, "the bundled reader copies its answers from passages that it reads one by one"
    )
    from ragctx.generator.reader.reader import load_bundled

    return load_bundled(kv_cache=kv_cache)


def _load_directory(
    spec: str,
    local: LocalOptions,
    *,
    tokenizer: Tokenizer | None,
    context_window: int | None,
    kv_cache: Path | None,
    decoding: Decoding | None,
    template_options: Mapping[str, object] | None,
    server_options: Mapping[str, object] | None,
) -> Generator:
    if server_options:
        raise InputError(f"{spec} is no server: leave --server-option out")
    directory = model_directory(spec)
    with require_extra("A Hugging Face model", "torch and transformers", "'ragctx[hf]'"):
        from ragctx.generator.huggingface.load import load_huggingface

    return load_huggingface(
        directory,
        dtype=local.dtype,
        device=local.device,
        fallback_window=context_window,
        decoding=decoding,
        grounded=local.grounded,
        reuse_passages=local.reuse_passages,
        trust_remote_code=local.trust_remote_code,
        tokenizer=tokenizer,
        template_options=template_options,
        kv_cache=kv_cache,
    )


def is_served(spec: str) -> bool:
    """Whether a name is that of a server's model, or of a GGUF file, for which one is started."""
    return spec.startswith(("http://", "https://")) or spec.lower().endswith(".gguf")


def _require_unset(local: LocalOptions, why: str) -> None:
    """Refuse options that only a model loaded from a directory has."""
    for name in ("grounded", "reuse_passages", "trust_remote_code"):
        if getattr(local, name):
            option = name.replace("_", "-")
            raise InputError(f"--{option} is for a model's directory, and {why}; leave it out")


def _require_no_options(
    tokenizer: object, template_options: object, decoding: Decoding | None
) -> None:
    """Refuse what other models may be told and the bundled reader cannot."""
    if tokenizer is not None:
        raise InputError("the bundled reader has its own tokenizer; leave --tokenizer out")
    if template_options:
        raise InputError("the bundled reader has no chat template: leave --template-option out")
    if decoding is not None and decoding != Decoding():
        raise InputError(
            "the bundled reader copies its answers, and draws none: leave --temperature, the "
            "options beside it and --stop out"
        )


def sampling_of(spec: str) -> dict[str, float]:
    """How the makers of a local model sample from it, as `Decoding` takes it.

    Raises InputError for what is no model directory, ModelError if its files do not tell.
    """
    if spec == "bundled" or is_served(spec):
        raise InputError(
            f"--sample reads the generation_config.json of a model's directory, and {spec} is "
            "none; give --temperature"
        )
    from ragctx.generator.huggingface.config import stated_sampling

    return stated_sampling(model_directory(spec))


def model_directory(spec: str) -> Path:
    """The folder of a local model: as named, or in this machine's Hugging Face cache.

    Raises ModelError if there is none; it tells how to fetch one that has a hub's name.
    """
    directory = expanded(spec)
    if spec and directory.is_dir():
        return directory
    if is_hub_name(spec):
        cached = cached_model(spec)
        if cached is not None:
            return cached
        raise ModelError(
            f"no model {spec!r} in this machine's Hugging Face cache, and ragctx does not "
            f"download; fetch it first: hf download {spec}"
        )
    if directory.is_file() and spec.lower().endswith(".gguf"):
        raise ModelError(f"{spec} is a GGUF file, and only the directory of a model is read here")
    raise ModelError(
        f'no model {spec!r}: use "bundled", the directory of a Hugging Face model '
        "(config.json, *.safetensors, tokenizer.json), a GGUF file, or "
        "http://HOST:PORT/v1#MODEL"
    )


def _load_served(
    spec: str,
    local: LocalOptions,
    *,
    tokenizer: Tokenizer | None,
    context_window: int | None,
    kv_cache: Path | None,
    decoding: Decoding | None,
    template_options: Mapping[str, object] | None,
    server_options: Mapping[str, object] | None,
) -> Generator:
    _require_unset(local, f"{spec} is run by a server, which reads and decodes by itself")
    if kv_cache is not None:
        raise InputError(f"{spec} is served, with a cache of its own: leave --kv-cache out")
    if not spec.startswith(("http://", "https://")):
        from ragctx.generator.gguf.model import load_gguf

        return load_gguf(
            expanded(spec),
            tokenizer=tokenizer,
            context_window=context_window,
            decoding=decoding,
            template_options=template_options,
            server_options=server_options,
        )
    from ragctx.generator.openai.model import load_openai_api

    return load_openai_api(
        spec,
        tokenizer=tokenizer,
        context_window=context_window,
        decoding=decoding,
        template_options=template_options,
        server_options=server_options,
    )
