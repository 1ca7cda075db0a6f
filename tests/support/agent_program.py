"""A server for one agent with a small index and no models: `python -m tests.support.agent_program`.

While it works it writes to standard output, as a careless library might.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from ragctx.index.index import Index
from ragctx.ingestion.run import ingest
from ragctx.mcp_server.handlers import create_server
from ragctx.mcp_server.tools import Toolbox
from ragctx.mcp_server.transports import serve_stdio
from ragctx.server.service import Service
from tests.support.fakes import HashEmbedder
from tests.support.generators import CopyingGenerator
from tests.support.served import PUMP

NOISE = "this is not the protocol"


def main(folder: Path) -> None:
    """Serve until standard input ends."""
    (folder / "pump.pdf").write_bytes(PUMP)
    embedder = HashEmbedder()
    index = Index.create(folder / "index", embedder=embedder)
    ingest(folder, index, embedder)
    service = Service(index=index, embedder=embedder, generator=CopyingGenerator("every two weeks"))

    def noisy() -> Service:
        sys.stdout.write(f"{NOISE}\n")
        sys.stdout.flush()
        os.write(1, f"{NOISE}\n".encode())  # as C code does
        return service

    def began() -> None:
        sys.stdout.write(f"{NOISE}\n")
        sys.stdout.flush()

    serve_stdio(create_server(Toolbox(get_service=noisy)), began)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(temporary))
        sys.stderr.write("served\n")
