"""Text as people write it: words, sentences, and the shapes of lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragctx.lazy import handed_on

if TYPE_CHECKING:
    from ragctx.text.sentences import sentence_around as sentence_around
    from ragctx.text.sentences import sentence_spans as sentence_spans
    from ragctx.text.sentences import split_sentences as split_sentences
    from ragctx.text.words import words_of as words_of
else:
    __getattr__, __dir__, __all__ = handed_on(
        __name__,
        {
            "sentence_around": "ragctx.text.sentences",
            "sentence_spans": "ragctx.text.sentences",
            "split_sentences": "ragctx.text.sentences",
            "words_of": "ragctx.text.words",
        },
    )
