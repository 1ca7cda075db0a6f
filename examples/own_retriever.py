"""Use ragctx with your own retriever: budget, placement, prompt and citations need only text.

python examples/own_retriever.py
"""

from __future__ import annotations

from pathlib import Path

from ragctx import Assembly, Hit, assemble, load_tokenizer
from ragctx.citations import cite
from ragctx.pdf import read_pdf
from ragctx.records import Generation

PDF = Path(__file__).parent / "samples" / "city-library-report.pdf"
QUESTION = "How much money had late fines brought in each year?"
ANSWER = "58,000 pounds"


def my_retriever(question: str, pages: list[str], k: int) -> list[tuple[float, int]]:
    """Any search engine will do; this one counts the question's words on each page."""
    words = {word for word in question.lower().split() if len(word) > 3}
    scores = [
        (sum(word in page.lower() for word in words) / len(words), n)
        for n, page in enumerate(pages, 1)
    ]
    return sorted(scores, key=lambda scored: (-scored[0], scored[1]))[:k]


def main() -> None:
    pages = [page.text for page in read_pdf(PDF).pages]
    found = my_retriever(QUESTION, pages, k=5)
    hits = [
        Hit.from_text(rank, score, pages[number - 1], f"{PDF.name}, page {number}")
        for rank, (score, number) in enumerate(found, 1)
    ]
    prompt = assemble(
        QUESTION,
        hits,
        load_tokenizer("bundled"),
        context_window=4096,
        assembly=Assembly(budget_tokens=2000, placement="document_order"),
    )
    print(prompt.text)
    print(f"{prompt.token_count} tokens, {len(prompt.passages)} of {len(hits)} pages fit")

    # The labels in any model's answer can be checked. These two answers are made up.
    label = next(passage.label for passage in prompt.passages if ANSWER in passage.text)
    for amount in (ANSWER, "85,000 pounds"):
        text = f"Fines had brought in {amount} annually [{label}]."
        for citation in cite(
            Generation(
                text=text,
                token_ids=(),
                finish_reason="stop",
                prefill_s=0,
                decode_s=0,
                reused_tokens=0,
            ),
            prompt,
            lambda _: None,
        ):
            print(f"{text}\n    {citation.status}: {' '.join(citation.quote.split())}")


if __name__ == "__main__":
    main()
