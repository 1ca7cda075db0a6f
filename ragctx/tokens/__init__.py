"""Tokenizers: one protocol, one module for each kind, and the chat templates of models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragctx.lazy import handed_on

if TYPE_CHECKING:
    from ragctx.tokens.huggingface import HuggingFaceTokenizer as HuggingFaceTokenizer
    from ragctx.tokens.load import load_tokenizer as load_tokenizer
    from ragctx.tokens.tiktoken import TiktokenTokenizer as TiktokenTokenizer
    from ragctx.tokens.tokenizer import Encoding as Encoding
    from ragctx.tokens.tokenizer import Tokenizer as Tokenizer
    from ragctx.tokens.tokenizer import require_round_trip as require_round_trip
else:
    __getattr__, __dir__, __all__ = handed_on(
        __name__,
        {
            "Encoding": "ragctx.tokens.tokenizer",
            "HuggingFaceTokenizer": "ragctx.tokens.huggingface",
            "TiktokenTokenizer": "ragctx.tokens.tiktoken",
            "Tokenizer": "ragctx.tokens.tokenizer",
            "load_tokenizer": "ragctx.tokens.load",
            "require_round_trip": "ragctx.tokens.tokenizer",
        },
    )
