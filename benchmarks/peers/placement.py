"""Compare the placements named after other packages with what those packages really do.

    python -m benchmarks.peers.placement

Needs the packages; one that is not installed is skipped, which the table shows. They are many and
large, so give them an environment of their own, in which only ragctx's placements are imported:

    python -m venv peers
    peers/bin/pip install langchain-community llama-index-core haystack-ai llmlingua AutoRAG
    peers/bin/python -m benchmarks.peers.placement

Every count from 1 to 40 is tried, with falling scores; LlamaIndex, which sorts by score, is also
given random ones with ties and None. The exit code is 1 if an order differs.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version

from benchmarks.common import result, table
from ragctx import __version__
from ragctx.placement.strategies import place
from ragctx.records import Hit

Scores = list[float | None]
Order = list[int]
Peer = Callable[[Scores], Order]

COUNTS = range(1, 41)
RANDOM_CASES = 500


def langchain() -> Peer:
    """LangChain's LongContextReorder."""
    from langchain_community.document_transformers import LongContextReorder
    from langchain_core.documents import Document

    def order(scores: Scores) -> Order:
        documents = [Document(f"{rank}") for rank in range(1, len(scores) + 1)]
        placed = LongContextReorder().transform_documents(documents)
        return [int(document.page_content) for document in placed]

    return order


def llama_index() -> Peer:
    """LlamaIndex's LongContextReorder."""
    from llama_index.core.postprocessor import LongContextReorder
    from llama_index.core.schema import NodeWithScore, TextNode

    def order(scores: Scores) -> Order:
        nodes = [
            NodeWithScore(node=TextNode(text=f"{rank}"), score=score)
            for rank, score in enumerate(scores, start=1)
        ]
        return [int(node.text) for node in LongContextReorder().postprocess_nodes(nodes)]

    return order


def haystack() -> Peer:
    """Haystack's LostInTheMiddleRanker."""
    from haystack import Document
    from haystack.components.rankers import LostInTheMiddleRanker

    def order(scores: Scores) -> Order:
        documents = [Document(content=f"{rank}") for rank in range(1, len(scores) + 1)]
        placed = LostInTheMiddleRanker().run(documents=documents)["documents"]
        return [int(str(document.content)) for document in placed]

    return order


def llmlingua() -> Peer:
    """LLMLingua's two_stage: its own method, on a compressor whose model is not needed for it."""
    from llmlingua import PromptCompressor

    class Ranked(PromptCompressor):
        def __init__(self) -> None:
            self.context_idxs: list[Order] = []

        def get_rank_results(self, context: list[str], *_: object) -> list[tuple[int, float]]:
            return [(i, 1 / (i + 1)) for i in range(len(context))]

    def order(scores: Scores) -> Order:
        ranks = [f"{rank}" for rank in range(1, len(scores) + 1)]
        placed, *_ = Ranked().control_context_budget(
            ranks, [1] * len(ranks), 10 * len(ranks), reorder_context="two_stage"
        )
        return [int(rank) for rank in placed]

    return order


def autorag() -> Peer:
    """AutoRAG's long_context_reorder, without the passage that it repeats at the end."""
    from autorag.nodes.promptmaker.long_context_reorder import LongContextReorder

    def order(scores: Scores) -> Order:
        ranks = [f"{rank}" for rank in range(1, len(scores) + 1)]
        maker = object.__new__(LongContextReorder)
        [prompt] = maker._pure("{retrieved_contents}", ["?"], [ranks], [scores])
        *placed, copy = prompt.split("\n\n")
        assert copy == "1", f"AutoRAG repeats passage {copy}, not the best"
        return [int(rank) for rank in placed]

    return order


PEERS: dict[str, tuple[str, Callable[[], Peer]]] = {
    "langchain": ("langchain-community", langchain),
    "llama_index": ("llama-index-core", llama_index),
    "haystack": ("haystack-ai", haystack),
    "llmlingua": ("llmlingua", llmlingua),
    "autorag": ("AutoRAG", autorag),
}


def cases(name: str, seed: int) -> list[Scores]:
    """Scores of hits in rank order."""
    falling: list[Scores] = [[1 / rank for rank in range(1, n + 1)] for n in COUNTS]
    if name != "llama_index":
        return falling
    rng = random.Random(seed)
    values = [-9.0, -0.5, 0.0, 0.25, 0.5, None]
    mixed = [[rng.choice(values) for _ in range(rng.randint(1, 20))] for _ in range(RANDOM_CASES)]
    return falling + mixed


def differences(name: str, peer: Peer, seed: int) -> tuple[int, list[tuple[Order, Order]]]:
    """How many cases were tried, and (theirs, ours) of those that differ."""
    every_case = cases(name, seed)
    different = []
    for scores in every_case:
        hits = [Hit.from_text(rank, score, "text") for rank, score in enumerate(scores, start=1)]
        ours, theirs = [hit.rank for hit in place(hits, name).hits], peer(scores)
        if ours != theirs:
            different.append((theirs, ours))
    return len(every_case), different


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)  # AutoRAG reports each prompt maker it puts away
    rows: list[tuple[object, ...]] = []
    results: dict[str, dict[str, object]] = {}
    for name, (package, load) in PEERS.items():
        try:
            peer = load()
        except ImportError as error:
            rows.append((name, package, "skipped", "", f"not installed: {error.name}"))
            results[name] = {"package": package, "skipped": str(error)}
            continue
        n, different = differences(name, peer, args.seed)
        outcome = "equal"
        if different:
            theirs, ours = different[0]
            outcome = f"for example {theirs}, ours {ours}"
        rows.append((name, package, version(package), n, outcome))
        results[name] = {
            "package": package,
            "version": version(package),
            "n": n,
            "different": len(different),
        }
    table(["placement", "package", "version", "cases", "outcome"], rows)
    result("placement_peers", ragctx=__version__, seed=args.seed, results=results)
    sys.exit(any(row.get("different") for row in results.values()))


if __name__ == "__main__":
    main()
