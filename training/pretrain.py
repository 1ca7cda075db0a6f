"""Stage 2: span pre-training on plain text, without labels. Resumable: run it again.

Recurring span selection (Splinter, Ram et al., ACL 2021, arXiv 2101.00438) in the reader's own
layout: a sentence whose span stands elsewhere in the passage too is taken out and becomes the
question, its span replaced by [MASK]; the answer is the span's other place.

    python -m training.pretrain
"""

from __future__ import annotations

import argparse
import gzip
import random
import re
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Tokenizer as RustTokenizer

from ragctx.sentences import sentence_spans
from training.answer import dev_score
from training.common import (
    Config,
    bundled_tokenizer,
    freeze_embeddings,
    load_config,
    load_network,
    run_folder,
    set_threads,
)
from training.data import MASK, Passage, Question, token_span
from training.loop import Stage, train

_WORD = re.compile(r"\w[\w'-]*")
_MOST_WORDS = 5  # words of a span
_COMMON = frozenset(
    "a about after all also an and any are as at be been before but by can could did do does for "
    "from had has have he her his how i if in into is it its may more most no not of on one only "
    "or other our out over same she should so some such than that the their them then there these "
    "they this those through to under up use used using was we were what when where which while "
    "who will with would you your".split()
)


def windows(path: Path, characters: int = 1100) -> Iterator[str]:
    """Paragraphs of a text file, one a line, joined until they are about as long as a chunk."""
    held: list[str] = []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            held.append(line.strip())
            if sum(map(len, held)) >= characters:
                yield "\n".join(held)[: 2 * characters]
                held = []


def recurring(text: str) -> list[tuple[str, tuple[int, int], tuple[int, int]]]:
    """Spans that stand in two sentences: (span, the sentence to ask with, its place elsewhere).

    Each span begins and ends with a word that is not common, and is not part of a longer one.

    >>> text = "Tin melts at 232 degrees. Lead is heavier. At 232 degrees tin is a liquid."
    >>> [(span, text[a:b]) for span, (a, b), _ in recurring(text)]
    [('232 degrees', 'Tin melts at 232 degrees.')]
    """
    places: dict[str, list[tuple[int, int, int]]] = {}
    for number, (start, end) in enumerate(sentence_spans(text)):
        words = [(m.start(), m.end()) for m in _WORD.finditer(text, start, end)]
        for i, (first, _) in enumerate(words):
            for _, last in words[i : i + _MOST_WORDS]:
                span = text[first:last]
                if _is_telling(span):
                    places.setdefault(span, []).append((number, first, last))
    spans = sentence_spans(text)
    found: list[tuple[str, tuple[int, int], tuple[int, int]]] = []
    for span in sorted(places, key=len, reverse=True):
        where = places[span]
        if len({number for number, _, _ in where}) < 2 or any(
            span in longer for longer, *_ in found
        ):
            continue
        number, _, _ = where[0]
        other = next((first, last) for n, first, last in where if n != number)
        found.append((span, spans[number], other))
    return found


def _is_telling(span: str) -> bool:
    words = [word.casefold() for word in _WORD.findall(span)]
    ends = words[0] not in _COMMON and words[-1] not in _COMMON
    return ends and (len(words) > 1 or len(span) > 6 or span[0].isupper() or span.isdigit())


def passage_of(
    text: str, tokenizer: RustTokenizer, config: Config, rng: random.Random
) -> Passage | None:
    """The window without one of its sentences, which asks; None where nothing recurs."""
    found = recurring(text)
    if not found:
        return None
    _, (start, end), _ = rng.choice(found)
    rest = text[:start] + text[end:]
    encoded = tokenizer.encode(rest, add_special_tokens=False)
    passage = Passage("text", encoded.ids[: config.chunk_tokens])
    for span, asking, (first, last) in found:
        if asking != (start, end):
            continue
        moved = first - (end - start) if first >= end else first
        place = token_span(encoded.offsets, moved, moved + last - first)
        left, _, right = text[start:end].partition(span)
        ids = [
            *tokenizer.encode(left, add_special_tokens=False).ids,
            MASK,
            *tokenizer.encode(right, add_special_tokens=False).ids,
        ]
        if place and place[1] < len(passage.token_ids) and len(ids) <= 2 * config.question_tokens:
            passage.questions.append(Question(tuple(ids), (place,)))
    return passage if passage.questions else None


def load_texts(config: Config) -> dict[str, list[Passage]]:
    """Passages of every configured text, up to `passages` each, drawn from the whole file."""
    tokenizer, sets = bundled_tokenizer(), {}
    for name in config.pretrain["sets"]:
        rng = random.Random(f"{config.seed}:{name}")
        texts = list(windows(config.texts / f"{name}.txt.gz"))
        chosen = rng.sample(texts, min(len(texts), config.pretrain["passages"]))
        made = (passage_of(text, tokenizer, config, rng) for text in chosen)
        sets[name] = [passage for passage in made if passage]
    return sets


def main() -> None:
    """Run or resume the stage."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, help="by the clock instead of by steps")
    arguments.add_argument("--threads", type=int, help="CPU threads instead of the configured ones")
    given = arguments.parse_args()
    config = load_config()
    set_threads(given.threads or config.threads)
    torch.manual_seed(config.seed)
    folder = run_folder(config)
    network = load_network(folder / "converted.safetensors")
    freeze_embeddings(network)
    stage = Stage(
        "pretrain", folder, config.pretrain, load_texts(config), dev_score(config), given.minutes
    )
    train(network, stage, config)


if __name__ == "__main__":
    main()
