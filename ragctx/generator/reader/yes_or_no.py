"""Questions for yes or no: the reader does not decide, but shows the sentence that bears on it.

The reader copies a span, and learnt on questions for a thing: asked "Are night berths free?" it
gives a thing that is near by ("winter"). Whether a sentence says yes or no takes an inference that
it never learnt. So the answer is the sentence that has most of the question's words, or that holds
the spans which the reader finds likely, and it is never given as sure.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ragctx.generator.reader.proximity import Embedded, likeness, rarities, unit
from ragctx.generator.reader.softmax import log_softmax
from ragctx.generator.reader.spans import Span
from ragctx.records import CopiedSpan, Prompt
from ragctx.text.sentences import sentence_spans

if TYPE_CHECKING:
    from ragctx.tokens.tokenizer import Tokenizer

MASS = 1.0
"""What the probability of the spans in a sentence counts beside the share, 0 to 1, of the
question's words. Chosen between 0, 0.5, 1, 2 and 4 on held-out questions (training/LOG.md)."""

_ASKS = re.compile(
    r"(?:is|are|am|was|were|do|does|did|can|could|may|might|must|shall|should|will|would|has|have"
    r"|had)(?:n['’]t)? (?!you (?:please )?(?:tell|list|name|give|explain|show|say)\b)",
    re.IGNORECASE,
)


def asks_yes_or_no(question: str) -> bool:
    """Whether a question is one for yes or no: it begins with its verb and offers no choice.

    >>> asks_yes_or_no("Are night berths free?"), asks_yes_or_no("When are berths free?")
    (True, False)
    >>> asks_yes_or_no("Is it red or blue?"), asks_yes_or_no("Can you tell me the price?")
    (False, False)
    """
    return _ASKS.match(question.lstrip()) is not None and " or " not in question.casefold()


def bearing_sentence(
    embedded: Embedded,
    prompt: Prompt,
    located: Sequence[CopiedSpan],
    spans: Sequence[Span],
    tokenizer: Tokenizer,
) -> CopiedSpan | None:
    """The sentence of the passages that bears most on the question; None without any.

    `located` are the `spans` in the passages' own texts; `embedded` looks up embeddings. A sentence
    of more than `prompt.max_new_tokens` is not considered.
    """
    rarity = rarities(tokenizer.encode(prompt.question))
    words = unit(embedded(list(rarity)))
    counts = np.array(list(rarity.values()), dtype=np.float32)
    weights = counts / np.float32(sum(rarity.values()) or 1.0)
    shares = np.exp(log_softmax(np.array([s.log_probability for s in spans], dtype=np.float32)))
    best, most = None, 0.0
    for sentence, token_ids in _sentences(prompt, tokenizer):
        alike = likeness(words, unit(embedded(token_ids))).max(axis=1, initial=0.0)
        mass = sum(
            share
            for share, span in zip(shares.tolist(), located, strict=True)
            if _touch(span, sentence)
        )
        bearing = float((weights * alike).sum()) + MASS * mass
        if bearing > most:
            best, most = sentence, bearing
    return best


def _sentences(prompt: Prompt, tokenizer: Tokenizer) -> Iterator[tuple[CopiedSpan, list[int]]]:
    """Each sentence of the passages' own texts, with its tokens."""
    for number, passage in enumerate(prompt.passages):
        text = passage.own_text
        own_ids = passage.token_ids[passage.token_start : passage.token_end]
        starts = [start for start, _ in tokenizer.encode_with_offsets(text).offsets]
        for start, end in sentence_spans(text):
            token_ids = list(own_ids[bisect_left(starts, start) : bisect_left(starts, end)])
            if 0 < len(token_ids) <= prompt.max_new_tokens:
                yield CopiedSpan(number, start, end), token_ids


def _touch(span: CopiedSpan, sentence: CopiedSpan) -> bool:
    is_within = span.start < sentence.end and span.end > sentence.start
    return span.passage == sentence.passage and is_within
