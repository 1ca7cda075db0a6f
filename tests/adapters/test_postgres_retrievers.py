"""The adapters over an index in PostgreSQL: named by its address, and without its password."""

from __future__ import annotations

import pytest

from ragctx.adapters.finding import Finder
from ragctx.index.address import without_password
from tests.support.fakes import HashEmbedder
from tests.support.index_samples import index_with


def test_an_address_is_enough_to_search(postgres_address: str) -> None:
    index_with(postgres_address, {"tin": ("Tin melts at 232 degrees.", "Tin is soft.")})
    finder = Finder(index=postgres_address, embedder=HashEmbedder(), k=1, retriever="lexical")
    assert [hit.chunk.text for hit in finder.hits("soft")] == ["Tin is soft."]


def test_the_password_of_a_database_is_not_serialised(
    postgres_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("haystack", reason="needs Haystack: pip install 'ragctx[haystack]'")
    from ragctx.adapters.haystack import IndexRetriever

    index_with(postgres_address, {"tin": ("Tin is soft.",)})
    monkeypatch.setattr("ragctx.embedding.load_embedder", lambda spec: HashEmbedder())
    address = postgres_address.replace("postgres@", "postgres:geheim@")
    retriever = IndexRetriever(index=address, embedder="default")
    settings = retriever.to_dict()
    assert "geheim" not in str(settings)
    assert settings["init_parameters"]["index"] == without_password(address) == postgres_address
    again = IndexRetriever.from_dict(settings)
    assert [document.content for document in again.run("soft")["documents"]] == ["Tin is soft."]
