"""Laws of changes: whoever changes the index, clients of either protocol are told once for each."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from ragctx.errors import RagctxError
from ragctx.index.index import Index
from ragctx.ingestion.run import ingest
from ragctx.mcp_server.handlers import create_server
from ragctx.mcp_server.tools import Toolbox
from ragctx.server.service import Service
from tests.support.fakes import HashEmbedder
from tests.support.generators import CopyingGenerator
from tests.support.served import PUMP

LOOKS_S = 0.05


@pytest.fixture
def growing(tmp_path: Path) -> tuple[Toolbox, Path]:
    """An index with nothing in it, and where to put documents."""
    embedder = HashEmbedder()
    index = Index.create(tmp_path / "index", embedder=embedder)
    service = Service(index=index, embedder=embedder, generator=CopyingGenerator("no"))
    return Toolbox(get_service=lambda: service), tmp_path


def grow(folder: Path) -> None:
    """Put a document into the index, as another process would."""
    (folder / "pump.pdf").write_bytes(PUMP)
    embedder = HashEmbedder()
    ingest(folder / "pump.pdf", Index.open(folder / "index", embedder=embedder), embedder)


async def test_a_client_that_listens_is_told(growing: tuple[Toolbox, Path]) -> None:
    toolbox, folder = growing
    async with Client(create_server(toolbox, look_every_s=LOOKS_S)) as client:
        assert client.server_capabilities.resources.list_changed
        async with client.listen(resources_list_changed=True) as told:
            assert (await client.list_resources()).resources == []
            await asyncio.sleep(4 * LOOKS_S)
            await asyncio.to_thread(grow, folder)
            event = await asyncio.wait_for(anext(aiter(told)), 20)
            assert type(event).__name__ == "ResourcesListChanged"
        assert len((await client.list_resources()).resources) == 1


async def test_a_client_of_the_older_protocol_is_told_without_asking(
    growing: tuple[Toolbox, Path],
) -> None:
    toolbox, folder = growing
    told: list[str] = []

    async def heard(message: Any) -> None:
        told.append(type(getattr(message, "root", message)).__name__)

    server = create_server(toolbox, look_every_s=LOOKS_S)
    async with Client(server, mode="legacy", message_handler=heard) as client:
        assert client.server_capabilities.resources.list_changed
        await asyncio.sleep(4 * LOOKS_S)
        assert told == []
        await asyncio.to_thread(grow, folder)
        for _ in range(400):
            if told:
                break
            await asyncio.sleep(LOOKS_S)
        await asyncio.sleep(6 * LOOKS_S)
        assert told == ["ResourceListChangedNotification"]
        assert len((await client.list_resources()).resources) == 1


async def test_what_cannot_be_looked_at_for_a_while_is_no_change(
    growing: tuple[Toolbox, Path],
) -> None:
    toolbox, _ = growing
    looks = [0]
    get_service = toolbox.get_service

    def sometimes() -> Service:
        looks[0] += 1
        if looks[0] % 2:
            raise RagctxError("it is being written anew") if looks[0] % 4 == 1 else KeyError("x")
        return get_service()

    told: list[Any] = []

    async def heard(message: Any) -> None:
        told.append(message)

    server = create_server(Toolbox(get_service=sometimes), look_every_s=0.01)
    async with Client(server, mode="legacy", message_handler=heard):
        while looks[0] < 8:
            await asyncio.sleep(0.01)
    assert told == []
