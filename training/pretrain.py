"""Stage 2: span pre-training on plain text, without labels. Resumable: run it again.

Recurring span selection (Splinter, Ram et al., ACL 2021, arXiv 2101.00438) in the reader's own
form: a sentence with a span that occurs elsewhere in the passage too is taken out and becomes the
question, its span replaced by [MASK]; the answer is the span's other occurrence. Labelled questions
may be mixed in, so that a reader that can answer already does not forget how.

    python -m training.pretrain
    python -m training.pretrain --start runs/other/answer.safetensors --rate 0.4
"""

from __future__ import annotations

import gzip
import random
import re
from collections.abc import Iterator, Set
from pathlib import Path

from tokenizers import Tokenizer as RustTokenizer

from ragctx.text.sentences import sentence_spans
from training.answer import dev_score, load_sets
from training.common import (
    Config,
    bundled_tokenizer,
    configured,
    freeze_embeddings,
    load_network,
    prepare,
    run_folder,
    stage_parser,
)
from training.data import MASK, Passage, Question, read_rows, token_span
from training.loop import Stage, train

_WORD = re.compile(r"\w[\w'-]*")
_MOST_WORDS = 5  # longest span in words; chosen by hand
_SHINGLE_WORDS = 12  # a text counts as a held-out one if it shares this many words in a row with it
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
    """Spans that occur in two sentences: (span, the sentence to ask with, its place elsewhere).

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
                if _is_specific(span):
                    places.setdefault(span, []).append((number, first, last))
    spans = sentence_spans(text)
    spans_found: list[tuple[str, tuple[int, int], tuple[int, int]]] = []
    for span in sorted(places, key=len, reverse=True):
        where = places[span]
        if len({number for number, _, _ in where}) < 2 or any(
            span in longer for longer, *_ in spans_found
        ):
            continue
        number, _, _ = where[0]
        other = next((first, last) for n, first, last in where if n != number)
        spans_found.append((span, spans[number], other))
    return spans_found


def _is_specific(span: str) -> bool:
    """Whether a span begins and ends with uncommon words and is more than a short common noun."""
    words = [word.casefold() for word in _WORD.findall(span)]
    ends = words[0] not in _COMMON and words[-1] not in _COMMON
    return ends and (len(words) > 1 or len(span) > 6 or span[0].isupper() or span.isdigit())


def passage_of(
    text: str, tokenizer: RustTokenizer, config: Config, rng: random.Random
) -> Passage | None:
    """The window without one of its sentences, which asks; None where nothing recurs."""
    candidates = recurring(text)
    if not candidates:
        return None
    _, (start, end), _ = rng.choice(candidates)
    rest = text[:start] + text[end:]
    encoded = tokenizer.encode(rest, add_special_tokens=False)
    passage = Passage("text", encoded.ids[: config.chunk_tokens])
    for span, asking, (first, last) in candidates:
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


def shingles(text: str) -> set[int]:
    """Hashes of every run of twelve words, ignoring case.

    >>> one, other = "A b c d e f g h i j k l m", "x B c d e f g h i j k l M y"
    >>> len(shingles(one) & shingles(other)), shingles("too short")
    (1, set())
    """
    words = [word.casefold() for word in _WORD.findall(text)]
    runs = range(len(words) - _SHINGLE_WORDS + 1)
    return {hash(tuple(words[i : i + _SHINGLE_WORDS])) for i in runs}


def held_out(questions: Path) -> set[int]:
    """The shingles of every passage that held-out questions are about.

    Rows with passages of their own (`ctxs`) count only if other sets have the same passages; a
    passage of fewer than twelve words has no shingle.
    """
    contexts = {
        row.get("context", "")
        for path in questions.glob("*.dev.jsonl.gz")
        for row in read_rows(path)
    }
    return set().union(*map(shingles, contexts))


def load_texts(config: Config, hidden: Set[int] = frozenset()) -> dict[str, list[Passage]]:
    """Passages of every configured text, up to `passages` each, drawn from the whole file.

    Windows that share a shingle with `hidden` are left out.
    """
    tokenizer, sets = bundled_tokenizer(), {}
    for name in config.pretrain["sets"]:
        rng = random.Random(f"{config.seed}:{name}")
        every = windows(config.texts / f"{name}.txt.gz")
        texts = [text for text in every if hidden.isdisjoint(shingles(text))]
        chosen = rng.sample(texts, min(len(texts), config.pretrain["passages"]))
        passages = (passage_of(text, tokenizer, config, rng) for text in chosen)
        sets[name] = [passage for passage in passages if passage]
    return sets


def run(
    config: Config, start: Path | None = None, rate: float = 1.0, minutes: float | None = None
) -> None:
    """Run or resume the stage, from `start` or from what stage 1 left."""
    prepare(config)
    folder = run_folder(config)
    network = load_network(start or folder / "converted.safetensors")
    freeze_embeddings(network)
    asked = config.pretrain["question_sets"]
    settings = {**config.pretrain, "sets": {**config.pretrain["sets"], **asked}}
    for each in ("learning_rate", "head_learning_rate"):
        settings[each] *= rate
    sets = {**load_texts(config, held_out(config.questions)), **load_sets(config, asked)}
    train(
        network,
        Stage(
            name="pretrain",
            folder=folder,
            settings=settings,
            sets=sets,
            score=dev_score(config),
            minutes=minutes,
        ),
        config,
    )


def main() -> None:
    """Run or resume the stage as the command line asks."""
    parser = stage_parser(__doc__)
    parser.add_argument("--minutes", type=float, help="by the clock instead of by steps")
    parser.add_argument("--start", type=Path, help="weights to begin from; default: stage 1's")
    parser.add_argument("--rate", type=float, default=1.0, help="times the configured rates")
    arguments = parser.parse_args()
    run(configured(arguments), arguments.start, arguments.rate, arguments.minutes)


if __name__ == "__main__":
    main()
