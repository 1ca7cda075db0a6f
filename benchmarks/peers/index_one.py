"""Time one package: passages and their vectors to an index on disk, opened, searched, added to.

    python -m benchmarks.peers.index_one langchain N FOLDER BASE.npz

Run by `benchmarks.index --peers`, in the package's environment. Every package gets its defaults,
the same passages, and the same vectors; none embeds anything. The index is made by one process, and
used by another. What is added counts as added when it is on the disk. The last line is JSON.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

K, QUESTIONS = 10, 100
PACKAGES: dict[str, tuple[str, ...]] = {
    "ragctx": (),
    "langchain": ("langchain-community==0.4.*",),
    "txtai": ("txtai==9.*",),
}
Vectors = NDArray[np.float32]
_VECTORS: dict[str, Vectors] = {}


def transform(texts: Sequence[str]) -> Vectors:
    """The vectors of texts that are known; txtai finds this function by its name."""
    return np.array([_VECTORS[text] for text in texts])


class Store(Protocol):
    """An index of one package, on disk."""

    def make(self, texts: Sequence[str], vectors: Vectors) -> None: ...
    def open(self) -> None: ...
    def search(self, text: str, vector: Vectors) -> list[str]: ...
    def add(self, texts: Sequence[str], vectors: Vectors) -> None: ...


class Langchain:
    """The FAISS store of langchain-community."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store: Any = None

    def make(self, texts: Sequence[str], vectors: Vectors) -> None:
        from langchain_community.vectorstores import FAISS

        pairs = zip(texts, vectors, strict=True)
        self.store = FAISS.from_embeddings(pairs, self._embedding())
        self.store.save_local(str(self.folder))

    def open(self) -> None:
        from langchain_community.vectorstores import FAISS

        self.store = FAISS.load_local(
            str(self.folder), self._embedding(), allow_dangerous_deserialization=True
        )

    def search(self, text: str, vector: Vectors) -> list[str]:
        found = self.store.similarity_search_by_vector(vector, k=K)
        return [document.page_content for document in found]

    def add(self, texts: Sequence[str], vectors: Vectors) -> None:
        self.store.add_embeddings(zip(texts, vectors, strict=True))
        self.store.save_local(str(self.folder))

    def _embedding(self) -> Callable[[str], Vectors]:
        return lambda text: _VECTORS[text]


class Txtai:
    """The embeddings database of txtai, with the texts stored in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store: Any = None

    def _new(self) -> Any:
        from txtai import Embeddings

        return Embeddings(
            method="external", transform="benchmarks.peers.index_one.transform", content=True
        )

    def make(self, texts: Sequence[str], vectors: Vectors) -> None:
        self._know(texts, vectors)
        self.store = self._new()
        self.store.index((i, text, None) for i, text in enumerate(texts))
        self.store.save(str(self.folder / "index"))

    def open(self) -> None:
        self.store = self._new()
        self.store.load(str(self.folder / "index"))

    def search(self, text: str, vector: Vectors) -> list[str]:
        self._know([text], vector[None])
        return [found["text"] for found in self.store.search(text, K)]

    def add(self, texts: Sequence[str], vectors: Vectors) -> None:
        self._know(texts, vectors)
        self.store.upsert((f"new {i}", text, None) for i, text in enumerate(texts))
        self.store.save(str(self.folder / "index"))

    def _know(self, texts: Sequence[str], vectors: Vectors) -> None:
        from benchmarks.peers import index_one  # the module that txtai imports by name

        index_one._VECTORS.update(zip(texts, vectors, strict=True))


class Ragctx:
    """An index of ragctx, searched by vectors."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index: Any = None

    def make(self, texts: Sequence[str], vectors: Vectors) -> None:
        from ragctx.index import Index

        embedder: Any = _Embedder(vectors.shape[1])
        self.index = Index.create(self.folder / "index", embedder=embedder)
        with self.index.writer() as writer:
            for at in range(0, len(texts), 100):
                self._put(writer, f"d{at}", texts[at : at + 100], vectors[at : at + 100])

    def open(self) -> None:
        from ragctx.index import Index

        self.index = Index.open(self.folder / "index")

    def search(self, text: str, vector: Vectors) -> list[str]:
        from ragctx.index import Filter

        with self.index.snapshot() as snapshot:
            hits = snapshot.hits(snapshot.nearest(vector, K, Filter()))
        return [hit.chunk.text for hit in hits]

    def add(self, texts: Sequence[str], vectors: Vectors) -> None:
        with self.index.writer() as writer:
            self._put(writer, f"new{texts[0]}", texts, vectors)

    def _put(self, writer: Any, id: str, texts: Sequence[str], vectors: Vectors) -> None:
        from benchmarks.grown_corpus import one_document

        writer.put(f"{id}.pdf", *one_document(id, list(texts)), vectors, recipe="benchmark")


