"""What all adapters share: choose passages that fit as one text, and put them in prompt order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragctx.errors import BudgetError, InputError
from ragctx.placement.laws import Strategy
from ragctx.placement.strategies import place
from ragctx.records import Chunk, Hit
from ragctx.selection.selectors import Selector, fill
from ragctx.tokens.load import load_tokenizer
from ragctx.tokens.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A framework's document, as far as selection and placement need it."""

    text: str  # as it will be in the prompt
    score: float | None = None
    document: str = ""  # the document that it is a part of; "" if that is unknown
    start: int = 0  # its first character in that document


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """The settings by which passages are made to fit.

    The texts of the chosen passages, in prompt order and joined by `separator`, always take at most
    `budget_tokens` tokens of `tokenizer`. That joined text is what is counted, since it may take
    more tokens than its pieces.

    Raises:
        InputError: `budget_tokens` is below 1, or there is no placement of that name.
    """

    tokenizer: Tokenizer
    budget_tokens: int
    placement: str | Strategy = "edges"
    select: Selector = fill
    separator: str = "\n\n"

    def __post_init__(self) -> None:
        if self.budget_tokens < 1:
            raise InputError(f"budget_tokens is {self.budget_tokens}. Give 1 or more.")
        place((), self.placement)  # raises for an unknown name, early

    def order(self, passages: Sequence[Passage]) -> list[int]:
        """Indices of the passages that fit, in prompt order.

        Args:
            passages: in order of relevance, the best first; their scores may be missing.

        Raises:
            BudgetError: there are passages, and none fits.

        >>> fitting = Fitting(tokenizer=load_tokenizer("bundled"), budget_tokens=8)
        >>> fitting.order(
        ...     [Passage(text="Tin melts."), Passage(text="Iron does."), Passage(text="Lead too.")]
        ... )
        [0, 1]
        """
        count = self.tokenizer.count
        hits = [_hit(rank, passage) for rank, passage in enumerate(passages, start=1)]
        separator = count(self.separator)
        costs = [count(passage.text) + separator for passage in passages]
        room, step = self.budget_tokens + separator, 1  # the last passage has none after it
        order = self._choose(hits, costs, room)
        while count(self._joined(passages, order)) > self.budget_tokens and room:
            # Joining made tokens. Give a little less room, then much less: few rounds, small loss.
            room, step = max(0, sum(costs[i] for i in order) - step), 2 * step
            order = self._choose(hits, costs, room)
        if passages and not (order and room):
            raise BudgetError(
                f"no passage was selected: the first takes {costs[0] - separator} tokens, the "
                f"shortest {min(costs) - separator}, and budget_tokens is {self.budget_tokens}; "
                "raise it, or cut the documents into shorter pieces"
            )
        return order

    def _choose(self, hits: Sequence[Hit], costs: Sequence[int], room: int) -> list[int]:
        selection = self.select(hits, costs, room)
        return [hit.rank - 1 for hit in place(selection, self.placement).hits]

    def _joined(self, passages: Sequence[Passage], order: Sequence[int]) -> str:
        return self.separator.join(passages[i].text for i in order)


def as_tokenizer(tokenizer: str | Tokenizer) -> Tokenizer:
    """`tokenizer`, loaded if it is a name."""
    return load_tokenizer(tokenizer) if isinstance(tokenizer, str) else tokenizer


def _hit(rank: int, passage: Passage) -> Hit:
    document = passage.document or f"passage {rank}"
    end = passage.start + len(passage.text)
    chunk = Chunk(
        id=f"{rank}",
        document_id=document,
        start=passage.start,
        end=end,
        first_page=None,
        last_page=None,
        text=passage.text,
        token_count=0,
    )
    return Hit(rank=rank, score=passage.score, chunk=chunk, document=document)
