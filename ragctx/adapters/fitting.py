"""What all adapters share: choose passages that fit as one text, and put them in prompt order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Real
from typing import Any, TypeVar

from ragctx.arguments import require_kind, require_whole
from ragctx.errors import BudgetError, InputError
from ragctx.placement.laws import Strategy
from ragctx.placement.strategies import place
from ragctx.records import Chunk, Hit
from ragctx.selection.selectors import SELECTORS, Selector, fill
from ragctx.tokens.tokenizer import Tokenizer

Made = TypeVar("Made")
_PAGE_CHARACTERS = 2**40
"""More than any page holds, so that a passage's page goes before its place on the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A framework's document, as far as selection and placement need it."""

    text: str  # as it will be in the prompt
    score: float | None = None
    document: str = ""  # the document that it is a part of; "" if that is unknown
    page: int = 0  # of that document; 0 where that is unknown
    start: int = 0  # its first character on that page, or in the document


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """The settings by which passages are made to fit.

    The texts of the chosen passages, in prompt order and joined by `separator`, always take at most
    `budget_tokens` tokens of `tokenizer`. That joined text is what is counted, since it may take
    more tokens than its pieces.

    A passage's place in the list is its rank. Where every passage has a score, and scores fall from
    first to last, `select` weighs passages by them, and by 1 / rank otherwise: a distance, or a
    score from before the list was ranked again, does not make the last passage the best.

    Raises:
        InputError: `budget_tokens` is below 1, or there is no placement of that name.
    """

    tokenizer: Tokenizer
    budget_tokens: int
    placement: str | Strategy = "edges"
    select: Selector = fill
    separator: str = "\n\n"

    def __post_init__(self) -> None:
        require_whole("budget_tokens", self.budget_tokens, least=1)
        require_kind("separator", self.separator, str, "give the text between two documents")
        place((), self.placement)  # raises for an unknown name, early

    def order(self, passages: Sequence[Passage]) -> list[int]:
        """Indices of the passages that fit, in prompt order.

        Args:
            passages: in order of relevance, the best first; their scores may be missing.

        Raises:
            BudgetError: there are passages, and none fits.

        >>> from ragctx.tokens.load import as_tokenizer
        >>> fitting = Fitting(tokenizer=as_tokenizer("bundled"), budget_tokens=8)
        >>> fitting.order(
        ...     [Passage(text="Tin melts."), Passage(text="Iron does."), Passage(text="Lead too.")]
        ... )
        [0, 1]
        """
        count = self.tokenizer.count
        scores = _scores(passages)
        hits = [_hit(i + 1, scores[i], passage) for i, passage in enumerate(passages)]
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


def selector_name(select: str | Selector) -> str | Selector:
    """The name of a selector that has one, and any other selector as it is."""
    return next((name for name, known in SELECTORS.items() if known is select), select)


def as_list(documents: Iterable[Made], kind: type[Made]) -> list[Made]:
    """The documents of any iterable, a generator's too, as a list.

    Raises:
        InputError: it is one document, or holds what is none; `kind` is what they must be.
    """
    if isinstance(documents, str | bytes | kind) or not isinstance(documents, Iterable):
        raise InputError(
            f"documents is a {type(documents).__name__}; give a list of {kind.__name__}"
        )
    found = list(documents)
    for one in found:
        if not isinstance(one, kind):
            raise InputError(
                f"documents holds a {type(one).__name__} ({one!r:.40}); each must be a "
                f"{kind.__name__}"
            )
    return found


def written(name: str, settings: Mapping[str, Any]) -> str:
    """A short `repr` of an object that was made with these settings."""
    shown = ", ".join(f"{key}={_short(value)}" for key, value in settings.items())
    return f"{name}({shown})"


def remade(made: Callable[..., Made], settings: Mapping[str, Any]) -> Made:
    """What `made` gives for the settings: how a copy is made of an object that only holds them."""
    return made(**settings)


def number_in(metadata: Mapping[str, Any], *names: str) -> float | None:
    """The first of these entries that is a number, or None."""
    for name in names:
        value: object = metadata.get(name)
        if not isinstance(value, bool) and isinstance(value, Real):
            return float(value)
    return None


def whole_in(metadata: Mapping[str, Any], *names: str) -> int:
    """The first of these entries that is a whole number or the digits of one, not negative; or 0.

    >>> whole_in({"page_label": "iv", "page": 3}, "page_label", "page"), whole_in({}, "page")
    (3, 0)
    """
    for name in names:
        value = metadata.get(name)
        if isinstance(value, str) and value.isascii() and value.isdigit():
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    return 0


def text_in(metadata: Mapping[str, Any], *names: str) -> str:
    """The first of these entries that is neither missing nor empty, as text, or ""."""
    return next((str(metadata[name]) for name in names if metadata.get(name)), "")


def _short(value: object) -> str:
    name = getattr(value, "__name__", None)
    if name is None and hasattr(value, "encode") and not isinstance(value, str):
        return f"<{getattr(value, 'name', type(value).__name__)}>"
    return str(name) if name else repr(value)


def _scores(passages: Sequence[Passage]) -> list[float]:
    """The scores where they fall from first to last, else 1 / rank."""
    scores = [passage.score for passage in passages]
    falling = [score for score in scores if score is not None and score == score]
    if len(falling) == len(scores) and all(one >= next_ for one, next_ in pairwise(falling)):
        if falling and falling[0] > falling[-1]:
            return falling
    return [1 / rank for rank in range(1, len(passages) + 1)]


def _hit(rank: int, score: float, passage: Passage) -> Hit:
    document = passage.document or f"passage {rank}"
    start = passage.page * _PAGE_CHARACTERS + passage.start
    chunk = Chunk(
        id=f"{rank}",
        document_id=document,
        start=start,
        end=start + len(passage.text),
        first_page=None,
        last_page=None,
        text=passage.text,
        token_count=0,
    )
    return Hit(rank=rank, score=score, chunk=chunk, document=document)
