"""What an ingest costs that has nothing to do, by the number of sources; and what a new one costs.

    python -m benchmarks.ingest_again [--sources 1000 4000 16000]

The documents are tiny fakes, put into the index in one transaction; their files exist and are
hashed. No model runs. If the time per source stays, the whole is linear in the sources.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from benchmarks.common import environment, table
from ragctx.index import store
from ragctx.index.database import DATABASE, transaction
from ragctx.index.index import Index
from ragctx.ingestion.run import ingest
from ragctx.ingestion.settings import IngestSettings
from ragctx.pdf.read import file_id
from ragctx.records import Chunk, Document, Page
from tests.support.fakes import HashEmbedder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sources", type=int, nargs="+", default=[1000, 4000, 16000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--most-moved", type=int, default=4000, help="move no more sources")
    given = parser.parse_args()
    results = [measured(count, given.repeats, given.most_moved) for count in given.sources]
    stages = ("unchanged", "unchanged_cpu", "moved", "pruned")
    columns = ["sources", *(column for stage in stages for column in (f"{stage} s", "µs each"))]
    rows = [
        [
            result["sources"],
            *(cell for stage in stages for cell in _cells(result[stage], result["sources"])),
        ]
        for result in results
    ]
    table(columns, rows)
    print(json.dumps({"benchmark": "ingest_again", "results": results, **environment()}))


def _cells(seconds: float | None, sources: int) -> tuple[str, str]:
    return ("", "") if seconds is None else (f"{seconds:.2f}", f"{1e6 * seconds / sources:.0f}")


def measured(count: int, repeats: int, most_moved: int) -> dict[str, Any]:
    """Seconds of one run over `count` sources: the best of `repeats` of an unchanged folder."""
    embedder = HashEmbedder()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder / "pdfs", folder / "index", count, embedder)

        def run(pdfs: str, *, prune: bool = False) -> tuple[float, float, set[str]]:
            began, cpu_began = perf_counter(), process_time()
            rows = ingest(folder / pdfs, folder / "index", embedder, prune=prune)
            spent = perf_counter() - began, process_time() - cpu_began
            return *spent, {row.outcome for row in rows}

        run("pdfs")  # brings vectors.faiss up to date
        unchanged = [run("pdfs") for _ in range(repeats)]
        assert all(outcomes == {"unchanged"} for _, _, outcomes in unchanged)
        moved, pruned = changed(folder, run) if count <= most_moved else (None, None)
    return {
        "sources": count,
        "unchanged": round(min(wall for wall, _, _ in unchanged), 4),
        "unchanged_cpu": round(min(cpu for _, cpu, _ in unchanged), 4),
        "moved": moved,
        "pruned": pruned,
        "n": repeats,
    }


def changed(folder: Path, run: Callable[..., tuple[float, float, set[str]]]) -> tuple[float, float]:
    """Seconds to follow a folder that was moved, and to remove all of it."""
    (folder / "pdfs").rename(folder / "moved")
    moved, _, outcomes = run("moved")
    assert outcomes == {"moved"}
    for file in (folder / "moved").iterdir():
        file.unlink()
    pruned, _, outcomes = run("moved", prune=True)
    assert outcomes == {"removed"}
    return round(moved, 4), round(pruned, 4)


def fill(pdfs: Path, index: Path, count: int, embedder: HashEmbedder) -> None:
    """Tiny files, and an index that holds them all."""
    pdfs.mkdir()
    Index.create(index, embedder=embedder)
    recipe = str(IngestSettings().recipe(embedder))
    vector = np.eye(1, embedder.dim, dtype=np.float32)
    with (
        closing(sqlite3.connect(index / DATABASE, isolation_level=None)) as connection,
        transaction(connection),
    ):
        for number in range(count):
            text = f"Document {number}."
            path = pdfs / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.pdf"
            path.write_text(text)
            document_id = file_id(path)
            chunk = Chunk(
                id=f"{document_id}:0-{len(text)}",
                document_id=document_id,
                start=0,
                end=len(text),
                first_page=1,
                last_page=1,
                text=text,
                token_count=3,
            )
            store.put_document(
                connection,
                path=str(path),
                document=Document(
                    id=document_id,
                    path=str(path),
                    pages=(Page(number=1, label="1", text=text),),
                ),
                chunks=[chunk],
                vectors=vector,
                recipe=recipe,
            )
        store.count_change(connection)


if __name__ == "__main__":
    main()
