"""Why there is no answer: each cause has its own sentence, with what to do about it. Pure.

"The documents do not answer this" is only said of documents that were read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragctx.records import NO_ANSWER, UNREAD, Generation, Prompt, Refusal
from ragctx.text.display import one_line
from ragctx.text.language import foreign_language

if TYPE_CHECKING:
    from ragctx.index.store import SourceInfo

NOT_ANSWERED = "The documents do not answer this."

READ = ("not_answered", "partly_read", "below_min_confidence", "unsure", "compares")
"""Reasons of refusals for which documents were read: they do not hold the answer; those with text
do not, and others have none; the answer found is less sure than asked for; or only a guess, where
only sure answers are wanted; or documents are to be compared, and the model copies from one."""

WITHHELD = ("below_min_confidence", "unsure")
"""Those of `READ` for which there is an answer, but not a sure enough one."""

REASONS = (*READ, *UNREAD, *NO_ANSWER)

_NAMED = 3  # documents named in a sentence; the others are counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """What was searched: the files in question, and whether anything was found in them.

    `best` is the score of the best passage found; None where it has none, or nothing was found.
    """

    sources: Sequence[SourceInfo]
    found: bool
    best: float | None


def why_refused(
    prompt: Prompt, confidence: float | None, searched: Searched, language: str
) -> Refusal:
    """The reason why `prompt` got no answer.

    `language` is the only one that the model reads, or "" if it reads others too.
    """
    unread = [source for source in searched.sources if source.status == "no_text"]
    if not searched.sources:
        return Refusal(
            "empty_index",
            "The index has no documents, so nothing was read. Add some first: ragctx ingest FILES",
        )
    if len(unread) == len(searched.sources):
        return Refusal("no_text", f"Nothing could be read: {_without_text(unread)}")
    if not searched.found:
        return Refusal(
            "nothing_found",
            "No passage was found, so nothing was read. Use other words, or other documents or "
            "pages (--document, --pages); --retriever lexical finds only the question's own words.",
        )
    if not prompt.passages:
        best = "" if searched.best is None else f" (the best has {searched.best:.4g})"
        return Refusal(
            "below_min_score",
            f"No passage reached --min-score{best}, so nothing was read. Lower it or leave it out.",
        )
    asked_in = foreign_language(prompt.question) if language == "English" else ""
    if asked_in:
        return Refusal(
            "language",
            f"The question seems to be in {asked_in}, and the bundled reader reads English only. "
            "Ask in English, or choose a model that knows the language (--model).",
        )
    if unread:
        return Refusal(
            "partly_read",
            f"The documents that could be read do not answer this. {_without_text(unread)}",
        )
    return Refusal("not_answered", not_answered_words(confidence))


def too_unsure(confidence: float, least: float) -> Refusal:
    """The refusal of an answer whose confidence is below what was asked for.

    >>> too_unsure(0.412, 0.6).message[:78]
    'The best answer found is not sure enough: 41 % where --min-confidence asks for'
    """
    return Refusal(
        "below_min_confidence",
        f"The best answer found is not sure enough: {100 * confidence:.0f} % where "
        f"--min-confidence asks for {100 * least:.0f} %. Lower that, or read the passages.",
    )


def no_answer(generation: Generation, max_new_tokens: int, model: str) -> Refusal | None:
    """Why the model did not answer at all; None if it did, or said that the documents do not.

    >>> cut = Generation(
    ...     text="",
    ...     token_ids=(),
    ...     finish_reason="length",
    ...     prefill_s=0.0,
    ...     decode_s=0.0,
    ...     reused_tokens=0,
    ...     thought="Tin?",
    ... )
    >>> no_answer(cut, 64, "qwen").message[:68]
    'qwen used up its 64 tokens with thinking and has not begun to answer'
    """
    less = "let it think less (--template-option enable_thinking=false, if its template knows that)"
    more = f"Raise --max-new-tokens (now {max_new_tokens})"
    if generation.finish_reason == "refused":
        return Refusal(
            "refused", f"{model} refused to answer. Ask in other words or another model."
        )
    if generation.finish_reason == "tool_call":
        return Refusal(
            "tool_call",
            f"{model} called a tool instead of answering, and there is none here. Turn tools off "
            "where it is served, or use another --template.",
        )
    if generation.text.strip() or generation.finish_reason == "abstain":
        return None
    if generation.thought or generation.thought_tokens:
        if generation.finish_reason == "length":
            spent = f"{model} used up its {max_new_tokens} tokens with thinking and has not begun"
            return Refusal("thought_only", f"{spent} to answer. {more}, or {less}.")
        return Refusal("thought_only", f"{model} thought and then gave no answer; {less}.")
    if generation.finish_reason == "length":
        return Refusal("cut", f"{model} was cut off before its first word. {more}.")
    return Refusal(
        "empty", f"{model} ended without a word. Ask in other words, or use another --template."
    )


def only_a_guess(confidence: float | None) -> Refusal:
    """The refusal of an unsure answer where only sure ones are wanted.

    >>> only_a_guess(0.412).message
    'The best answer found is only a guess (41 %). Leave out --strict to see it, or read the \
passages.'
    """
    percent = "" if confidence is None else f" ({100 * confidence:.0f} %)"
    return Refusal(
        "unsure",
        f"The best answer found is only a guess{percent}. Leave out --strict to see it, or read "
        "the passages.",
    )


def side_by_side(documents: int, found: int) -> Refusal:
    """What is said instead of an answer to a question that compares documents.

    Args:
        documents: how many were asked one by one.
        found: how many of them have an answer, which is listed.

    >>> side_by_side(3, 2).message[83:]
    '2 of 3 give the answers below; check them. Or choose a model that compares (--model).'
    """
    return Refusal(
        "compares",
        "This asks to compare documents, and the bundled reader answers from one at a time. "
        + (
            f"{found} of {documents} give the answers below; check them."
            if found
            else f"Asked one by one, none of the {documents} answers: ask for each fact by itself."
        )
        + " Or choose a model that compares (--model).",
    )


def not_answered_words(confidence: float | None) -> str:
    """What is said of documents that were read and have no answer.

    >>> not_answered_words(0.124)
    'The documents do not answer this. (Chance that the best guess is right: 12 %.)'
    """
    if confidence is None:
        return NOT_ANSWERED
    return f"{NOT_ANSWERED} (Chance that the best guess is right: {100 * confidence:.0f} %.)"


def _without_text(sources: Sequence[SourceInfo]) -> str:
    names = [one_line(source.path.replace("\\", "/").rpartition("/")[2]) for source in sources]
    listed = ", ".join(names[:_NAMED])
    if len(names) > _NAMED:
        listed += f" and {len(names) - _NAMED:,} more"
    has = "has" if len(names) == 1 else "have"
    return (
        f"{listed} {has} no text that can be read, as of a scan. Run OCR first, then ask or ingest "
        "again; for example: ocrmypdf in.pdf out.pdf"
    )
