"""Damage real PDFs at random, read them, and look for what must never happen.

python -m tests.faults.fuzz_pdfs FOLDER --seconds 3600 --first-seed 0 > found.jsonl

One line of JSON for each mutant that did something it must not, and a summary at the end. A mutant
is made again by its file and seed: `tests.support.pdf_mutants.mutant(data, seed)`.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ragctx.chunking import chunk_document
from ragctx.errors import PdfError
from ragctx.index.checks import require_storable, require_vectors
from ragctx.pdf.process import Limits
from ragctx.pdf.read import read_pdf
from ragctx.records import Document
from tests.support.fakes import HashEmbedder, WordTokenizer
from tests.support.pdf_mutants import mutant

LIMITS = Limits(page_timeout_s=10, file_timeout_s=30, memory_bytes=2**30)
LARGEST = 200_000
"""Bytes of the largest file that is mutated: more mutants are worth more than larger ones."""
TOO_LONG_S = LIMITS.file_timeout_s * 2 + 20
"""A file is read by two libraries at most, each may start slowly; chunking comes on top."""
LOST = 0.02
"""Share of a file's words that may be absent from a mutant called "ok"."""


@dataclass(kw_only=True)
class Tally:
    """What came of the mutants."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, str] = (0.0, "")
    findings: Counter[str] = field(default_factory=Counter)


def main() -> None:
    """Fuzz for a while and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--first-seed", type=int, default=0)
    options = parser.parse_args()
    logging.disable()  # pypdf, which writes the sound files anew under other filters
    files = [p for p in sorted(options.folder.rglob("*.pdf")) if 0 < p.stat().st_size <= LARGEST]
    end, seed, tally = time.monotonic() + options.seconds, options.first_seed, Tally()
    words: dict[Path, Counter[str]] = {}
    while time.monotonic() < end:
        path = files[seed % len(files)]
        if path not in words:
            words[path] = _words_of_sound(path)
        fuzz_one(path, seed, words[path], tally)
        seed += 1
    _tell(
        summary=True,
        mutants=seed - options.first_seed,
        files=len(files),
        outcomes=dict(tally.outcomes.most_common()),
        findings=dict(tally.findings.most_common()),
        slowest_s=tally.slowest,
        parent_rss_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        child_rss_mib=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
    )


def fuzz_one(path: Path, seed: int, words: Counter[str], tally: Tally) -> None:
    """Damage a file, read it, and note what came of it; `words` are those it holds when sound."""
    done, data = mutant(path.read_bytes(), seed)
    about = {"file": path.name, "seed": seed, "done": done}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    outcome, found = _read(data, seed, words)
    spent = time.monotonic() - began
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    if spent > TOO_LONG_S:
        found["slow"] = round(spent, 1)
    if grown > 200:
        found["parent_grew_mib"] = grown
    tally.outcomes[outcome] += 1
    tally.slowest = max(tally.slowest, (round(spent, 1), f"{path.name} {seed} {done}"))
    for kind in found:
        tally.findings[kind] += 1
    if found:
        _tell(**about, outcome=outcome, **found)


def _read(data: bytes, seed: int, words: Counter[str]) -> tuple[str, dict[str, object]]:
    """(what came of it, what should not have happened)."""
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mutant.pdf"
        path.write_bytes(data)
        try:
            document = read_pdf(path, limits=LIMITS, reader="pypdf" if seed % 7 == 6 else "auto")
            chunks = chunk_document(document, WordTokenizer(), max_tokens=180)
            vectors = HashEmbedder().encode([chunk.text for chunk in chunks])
            require_storable(str(path), document, chunks)
            require_vectors(chunks, vectors, 8)
        except PdfError as error:
            return error.status, {} if len(str(error)) < 600 else {"long_message": str(error)}
        except Exception:
            return "raised", {"raised": traceback.format_exc()}
    if len(document.text) > 30_000_000:
        found["too_much_text"] = len(document.text)
    lost = _lost(words, document)
    if document.status == "ok" and lost > LOST:
        found["lost_silently"] = round(lost, 3)
    return document.status, found


def _words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w{4,}", text))


def _words_of_sound(path: Path) -> Counter[str]:
    try:
        document = read_pdf(path, limits=LIMITS)
    except PdfError:
        return Counter()
    return _words(document.text) if document.status == "ok" else Counter()


def _lost(words: Counter[str], document: Document) -> float:
    return (words - _words(document.text)).total() / max(1, words.total())


def _tell(**values: object) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