class _Embedder:
    """What names the vectors of an index that are given to it."""

    def __init__(self, dim: int) -> None:
        self.id, self.dim = "given", dim

    def encode(self, texts: Sequence[str]) -> Vectors:
        return transform(texts)


STORES: dict[str, Callable[[Path], Store]] = {
    "ragctx": Ragctx,
    "langchain": Langchain,
    "txtai": Txtai,
}


def passages(n: int, held: Any, first: int = 0) -> tuple[list[str], Vectors]:
    """n passages with their vectors: real ones, numbered, mixed with each other and with noise."""
    texts, base = held["passages"].tolist(), held["vectors"]
    made = [f"{texts[i % len(texts)]} {i}" for i in range(first, first + n)]
    vectors = np.empty((n, base.shape[1]), np.float32)
    for at in range(0, n, 10_000):
        m = min(10_000, n - at)
        chance = np.random.default_rng(first + at)
        noise = 0.5 * chance.standard_normal((m, base.shape[1])) / np.sqrt(base.shape[1])
        own = base[(np.arange(m) + first + at) % len(base)]
        mixed = own + 0.4 * base[chance.integers(len(base), size=m)] + noise
        vectors[at : at + m] = mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
    return made, vectors


def make(name: str, n: int, folder: Path, held: Any) -> dict[str, float]:
    """Make the index."""
    texts, vectors = passages(n, held)
    began = perf_counter()
    STORES[name](folder).make(texts, vectors)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return {"make_s": round(perf_counter() - began, 2), "bytes_per_passage": round(size / n)}


def use(name: str, n: int, folder: Path, held: Any) -> dict[str, float]:
    """Open, search and add."""
    store = STORES[name](folder)
    questions, vectors = held["questions"].tolist()[:QUESTIONS], held["question_vectors"]
    began = perf_counter()
    store.open()
    store.search(questions[0], vectors[0])
    found = {"first_search_s": round(perf_counter() - began, 3)}
    took, answers = [], []
    for question, vector in zip(questions, vectors[:QUESTIONS], strict=True):
        began = perf_counter()
        answers.append(store.search(question, vector))
        took.append(perf_counter() - began)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found |= {"search_ms": round(1000 * median(took), 3), "memory_mb": round(memory, 1)}
    new = passages(20, held, first=10**7)
    began = perf_counter()
    store.add(*new)
    found["add_s"] = round(perf_counter() - began, 3)
    found["recall_at_10"] = recall(n, held, answers)
    return found


def recall(n: int, held: Any, answers: Sequence[Sequence[str]]) -> float:
    """The share of the true nearest passages that were found."""
    texts, vectors = passages(n, held)
    right = 0
    for vector, answer in zip(held["question_vectors"][:QUESTIONS], answers, strict=True):
        best = np.argpartition(-(vectors @ vector), K)[:K]
        right += len({texts[i] for i in best} & set(answer))
    return round(right / (K * len(answers)), 4)


def main() -> None:
    """Make the index in this process, use it in another, and print what both took."""
    name, n, folder, base = sys.argv[1:5]
    held = np.load(base)
    if sys.argv[5:] == ["use"]:
        sys.stdout.write(json.dumps(use(name, int(n), Path(folder), held)) + "\n")
        return
    made = make(name, int(n), Path(folder), held)
    command = [sys.executable, "-m", "benchmarks.peers.index_one", *sys.argv[1:5], "use"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    used = json.loads(done.stdout.splitlines()[-1])
    sys.stdout.write(json.dumps({**made, **used}) + "\n")


if __name__ == "__main__":
    main()
