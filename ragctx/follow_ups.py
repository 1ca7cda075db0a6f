"""Questions of a conversation, each made to stand by itself.

The search sees one question. "How much does it cost?" finds nothing by itself; what "it" is was
said before. By rule, a question that leans on what was said (it begins in the middle, or has a
pronoun and names nothing) is put behind the last one that did not. A model that writes can do
better, and is checked: what it makes up is not asked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ragctx.errors import RagctxError
from ragctx.generator.thought import without_thought
from ragctx.placement.strategies import place
from ragctx.prompt.build import build_prompt
from ragctx.prompt.template import load_template
from ragctx.text.words import STOP_WORDS, spaced, words_of

if TYPE_CHECKING:
    from ragctx.generator.protocol import Generator

FEW_WORDS = 3
"""A question of so few words is a piece of one."""
MAX_TURNS = 3
"""Turns that a model is shown: what is meant was said lately. Chosen by hand, as are these."""
MAX_ANSWER_CHARACTERS = 400
MAX_NEW_TOKENS = 64
MAX_MORE_WORDS = 30
"""Words by which a question may grow when it is made to stand by itself."""
MAX_NEW_WORDS = 1 / 3
"""Share of its content words that nobody said before, such as "cost" for "price"."""

_PRONOUN = re.compile(
    r"\b(?:it|its|they|them|their|theirs|this|that|these|those|he|him|his|she|her|one|ones"
    r"|(?<!is )(?<!are )(?<!was )(?<!were )there)\b",
    re.IGNORECASE,
)
_BEGINS_IN_THE_MIDDLE = re.compile(
    r"\A(?:and|but|or|so|then|also|what about|how about|what else)\b", re.IGNORECASE
)
_MARKS = '"“”:*'
"""What is in no question of its own accord, but where a model quotes one, or talks about it."""
_QUOTATION_MARKS = "\"'“”‘’„«»*` "
_LABEL = "Standalone question:"
_TEMPLATE = f"""\
{{passages}}{{text}}{{/passages}}\
Rewrite the last question of a conversation so that it is understood without the rest: say what
words such as "it" and "there" stand for, and add what was left out. Change nothing else. Do not
answer it. Reply with that question alone.

Question: Where is the harbour museum?
Answer: On pier 4.
Last question: And when is it open?
{_LABEL} When is the harbour museum open?

{{question}}
{_LABEL}"""


class Turn(NamedTuple):
    """What was asked before, and what was answered ("" if nothing was)."""

    question: str
    answer: str = ""


def standalone(question: str, earlier: Sequence[Turn], writer: Generator | None = None) -> str:
    """The question as it can be understood without what was said before.

    Args:
        question: what is asked now.
        earlier: the conversation before it, oldest first.
        writer: a model that writes, to say it in one sentence; None for the rule alone. What it
            gives is taken if it is one question that is made of words that were said. If it fails,
            or says anything else, the rule holds.

    >>> earlier = [Turn("What is the F-100?", "A filter.")]
    >>> standalone("How much does it cost?", earlier)
    'What is the F-100? How much does it cost?'
    >>> standalone("How often must the pump be oiled?", earlier)
    'How often must the pump be oiled?'
    """
    by_rule = _by_rule(question, earlier)
    if writer is None or not earlier:
        return by_rule
    written = _written(question, earlier[-MAX_TURNS:], writer)
    return written if _stands_for(written, question, earlier[-MAX_TURNS:]) else by_rule


def leans(question: str) -> bool:
    """Whether a question cannot be understood without the one before.

    >>> leans("And in winter?"), leans("How long does it take?"), leans("Why?")
    (True, True, True)
    >>> leans("How often must the filter be cleaned?"), leans("Is there a warranty on the pump?")
    (False, False)
    """
    words = re.findall(r"\w+", spaced(question))
    if len(words) <= FEW_WORDS or _BEGINS_IN_THE_MIDDLE.match(question.strip()):
        return True
    names = [word for word in words[1:] if word[0].isupper() or word[0].isdigit()]
    return _PRONOUN.search(question) is not None and not names


def _by_rule(question: str, earlier: Sequence[Turn]) -> str:
    """The question behind the last one that stands by itself, if it leans on it."""
    if not earlier or not leans(question):
        return question
    before = (turn.question for turn in reversed(earlier))
    base = next((one for one in before if not leans(one)), earlier[0].question)
    return f"{base} {question}"


def _written(question: str, earlier: Sequence[Turn], writer: Generator) -> str:
    """What the model makes of the question; "" if it gave nothing whole."""
    said = [f"Question: {turn.question}\nAnswer: {_shortened(turn.answer)}" for turn in earlier]
    try:
        prompt = build_prompt(
            load_template(_TEMPLATE),
            "\n".join((*said, f"Last question: {question}")),
            place(()),
            writer.tokenizer,
            context_window=writer.context_window,
            max_new_tokens=MAX_NEW_TOKENS,
        )
        generation = without_thought(writer.generate(prompt))
    except RagctxError:  # too long for it, or it cannot be reached; answering will tell
        return ""
    lines = [line.strip(_QUOTATION_MARKS) for line in generation.text.strip().splitlines()]
    if generation.finish_reason != "stop" or len(lines) != 1:
        return ""
    return " ".join(lines[0].removeprefix(_LABEL).strip(_QUOTATION_MARKS).split())


def _shortened(answer: str) -> str:
    return " ".join(answer.split())[:MAX_ANSWER_CHARACTERS] or "(none)"


def _stands_for(written: str, question: str, earlier: Sequence[Turn]) -> bool:
    """Whether what was written is the question, said so that it stands by itself.

    It has most words of the question, hardly any that were not said, and leans on nothing. If the
    question leans on what was said, it has words of that, too.
    """
    new, own = _content(written), _content(question)
    before = frozenset[str]().union(*(_content(text) for turn in earlier for text in turn))
    return (
        bool(new)
        and not leans(written)
        and (written.endswith("?") or not question.endswith("?"))
        and not any(mark in written and mark not in question for mark in _MARKS)
        and len(written.split()) <= len(question.split()) + MAX_MORE_WORDS
        and len(new - before - own) <= MAX_NEW_WORDS * len(new)
        and 2 * len(own & new) >= len(own)
        and bool((new - own) & before or not leans(question))
    )


def _content(text: str) -> frozenset[str]:
    """The words by which texts are told apart, without their plural's "s"."""
    words = frozenset(words_of(spaced(text))) - STOP_WORDS
    return frozenset(word[:-1] if word.endswith("s") and len(word) > 3 else word for word in words)
