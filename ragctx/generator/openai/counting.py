"""Tokens counted by the server of a model itself, where it has an endpoint for that.

Then nobody needs the model's tokenizer here. Each text is asked for once, and kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from ragctx.errors import InputError, ModelError
from ragctx.generator.openai.http import Server
from ragctx.generator.openai.plain import MARK
from ragctx.tokens.memo import RememberingEncoder
from ragctx.tokens.tokenizer import Encoding

_SENTINEL = "RagctxUserMessageStandsHere"
_SYSTEM = "RagctxSystemMessageStandsHere"
_PROBE = "Tin melts."

Messages = Sequence[dict[str, str]]


class Counting(Protocol):
    """The endpoints of one kind of server. None where the server does not answer."""

    def ids(self, text: str, *, read_special: bool) -> list[int] | None:
        """The ids of a text, none added."""

    def framed(self, messages: Messages) -> str | None:
        """The messages in the model's chat template, the model's turn opened."""

    def count(self, messages: Messages) -> int | None:
        """Tokens of the messages in the chat template, with whatever opens a prompt."""


@dataclass(frozen=True, slots=True)
class LlamaCpp:
    """llama.cpp: /tokenize and /apply-template."""

    server: Server
    model: str
    options: Mapping[str, object]

    def ids(self, text: str, *, read_special: bool) -> list[int] | None:
        return self._tokenize(text, read_special=read_special, opened=False)

    def framed(self, messages: Messages) -> str | None:
        rendered = self._rendered(messages)
        return None if rendered is None else self._opening + rendered

    def count(self, messages: Messages) -> int | None:
        rendered = self._rendered(messages)
        ids = rendered and self._tokenize(rendered, read_special=True, opened=True)
        return len(ids) if ids else None

    @property
    def _opening(self) -> str:
        """The text of what opens every prompt, such as "<s>"."""
        ids = self._tokenize("", read_special=True, opened=True)
        if not ids:
            return ""
        answer = self.server.ask(f"{self.server.root}/detokenize", {"tokens": ids})
        text = _text(answer, "content") or ""
        return text if self.ids(text, read_special=True) == ids else ""

    def _rendered(self, messages: Messages) -> str | None:
        body = {"messages": [*messages], "chat_template_kwargs": {**self.options}}
        return _text(self.server.ask(f"{self.server.root}/apply-template", body), "prompt")

    def _tokenize(self, text: str, *, read_special: bool, opened: bool) -> list[int] | None:
        body = {"content": text, "add_special": opened, "parse_special": read_special}
        return _ids(self.server.ask(f"{self.server.root}/tokenize", body), "tokens")


@dataclass(frozen=True, slots=True)
class Vllm:
    """vLLM and SGLang: /tokenize takes text or messages, /detokenize shows the frame."""

    server: Server
    model: str
    options: Mapping[str, object]

    def ids(self, text: str, *, read_special: bool) -> list[int] | None:
        body = {"model": self.model, "prompt": text, "add_special_tokens": False}
        return _ids(self.server.ask(f"{self.server.root}/tokenize", body), "tokens")

    def framed(self, messages: Messages) -> str | None:
        ids = self._tokenized(messages)
        if ids is None:
            return None
        body = {"model": self.model, "tokens": ids}
        answer = self.server.ask(f"{self.server.root}/detokenize", body)
        return _text(answer, "prompt") or _text(answer, "text")

    def count(self, messages: Messages) -> int | None:
        ids = self._tokenized(messages)
        return None if ids is None else len(ids)

    def _tokenized(self, messages: Messages) -> list[int] | None:
        body = {
            "model": self.model,
            "messages": [*messages],
            "add_generation_prompt": True,
            "chat_template_kwargs": {**self.options},
        }
        return _ids(self.server.ask(f"{self.server.root}/tokenize", body), "tokens")


@dataclass(frozen=True, slots=True)
class Tgi:
    """TGI: /tokenize and /chat_tokenize, whose tokens are objects."""

    server: Server
    model: str
    options: Mapping[str, object]

    def ids(self, text: str, *, read_special: bool) -> list[int] | None:
        body = {"inputs": text, "add_special_tokens": False}
        return _ids({"tokens": self.server.ask(f"{self.server.root}/tokenize", body)}, "tokens")

    def framed(self, messages: Messages) -> str | None:
        return _text(self._tokenized(messages), "templated_text")

    def count(self, messages: Messages) -> int | None:
        ids = _ids(self._tokenized(messages), "tokenize_response")
        return None if ids is None else len(ids)

    def _tokenized(self, messages: Messages) -> object:
        body = {"model": self.model, "messages": [*messages]}
        return self.server.ask(f"{self.server.root}/chat_tokenize", body)


class ServedTokenizer:
    """The tokenizer of a served model, asked over its server's endpoints (`find_tokenizer`)."""

    retokenised = False

    def __init__(self, counting: Counting, name: str) -> None:
        self.name = name
        self._counting = counting
        self._plain = RememberingEncoder(self._plain_ids)
        self._markup = RememberingEncoder(lambda text: self._ids(text, read_special=True))

    def _ids(self, text: str, *, read_special: bool) -> list[int]:
        ids = self._counting.ids(text, read_special=read_special) if text else []
        if ids is None:
            raise ModelError(
                f"the server of {self.name} does not count tokens any more; ask again, or name the "
                "model's --tokenizer"
            )
        return ids

    def _plain_ids(self, text: str) -> list[int]:
        """Most servers read special tokens in every text: those are counted as `plain` sends them.

        What looks like one and is one token is taken for one.
        """

        def opened(match: re.Match[str]) -> str:
            mark = match.group()
            return f"{mark[0]} {mark[1:]}" if self._markup.count(mark) == 1 else mark

        return self._ids(MARK.sub(opened, text), read_special=False)

    def count_messages(self, messages: Messages) -> int | None:
        """Tokens of messages as the server will read them; None if it does not tell."""
        return self._counting.count(messages)

    def encode(self, text: str) -> list[int]:
        return self._plain.encode(text)

    def encode_markup(self, text: str) -> list[int]:
        return self._markup.encode(text)

    def count(self, text: str) -> int:
        return self._plain.count(text)

    def encode_with_offsets(self, text: str) -> Encoding:
        """Words with their places, for no server tells its tokens': there are no fewer tokens."""
        words = list(re.finditer(r"\w+|[^\w\s]", text))
        return Encoding(tuple(range(len(words))), tuple(word.span() for word in words))

    def decode(self, token_ids: Sequence[int]) -> str:
        raise ModelError(f"the server of {self.name} is not asked to decode ids")

    @cached_property
    def chat_frame(self) -> tuple[str, str]:
        """Raises ModelError if the server does not show the message once in its template."""
        framed = self._counting.framed([{"role": "user", "content": _SENTINEL}]) or ""
        before, *after = framed.split(_SENTINEL)
        if len(after) != 1:
            raise ModelError(
                f"the server of {self.name} does not show its chat template; name the model's "
                "--tokenizer"
            )
        return before, after[0]

    @cached_property
    def system_frame(self) -> tuple[str, str, str] | None:
        roles = (("system", _SYSTEM), ("user", _SENTINEL))
        framed = self._counting.framed([{"role": r, "content": text} for r, text in roles]) or ""
        if framed.count(_SYSTEM) != 1 or framed.count(_SENTINEL) != 1:
            return None
        before, _, rest = framed.partition(_SYSTEM)
        between, in_order, after = rest.partition(_SENTINEL)
        return (before, between, after) if in_order else None


