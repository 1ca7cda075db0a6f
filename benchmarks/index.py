"""How an index grows: opening, searching, adding and memory, from 1,000 to 1,000,000 passages.

    python -m benchmarks.index --data ../shared/data/qa --picture docs/images/index.svg
    python -m benchmarks.index --data ../shared/data/qa --sizes 1000 3000 10000
    python -m benchmarks.index --data ../shared/data/qa --peers langchain txtai

One index grows from size to size (`benchmarks.grown_corpus`: real passages with words exchanged,
real vectors disturbed). At each size a process of its own, which has read nothing before, opens it
and searches; another adds and removes documents. Embedding is left out: vectors are given. Times
are medians, recall@10 is that of real questions, against comparing with every vector. The exponent
is that of n in the time, fitted to the sizes from 10,000 on. `--peers` gives the same passages and
vectors to other packages, in environments of their own (`benchmarks.peers.index_one`).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import result, table
from benchmarks.grown_corpus import BASE, DOCUMENT, Base, base, documents
from ragctx.embedding import load_embedder
from ragctx.index import store
from ragctx.index.filters import Filter
from ragctx.index.fts_query import match_expression
from ragctx.index.index import Index
from ragctx.index.recall import measure_recall
from ragctx.index.repair import verify_index
from ragctx.retrieval import search
from ragctx.text.words import STOP_WORDS, WORD

ROOT = Path(__file__).parents[1]
SIZES = (1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
PEERS_MOST = 300_000  # passages given to other packages, which hold everything in memory
QUESTIONS, FEW = 100, 5
ADDED = 10  # documents that are added one by one, of 20 passages
VERIFIED_MOST = 100_000


class Given:
    """An embedder that knows the vectors of some questions, and no other texts."""

    def __init__(self, known: Base) -> None:
        self.id, self.dim = load_embedder().id, known.vectors.shape[1]
        self._vectors = dict(zip(known.questions, known.question_vectors, strict=True))

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Their vectors, (n, dim); of a text that is not known those of the first question."""
        first = next(iter(self._vectors.values()))
        return np.array([self._vectors.get(text, first) for text in texts])


def word_questions(known: Base) -> dict[str, list[str]]:
    """Questions of three words each: of the most common, and of rare ones."""
    counts = Counter(
        word
        for passage in known.passages
        for word in set(WORD.findall(passage.lower()))
        if word not in STOP_WORDS and word.isalpha() and len(word) > 2
    )
    common = [word for word, _ in counts.most_common(60)]
    rare = sorted(word for word, count in counts.items() if count == 3)
    chance = np.random.default_rng(0)
    return {
        name: [" ".join(chance.choice(words, 3, replace=False)) for _ in range(QUESTIONS)]
        for name, words in (("common", common), ("rare", rare))
    }


# ---- One measurement, in a process of its own ------------------------------------------------


def median_ms(call: Callable[[str], object], texts: Sequence[str]) -> float:
    """Median milliseconds of a call, after one that is not counted."""
    call(texts[0])
    took = []
    for text in texts:
        began = perf_counter()
        call(text)
        took.append(perf_counter() - began)
    return round(1000 * median(took), 3)


