"""How sure the reader may be of an answer about real PDFs, fitted to the questions of `dev_set`.

Only the half that is there to choose by is asked: the other half reports how good it is
(`benchmarks.answers`).
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.answer_judge import is_right
from benchmarks.answer_stages import READ
from benchmarks.dev_set import DevQuestion, dev_questions, pdf_paths
from ragctx.embedding import Embedder
from ragctx.generator.reader.certainty import fit_certainty
from ragctx.generator.reader.reader import BundledReader
from ragctx.index.index import Index
from ragctx.ingestion import ingest
from ragctx.pipeline import ask
from ragctx.retrieval import Retrieval


def fit_to_pdfs(reader: BundledReader, folder: Path, embedder: Embedder) -> dict[str, Any]:
    """The `certainty` of reader.json; without any PDFs in `folder` {}, and a line says so.

    Exits with a message if only some of the PDFs are there: a fit to these would be another one.
    """
    if next(folder.rglob("*.pdf"), None) is None:
        sys.stderr.write(f"no PDFs in {folder}: the reader is as sure as its calibration says\n")
        return {}
    with tempfile.TemporaryDirectory() as made:
        index = Index.open_or_create(Path(made) / "index", embedder=embedder)
        ingest(pdf_paths(dev_questions(), folder), index, embedder)
        return fit_to_questions(reader, index, embedder, dev_questions("choose"))


def fit_to_questions(
    reader: BundledReader, index: Index, embedder: Embedder, questions: Sequence[DevQuestion]
) -> dict[str, Any]:
    """The certainty that fits these questions, their passages being what the search brings."""
    signs, right = [], []
    for question in questions:
        retrieval = Retrieval(k=READ)
        prompt = ask(question.question, index, embedder, reader, retrieval=retrieval).prompt
        text, its_signs = reader.guess(prompt)
        signs.append(its_signs)
        right.append(is_right(text, question))
    fitted = asdict(fit_certainty(signs, right))
    return {"certainty": {**fitted, "answer_from": round(fitted["answer_from"], 4)}}
