"""llama.cpp's server as the xllamacpp package has it: for machines without `llama-server`.

Run as `python -m ragctx.generator.gguf.embedded FILE PORT TOKENS`, with the key in $LLAMA_API_KEY,
as `llama-server` reads it.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from typing import Any


def serve(model: str, port: int, context_window: int) -> None:
    """Serve `model` on this machine's loopback until this process is ended."""
    library: Any = importlib.import_module("xllamacpp")
    wanted = library.CommonParams()
    wanted.model.path = model
    wanted.hostnames = ["127.0.0.1"]
    wanted.port = port
    wanted.n_ctx = context_window
    wanted.n_parallel = 1
    wanted.use_jinja = True
    wanted.api_keys = [os.environ["LLAMA_API_KEY"]]
    server = library.Server(wanted)
    threading.Event().wait()
    del server  # kept until here: the server ends with it


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
