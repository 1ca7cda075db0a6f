"""How sure the bundled reader may be on a user's own documents, fitted to questions about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ragctx import __version__
from ragctx.errors import InputError
from ragctx.evaluation.json_records import record_from_json, record_to_json
from ragctx.evaluation.metrics import best_subspan_em, token_f1
from ragctx.generator.reader.certainty import FEWEST, Certainty, Signs, fit_certainty
from ragctx.paths import write_whole
from ragctx.pipeline import ask

if TYPE_CHECKING:
    from ragctx.embedding import Embedder
    from ragctx.evaluation.datasets import LabelledQuestion
    from ragctx.generator.reader.reader import BundledReader
    from ragctx.index.index import Index
    from ragctx.retrieval import Retrieval

CERTAINTY_FORMAT = 1
FOLDS = 5
"""Parts of the questions, each judged by what was fitted to the others."""
RIGHT_F1 = 0.6
"""Token F1 with an accepted answer from which a guess counts as right. Chosen by hand: "30 days"
and "the 30 days" are, "30 days" and "60 days" are not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCertainty:
    """What was fitted, and how good it is on questions that it was not fitted to.

    Of the `n` questions each was judged by what was fitted to four fifths of the others.
    """

    format: int
    ragctx_version: str
    model: str
    source: str  # the file of questions
    n: int
    right: int  # best guesses that are right
    sure: int  # of those called sure
    sure_right: int
    refused: int
    refused_right: int  # guesses that were right and would have been refused
    weights: tuple[float, ...]
    answer_from: float
    sure_from: float

    def certainty(self) -> Certainty:
        """The part that the reader needs."""
        return Certainty(
            weights=self.weights, answer_from=self.answer_from, sure_from=self.sure_from
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Guessed:
    """The best guess of one question: what tells whether it is right, and whether it is."""

    signs: Signs
    right: bool


def guess_all(
    questions: Sequence[LabelledQuestion],
    index: Index,
    embedder: Embedder,
    reader: BundledReader,
    retrieval: Retrieval,
    on_guess: Callable[[int], None] = lambda count: None,
) -> list[Guessed]:
    """Ask each question of the index as `ask` does, and look whether the best guess is right.

    `on_guess` is called with how many have been asked.
    """
    guessed = []
    for count, question in enumerate(questions, start=1):
        prompt = ask(question.question, index, embedder, reader, retrieval=retrieval).prompt
        text, signs = reader.guess(prompt)
        right = question.answerable and is_right(text, question.answers)
        guessed.append(Guessed(signs=signs, right=right))
        on_guess(count)
    return guessed


def is_right(guess: str, answers: Sequence[str]) -> bool:
    """Whether a guess has an accepted answer in it, or is nearly one.

    >>> is_right("the 30 days", ["30 days"]), is_right("60 days", ["30 days"])
    (True, False)
    """
    if token_f1(guess, answers) >= RIGHT_F1:
        return True
    longest = max((len(answer.split()) for answer in answers), default=0)
    return len(guess.split()) <= 3 * longest + 3 and best_subspan_em(guess, answers) == 1.0


def fit(guessed: Sequence[Guessed], model: str, source: str) -> StoredCertainty:
    """What fits all questions, with how good it is on those that a fit has not seen.

    Raises InputError for fewer than `FEWEST` questions, or if all guesses are right or all wrong.
    """
    if len(guessed) < FEWEST:
        raise InputError(
            f"{source!r} has {len(guessed)} questions; give at least {FEWEST}, some of which the "
            'documents do not answer ("answerable": false)'
        )
    rights = sum(one.right for one in guessed)
    if rights in (0, len(guessed)):
        raise InputError(
            f"{'none' if rights == 0 else 'each'} of the {len(guessed)} best guesses is right, so "
            'there is nothing to tell apart; check the "answers", or ask harder questions'
        )
    judged = [
        (certainty.of(one.signs), certainty, one.right)
        for fold in range(FOLDS)
        for certainty in [_fitted([g for i, g in enumerate(guessed) if i % FOLDS != fold])]
        for one in guessed[fold::FOLDS]
    ]
    sure = [right for p, certainty, right in judged if p >= certainty.sure_from]
    refused = [right for p, certainty, right in judged if p < certainty.answer_from]
    fitted = _fitted(guessed)
    return StoredCertainty(
        format=CERTAINTY_FORMAT,
        ragctx_version=__version__,
        model=model,
        source=source,
        n=len(guessed),
        right=rights,
        sure=len(sure),
        sure_right=sum(sure),
        refused=len(refused),
        refused_right=sum(refused),
        weights=fitted.weights,
        answer_from=fitted.answer_from,
        sure_from=fitted.sure_from,
    )


def _fitted(guessed: Sequence[Guessed]) -> Certainty:
    return fit_certainty([one.signs for one in guessed], [one.right for one in guessed])


def save_certainty(certainty: StoredCertainty, path: Path) -> Path:
    """Write a certainty, whole or not at all, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_whole(path, record_to_json(certainty) + "\n")


def load_certainty(path: Path, model: str) -> StoredCertainty:
    """Read a certainty of `model`.

    Raises InputError for a file that is missing, is none, or was fitted to another model.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"the certainty {str(path)!r} cannot be read ({error}); make one: ragctx calibrate"
        ) from None
    stored = record_from_json(StoredCertainty, text)
    if stored.model != model:
        raise InputError(
            f"{str(path)!r} was fitted to {stored.model}, but {model} answers here; make one for "
            "it: ragctx calibrate"
        )
    if len(stored.weights) != len(Certainty().weights):
        raise InputError(f"{str(path)!r} has {len(stored.weights)} weights; make it again")
    return stored
