"""The bundled reader as a reranker: how likely each candidate holds the answer.

It reads each candidate alone and lets it see the question, as it does when it answers; what the
search knew of a candidate counts as it does there. So no other model is needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

from ragctx.assembly import Assembly, assemble
from ragctx.errors import BudgetError
from ragctx.generator.reader.reader import BundledReader, load_bundled
from ragctx.records import Hit, Prompt

SLOPE, OFFSET = 0.39, -9.1
"""From log-odds to a probability, which keeps their order. Fitted to 1,860 candidates of questions
about real PDFs (training/LOG.md)."""


@dataclass(frozen=True)
class BundledReranker:
    """Scores are the probability, 0 to 1, that a passage holds the answer to an English question.

    Given the reader that is to answer, what one has read is there for the other. One question is
    read at a time.
    """

    reader: BundledReader
    name: str = "bundled"
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    def __call__(self, question: str, hits: Sequence[Hit]) -> list[float]:
        """How likely each candidate holds the answer; 0 for one that is longer than the window."""
        prompts = [self._prompt(question, hit) for hit in hits]
        passages = [prompt.passages[0].token_ids for prompt in prompts if prompt]
        self.reader.cache.fetch(passages, self.reader.encode)  # all at once, which is faster
        return [_probability(self.reader.log_odds(prompt)) if prompt else 0.0 for prompt in prompts]

    def _prompt(self, question: str, hit: Hit) -> Prompt | None:
        reader = self.reader
        try:
            return assemble(
                question,
                [hit],
                reader.tokenizer,
                context_window=reader.context_window,
                assembly=Assembly(template=reader.template),
            )
        except BudgetError:
            return None


def load_bundled_reranker() -> BundledReranker:
    """The reranker with a reader of its own.

    Raises ModelError if its files are missing or damaged.
    """
    return BundledReranker(load_bundled())


def _probability(log_odds: float) -> float:
    return 1 / (1 + math.exp(-(SLOPE * log_odds + OFFSET)))
