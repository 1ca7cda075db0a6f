"""Load a tokenizer by name, directory or file."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from ragctx.errors import InputError, TokenizerError, require_extra
from ragctx.model_loading import unlogged
from ragctx.paths import expanded
from ragctx.tokens.chat_template import read_chat_template
from ragctx.tokens.huggingface import HuggingFaceTokenizer, read_definition
from ragctx.tokens.tiktoken import load_tiktoken
from ragctx.tokens.tokenizer import Tokenizer

BUNDLED_TOKENIZER = (
    Path(__file__).parents[1] / "generator" / "reader" / "weights" / "tokenizer.json"
)
"""BERT's uncased WordPiece, 30,522 pieces: what all-MiniLM-L6-v2 and the bundled reader read."""


def load_tokenizer(spec: str | Path = "bundled") -> Tokenizer:
    """The tokenizer called `spec`, from local files only.

    Args:
        spec: "bundled"; a Hugging Face model directory or `tokenizer.json`; or "tiktoken:" with an
            encoding ("tiktoken:o200k_base") or model ("tiktoken:gpt-4o").

    Raises:
        InputError: `spec` is none of these.
        TokenizerError: a file is missing or damaged; the message tells which one and what to do.
        MissingExtraError: tiktoken or transformers is needed and not installed.

    >>> load_tokenizer("bundled").encode("Hello [SEP]")
    [7592, 1031, 19802, 1033]
    >>> load_tokenizer("bundled").encode_markup("Hello [SEP]")
    [7592, 102]
    """
    if not isinstance(spec, str | os.PathLike):
        raise InputError(f"load_tokenizer takes a name or a path, not a {type(spec).__name__}")
    spec = os.fspath(spec)
    if spec == "bundled":
        return HuggingFaceTokenizer("bundled", read_definition(BUNDLED_TOKENIZER))
    if spec.startswith("tiktoken:"):
        return load_tiktoken(spec.removeprefix("tiktoken:"))
    path = expanded(spec)
    if spec and path.is_dir():
        return _load_directory(path)
    if path.is_file():
        parent = path.resolve().parent
        return _of_model(parent, parent.name, read_definition(path))
    raise InputError(
        f"There is no tokenizer {spec!r}. Valid: bundled; a Hugging Face model directory or "
        "tokenizer.json file that exists here; tiktoken:ENCODING (tiktoken:o200k_base) or "
        "tiktoken:MODEL (tiktoken:gpt-4o)."
    )


def as_tokenizer(tokenizer: str | Path | Tokenizer) -> Tokenizer:
    """`tokenizer`, loaded if it is a name or a path (`load_tokenizer`).

    Raises:
        InputError: it is another library's tokenizer, or none at all.
    """
    if isinstance(tokenizer, str | Path):
        return load_tokenizer(tokenizer)
    if not hasattr(tokenizer, "count"):
        raise InputError(
            f"tokenizer is a {type(tokenizer).__name__}, which is none of ragctx's. Give its name: "
            '"bundled", "tiktoken:gpt-4o", or the directory of a Hugging Face model.'
        )
    return tokenizer


def with_template_options(tokenizer: Tokenizer, options: Mapping[str, object]) -> Tokenizer:
    """`tokenizer` with options for its chat template, such as {"enable_thinking": False}.

    Raises:
        InputError: it has no chat template, or one that does not read them.
    """
    if not options:
        return tokenizer
    if not isinstance(tokenizer, HuggingFaceTokenizer):
        raise InputError(f"{tokenizer.name} has no chat template; leave --template-option out")
    return tokenizer.with_template_options(options)


_OTHER_VOCABULARIES = (
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "vocab.txt",
    "vocab.json",
    "tekken.json",
    "tiktoken.model",
)


def _load_directory(directory: Path) -> Tokenizer:
    file = directory / "tokenizer.json"
    if file.is_file():
        definition = read_definition(file)
    elif any((directory / name).is_file() for name in _OTHER_VOCABULARIES):
        definition = _convert(directory)
    else:
        raise TokenizerError(
            f"{directory} holds no tokenizer: neither tokenizer.json nor any of "
            f"{', '.join(_OTHER_VOCABULARIES)}. Copy the model's tokenizer files there."
        )
    return _of_model(directory, directory.resolve().name, definition)


def _of_model(directory: Path, name: str, definition: str) -> HuggingFaceTokenizer:
    """The tokenizer of a model, with what else its directory says about prompts."""
    return HuggingFaceTokenizer(
        name,
        definition,
        read_chat_template(directory),
        joins_parts=True,
    )


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # nor is what it is part of
        return False


def _convert(directory: Path) -> str:
    """The definition that transformers makes of an older vocabulary file."""
    with require_extra(
        f"{directory} has no tokenizer.json, and reading its older vocabulary",
        "transformers",
        "transformers sentencepiece",
    ):
        from transformers import AutoTokenizer
    remedy = "Save a tokenizer.json beside it (save_pretrained of a fast tokenizer writes one)."
    try:
        with warnings.catch_warnings(), unlogged():
            warnings.simplefilter("ignore")
            loaded = AutoTokenizer.from_pretrained(
                str(directory), local_files_only=True, trust_remote_code=False
            )
    except Exception as error:
        lacks = [name for name in ("sentencepiece", "google.protobuf") if not _is_installed(name)]
        if lacks and not isinstance(error, MemoryError):
            packages = " ".join(name.removeprefix("google.") for name in lacks)
            remedy = f"It may need more packages: pip install {packages}. Or else: {remedy}"
        first = str(error).strip().splitlines() or [type(error).__name__]
        raise TokenizerError(
            f"transformers cannot read the tokenizer in {directory} ({first[0]}). {remedy}"
        ) from error
    backend = getattr(loaded, "backend_tokenizer", None)
    if backend is None:
        raise TokenizerError(f"The tokenizer in {directory} is a slow one. {remedy}")
    return str(backend.to_str())
