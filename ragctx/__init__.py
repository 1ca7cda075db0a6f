"""ragctx: from documents to the sharpest prompt that fits, and to an answer with checked sources.

This is the public API. Names are loaded when first used: `import ragctx` loads nothing else.

>>> import ragctx
>>> hit = ragctx.Hit.from_text(1, 0.9, "Tin melts at 232 degrees.", "metals.pdf")
>>> hit.chunk.text
'Tin melts at 232 degrees.'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragctx.assembly import assemble
    from ragctx.errors import RagctxError
    from ragctx.generator.load import load_generator
    from ragctx.ingestion import ingest
    from ragctx.pipeline import ask
    from ragctx.records import Answer, Document, Hit, Prompt
    from ragctx.retrieval import search
    from ragctx.tokens.load import load_tokenizer

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "Document",
    "Hit",
    "Prompt",
    "RagctxError",
    "__version__",
    "ask",
    "assemble",
    "ingest",
    "load_generator",
    "load_tokenizer",
    "search",
]

_HOME = {
    "Answer": "ragctx.records",
    "Document": "ragctx.records",
    "Hit": "ragctx.records",
    "Prompt": "ragctx.records",
    "RagctxError": "ragctx.errors",
    "ask": "ragctx.pipeline",
    "assemble": "ragctx.pipeline",
    "ingest": "ragctx.ingestion",
    "load_generator": "ragctx.generator.load",
    "load_tokenizer": "ragctx.tokens.load",
    "search": "ragctx.retrieval",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'ragctx' has no attribute {name!r}; it has {sorted(__all__)}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
