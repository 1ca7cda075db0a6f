"""Question sets as token ids: passages with the questions that stand in them."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as RustTokenizer

CLS, SEP, MASK, PAD = 101, 102, 103, 0
RUN = 8
"""How many neighbours of a set stay together in a round."""


@dataclass(frozen=True)
class Question:
    """`spans` are (first, last) token positions of the answer in the passage's own tokens."""

    token_ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]


@dataclass
class Passage:
    """A passage's tokens, without [CLS] and [SEP], and the questions it answers."""

    source: str
    token_ids: list[int]
    questions: list[Question] = field(default_factory=list)


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a (gzip) JSONL file."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def occurrences(text: str, answer: str) -> list[tuple[int, int]]:
    """Where `answer` stands in `text` as whole words; anywhere, where it stands as none."""
    found = [(m.start(), m.end()) for m in re.finditer(re.escape(answer), text)]
    whole = [
        (a, b)
        for a, b in found
        if not (text[a - 1 : a].isalnum() and answer[0].isalnum())
        and not (text[b : b + 1].isalnum() and answer[-1].isalnum())
    ]
    return whole or found


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
    by_context: dict[str, list[tuple[str, str]]] = {}
    for row in read_rows(path):
        answer = row["answers"][0].strip() if row.get("answers") else ""
        rows = by_context.setdefault(row["context"], [])
        if answer and row.get("answerable", True):
            rows.append((row["question"], answer))
    passages = []
    for context, rows in by_context.items():
        passage = _passage(
            path.name.split(".")[0], context, rows, tokenizer, chunk_tokens, question_tokens
        )
        if passage.questions:
            passages.append(passage)
    return passages


def _passage(
    source: str,
    context: str,
    rows: list[tuple[str, str]],
    tokenizer: RustTokenizer,
    chunk_tokens: int,
    question_tokens: int,
) -> Passage:
    encoded = tokenizer.encode(context, add_special_tokens=False)
    found: list[tuple[list[int], list[tuple[int, int]]]] = []
    for question, answer in rows:
        spans = [token_span(encoded.offsets, a, b) for a, b in occurrences(context, answer)]
        kept = [span for span in spans if span]
        if kept:
            ids = tokenizer.encode(question, add_special_tokens=False).ids[:question_tokens]
            found.append((ids, kept))
    first = _window_start(len(encoded.ids), chunk_tokens, found)
    passage = Passage(source, encoded.ids[first : first + chunk_tokens])
    for ids, kept in found:
        inside = tuple(
            (a - first, b - first) for a, b in kept if a >= first and b < first + chunk_tokens
        )
        if inside:
            passage.questions.append(Question(tuple(ids), inside))
    return passage


def _window_start(
    length: int, chunk_tokens: int, found: list[tuple[list[int], list[tuple[int, int]]]]
) -> int:
    if length <= chunk_tokens or not found:
        return 0
    centre = random.Random(length).choice(found)[1][0][0]
    return max(0, min(length - chunk_tokens, centre - chunk_tokens // 2))


def visits(
    sets: Mapping[str, list[Passage]],
    weights: Mapping[str, float],
    questions_per_context: int,
    rng: random.Random,
) -> list[tuple[Passage, list[Question]]]:
    """One round: passages, each with a few of its questions; neighbours of a set stay neighbours.

    A passage with many questions is visited several times, with different ones each time.
    """
    round_: list[list[tuple[Passage, list[Question]]]] = []
    for name, passages in sets.items():
        rows = []
        for passage in passages:
            times = weights[name] * min(3, -(-len(passage.questions) // questions_per_context))
            for _ in range(int(times) + (rng.random() < times % 1)):
                count = min(len(passage.questions), questions_per_context)
                rows.append((passage, rng.sample(passage.questions, count)))
        # runs of neighbours: passages of one article, which are each other's hard negatives
        round_ += [rows[i : i + RUN] for i in range(0, len(rows), RUN)]
    rng.shuffle(round_)
    return [visit for run in round_ for visit in run]
