"""Ask PDFs a question and check the sources, from Python.

python examples/ask.py ["A question"] [PDF...]
"""

from __future__ import annotations

import sys
from pathlib import Path

from ragctx import ask, load_embedder, load_generator
from ragctx.ingestion import open_cached
from ragctx.views import citation_words, status_words

SAMPLES = Path(__file__).parent / "samples"
QUESTION = "For how many years should the station's battery last?"


def main(question: str = QUESTION, *pdfs: str) -> None:
    embedder, reader = load_embedder(), load_generator()
    index, _ = open_cached(pdfs or [SAMPLES / "field-station-manual.pdf"], embedder)
    answer = ask(question, index, embedder, reader)
    print(question)
    print(answer.refusal.message if answer.refusal else answer.text)
    for citation in answer.citations:
        print(citation_words(citation), status_words(citation))
        print(f"    “{citation.quote}”")


if __name__ == "__main__":
    main(*sys.argv[1:])
