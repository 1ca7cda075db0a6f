"""A GGUF file as a generator: asked through a llama.cpp server of its own."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from pathlib import Path

from ragctx.generator.decoding import Decoding
from ragctx.generator.gguf.server import start_server
from ragctx.generator.openai.model import OpenAIGenerator, load_openai_api
from ragctx.tokens.tokenizer import Tokenizer


def load_gguf(
    file: Path,
    *,
    tokenizer: Tokenizer | None = None,
    context_window: int | None = None,
    template_options: Mapping[str, object] | None = None,
    server_options: Mapping[str, object] | None = None,
    decoding: Decoding | None = None,
) -> OpenAIGenerator:
    """Start a llama.cpp server with `file` and describe its model; it ends with the generator.

    Args:
        file: a model in GGUF, its tokenizer and chat template in it.
        tokenizer: counts instead of the file's own.
        context_window: tokens that it keeps; by default as many as the model was trained with.
        template_options: as for `load_openai_api`, as are the next two.
        server_options: how the server is asked.
        decoding: greedy by default.

    Raises ModelError for no GGUF file, or one that llama.cpp cannot load; MissingExtraError if no
    llama.cpp is installed; InputError as `load_openai_api` does.
    """
    server = start_server(file, context_window=context_window)
    try:
        generator = load_openai_api(
            f"{server.url}#{file.stem}",
            tokenizer=tokenizer,
            api_key=server.key,
            template_options=template_options,
            server_options=server_options,
            decoding=decoding,
        )
    except BaseException:
        server.close()
        raise
    weakref.finalize(generator, server.close)  # which also keeps the server until then
    return generator
