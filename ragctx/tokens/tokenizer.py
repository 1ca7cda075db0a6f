"""What a tokenizer is to ragctx: text to token ids and back.

`encode` is for text that somebody else wrote (documents, questions) and
never yields a special token, whatever the text contains; `encode_markup` is for text we wrote
(templates, chat frames) and does. Nothing here touches the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from ragctx.errors import TokenizerError


@dataclass(frozen=True, slots=True)
class Encoding:
    """Token ids and, for each, the half-open span of characters it covers.

    Spans never run backwards. They may leave gaps (whitespace), begin with whitespace (byte-level
    tokenizers), or cover the same character twice (a character of several byte tokens).
    """

    token_ids: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]


class Tokenizer(Protocol):
    """Implementations are deterministic: the same text always has the same ids."""

    @property
    def name(self) -> str:
        """What the tokenizer is called, e.g. "bundled" or "tiktoken:o200k_base"."""
        ...

    @property
    def chat_frame(self) -> tuple[str, str] | None:
        """Text before and after one user message in the model's chat template; None without one.

        Both are for `encode_markup`. Raises TokenizerError where the template is broken.
        """
        ...

    @property
    def retokenised(self) -> bool:
        """Whether the model is reached by text, which its server tokenises again."""
        ...

    def encode(self, text: str) -> list[int]:
        """Ids of somebody else's text: never a special token, none added."""
        ...

    def encode_markup(self, text: str) -> list[int]:
        """Ids of our own text: special tokens such as [SEP] are recognised, none added."""
        ...

    def encode_with_offsets(self, text: str) -> Encoding:
        """The ids `encode` gives, with the characters each covers."""
        ...

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of some ids, special tokens shown; lossy where the tokenizer is (lowercase)."""
        ...

    def count(self, text: str) -> int:
        """`len(encode(text))`."""
        ...


@runtime_checkable
class KnowsSystemRole(Protocol):
    """A tokenizer whose chat template may have a place for a system message."""

    @property
    def system_frame(self) -> tuple[str, str, str] | None:
        """Text before the system message, between it and the user's, and after that one.

        For `encode_markup`. None where the template has no such place.
        """
        ...


class TextPart(NamedTuple):
    """A stretch of a prompt. In text that is `ours` special tokens are read, in any other none."""

    text: str
    ours: bool


@runtime_checkable
class JoinsParts(Protocol):
    """A tokenizer that reads a prompt as its model's own does: as one text, not part by part.

    Joined, parts may take other tokens than each on its own: a full stop and the line ends behind
    it may be one token, and many tokenizers put a space before whatever text they are given.
    """

    @property
    def joins_parts(self) -> bool:
        """Whether it does so; one that does not is given each part on its own."""
        ...

    @property
    def opening(self) -> str:
        """What opens a prompt that has no chat template, such as "<s>"; "" if nothing does."""
        ...

    def encode_parts(self, parts: Sequence[TextPart]) -> list[list[int]]:
        """The ids of the joined text, each given to the part in which its token begins."""
        ...

    def within_text(self) -> Tokenizer:
        """A tokenizer for parts on their own that puts no space before them."""
        ...


def within_text(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer for parts of a prompt on their own, if it reads the whole as one text."""
    if isinstance(tokenizer, JoinsParts) and tokenizer.joins_parts:
        return tokenizer.within_text()
    return tokenizer


@runtime_checkable
class ReadsWordsAlone(Protocol):
    """A tokenizer that may read every word alone: what stands around it changes no token of it.

    A word is what stands between spaces, tabs and line ends.
    """

    @property
    def reads_words_alone(self) -> bool:
        """Whether it does so."""
        ...


def reads_words_alone(tokenizer: Tokenizer) -> bool:
    """Whether the tokens of a text are those of its words, each read alone."""
    return isinstance(tokenizer, ReadsWordsAlone) and tokenizer.reads_words_alone


def require_round_trip(tokenizer: Tokenizer, text: str) -> None:
    """Raise TokenizerError unless the ids of `text` decode to text of the same ids.

    Ids are compared, not text, so a tokenizer may lowercase; but it may lose nothing it can see.

    >>> from ragctx.tokens.load import load_tokenizer
    >>> require_round_trip(load_tokenizer("bundled"), "Budgets are exact.")
    """
    token_ids = tokenizer.encode(text)
    decoded = tokenizer.decode(token_ids)
    if tokenizer.encode(decoded) != token_ids:
        raise TokenizerError(
            f"Tokenizer {tokenizer.name} does not give back {text[:80]!r} but {decoded[:80]!r}. "
            "Use the tokenizer that belongs to the model."
        )
