"""From candidates to a prompt: cost, select, place, build. How long does each step take?

    python -m benchmarks.assemble                     # 1,000 candidates of 256 tokens, 32k budget

Candidates are made of random words. Tokenising them is not counted: a text's ids are known after
the first use, as they are from ingestion. One thread does it all, so CPU time is measured: other
work on the machine does not count.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from functools import cache, partial
from time import process_time
from typing import Any

from benchmarks.common import result, spread, table
from ragctx.budget import SELECTORS, Selector
from ragctx.placement import place
from ragctx.prompt import build_prompt, load_template, passage_costs, room_for_passages
from ragctx.records import Chunk, Hit
from ragctx.tokens import Tokenizer, load_tokenizer

QUESTION = "Which of the readings was taken last, and by whom?"
WORDS = "alloy meter sensor valve record clock reading pressure copper winter signal bridge".split()
MAX_NEW_TOKENS = 256


def remembering_tokenizer() -> Tokenizer:
    """The bundled tokenizer, keeping every text's ids."""
    tokenizer: Any = load_tokenizer("bundled")
    tokenizer.encode = cache(tokenizer.encode)
    tokenizer.encode_markup = cache(tokenizer.encode_markup)
    return tokenizer  # type: ignore[no-any-return]


def make_hits(n: int, tokens: int, seed: int) -> list[Hit]:
    """Hits of seven eighths of `tokens` up to all of it, with scores that fall, unevenly."""
    rng = random.Random(seed)
    hits = []
    for rank in range(1, n + 1):
        text = " ".join(rng.choices(WORDS, k=rng.randint(tokens * 7 // 8, tokens)))
        document = f"report-{rng.randrange(40)}.pdf"
        start = 5000 * rank
        chunk = Chunk(
            f"{document}:{rank}", document, start, start + len(text), 1, 1, text, tokens
        )
        hits.append(Hit(rank, 0.9 - 0.6 * (rank / n) ** 0.5 + rng.gauss(0, 0.01), chunk, document))
    return hits


def measure(step: Callable[[], Any], repeats: int) -> tuple[Any, dict[str, float]]:
    """What the step gives, and its CPU time in milliseconds."""
    given, times = step(), []
    for _ in range(repeats):
        began = process_time()
        given = step()
        times.append(1000 * (process_time() - began))
    return given, spread(times)


def assemble_with(
    select: Selector, hits: list[Hit], budget: int, tokenizer: Tokenizer, repeats: int
) -> dict[str, Any]:
    """Milliseconds of each step, and what came of it."""
    template = load_template("qa")
    limits: dict[str, Any] = {
        "context_window": budget + MAX_NEW_TOKENS,
        "max_new_tokens": MAX_NEW_TOKENS,
    }
    room = room_for_passages(template, QUESTION, tokenizer, **limits)
    costs, costs_ms = measure(partial(passage_costs, template, hits, tokenizer), repeats)
    selection, select_ms = measure(partial(select, hits, costs, room), repeats)
    placement, place_ms = measure(partial(place, selection), repeats)
    build = partial(build_prompt, template, QUESTION, placement, tokenizer, **limits)
    prompt, build_ms = measure(build, repeats)
    return {
        "costs_ms": costs_ms,
        "select_ms": select_ms,
        "place_ms": place_ms,
        "build_ms": build_ms,
        "passages": len(selection.selected),
        "prompt_tokens": prompt.token_count,
        "relevance": selection.relevance,
        "upper_bound": selection.upper_bound,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--candidates", type=int, default=1000)
    parser.add_argument("--tokens", type=int, default=256, help="tokens of a candidate, at most")
    parser.add_argument("--budget-tokens", type=int, default=32_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=15)
    given = parser.parse_args()
    hits, tokenizer = make_hits(given.candidates, given.tokens, given.seed), remembering_tokenizer()
    rows = {
        name: assemble_with(select, hits, given.budget_tokens, tokenizer, given.repeats)
        for name, select in SELECTORS.items()
    }
    columns = list(rows["fill"])
    cells = [
        [name, *(f"{row[c]['median'] if c.endswith('_ms') else row[c]:.2f}" for c in columns)]
        for name, row in rows.items()
    ]
    table(["select", *columns], cells)
    result("assemble", **vars(given), results=rows)


if __name__ == "__main__":
    main()
