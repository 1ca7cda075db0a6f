"""ragctx: from documents to the sharpest prompt that fits, and to an answer with checked sources.

This is the public API. Names are loaded when first used: `import ragctx` loads nothing else.

>>> import ragctx
>>> hit = ragctx.Hit.from_text(1, 0.9, "Tin melts at 232 degrees.", "metals.pdf")
>>> hit.chunk.text
'Tin melts at 232 degrees.'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragctx.lazy import handed_on

if TYPE_CHECKING:
    from ragctx.assembly import Assembly as Assembly
    from ragctx.assembly import assemble as assemble
    from ragctx.embedding import load_embedder as load_embedder
    from ragctx.errors import RagctxError as RagctxError
    from ragctx.generator.load import load_generator as load_generator
    from ragctx.index.index import Index as Index
    from ragctx.ingestion.run import ingest as ingest
    from ragctx.pipeline import ask as ask
    from ragctx.records import Answer as Answer
    from ragctx.records import Hit as Hit
    from ragctx.records import Prompt as Prompt
    from ragctx.retrieval import search as search
    from ragctx.tokens.load import load_tokenizer as load_tokenizer
else:
    __getattr__, __dir__, __all__ = handed_on(
        __name__,
        {
            "Answer": "ragctx.records",
            "Assembly": "ragctx.assembly",
            "Hit": "ragctx.records",
            "Index": "ragctx.index.index",
            "Prompt": "ragctx.records",
            "RagctxError": "ragctx.errors",
            "ask": "ragctx.pipeline",
            "assemble": "ragctx.assembly",
            "ingest": "ragctx.ingestion.run",
            "load_embedder": "ragctx.embedding",
            "load_generator": "ragctx.generator.load",
            "load_tokenizer": "ragctx.tokens.load",
            "search": "ragctx.retrieval",
        },
        moved={"Document": "ragctx.records:Document"},
    )

__version__ = "0.3.0"
