"""What ragctx needs of a generator: token ids in, token ids and text out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from ragctx.attribution import Attribution
from ragctx.errors import InputError
from ragctx.records import Generation, Prompt
from ragctx.tokens.tokenizer import Tokenizer


@runtime_checkable
class Generator(Protocol):
    """A model that answers a prompt: the bundled reader, a local model, or one on a server.

    One of your own needs all of these members, and nothing to inherit from:

    >>> from ragctx.tokens.load import load_tokenizer
    >>> class Echo:
    ...     name, template, context_window = "echo", "qa", 4096
    ...     caches_prompts, decoding, only_language = False, "greedy", ""
    ...     tokenizer = load_tokenizer("bundled")
    ...
    ...     def generate(self, prompt, *, on_text=None):
    ...         return Generation(
    ...             text=prompt.passages[0].own_text,
    ...             token_ids=(),
    ...             finish_reason="stop",
    ...             prefill_s=0.0,
    ...             decode_s=0.0,
    ...             reused_tokens=0,
    ...         )
    ...
    ...     def identity(self):
    ...         return (self.name,)
    ...
    ...     def forget(self):
    ...         pass
    >>> isinstance(Echo(), Generator)
    True
    """

    @property
    def name(self) -> str:
        """The model's name in answers and reports."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer whose ids `generate` reads, and with which budgets are counted."""

    @property
    def context_window(self) -> int:
        """Tokens that the model can hold at once, prompt and answer together."""

    @property
    def template(self) -> str:
        """Name of the prompt template to use with this model unless another is asked for."""

    @property
    def caches_prompts(self) -> bool:
        """Whether what it has read of one prompt can make the next one quicker: see `forget`."""

    @property
    def decoding(self) -> str:
        """How it chooses tokens, for people: "greedy", or its settings."""

    @property
    def only_language(self) -> str:
        """The one language it understands, as an English word ("English"); "" if none is known."""

    def generate(
        self, prompt: Prompt, *, on_text: Callable[[str], None] | None = None
    ) -> Generation:
        """Answer `prompt` with at most `prompt.max_new_tokens` tokens.

        `on_text` gets the answer piece by piece as it comes; the pieces, joined, are exactly
        `Generation.text`.
        """

    def identity(self) -> tuple[str, ...]:
        """What its answers depend on beside the files it was loaded from: name, decoding, settings.

        Two generators with the same files and the same identity give the same answers, so what one
        answered may be stored and used for the other.
        """

    def forget(self) -> None:
        """Drop what is cached of earlier prompts, so that the next is read as if it were the first.

        Answers do not change, only the time they take. Does nothing if nothing is cached.
        """


@runtime_checkable
class CopiesOneSpan(Protocol):
    """A generator that answers with a stretch of one passage: it cannot compare passages."""

    copies_one_span: bool


@runtime_checkable
class TellsNotes(Protocol):
    """A generator that may have something to tell about how it works, beside its answers."""

    def take_notes(self) -> tuple[str, ...]:
        """What there is to tell since the last call, each as one line."""
        ...


@runtime_checkable
class HoldsPrefixes(Protocol):
    """A generator that reads a prompt from where it differs from those that it has read."""

    def cached_tokens(self, token_ids: Sequence[int]) -> int:
        """How many ids at the beginning of a prompt it would not read again, as far as is known."""
        ...


@runtime_checkable
class TellsAttribution(Protocol):
    """A generator that can tell which passages its answer depends on."""

    def attribute(self, prompt: Prompt, generation: Generation) -> tuple[Attribution, ...]:
        """For each passage, in prompt order, the answer's log-probability with and without it.

        Raises InputError if there is no answer.
        """
        ...


def require_generator(generator: object) -> None:
    """Raise InputError, with the remedy, for what is no generator, such as the name of one."""
    if isinstance(generator, type) or not hasattr(generator, "generate"):
        raise InputError(
            f"generator is a {type(generator).__name__}; give what load_generator returns, loaded "
            "once for all questions"
        )
    members = (name for name in vars(Generator) if not name.startswith("_"))
    lacks = [name for name in members if not hasattr(generator, name)]
    if lacks:
        raise InputError(
            f"generator is a {type(generator).__name__}, which has no {', '.join(lacks)}; "
            "ragctx.generator.Generator tells what each is for"
        )
