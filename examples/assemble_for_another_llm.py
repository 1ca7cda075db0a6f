"""Assemble a prompt for any other model, within an exact number of that model's tokens.

    python examples/assemble_for_another_llm.py [TOKENIZER]

TOKENIZER is "bundled", the directory of a Hugging Face model, or, where tiktoken's file is cached,
"tiktoken:o200k_base".
"""

from __future__ import annotations

import sys
from pathlib import Path

from ragctx import Assembly, assemble, load_embedder, load_tokenizer, search
from ragctx.ingestion import open_cached
from ragctx.prompt import check_text_count

SAMPLES = Path(__file__).parent / "samples"
QUESTION = "How many people does it take to put up the mast, and where may it not stand?"


def main(spec: str = "bundled") -> None:
    embedder, tokenizer = load_embedder(), load_tokenizer(spec)
    index, _ = open_cached([SAMPLES / "field-station-manual.pdf"], embedder)
    hits = search(index, embedder, QUESTION, k=30)
    prompt = assemble(
        QUESTION,
        hits,
        tokenizer,
        context_window=2048,
        assembly=Assembly(budget_tokens=1000, max_new_tokens=300, placement="edges"),
        get_document=index.document,
    )
    print(prompt.text)
    print()
    for row in prompt.ledger[:8]:
        print(f"{row.rank:>3} {row.tokens:>4} tokens  {row.outcome:<8} {row.reason}")
    print(f"{prompt.token_count} of {prompt.budget_tokens} tokens of {tokenizer.name}")
    # A server that tokenises the text again may count a few tokens more or fewer: check first.
    print(f"{check_text_count(prompt, tokenizer)} when the whole text is tokenised at once")
    assert prompt.token_count <= prompt.budget_tokens


if __name__ == "__main__":
    main(*sys.argv[1:])