def peak_mb() -> float:
    """The most memory that this process has held, files mapped into it included."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def searched(folder: Path, known: Base) -> dict[str, float]:
    """What opening and searching takes."""
    embedder: Any = Given(known)
    began = perf_counter()
    index = Index.open(folder, embedder=embedder)
    found: dict[str, float] = {"open_ms": round(1000 * (perf_counter() - began), 3)}
    search(index, embedder, known.questions[0], 10, retriever="dense")
    found["first_dense_ms"] = round(1000 * (perf_counter() - began), 3)
    words, asked = word_questions(known), known.questions[:QUESTIONS]

    def by(retriever: str, **more: Any) -> Callable[[str], object]:
        return lambda text: search(index, embedder, text, 10, retriever=retriever, **more)

    found["dense_ms"] = median_ms(by("dense"), asked)
    found["memory_dense_mb"] = peak_mb()
    began = perf_counter()
    search(index, embedder, "water", 10, retriever="lexical")
    found["first_lexical_ms"] = round(1000 * (perf_counter() - began), 3)
    found["lexical_common_ms"] = median_ms(by("lexical"), words["common"])
    found["lexical_rare_ms"] = median_ms(by("lexical"), words["rare"])
    found["lexical_asked_ms"] = median_ms(by("lexical"), asked)
    found["hybrid_ms"] = median_ms(by("hybrid"), asked)
    for name, filter in (
        ("one_document", Filter(("d3.pdf",))),
        ("half_the_pages", Filter(first_page=DOCUMENT // 2)),
    ):
        found[f"dense_{name}_ms"] = median_ms(by("dense", filter=filter), asked)
    found["memory_mb"] = peak_mb()
    vectors = known.question_vectors[:QUESTIONS]
    recall = measure_recall(index, 10, questions=len(vectors), vectors=vectors)
    found |= {"recall_at_10": round(recall.recall, 4), "dense_exact_ms": recall.exact_ms}
    found["recall_of_info"] = round(measure_recall(index).recall, 4)
    found["fts5_common_ms"] = median_ms(lambda text: _by_fts5(index, text), words["common"][:FEW])
    return found


def _by_fts5(index: Index, text: str) -> object:
    """What `lexical` asks of a small index: all passages with a word, scored one by one."""
    snapshot: Any  # of an index in a folder, which has a connection
    with index.snapshot() as snapshot:
        expression = match_expression(text)
        scored = store.search_words(snapshot.connection, expression, 10, None, (1, 2**62))
        return snapshot.hits(scored)


def added(folder: Path, known: Base) -> dict[str, float]:
    """What it takes to add a document of 20 passages, each with a writer of its own; to remove."""
    index = Index.open(folder)
    took: dict[str, list[float]] = {"add": [], "remove": []}
    new = [(f"new-{d.id}", d, c[:20], v[:20]) for d, c, v in documents(known, 10**7, 10**7 + ADDED)]
    for path, document, chunks, vectors in new:
        began = perf_counter()
        with index.writer() as writer:
            writer.put(path, document, chunks, vectors, recipe="benchmark")
        took["add"].append(perf_counter() - began)
    for path, *_ in new:
        began = perf_counter()
        with index.writer() as writer:
            writer.remove(path)
        took["remove"].append(perf_counter() - began)
    values = {f"{name}_s": round(median(times), 4) for name, times in took.items()}
    most = {f"{name}_most_s": round(max(times), 4) for name, times in took.items()}
    return {**values, **most, "memory_adding_mb": peak_mb()}


PROBES = {"search": searched, "add": added}


def probed(which: str, folder: Path, data: Path) -> dict[str, float]:
    """A measurement of `PROBES` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.index", "--probe", which, "--folder", str(folder)]
    done = subprocess.run(
        [*command, "--data", str(data)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


# ---- All sizes -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """What was measured at one size."""

    n: int
    values: Mapping[str, float]


def grown(folder: Path, known: Base, data: Path, sizes: Sequence[int]) -> Iterator[Step]:
    """Let an index grow in `folder`, and measure at each size."""
    index = Index.open_or_create(folder, embedder=load_embedder())
    for n in sizes:
        held = index.info().documents
        began = perf_counter()
        with index.writer() as writer:
            for document, chunks, vectors in documents(known, held, n // DOCUMENT):
                writer.put(document.path, document, chunks, vectors, recipe="benchmark")
        values: dict[str, float] = {"build_s": round(perf_counter() - began, 2)}
        began = perf_counter()
        index.compact()
        values["compact_s"] = round(perf_counter() - began, 2)
        values["bytes_per_passage"] = round(index.info().bytes / n)
        for which in PROBES:
            values |= probed(which, folder, data)
        if n <= VERIFIED_MOST:
            began = perf_counter()
            assert verify_index(folder) == ()
            values["verify_s"] = round(perf_counter() - began, 2)
        sys.stderr.write(f"{n:,}: {json.dumps(values)}\n")
        yield Step(n, values)


def exponents(steps: Sequence[Step]) -> dict[str, float]:
    """The exponent of n in each time, by least squares over the logarithms from 10,000 on."""
    large = [step for step in steps if step.n >= 10_000]
    if len(large) < 2:
        return {}
    sizes = [math.log(step.n) for step in large]
    return {
        name: round(float(np.polyfit(sizes, [math.log(s.values[name]) for s in large], 1)[0]), 2)
        for name in large[0].values
        if name.endswith(("_ms", "_s", "_mb")) and all(s.values.get(name, 0) > 0 for s in large)
    }


LINES = {
    "lexical, FTS5 alone, common words": ("fts5_common_ms", "#bbbbbb"),
    "dense, compared with all": ("dense_exact_ms", "#777777"),
    "lexical, common words": ("lexical_common_ms", "#b3261e"),
    "hybrid": ("hybrid_ms", "#7a4fa3"),
    "dense": ("dense_ms", "#1a56a0"),
}


def picture(steps: Sequence[Step]) -> str:
    """Milliseconds a search over the number of passages, both axes logarithmic, as SVG."""
    values = [step.values[key] for step in steps for key, _ in LINES.values()]
    low, high = math.log(min(values)), math.log(max(values))
    first, last = math.log(steps[0].n), math.log(steps[-1].n)

    def place(n: int, milliseconds: float) -> tuple[float, float]:
        x = 60 + 330 * (math.log(n) - first) / max(1e-9, last - first)
        return round(x, 1), round(250 - 220 * (math.log(milliseconds) - low) / (high - low), 1)

    shapes, taken = [], 1000.0
    ends = sorted(LINES.items(), key=lambda line: steps[-1].values[line[1][0]])
    for name, (key, colour) in ends:
        points = [place(step.n, step.values[key]) for step in steps]
        path = " ".join(f"{x},{y}" for x, y in points)
        (x, y), value = points[-1], steps[-1].values[key]
        taken = min(y + 4, taken - 15)  # names do not cover each other
        shapes.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
            f'<text x="{x + 8}" y="{taken}" fill="{colour}">{name}, {value:,.1f} ms</text>'
        )
    shapes += [
        f'<text x="{place(step.n, 1)[0]}" y="275" text-anchor="middle" fill="#777777">'
        f"{step.n:,}</text>"
        for step in steps[:: 2 if len(steps) > 4 else 1]
    ]
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 680 310" font-size="13" '
        'font-family="sans-serif" role="img"><title>Time of a search</title><desc>Milliseconds of '
        "one search over the number of passages in the index, both axes logarithmic.</desc>"
        + "".join(shapes)
        + '<text x="230" y="300" text-anchor="middle" fill="#777777">passages</text></svg>\n'
    )


def peers(names: Sequence[str], data: Path, sizes: Sequence[int]) -> list[dict[str, Any]]:
    """The same passages and vectors in other packages; ragctx among them, in the same run."""
    from benchmarks.peers.environments import environment_of
    from benchmarks.peers.index_one import PACKAGES

    rows = []
    for n in sizes:
        for name in ("ragctx", *names):
            packages = PACKAGES[name]
            python = str(environment_of(f"index-{name}", packages)) if packages else sys.executable
            with tempfile.TemporaryDirectory() as folder:
                command = [python, "-m", "benchmarks.peers.index_one", name, str(n), folder]
                done = subprocess.run(
                    [*command, str(BASE)],
                    cwd=ROOT,
                    env={**os.environ, "ALLOW_RESOLVE_TRANSFORM": "True"},  # txtai asks for it
                    capture_output=True,
                    text=True,
                    check=False,
                )
            told = done.stdout.splitlines()[-1:] if not done.returncode else []
            values = json.loads(told[0]) if told else {"failed": done.stderr[-300:]}
            sys.stderr.write(f"{name} {n:,}: {json.dumps(values)}\n")
            rows.append({"package": name, "n": n, **values})
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of question sets")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="passages")
    parser.add_argument("--folder", type=Path, help="keep the index here, and go on from it")
    parser.add_argument("--picture", type=Path, help="where the curves go (SVG)")
    parser.add_argument("--peers", nargs="*", default=(), choices=("langchain", "txtai"))
    parser.add_argument("--probe", choices=tuple(PROBES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    known = base(arguments.data)
    if arguments.probe:
        measured = PROBES[arguments.probe](arguments.folder, known)
        sys.stdout.write(json.dumps(measured) + "\n")
        return
    with tempfile.TemporaryDirectory() as made:
        folder = arguments.folder or Path(made) / "index"
        steps = list(grown(folder, known, arguments.data, arguments.sizes))
    fitted = exponents(steps)
    names = dict.fromkeys(name for step in steps for name in step.values)
    table(
        ("", *(f"{step.n:,}" for step in steps), "exponent"),
        [
            (name, *(step.values.get(name, "") for step in steps), fitted.get(name, ""))
            for name in names
        ],
    )
    few = [n for n in arguments.sizes if n <= PEERS_MOST]
    beside = peers(arguments.peers, arguments.data, few) if arguments.peers else []
    if beside:
        keys = dict.fromkeys(key for row in beside for key in row)
        table(tuple(keys), [tuple(row.get(key, "") for key in keys) for row in beside])
    if arguments.picture:
        arguments.picture.write_text(picture(steps), "utf-8")
    result(
        "index",
        seed="of each document its number",
        questions=QUESTIONS,
        sizes={step.n: dict(step.values) for step in steps},
        exponents=fitted,
        peers=beside,
    )


if __name__ == "__main__":
    main()
