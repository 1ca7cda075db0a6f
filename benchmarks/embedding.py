"""What a token costs to embed, by the length of its text, the embedder and the threads.

    python -m benchmarks.embedding

Each text runs alone: its vector then depends on nothing else, and no token is padding. What that
costs is the difference between short texts and long ones: a batch would share the reading of the
weights among its texts. Processor seconds (of all threads) do not count what else a machine does.
"""

from __future__ import annotations

import argparse
import os
import random
from collections.abc import Callable
from functools import partial
from time import perf_counter, process_time
from typing import Any

from benchmarks.common import result, table
from ragctx.embedding import BUNDLED, Embedder, load_embedder
from ragctx.threads import THREADS

LENGTHS = (16, 32, 64, 128, 192, 256)
"""Tokens of a text, the two that the embedder adds included."""
TEXTS, TEXT_TOKENS = 32, 180
"""How many texts are spread over threads, and how long they are."""
WORDS = (
    "the bridge over river was built by a company from north and opened to public in year after "
    "long work of many people who came there for money stone iron water city council report said"
).split()


def text_of(tokens: int, seed: int) -> str:
    """A text of as many tokens, special ones included: each word is one."""
    return " ".join(random.Random(seed).choices(WORDS, k=tokens - 2))


def least_processor_s(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """The least processor seconds of each call, in turns, after a first one."""
    least: dict[str, float] = {}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            began = process_time()
            call()
            if turn:
                least[name] = min(least.get(name, float("inf")), process_time() - began)
    return least


def by_length(embedders: dict[str, Embedder], repeats: int) -> dict[str, dict[str, float]]:
    """Processor microseconds a token, for each length and embedder."""
    found = {}
    for tokens in LENGTHS:
        text = [text_of(tokens, seed=tokens)]
        calls: dict[str, Callable[[], object]] = {
            name: partial(embedder.encode, text) for name, embedder in embedders.items()
        }
        least = least_processor_s(calls, repeats)
        found[str(tokens)] = {name: round(1e6 * s / tokens, 1) for name, s in least.items()}
    return found


def by_threads(embedder: Embedder, repeats: int) -> dict[str, dict[str, float]]:
    """Processor and clock microseconds a token, for each number of threads, in turns."""
    texts = [text_of(TEXT_TOKENS, seed) for seed in range(TEXTS)]
    found: dict[str, dict[str, float]] = {}
    for _ in range(repeats):
        for threads in range(1, (os.cpu_count() or 1) + 1):
            os.environ[THREADS] = str(threads)
            clock, processor = perf_counter(), process_time()
            embedder.encode(texts)
            spent = {"clock": perf_counter() - clock, "processor": process_time() - processor}
            least = found.setdefault(str(threads), spent)
            found[str(threads)] = {kind: min(s, least[kind]) for kind, s in spent.items()}
    tokens = TEXTS * TEXT_TOKENS
    return {
        threads: {kind: round(1e6 * s / tokens, 1) for kind, s in spent.items()}
        for threads, spent in found.items()
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    os.environ[THREADS] = "1"
    embedders = {name: load_embedder(name) for name in BUNDLED}
    lengths = by_length(embedders, repeats)
    threads = {name: by_threads(one, max(2, repeats // 3)) for name, one in embedders.items()}
    table(
        ("tokens of a text", *(f"{name}, µs a token" for name in embedders)),
        [(tokens, *(spent[name] for name in embedders)) for tokens, spent in lengths.items()],
    )
    rows: list[tuple[Any, ...]] = [
        (name, count, spent["processor"], spent["clock"])
        for name, of_one in threads.items()
        for count, spent in of_one.items()
    ]
    table(("embedder", "threads", "processor µs a token", "clock µs a token"), rows)
    result("embedding", lengths=lengths, threads=threads, n=repeats)


if __name__ == "__main__":
    main()
