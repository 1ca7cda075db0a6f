"""Documents, chunks and vectors to fill an index with, made in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ragctx.index.index import Index, IndexWriter
from ragctx.records import Chunk, Document, Heading, Page
from tests.support.fakes import HashEmbedder

Made = tuple[Document, list[Chunk], NDArray[np.float32]]


def document_of(id: str, *pages: str, path: str = "") -> Document:
    """A document with something in every field."""
    made = [
        Page(number=i, label=f"p{i}", text=text, status="ok" if text else "empty")
        for i, text in enumerate(pages, 1)
    ]
    return Document(
        id=id,
        path=path or f"{id}.pdf",
        pages=tuple(made),
        title=f"Title of {id}",
        outline=(Heading("Start", 1),),
        status="ok",
        reader="pdfium",
        warnings=("odd font",),
    )


def chunks_of(document: Document) -> list[Chunk]:
    """One chunk a page; empty pages have none."""
    return [
        Chunk(
            id=f"{document.id}:{start}-{start + len(page.text)}",
            document_id=document.id,
            start=start,
            end=start + len(page.text),
            first_page=page.number,
            last_page=page.number,
            text=page.text,
            token_count=len(page.text.split()),
        )
        for start, page in zip(document.page_starts, document.pages, strict=True)
        if page.text
    ]


def made_of(id: str, *pages: str, embedder: HashEmbedder | None = None, path: str = "") -> Made:
    """A document with its chunks and vectors."""
    document = document_of(id, *pages, path=path)
    chunks = chunks_of(document)
    return document, chunks, (embedder or HashEmbedder()).encode([c.text for c in chunks])


def put(writer: IndexWriter, id: str, *pages: str, path: str = "", recipe: str = "r") -> Made:
    """Put such a document under a path, by default "ID.pdf"."""
    made = made_of(id, *pages, path=path)
    writer.put(path or f"{id}.pdf", *made, recipe=recipe)
    return made


def index_with(folder: object, documents: Mapping[str, Sequence[str]]) -> Index:
    """A new index that holds documents: {id: pages}."""
    index = Index.open_or_create(str(folder), embedder=HashEmbedder())
    with index.writer() as writer:
        for id, pages in documents.items():
            put(writer, id, *pages)
    return index
