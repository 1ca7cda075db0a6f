"""Synthetic probes: questions whose answer is in one passage among others just like it.

They are made by rule, offline, and are the same for a seed. Each question asks for one fact about
an invented place; its passage tells the fact in a few sentences. The distractors tell such facts
about other places, about every fourth the same kind of fact. It is the multi-key needle task of
RULER (Hsieh et al. 2024, arXiv 2404.06654) in prose that a small reader can read. Probes measure
where in the prompt a model finds a fact, not whether it understands a difficult text.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import NamedTuple

from ragctx.evaluation.datasets import LabelledPassage, LabelledQuestion, QuestionSet

_STARTS = (
    "Bar",
    "Cal",
    "Dor",
    "Fen",
    "Gar",
    "Hol",
    "Kes",
    "Lan",
    "Mor",
    "Nor",
    "Pel",
    "Ral",
    "Sel",
    "Tor",
    "Ul",
    "Ven",
    "Wex",
    "Yar",
)
_ENDS = (
    "bridge",
    "dale",
    "field",
    "ford",
    "ham",
    "mere",
    "mouth",
    "ness",
    "port",
    "stead",
    "ton",
    "wick",
    "worth",
    "by",
    "combe",
    "hurst",
)


class _Fact(NamedTuple):
    """A kind of fact about a place: a question for it and a sentence that answers the question."""

    question: str
    sentence: str
    asked: str  # the name of the answer's slot in `sentence`


_FACTS = (
    _Fact(
        "In which year was the lighthouse of {place} built?",
        "The lighthouse of {place} was built in {year} and is still in use.",
        asked="year",
    ),
    _Fact(
        "How many metres high is the tower of {place}?",
        "The tower of {place} is {number} metres high and can be seen from the coast.",
        asked="number",
    ),
    _Fact(
        "How many members has the rowing club of {place}?",
        "The rowing club of {place} has {number} members and two boats.",
        asked="number",
    ),
    _Fact(
        "Who designed the town hall of {place}?",
        "The town hall of {place} was designed by {person} after the old one had burnt down.",
        asked="person",
    ),
)
_FILLERS = (
    "Most visitors come in summer, when the weather is mild and the market is open.",
    "The road along the river is closed in winter because of the floods.",
    "A small museum shows how people fished and traded here in earlier times.",
    "The school has two classes, and its garden is looked after by the pupils.",
    "Wheat and barley grow on the hills to the north, sheep graze on the rest.",
    "There is a railway station, but trains stop there only on request.",
)
_GIVEN = ("Ada", "Emil", "Jonas", "Karl", "Mira", "Nora", "Ruth", "Tom")
_FAMILY = ("Abernathy", "Castellan", "Haddad", "Lindqvist", "Okafor", "Petrov", "Szabo", "Vance")


def synthetic_probes(count: int, passages: int, *, seed: int = 0) -> QuestionSet:
    """`count` questions with `passages` passages each, the first of them gold.

    >>> probes = synthetic_probes(2, 3)
    >>> probes.questions[0].question
    'In which year was the lighthouse of Morford built?'
    >>> [passage.is_gold for passage in probes.questions[0].passages]
    [True, False, False]
    """
    probes = tuple(_probe(number, passages, seed) for number in range(count))
    return QuestionSet(
        path=f"synthetic probes, seed {seed}",
        sha256=hashlib.sha256(repr(probes).encode()).hexdigest(),
        layout="synthetic probes",
        questions=probes,
    )


def _probe(number: int, passages: int, seed: int) -> LabelledQuestion:
    rng = random.Random(f"{seed}:{number}")
    fact = rng.choice(_FACTS)
    columns = {
        "place": _sample([start + end for start in _STARTS for end in _ENDS], passages, rng),
        "person": _sample([f"{a} {b}" for a in _GIVEN for b in _FAMILY], passages, rng),
        "number": _sample([str(i) for i in range(11, 100)], passages, rng),
        "year": _sample([str(i) for i in range(1700, 1990)], passages, rng),
    }
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    facts = [fact, *rng.choices(_FACTS, k=passages - 1)]
    texts = [
        _passage(told.sentence.format(**row), rng) for told, row in zip(facts, rows, strict=True)
    ]
    return LabelledQuestion(
        id=f"probe-{number}",
        question=fact.question.format(**rows[0]),
        answers=(rows[0][fact.asked],),
        passages=tuple(
            LabelledPassage(text=text, title=row["place"], is_gold=i == 0)
            for i, (text, row) in enumerate(zip(texts, rows, strict=True))
        ),
        synthetic=True,
    )


def _sample(population: Sequence[str], count: int, rng: random.Random) -> list[str]:
    """`count` distinct values; numbered ones where the population is too small."""
    if count <= len(population):
        return rng.sample(population, count)
    return [f"{population[i % len(population)]} {i // len(population) + 1}" for i in range(count)]


def _passage(fact: str, rng: random.Random) -> str:
    """The fact and two fillers, in random order."""
    sentences = [fact, *rng.sample(_FILLERS, 2)]
    rng.shuffle(sentences)
    return " ".join(sentences)
