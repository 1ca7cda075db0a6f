"""Find passages and their pages, without a prompt or an answer.

python examples/search_only.py ["A question"]
"""

from __future__ import annotations

import sys
from pathlib import Path

from ragctx import load_embedder, search
from ragctx.index import Filter
from ragctx.ingestion import open_cached
from ragctx.retrieval import dense, hybrid, lexical

SAMPLES = Path(__file__).parent / "samples"
QUESTION = "How far from a power line must the mast be kept?"


def main(question: str = QUESTION) -> None:
    embedder = load_embedder()
    index, _ = open_cached([SAMPLES / "field-station-manual.pdf"], embedder)
    for retriever in (hybrid, dense, lexical):
        print(f"{retriever.__name__}:")
        for hit in search(index, embedder, question, 3, retriever=retriever):
            words = " ".join(hit.chunk.text.split())[:80]
            print(
                f"  {hit.rank}. {hit.score:.3f} {hit.document} p. {hit.chunk.first_page}: {words}"
            )
    print("the first five pages only:")
    for hit in search(index, embedder, question, 3, filter=Filter(last_page=5)):
        print(f"  {hit.rank}. {hit.document} p. {hit.chunk.first_page}")


if __name__ == "__main__":
    main(*sys.argv[1:])
