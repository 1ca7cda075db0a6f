"""Generators: token ids in, token ids out. One package for each kind of model, one protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragctx.lazy import handed_on

if TYPE_CHECKING:
    from ragctx.generator.load import load_generator as load_generator
    from ragctx.generator.protocol import Generator as Generator
else:
    __getattr__, __dir__, __all__ = handed_on(
        __name__,
        {
            "Generator": "ragctx.generator.protocol",
            "load_generator": "ragctx.generator.load",
        },
    )
