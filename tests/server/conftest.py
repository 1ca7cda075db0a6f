"""A server over a small index of real PDFs, asked in this process: no socket is opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="needs the extra ragctx[serve]")

from starlette.testclient import TestClient

from ragctx.index.index import Index
from ragctx.ingestion.run import ingest
from ragctx.server.service import Service
from tests.support.fakes import HashEmbedder
from tests.support.generators import CopyingGenerator
from tests.support.served import PUMP, client_of


@pytest.fixture
def pump(tmp_path: Path) -> Path:
    path = tmp_path / "pump.pdf"
    path.write_bytes(PUMP)
    return path


@pytest.fixture
def service(tmp_path: Path, pump: Path) -> Service:
    embedder = HashEmbedder()
    index = Index.create(tmp_path / "index", embedder=embedder)
    ingest(pump, index, embedder)
    return Service(index=index, embedder=embedder, generator=CopyingGenerator("every two weeks"))


@pytest.fixture
def client(service: Service) -> Iterator[TestClient]:
    with client_of(service) as client:
        yield client
