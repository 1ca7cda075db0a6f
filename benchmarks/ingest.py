"""How fast PDFs become an index, stage by stage: reading, chunking, embedding, storing.

python -m benchmarks.ingest                       # the sample PDFs
python -m benchmarks.ingest manual.pdf folder/    # any others
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from time import perf_counter

from benchmarks.common import result, table
from ragctx.chunking import chunk_document
from ragctx.embedding import load_embedder
from ragctx.index.index import Index
from ragctx.ingestion import CHUNK_TOKENS, find_files, ingest
from ragctx.pdf.read import read_pdf

SAMPLES = Path(__file__).parents[1] / "examples" / "samples"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("paths", nargs="*", default=[str(SAMPLES / "*.pdf")])
    files = find_files(parser.parse_args().paths)
    spent = {"load_embedder": 0.0, "read": 0.0, "chunk": 0.0, "embed": 0.0, "store": 0.0}

    began = perf_counter()
    embedder = load_embedder()
    spent["load_embedder"] = perf_counter() - began
    pages = chunks = tokens = 0
    with tempfile.TemporaryDirectory() as folder:
        index = Index.open_or_create(Path(folder) / "index", embedder=embedder)
        with index.writer() as writer:
            for path in files:
                marks = [perf_counter()]
                document = read_pdf(path)
                marks.append(perf_counter())
                cut = chunk_document(document, embedder.tokenizer, max_tokens=CHUNK_TOKENS)
                marks.append(perf_counter())
                vectors = embedder.encode([chunk.text for chunk in cut])
                marks.append(perf_counter())
                writer.put(str(path), document, cut, vectors, recipe="benchmark")
                marks.append(perf_counter())
                for stage, a, b in zip(list(spent)[1:], marks, marks[1:], strict=False):
                    spent[stage] += b - a
                pages, chunks = pages + len(document.pages), chunks + len(cut)
                tokens += sum(chunk.token_count for chunk in cut)
        third = Path(folder) / "third"
        began = perf_counter()
        ingest(files, third, embedder, embed_at_most=0)
        words = perf_counter() - began
        second = Path(folder) / "second"  # in the first, the vectors would be known
        began = perf_counter()
        ingest(files, second, embedder)
        whole = perf_counter() - began
        began = perf_counter()
        ingest(files, second, embedder)
        again = perf_counter() - began
    totals = {
        **spent,
        "ingest, found by words": words,
        "ingest, whole": whole,
        "ingest, again": again,
    }
    table(
        ("stage", "seconds", "pages/s", "chunks/s"),
        [
            (stage, f"{s:.3f}", f"{pages / s:.0f}" if s else "", f"{chunks / s:.0f}" if s else "")
            for stage, s in totals.items()
        ],
    )
    result(
        "ingest",
        files=len(files),
        pages=pages,
        chunks=chunks,
        tokens=tokens,
        pages_per_s=round(pages / whole, 2),
        chunks_per_s=round(chunks / whole, 2),
        stages_s={stage: round(s, 4) for stage, s in spent.items()},
        words_s=round(words, 4),
        whole_s=round(whole, 4),
        again_s=round(again, 4),
        n=1,
    )


if __name__ == "__main__":
    main()
