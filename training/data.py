"""Question sets as token ids: passages with the questions that they answer.

An answer that is not in its passage word for word (a definition, a rephrased one) becomes the
sentence or two that are most like it, if any are enough like it.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer as RustTokenizer

from ragctx.evaluation.metrics import token_f1
from ragctx.text.sentences import sentence_spans

CLS, SEP, MASK, PAD = 101, 102, 103, 0
SENTENCE_ENDS = frozenset((1012, 1029, 999))  # . ? !
RUN = 6
"""Passages of a set that stay next to each other in a round. Chosen by hand."""

LIKE_F1 = 0.35
"""Least token F1, 0 to 1, between an answer and the sentences that replace it. Chosen by hand."""


@dataclass(frozen=True)
class Question:
    """`spans` are (first, last) token positions of answers in the passage's own tokens.

    The places of the preferred answer come first; others are right too. Without any, nothing
    answers it.
    """

    token_ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]


@dataclass
class Passage:
    """A passage's tokens, without [CLS] and [SEP], and the questions it answers."""

    source: str
    token_ids: list[int]
    questions: list[Question] = field(default_factory=list)

    def holds(self, answer: Sequence[int]) -> bool:
        """True if the passage contains these tokens in a row."""
        wanted = " " + " ".join(map(str, answer)) + " "
        return wanted in " " + " ".join(map(str, self.token_ids)) + " "


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a (gzip) JSONL file."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def occurrences(text: str, answer: str) -> list[tuple[int, int]]:
    """Where `answer` occurs in `text` as whole words; if nowhere, where it occurs at all."""
    places = [(m.start(), m.end()) for m in re.finditer(re.escape(answer), text)]
    whole = [
        (a, b)
        for a, b in places
        if not (text[a - 1 : a].isalnum() and answer[0].isalnum())
        and not (text[b : b + 1].isalnum() and answer[-1].isalnum())
    ]
    return whole or places


def answer_places(text: str, answers: Sequence[str]) -> list[tuple[int, int]]:
    """Where the answers of several people are; of one's many places those that most others touch.

    >>> text = "In 1900, four of the 1900 tins were lost, in May 1900 alone."
    >>> [text[a:b] for a, b in answer_places(text, ["1900", "May 1900"])]
    ['1900', 'May 1900']
    """
    by_answer = [places for answer in answers if (places := occurrences(text, answer))]
    kept: list[tuple[int, int]] = []
    for places in by_answer:
        touched = [
            sum(any(a < d and c < b for c, d in other) for other in by_answer) for a, b in places
        ]
        kept += [
            place for place, count in zip(places, touched, strict=True) if count == max(touched)
        ]
    return list(dict.fromkeys(kept))


def nearest_sentences(text: str, answer: str) -> tuple[int, int] | None:
    """The sentence, or two in a row, most like `answer` by token F1; None below `LIKE_F1`.

    >>> text = "It rained. Tin is a soft metal. It melts easily."
    >>> text[slice(*nearest_sentences(text, "a metal that is soft"))]
    'Tin is a soft metal.'
    """
    spans = sentence_spans(text)
    runs = spans + [(a, b) for (a, _), (_, b) in pairwise(spans)]
    scored = [(token_f1(text[a:b], [answer]), a, b) for a, b in runs]
    best = max(scored, default=(0.0, 0, 0))
    return best[1:] if best[0] >= LIKE_F1 else None


def token_span(offsets: list[tuple[int, int]], start: int, end: int) -> tuple[int, int] | None:
    """First and last token that touch the characters [start, end)."""
    touched = [i for i, (a, b) in enumerate(offsets) if a < end and b > start]
    return (touched[0], touched[-1]) if touched else None


def load_passages(
    path: Path, tokenizer: RustTokenizer, chunk_tokens: int, question_tokens: int
) -> list[Passage]:
    """Every passage of a question file with its answerable, extractive questions.

    A passage longer than `chunk_tokens` is cut to a window around the first answer it holds.
    """
    return passages_of(
        read_rows(path), path.name.split(".")[0], tokenizer, chunk_tokens, question_tokens
    )


def passages_of(
    found: Iterable[Mapping[str, Any]],
    source: str,
    tokenizer: RustTokenizer,
    chunk_tokens: int,
    question_tokens: int,
    *,
    unanswered: bool = False,
) -> list[Passage]:
    """The passages of a question set's rows, as `load_passages` gives them.

    With `unanswered` also the questions that are marked as not answered.
    """
    by_context: dict[str, list[tuple[str, list[str]]]] = {}
    for row in found:
        answers = [answer.strip() for answer in row.get("answers", ()) if answer.strip()]
        rows = by_context.setdefault(row["context"], [])
        if answers and row.get("answerable", True):
            rows.append((row["question"], answers))
        elif unanswered and not row.get("answerable", True):
            rows.append((row["question"], []))
    passages = []
    for context, rows in by_context.items():
        passage = _passage(
            source=source,
            context=context,
            rows=rows,
            tokenizer=tokenizer,
            chunk_tokens=chunk_tokens,
            question_tokens=question_tokens,
        )
        if passage.questions:
            passages.append(passage)
    return passages


