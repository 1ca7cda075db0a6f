"""A collection of any size: real passages with words exchanged, real vectors disturbed.

A collection of a million different passages would take nine hours to embed here. This one is of a
few thousand passages of the question sets, embedded once (minutes) and kept in a file. Passage i is
one of them with some words exchanged for others of the collection, so that the words are as common
as in real text; its vector is that passage's, mixed with that of another and with noise, so that
neighbours lie neither in few heaps nor evenly.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.retrieval import load
from ragctx.chunking import chunk_document
from ragctx.embedding import load_embedder
from ragctx.records import Chunk, Document, Page

BASE = Path(__file__).parents[1] / "build" / "index-base.npz"
PASSAGES, QUESTIONS = 700, 120  # of each set, at most
DOCUMENT = 100
"""Passages, and pages, of a document."""
EXCHANGED = 8  # words of each passage
MIXED, NOISE = 0.4, 0.5  # of another passage's vector, and of chance, against 1 of its own
SEED = 7

Vectors = NDArray[np.float32]
Made = tuple[Document, list[Chunk], Vectors]


@dataclass(frozen=True, eq=False)
class Base:
    """Real passages and questions with their vectors, rows aligned."""

    passages: list[str]
    vectors: Vectors
    questions: list[str]
    question_vectors: Vectors


def base(data: Path, file: Path = BASE) -> Base:
    """What collections are made of: read from `file`, or made of the question sets in `data`."""
    if not file.exists():
        _make_base(data, file)
    held = np.load(file)
    return Base(
        passages=held["passages"].tolist(),
        vectors=held["vectors"],
        questions=held["questions"].tolist(),
        question_vectors=held["question_vectors"],
    )


def _make_base(data: Path, file: Path) -> None:
    texts, asked = load(data, PASSAGES, QUESTIONS, SEED)
    embedder = load_embedder()
    passages = []
    for id, text in texts.items():
        document = Document(id=id, path=id, pages=(Page(number=1, label="1", text=text),))
        passages += [chunk.text for chunk in chunk_document(document, embedder.tokenizer)]
    questions = [question.text for question in asked]
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        file,
        passages=np.array(passages),
        vectors=np.asarray(embedder.encode(passages), np.float32),
        questions=np.array(questions),
        question_vectors=np.asarray(embedder.encode(questions), np.float32),
    )


def documents(base: Base, first: int, end: int) -> Iterator[Made]:
    """The documents from number `first` to before `end`: always the same for a number."""
    words = [word for passage in base.passages for word in passage.split()]
    split = [passage.split() for passage in base.passages]
    for number in range(first, end):
        chance, generator = random.Random(number), np.random.default_rng(number)
        own = (np.arange(DOCUMENT) + number * DOCUMENT) % len(split)
        texts = [_exchanged(split[i], words, chance) for i in own]
        other = generator.integers(len(split), size=DOCUMENT)
        noise = generator.standard_normal((DOCUMENT, base.vectors.shape[1]))
        noise *= NOISE / np.sqrt(base.vectors.shape[1])
        vectors = base.vectors[own] + MIXED * base.vectors[other] + noise
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        yield *one_document(f"d{number}", texts), vectors.astype(np.float32)


def _exchanged(passage: list[str], words: list[str], chance: random.Random) -> str:
    changed = list(passage)
    for _ in range(min(EXCHANGED, len(changed))):
        changed[chance.randrange(len(changed))] = chance.choice(words)
    return " ".join(changed)


def one_document(id: str, texts: list[str]) -> tuple[Document, list[Chunk]]:
    """A document of these passages, each on a page of its own, and its chunks."""
    pages = tuple(
        Page(number=number, label=str(number), text=text) for number, text in enumerate(texts, 1)
    )
    document = Document(id=id, path=f"{id}.pdf", pages=pages, status="ok", reader="pdfium")
    chunks = [
        Chunk(
            id=f"{id}:{start}-{start + len(page.text)}",
            document_id=id,
            start=start,
            end=start + len(page.text),
            first_page=page.number,
            last_page=page.number,
            text=page.text,
            token_count=len(page.text.split()),
        )
        for start, page in zip(document.page_starts, pages, strict=True)
    ]
    return document, chunks
