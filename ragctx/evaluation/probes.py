"""Synthetic probes: questions whose answer stands in one passage among others just like it.

Made by rule, offline, the same for a seed. Each question asks one fact of an invented place; its
passage says it in a few sentences. The distractors say such facts of other places, every fourth or
so the very same. (The multi-key needle task of RULER, Hsieh et al. 2024, arXiv 2404.06654, in prose
that a small reader can read.) They measure where a model finds a fact, not whether it understands a
difficult text.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence

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
_FACTS = (
    ("In which year was the lighthouse of {place} built?",
     "The lighthouse of {place} was built in {year} and is still in use."),
    ("How many metres high is the tower of {place}?",
     "The tower of {place} is {number} metres high and can be seen from the coast."),
    ("How many members has the rowing club of {place}?",
     "The rowing club of {place} has {number} members and two boats."),
    ("Who designed the town hall of {place}?",
     "The town hall of {place} was designed by {person} after the old one had burnt down."),
)  # fmt: skip
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
    """`count` questions with `passages` passages each, one of them gold.

    >>> probes = synthetic_probes(2, 3)
    >>> probes.questions[0].question
    'In which year was the lighthouse of Morford built?'
    >>> [passage.is_gold for passage in probes.questions[0].passages]
    [True, False, False]
    """
    made = tuple(_probe(number, passages, seed) for number in range(count))
    name = f"synthetic probes, seed {seed}"
    digest = hashlib.sha256(repr(made).encode()).hexdigest()
    return QuestionSet(path=name, sha256=digest, layout="synthetic probes", questions=made)


def _probe(number: int, passages: int, seed: int) -> LabelledQuestion:
    rng = random.Random(f"{seed}:{number}")
    question, fact = rng.choice(_FACTS)
    kinds = {
        "place": _sample([start + end for start in _STARTS for end in _ENDS], passages, rng),
        "person": _sample([f"{a} {b}" for a in _GIVEN for b in _FAMILY], passages, rng),
        "number": _sample([str(i) for i in range(11, 100)], passages, rng),
        "year": _sample([str(i) for i in range(1700, 1990)], passages, rng),
    }
    values = [dict(zip(kinds, row, strict=True)) for row in zip(*kinds.values(), strict=True)]
    slot = fact[fact.index("{", fact.index("{place}") + 1) + 1 :].split("}")[0]
    asked = values[0]
    facts = [fact, *rng.choices([words for _, words in _FACTS], k=passages - 1)]
    texts = [_passage(f.format(**v), rng) for f, v in zip(facts, values, strict=True)]
    labelled = tuple(
        LabelledPassage(text=text, title=value["place"], is_gold=value is asked)
        for text, value in zip(texts, values, strict=True)
    )
    return LabelledQuestion(
        id=f"probe-{number}",
        question=question.format(**asked),
        answers=(asked[slot],),
        passages=labelled,
        synthetic=True,
    )


def _sample(population: Sequence[str], count: int, rng: random.Random) -> list[str]:
    """`count` distinct names; numbered ones where the population is too small."""
    if count <= len(population):
        return rng.sample(population, count)
    return [f"{population[i % len(population)]} {i // len(population) + 1}" for i in range(count)]


def _passage(fact: str, rng: random.Random) -> str:
    sentences = [fact, *rng.sample(_FILLERS, 2)]
    rng.shuffle(sentences)
    return " ".join(sentences)
