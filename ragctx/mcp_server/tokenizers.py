"""The tokenizers that an agent may count with, by name.

An agent is not trusted with paths: a directory is only read if whoever starts the server allows it,
and the agent knows it by its name.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ragctx.errors import InputError
from ragctx.text.display import one_line
from ragctx.tokens.for_text import TextTokenizer
from ragctx.tokens.load import load_tokenizer
from ragctx.tokens.tiktoken import load_tiktoken
from ragctx.tokens.tokenizer import Tokenizer

BUNDLED = "bundled"
_PREFIX = "tiktoken:"
_SHOWN = 60  # characters of a name in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedTokenizers:
    """`allowed` are directories of models (or files tokenizer.json), by the names that agents use.

    >>> tokenizers = NamedTokenizers()
    >>> tokenizers.load("bundled").count("Tin melts.")
    4
    >>> tokenizers.load("../models/qwen")
    Traceback (most recent call last):
        ...
    ragctx.errors.InputError: there is no tokenizer '../models/qwen'; give bundled or \
tiktoken:NAME with an encoding or a model of OpenAI's (tiktoken:o200k_base, tiktoken:gpt-4o); \
others are allowed by whoever starts the server: ragctx mcp --allow-tokenizer NAME=DIR
    """

    allowed: Mapping[str, Path] = field(default_factory=dict)
    _loaded: dict[str, Tokenizer] = field(default_factory=dict, repr=False)
    _loading: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def load(self, name: str) -> Tokenizer:
        """The tokenizer of this name, which counts text as a whole, without any chat template.

        Raises InputError if there is none, TokenizerError if its files are missing or damaged.
        """
        with self._loading:
            if name not in self._loaded:
                read = TextTokenizer(self._read(name))
                # OpenAI's models have names without end, but few encodings: those are kept
                name = name if self._is_own(name) else read.name
                self._loaded.setdefault(name, read)
            return self._loaded[name]

    def _is_own(self, name: str) -> bool:
        return name in self.allowed or name == BUNDLED

    def _read(self, name: str) -> Tokenizer:
        if self._is_own(name):
            return load_tokenizer(self.allowed.get(name, name))
        try:
            return load_tiktoken(name.removeprefix(_PREFIX))
        except InputError:
            raise InputError(self._unknown(name)) from None

    def _unknown(self, name: str) -> str:
        known = ", ".join((*self.allowed, BUNDLED))
        return (
            f"there is no tokenizer {one_line(name, _SHOWN)!r}; give {known} or tiktoken:NAME with "
            "an encoding or a model of OpenAI's (tiktoken:o200k_base, tiktoken:gpt-4o); others are "
            "allowed by whoever starts the server: ragctx mcp --allow-tokenizer NAME=DIR"
        )