_KINDS: tuple[Callable[[Server, str, Mapping[str, object]], Counting], ...] = (LlamaCpp, Vllm, Tgi)


def find_tokenizer(server: Server, model: str, options: Mapping[str, object]) -> ServedTokenizer:
    """The tokenizer of a served model, through the first kind of endpoint that answers.

    Raises:
        InputError: the server counts no tokens; the message asks for the tokenizer by name.
        ModelError: there is no server.
    """
    for kind in _KINDS:
        counting = kind(server, model, options)
        if counting.ids(_PROBE, read_special=True):
            return ServedTokenizer(counting, model)
    raise InputError(
        f"{server.url} does not tell how {model} counts tokens; name the model's --tokenizer: its "
        "directory, or tiktoken:o200k_base"
    )


def _ids(answer: object, name: str) -> list[int] | None:
    """The ids in an answer: numbers, or objects with an "id"; None if there are none."""
    found = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(found, list):
        return None
    return list(_numbers(found))


def _numbers(tokens: Sequence[Any]) -> Iterator[int]:
    for token in tokens:
        number = token.get("id") if isinstance(token, dict) else token
        yield number if isinstance(number, int) else -1


def _text(answer: object, name: str) -> str | None:
    text = answer.get(name) if isinstance(answer, dict) else None
    return text if isinstance(text, str) else None
