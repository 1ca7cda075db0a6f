"""Documents, chunks and vectors to fill an index with, made in one line."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ragctx.index.database import DATABASE
from ragctx.index.index import Index
from ragctx.index.protocol import IndexWriter
from ragctx.index.sealing import OLD_VECTORS
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


def segment_of(folder: Path) -> Path:
    """The file of an index's only segment."""
    (path,) = folder.glob("vectors-*.safetensors")
    return path


def as_version(folder: Path, version: int) -> None:
    """Let an index be one as ragctx wrote it before: of version 1 (0.2) or 2 (0.3)."""
    later = ("unsealed", "dropped", *(("contexts", "waiting") if version == 1 else ()))
    with closing(sqlite3.connect(folder / DATABASE)) as connection, connection:
        for table in later:
            connection.execute(f"DROP TABLE {table}")
        connection.execute("DELETE FROM meta WHERE key = 'segments'")
        connection.execute(
            "UPDATE meta SET value = ? WHERE key = 'format_version'", (str(version),)
        )
    for path in folder.glob("vectors-*"):
        path.unlink()
    (folder / OLD_VECTORS).write_bytes(b"what FAISS wrote")
