"""Time each step from candidates to a prompt: cost, select, place, build.

    python -m benchmarks.assemble                     # 1,000 candidates of 256 tokens, 32k budget

Candidates are made of the tokenizer's own words, the common ones most often; one in ten repeats
two thirds of another. Tokenising them is not counted: a text's ids are known after the first use.
One thread does all the work, so CPU time is measured: other work on the machine does not count. The
project's own limits for the run above are 5 ms with `fill` and 50 ms with `knapsack`.
`benchmarks.peers.assemble` measures other packages on the same candidates.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable
from functools import partial
from itertools import accumulate
from time import process_time
from typing import Any

from benchmarks.common import result, spread, table
from ragctx.assembly import Assembly, assemble
from ragctx.placement.strategies import place
from ragctx.prompt.build import build_prompt, passage_costs
from ragctx.prompt.frame import room_for_passages
from ragctx.prompt.template import load_template
from ragctx.records import Chunk, Hit
from ragctx.selection.frontier import frontier
from ragctx.selection.selectors import SELECTORS, Selector
from ragctx.tokens.load import BUNDLED_TOKENIZER, load_tokenizer
from ragctx.tokens.tokenizer import Tokenizer

QUESTION = "Which of the readings was taken last, and by whom?"
MAX_NEW_TOKENS = 256
REPEATING = 0.1  # the share of candidates that repeat most of another
SIZES = (250, 500, 1000, 2000, 4000)  # candidates, to see how the cost grows


def make_hits(n: int, tokens: int, seed: int) -> list[Hit]:
    """`n` hits of 7/8 to all of `tokens` tokens each, with scores that fall unevenly with rank."""
    rng = random.Random(seed)
    vocabulary = json.loads(BUNDLED_TOKENIZER.read_text("utf-8"))["model"]["vocab"]
    words = [word for word in vocabulary if word.isalpha() and word.isascii()]
    weights = list(accumulate(1 / rank for rank in range(10, len(words) + 10)))
    texts: list[list[str]] = []
    hits = []
    for rank in range(1, n + 1):
        length = rng.randint(tokens * 7 // 8, tokens)
        text = rng.choices(words, cum_weights=weights, k=length)
        if texts and rng.random() < REPEATING:
            text[: 2 * length // 3] = rng.choice(texts)[: 2 * length // 3]
        texts.append(text)
        joined, document = " ".join(text), f"report-{rng.randrange(40)}.pdf"
        start = 5000 * rank
        chunk = Chunk(
            id=f"{document}:{rank}",
            document_id=document,
            start=start,
            end=start + len(joined),
            first_page=1,
            last_page=1,
            text=joined,
            token_count=tokens,
        )
        hits.append(
            Hit(
                rank=rank,
                score=0.9 - 0.6 * (rank / n) ** 0.5 + rng.gauss(0, 0.01),
                chunk=chunk,
                document=document,
            )
        )
    return hits


def measure(step: Callable[[], Any], repeats: int) -> tuple[Any, dict[str, float]]:
    """The step's result, and the spread of its CPU time in milliseconds over `repeats` runs."""
    outcome, times = step(), []  # the first run, which warms caches, is not measured
    for _ in range(repeats):
        began = process_time()
        outcome = step()
        times.append(1000 * (process_time() - began))
    return outcome, spread(times)


def steps_of(
    select: Selector, hits: list[Hit], budget: int, tokenizer: Tokenizer, repeats: int
) -> dict[str, Any]:
    """Milliseconds of each step and of `assemble`, which also merges; and facts of the prompt."""
    template = load_template("qa")
    limits: dict[str, Any] = {
        "context_window": budget + MAX_NEW_TOKENS,
        "max_new_tokens": MAX_NEW_TOKENS,
    }
    room = room_for_passages(template, QUESTION, tokenizer, **limits)
    price = partial(passage_costs, template, hits, tokenizer, room_tokens=room)
    costs, costs_ms = measure(price, repeats)
    selection, select_ms = measure(partial(select, hits, costs, room), repeats)
    placement, place_ms = measure(partial(place, selection), repeats)
    build = partial(build_prompt, template, QUESTION, placement, tokenizer, **limits)
    prompt, build_ms = measure(build, repeats)
    whole = partial(
        assemble,
        QUESTION,
        hits,
        tokenizer,
        context_window=limits["context_window"],
        assembly=Assembly(select=select, max_new_tokens=MAX_NEW_TOKENS),
    )
    return {
        "costs_ms": costs_ms,
        "select_ms": select_ms,
        "place_ms": place_ms,
        "build_ms": build_ms,
        "assemble_ms": measure(whole, repeats)[1],
        "passages": len(selection.selected),
        "prompt_tokens": prompt.token_count,
        "relevance": selection.relevance,
        "upper_bound": selection.upper_bound,
    }


def growth(
    tokens: int, budget: int, tokenizer: Tokenizer, seed: int, repeats: int
) -> list[dict[str, Any]]:
    """Milliseconds of `assemble` for more and more candidates."""
    rows = []
    for size in SIZES:
        hits = make_hits(size, tokens, seed)
        row: dict[str, Any] = {"candidates": size}
        for name, select in SELECTORS.items():
            whole = partial(
                assemble,
                QUESTION,
                hits,
                tokenizer,
                context_window=budget + MAX_NEW_TOKENS,
                assembly=Assembly(select=select, max_new_tokens=MAX_NEW_TOKENS),
            )
            row[f"{name}_ms"] = measure(whole, repeats)[1]
        rows.append(row)
    return rows


def show(rows: list[dict[str, Any]], first: str) -> None:
    """Print rows as a table, times as their medians, with the column `first` in front."""
    columns = [name for name in rows[0] if name != first]
    cells = [
        [row[first], *(f"{row[c]['median'] if c.endswith('_ms') else row[c]:.2f}" for c in columns)]
        for row in rows
    ]
    table([first, *columns], cells)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--candidates", type=int, default=1000)
    parser.add_argument("--tokens", type=int, default=256, help="tokens of a candidate, at most")
    parser.add_argument("--budget-tokens", type=int, default=32_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=15)
    args = parser.parse_args()
    tokenizer = load_tokenizer("bundled")
    hits = make_hits(args.candidates, args.tokens, args.seed)
    rows = [
        {
            "select": name,
            **steps_of(select, hits, args.budget_tokens, tokenizer, args.repeats),
        }
        for name, select in SELECTORS.items()
    ]
    show(rows, "select")
    print()
    growth_rows = growth(args.tokens, args.budget_tokens, tokenizer, args.seed, args.repeats)
    show(growth_rows, "candidates")
    costs = passage_costs(load_template("qa"), hits, tokenizer)
    _, all_budgets = measure(partial(frontier, hits, costs, args.budget_tokens), 3)
    print(f"\nfrontier, every budget up to {args.budget_tokens:,}: {all_budgets['median']:.0f} ms")
    result("assemble", **vars(args), results=rows, growth=growth_rows, frontier_ms=all_budgets)


if __name__ == "__main__":
    main()
