"""Choosing the answer: which spans of the passages are likely, and on which of them most agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from ragctx.generator.reader.asked_number import asks_number, tells_number
from ragctx.generator.reader.network import HIDDEN, MAX_SPAN_TOKENS, ReaderNetwork
from ragctx.generator.reader.passages import Mask
from ragctx.generator.reader.softmax import Floats, likeliest_first, log_softmax
from ragctx.text.words import STOP_WORDS, singular, words_of

Positions = NDArray[np.intp]

ECHO = 3.0
"""Log-odds taken from a span that only repeats words of the question.

Such an answer is rarely right: in 4 of 791 held-out questions of a Wikipedia-like set. The number
was chosen on held-out questions of ten sets (training/LOG.md).
"""

NUMBERLESS = 3.0
"""Log-odds taken from a span without a number where the question asks for one. Chosen on held-out
questions about documents (training/LOG.md)."""

BEAM = 20
"""Starts that are searched. 20 with 8 ends each gained 0.6 F1 on held-out questions
(training/LOG.md)."""

ENDS_EACH = 8
"""Ends that are searched for each start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A candidate answer: context positions first…last, and its log-probability.

    `proximity` is how close the question's words are to it, 0 to 1 (see `term_proximity`).
    """

    first: int
    last: int
    log_probability: float
    proximity: float = 0.0


def best_spans(
    network: ReaderNetwork,
    answer_state: Floats,
    context: Floats,
    content: Mask,
    null_score: Callable[[Floats], Floats],
    *,
    begins: Mask | None = None,
    prior: Floats | None = None,
    beam: int = BEAM,
    ends_each: int = ENDS_EACH,
    max_tokens: int = MAX_SPAN_TOKENS,
) -> tuple[tuple[Span, ...], float]:
    """Search contiguous spans: the `beam` best starts, and the `ends_each` best ends of each.

    Returns the spans, best first, and the log-probability that none of them answers, for which
    `null_score` gives the score. `answer_state` is (width,), `context` (N, width) holds the
    passages' states side by side, `content` (N,) is True at positions that may be copied; no span
    crosses a False, and none is longer than `max_tokens`. A span that contains a position where
    `begins` (N,) is True begins there. `prior` (N,) is added to the scores of
    the starts: log-odds known before reading.
    """
    starts = network.start_scores(answer_state, context)
    scores = start_log_probabilities(starts, content, null_score(answer_state), prior)
    first = likeliest_first(scores[:-1])[: min(beam, int(content.sum()))]
    reach = first[:, None] + np.arange(min(max_tokens, MAX_SPAN_TOKENS))
    inside = reach < len(context)
    reach = reach.clip(max=len(context) - 1)
    inside &= may_contain(content, np.zeros_like(content) if begins is None else begins, reach)
    ends = np.where(inside, network.end_scores(answer_state, context[reach]), HIDDEN)
    ends = log_softmax(ends)
    offsets = likeliest_first(ends)[:, :ends_each]
    total = scores[first, None] + np.take_along_axis(ends, offsets, axis=1)
    real = np.take_along_axis(inside, offsets, axis=1)
    firsts = np.broadcast_to(first[:, None], offsets.shape)[real]
    lasts, total = firsts + offsets[real], total[real]
    spans = tuple(
        Span(first=int(firsts[i]), last=int(lasts[i]), log_probability=float(total[i]))
        for i in likeliest_first(total)
    )
    return spans, float(scores[-1])


def may_contain(content: Mask, begins: Mask, reach: Positions) -> Mask:
    """(…, L): which of the positions `reach`, each after the last, a span from the first contains.

    `content` and `begins` as in `best_spans`.
    """
    allowed = content[reach]
    allowed[..., 1:] &= ~begins[reach[..., 1:]]
    inside: Mask = np.logical_and.accumulate(allowed, axis=-1)
    return inside


def by_agreement(spans: Sequence[Span], texts: Sequence[str], question: str) -> tuple[Span, ...]:
    """Sort the spans by the token F1 that each is expected to have, given how likely all are.

    `texts` are the spans' texts. Minimum Bayes risk instead of the single likeliest span (Kumar and
    Byrne, NAACL 2004): where "in May 1990", "May 1990" and "1990" share the probability, the middle
    one agrees with most, wherever in the passages each of them is. A span that only repeats the
    question's words loses `ECHO` log-odds, one without the number that is asked for `NUMBERLESS`.

    >>> spans = (
    ...     Span(first=4, last=4, log_probability=-1.0),
    ...     Span(first=2, last=4, log_probability=-1.2),
    ...     Span(first=8, last=9, log_probability=-1.3),
    ...     Span(first=11, last=11, log_probability=-0.9),
    ... )
    >>> texts = ["1990", "in May 1990", "May 1990", "the fair"]
    >>> by_agreement(spans, texts, "When was the fair?")[0]
    Span(first=8, last=9, log_probability=-1.3, proximity=0.0)
    """
    return in_order(spans, expected_f1(spans, texts, question))


def in_order(spans: Sequence[Span], expected: Floats) -> tuple[Span, ...]:
    """The spans by their expected F1 (S,), highest first; of equals the earlier."""
    return tuple(spans[i] for i in likeliest_first(expected))


def expected_f1(spans: Sequence[Span], texts: Sequence[str], question: str) -> Floats:
    """(S,): the F1, 0 to 1, that each span has with all of them, weighed by how likely they are.

    >>> spans = [Span(first=i, last=i, log_probability=0.0) for i in range(3)]
    >>> expected_f1(spans, ["1990", "1990", "Rome"], "When?").tolist()
    [0.6666..., 0.6666..., 0.3333...]
    """
    if not spans:
        return np.zeros(0, dtype=np.float32)
    log_probabilities = np.array([span.log_probability for span in spans], dtype=np.float32)
    losses = [ECHO * is_echo(text, question) for text in texts]
    if asks_number(question):
        losses = [
            loss + NUMBERLESS * (not tells_number(text))
            for loss, text in zip(losses, texts, strict=True)
        ]
    shares = np.exp(log_softmax(log_probabilities - np.array(losses, dtype=np.float32)))
    expected: Floats = pairwise_f1(texts) @ shares
    return expected


def is_echo(text: str, question: str) -> bool:
    """True if the text only repeats words of the question, unless that offers a choice ("or").

    In the plural or not.

    >>> is_echo("the rivers", "Who crossed the river?"), is_echo("he", "Who crossed the river?")
    (True, True)
    >>> is_echo("Rome", "Who crossed the river?"), is_echo("Rome", "Was Rome or Athens older?")
    (False, False)
    """
    question_words = set(words_of(question))
    if "or" in question_words:
        return False
    known = STOP_WORDS.union(question_words, map(singular, question_words))
    return all(word in known or singular(word) in known for word in words_of(text))


def pairwise_f1(texts: Sequence[str]) -> Floats:
    """(N, N): token F1 of every pair of texts, computed as answers are compared.

    >>> pairwise_f1(["the red red fox", "a red fox"])[0, 1]
    np.float32(0.8)
    """
    bags = [list(_numbered(words_of(text))) for text in texts]
    columns = {word: i for i, word in enumerate(dict.fromkeys(chain.from_iterable(bags)))}
    contains = np.zeros((len(texts), len(columns)), dtype=np.float32)  # 1 where a text has a word
    rows = [i for i, bag in enumerate(bags) for _ in bag]
    contains[rows, [columns[word] for bag in bags for word in bag]] = 1
    sizes = contains.sum(1)
    f1: Floats = 2 * (contains @ contains.T) / (sizes[:, None] + sizes).clip(min=1)
    return f1


def _numbered(words: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Each word with how often it came before: sets of these overlap as much as the bags do."""
    before = Counter[str]()
    for word in words:
        yield word, before[word]
        before[word] += 1


def start_log_probabilities(
    starts: Floats, content: Mask, null: Floats, prior: Floats | None = None
) -> Floats:
    """(N + 1,): log-softmax over the positions where an answer may start and, last, "nowhere"."""
    starts = starts if prior is None else starts + prior
    return log_softmax(np.concatenate((np.where(content, starts, HIDDEN), null)))
