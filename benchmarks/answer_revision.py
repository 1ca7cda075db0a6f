"""The same questions asked of another revision of ragctx, by its command line alone.

What a command's JSON is called never changes, so this works with revisions whose modules had other
names. What only its modules could tell stays unknown.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.answer_judge import holds, is_right
from benchmarks.answer_stages import Observation, touches
from benchmarks.dev_set import DevQuestion
from benchmarks.revisions import checked_out


def observe_revision(
    revision: str, questions: Sequence[DevQuestion], pdfs: Sequence[Path]
) -> list[Observation]:
    """Check a revision out, let it read the PDFs, and ask it every question."""
    with checked_out(revision) as tree:
        return observe_tree(tree, tree.parent, questions, pdfs)


def observe_tree(
    tree: Path, folder: Path, questions: Sequence[DevQuestion], pdfs: Sequence[Path]
) -> list[Observation]:
    """Ask the ragctx of a checkout; its index and cache are made in `folder`."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(tree),
        "RAGCTX_CACHE_DIR": str(folder / "cache"),
    }

    def ragctx(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "ragctx", *arguments],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        if done.returncode not in (0, 3):
            sys.exit(f"ragctx {arguments[0]} of {tree} failed")
        return done.stdout

    index = ("--index", str(folder / "index"))
    if not (folder / "index").exists():
        ragctx("ingest", *map(str, pdfs), *index)
    batch = folder / "questions.jsonl"
    lines = [json.dumps({"id": q.id, "question": q.question}) + "\n" for q in questions]
    batch.write_text("".join(lines), encoding="utf-8")
    printed = ragctx("ask", "--batch", str(batch), *index, "--json", "--show-prompt")
    rows = [json.loads(line) for line in printed.splitlines()]
    return [observation(q, row) for q, row in zip(questions, rows, strict=True)]


def observation(question: DevQuestion, row: dict[str, Any]) -> Observation:
    """What the JSON of an answer tells."""
    right = is_right(row["answer"], question)
    outcome = row.get("outcome") or ("not_in_documents" if row["abstained"] else "answered")
    prompt = row["prompt"]["text"]
    return Observation(
        id=question.id,
        text=row["answer"],
        outcome=outcome,
        confidence=row["confidence"],
        right=right,
        page_right=right and any(_is_of_page(cited, question) for cited in row["citations"]),
        selected=any(holds(prompt, form) for form in question.answers),
        seconds=row["timing"]["total_s"],
    )


def _is_of_page(cited: dict[str, Any], question: DevQuestion) -> bool:
    return (
        cited["status"] == "verified"
        and cited["document"] == question.document
        and touches(cited["first_page"], cited["last_page"], question)
    )