def _passage(
    source: str,
    context: str,
    rows: list[tuple[str, list[str]]],
    tokenizer: RustTokenizer,
    chunk_tokens: int,
    question_tokens: int,
) -> Passage:
    encoded = tokenizer.encode(context, add_special_tokens=False)
    answered: list[tuple[list[int], list[tuple[int, int]]]] = []
    for question, answers in rows:
        ids = tokenizer.encode(question, add_special_tokens=False).ids[:question_tokens]
        if not answers:
            answered.append((ids, []))
            continue
        places = answer_places(context, answers)
        similar = None if places else nearest_sentences(context, answers[0])
        places = [similar] if similar else places
        spans = [token_span(encoded.offsets, a, b) for a, b in places]
        kept = list(dict.fromkeys(span for span in spans if span))
        if kept:
            answered.append((ids, kept))
    first = _window_start(len(encoded.ids), chunk_tokens, answered)
    passage = Passage(source, encoded.ids[first : first + chunk_tokens])
    for ids, kept in answered:
        inside = tuple(
            (a - first, b - first) for a, b in kept if a >= first and b < first + chunk_tokens
        )
        if inside or not kept:
            passage.questions.append(Question(tuple(ids), inside))
    return passage


def _window_start(
    length: int, chunk_tokens: int, answered: list[tuple[list[int], list[tuple[int, int]]]]
) -> int:
    spans = [kept[0] for _, kept in answered if kept]
    if length <= chunk_tokens or not spans:
        return 0
    centre = random.Random(length).choice(spans)[0]
    return max(0, min(length - chunk_tokens, centre - chunk_tokens // 2))


def thinned(
    passage: Passage, questions: list[Question], share: float, rng: random.Random
) -> tuple[Passage, list[Question]]:
    """The passage without about `share` of the sentences that contain none of the answers.

    A passage that is never the same twice is harder to learn by heart.
    """
    ends = [i + 1 for i, token in enumerate(passage.token_ids) if token in SENTENCE_ENDS]
    bounds = [0, *ends, len(passage.token_ids)]
    spans = [span for question in questions for span in question.spans]

    def stays(start: int, end: int) -> bool:
        return any(a < end and b >= start for a, b in spans) or rng.random() >= share

    kept = [i for start, end in pairwise(bounds) if stays(start, end) for i in range(start, end)]
    moved = {old: new for new, old in enumerate(kept)}
    moved_questions = [
        replace(question, spans=tuple((moved[a], moved[b]) for a, b in question.spans))
        for question in questions
    ]
    token_ids = [passage.token_ids[i] for i in kept]
    return Passage(passage.source, token_ids, moved_questions), moved_questions


def visits(
    sets: Mapping[str, list[Passage]],
    weights: Mapping[str, float],
    questions_per_context: int,
    near_share: float,
    rng: random.Random,
) -> list[tuple[Passage, list[Question]]]:
    """One round: passages, each with a few of its questions, in runs of one set's neighbours.

    `near_share` of the runs are passages that are like one another, each other's hard negatives;
    the rest are drawn. A passage with many questions is visited several times, in other runs.
    """
    runs: list[list[Passage]] = []
    for name, passages in sets.items():
        chosen = []
        for passage in passages:
            times = weights[name] * min(3, -(-len(passage.questions) // questions_per_context))
            chosen += [passage] * (int(times) + (rng.random() < times % 1))
        rng.shuffle(chosen)
        cut = int(len(chosen) * near_share)
        runs += _similar_runs(chosen[:cut], rng) + _cut(chosen[cut:])
    rng.shuffle(runs)
    return [
        (passage, rng.sample(passage.questions, min(len(passage.questions), questions_per_context)))
        for run in runs
        for passage in run
    ]


def _cut(passages: list[Passage]) -> list[list[Passage]]:
    return [passages[i : i + RUN] for i in range(0, len(passages), RUN)]


def _similar_runs(passages: list[Passage], rng: random.Random) -> list[list[Passage]]:
    """Runs of passages that share rare words: each a random one and the most similar ones left."""
    if not passages:
        return []
    vectors = word_vectors(passages)
    left = np.ones(len(passages), dtype=bool)
    runs = []
    for first in rng.sample(range(len(passages)), len(passages)):
        if not left[first]:
            continue
        left[first] = False
        likeness = np.where(left, vectors @ vectors[first], -1.0)
        similar = np.argsort(-likeness, kind="stable")[: RUN - 1]
        similar = similar[left[similar]]
        left[similar] = False
        runs.append([passages[first], *(passages[i] for i in similar)])
    return runs


def word_vectors(passages: Sequence[Passage], dim: int = 256, seed: int = 0) -> np.ndarray:
    """Unit rows: bags of tokens weighted by rarity (log n / df), projected to `dim` at random."""
    count = np.zeros(30522)
    bags = [np.unique(np.asarray(passage.token_ids)) for passage in passages]
    for bag in bags:
        count[bag] += 1
    rarity = np.log(len(passages) / np.maximum(1, count))
    directions = np.random.default_rng(seed).standard_normal((30522, dim)).astype(np.float32)
    rows = np.stack([rarity[bag] @ directions[bag] for bag in bags]).astype(np.float32)
    unit: np.ndarray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return unit
