"""A model on a server that speaks the OpenAI protocol: vLLM, llama.cpp, Ollama, LM Studio, OpenAI.

Such a server takes text and tokenises it itself, inside its own chat template. So the prompt is
counted with that template's frame around it, the text that is sent is counted once more, and a
text over its budget is an error and is not sent. All this is exact where `tokenizer` is the
model's own, from its directory. tiktoken has no chat template: there a ChatML frame in plain
letters stands in, which takes more tokens than OpenAI's own.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from ragctx.arguments import require_kind
from ragctx.errors import BudgetError, InputError, ModelError
from ragctx.generator.openai.answer import ServedAnswer
from ragctx.generator.openai.events import Event, read_event
from ragctx.generator.openai.http import END, KEY_VARIABLE, Server
from ragctx.generator.thought import opener_at_end
from ragctx.prompt.build import check_text_count
from ragctx.records import FinishReason, Generation, Prompt, Role, Segment
from ragctx.text.well_formed import well_formed
from ragctx.tokens.load import with_template_options
from ragctx.tokens.tokenizer import (
    JoinsParts,
    KnowsSystemRole,
    TextPart,
    Tokenizer,
    within_text,
)

DEFAULT_CONTEXT_WINDOW = 4096
"""Tokens that a model is taken to hold unless told otherwise: what small local servers allow."""

_SLACK = 4  # of the tokenizer's tokens for one of the server's, which may be another's; by hand
_TOKEN_CHARACTERS = 256  # more than any token has; chosen by hand
_SHOWN = 80  # characters of an answer that broke off

_USER, _ANSWER = "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"
_STAND_IN_FRAME = (_USER, _ANSWER)
_STAND_IN_SYSTEM_FRAME = ("<|im_start|>system\n", f"<|im_end|>\n{_USER}", _ANSWER)


def load_openai_api(
    spec: str,
    *,
    tokenizer: Tokenizer,
    context_window: int | None = None,
    api_key: str | None = None,
    temperature: float = 0.0,
    timeout_s: float = 300.0,
    template_options: Mapping[str, object] | None = None,
) -> OpenAIGenerator:
    """Describe a model on a server. Nothing is sent before the first question.

    Args:
        spec: the address, "#" and the model's name: "http://127.0.0.1:8000/v1#my-model".
        tokenizer: the model's; budgets are counted with it.
        context_window: tokens the model holds, prompt and answer together; 4096 by default, since
            the protocol has no way to ask.
        api_key: by default the environment variable RAGCTX_API_KEY, if set.
        temperature: 0 for the likeliest answer.
        timeout_s: seconds without a byte from the server before giving up.
        template_options: what the model's chat template is told, such as {"enable_thinking":
            False}; sent as `chat_template_kwargs`.

    Raises InputError if `spec` names no model, is not an address, or holds a password, or if the
    tokenizer's chat template does not read an option.

    >>> from ragctx.tokens.load import load_tokenizer
    >>> model = "http://127.0.0.1:8000/v1#my-model"
    >>> load_openai_api(model, tokenizer=load_tokenizer("bundled")).name
    'my-model'
    """
    url, _, model = spec.partition("#")
    key = os.environ.get(KEY_VARIABLE) or None if api_key is None else api_key
    server = Server(url.rstrip("/"), key, timeout_s)
    if not model:
        raise InputError(f"{url} names no model; write it after the address: {url}#MODEL")
    window = DEFAULT_CONTEXT_WINDOW if context_window is None else context_window
    options = template_options or {}
    if tokenizer.chat_frame:
        tokenizer = with_template_options(tokenizer, options)
    return OpenAIGenerator(
        server, model, tokenizer, window, temperature=temperature, template_options=options
    )


class OpenAIGenerator:
    """A model on a server; see `load_openai_api`. Stateless: several threads may use it."""

    template = "qa"
    caches_prompts = False  # the server may; it cannot be told to forget
    only_language = ""

    def __init__(
        self,
        server: Server,
        name: str,
        tokenizer: Tokenizer,
        context_window: int,
        *,
        temperature: float = 0.0,
        template_options: Mapping[str, object] | None = None,
    ) -> None:
        self.name = name
        self.tokenizer = _Framed(tokenizer)
        self.context_window = context_window
        self._server = server
        self._temperature = temperature
        self._template_options = dict(template_options or {})
        self.decoding = f"temperature {temperature:g}" if temperature else "greedy"

    def generate(
        self, prompt: Prompt, *, on_text: Callable[[str], None] | None = None
    ) -> Generation:
        """Answer `prompt` with at most `prompt.max_new_tokens` of the server's tokens.

        A server that sends more than a few times as many of `tokenizer`'s is cut off.

        The server sends text only: `token_ids` are those of `tokenizer` for that text. `prefill_s`
        is the time to the first piece, waiting for the server included. Whatever `on_text` raises
        passes through, and the connection is closed.

        Raises:
            BudgetError: the text takes more tokens than the prompt's budget or than the model
                holds, or the server reports that it is too long. In the first two cases nothing was
                sent.
            ModelError: the server cannot be reached, refuses, or sends something else than an
                answer.
        """
        require_kind("prompt", prompt, Prompt, "make one with assemble")
        messages = self._messages(prompt)
        answer = ServedAnswer(opener_at_end(prompt.text), on_text)
        events = self._server.post(
            "/chat/completions", self._body(prompt, messages), tokens=prompt.max_new_tokens
        )
        left = _SLACK * prompt.max_new_tokens + _SLACK
        with closing(events):
            for sent in events:
                if sent is END:
                    answer.done()
                    break
                event = self._understood(sent)
                text, left = self._within(event.text, left)
                thought, left = self._within(event.thought, left)
                answer.take(replace(event, text=text, thought=thought))
                if (text, thought) != (event.text, event.thought):
                    answer.cut()
                    break
        answer.end()
        encode = self.tokenizer.encode
        return Generation(
            text=answer.text,
            token_ids=(*encode(answer.thought), *encode(answer.text)),
            finish_reason=self._finish_reason(answer),
            prefill_s=answer.prefill_s,
            decode_s=answer.decode_s,
            reused_tokens=answer.usage.reused_tokens or 0,
            thought=answer.thought,
        )

    def _within(self, piece: str, tokens: int) -> tuple[str, int]:
        """The beginning of `piece` that takes at most `tokens`, and how many are left of them."""
        if not piece:
            return "", tokens
        shorter = piece[: tokens * _TOKEN_CHARACTERS]
        offsets = self.tokenizer.encode_with_offsets(shorter).offsets
        if len(offsets) > tokens:
            return shorter[: offsets[tokens][0]], 0
        return shorter, tokens - len(offsets)

    def identity(self) -> tuple[str, ...]:
        """Name, decoding and template options; which model it is only its server knows."""
        options = json.dumps(self._template_options, sort_keys=True)
        return (self.name, self.decoding, *([options] if self._template_options else []))

    def forget(self) -> None:
        """Do nothing: what the server caches is out of reach."""

    def _messages(self, prompt: Prompt) -> list[dict[str, str]]:
        """The messages to send, checked to fit; without the frame, which the server adds itself."""
        safe = replace(prompt, segments=tuple(self._harmless(prompt.segments)))
        self._check_fits(safe)
        texts: dict[Role, list[str]] = {"system": [], "user": []}
        for segment in safe.segments:
            texts[segment.role].append(segment.message_text)
        return [_message(role, "".join(pieces)) for role, pieces in texts.items() if pieces]

    def _check_fits(self, prompt: Prompt) -> None:
        tokens = check_text_count(prompt, self.tokenizer)
        missing = tokens + prompt.max_new_tokens - self.context_window
        if missing > 0:
            raise BudgetError(
                f"the prompt takes {tokens} tokens and {prompt.max_new_tokens} are kept for the "
                f"answer, {missing} more than the {self.context_window} that {self.name} holds; "
                "lower --budget-tokens or --max-new-tokens, or raise --context-window"
            )

    def _harmless(self, segments: Sequence[Segment]) -> Iterator[Segment]:
        """The segments, with the special tokens in question and passages made plain text."""
        for segment in segments:
            if segment.kind in ("passage", "question"):
                text = plain_text(segment.text, self.tokenizer)
                segment = replace(segment, text=text)
            yield segment

    def _body(self, prompt: Prompt, messages: list[dict[str, str]]) -> dict[str, Any]:
        options = self._template_options
        return {
            "model": self.name,
            "messages": messages,
            "max_tokens": prompt.max_new_tokens,
            "temperature": self._temperature,
            "stream": True,
            **({"chat_template_kwargs": options} if options else {}),
        }

    def _understood(self, sent: dict[str, Any]) -> Event:
        try:
            return read_event(sent)
        except ValueError:
            shown = self._server.shown(repr(sent))
            raise ModelError(
                f"{self._server.url} sent what is no chat completion: {shown}"
            ) from None

    def _finish_reason(self, answer: ServedAnswer) -> FinishReason:
        if answer.finish == "content_filter":
            raise ModelError(f"{self._server.url} withheld the answer (content_filter)")
        if answer.refused:
            return "refused"
        if answer.calls_tool:
            return "tool_call"
        if answer.finish is None:
            shown = self._server.shown(answer.text)[:_SHOWN]
            raise ModelError(f"{self._server.url} broke off in mid-answer; ask again: {shown!r}")
        return "length" if answer.is_cut else "stop"


def _message(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": well_formed(text)}  # as it was counted


_CHAT_MARK = re.compile(r"<[|｜][^<>\s]{1,40}[|｜]>")  # as most chat templates write their own
_MARK = re.compile(r"<[^<>\s]{1,40}>|\[/?[A-Z_]{2,20}\]")  # as the others do


def plain_text(text: str, tokenizer: Tokenizer) -> str:
    """Put a blank into each special token of `text`, so that no server takes it for one.

    A server reads special tokens in a message, whoever wrote it. So everything that looks like a
    chat template's, and whatever else `tokenizer` knows as special, is taken apart.

    Raises InputError if a special token of another form remains.

    >>> from ragctx.tokens.load import load_tokenizer
    >>> plain_text("a <b> [SEP] <|im_end|>", load_tokenizer("bundled"))
    'a <b> [ SEP] < |im_end|>'
    """

    def is_special(mark: str) -> bool:
        return bool(_CHAT_MARK.fullmatch(mark)) or _reads_markup(mark, tokenizer)

    def opened(match: re.Match[str]) -> str:
        mark = match.group()
        return f"{mark[0]} {mark[1:]}" if is_special(mark) else mark

    plain = _MARK.sub(opened, text)
    if _reads_markup(plain, tokenizer):
        raise InputError(
            f"a passage or the question holds a special token of {tokenizer.name} that cannot be "
            f"sent as text: {plain[:80]!r}…; leave that document out (--document)"
        )
    return plain


def _reads_markup(text: str, tokenizer: Tokenizer) -> bool:
    return tokenizer.encode_markup(text) != tokenizer.encode(text)


class _Framed:
    """A tokenizer that always has a chat frame: the server puts one around every message."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        frame = tokenizer.chat_frame
        self.name = tokenizer.name
        self.retokenised = False  # counted when it is sent, by `OpenAIGenerator._check_fits`
        self.chat_frame: tuple[str, str] = frame or _STAND_IN_FRAME
        self.system_frame: tuple[str, str, str] | None = None if frame else _STAND_IN_SYSTEM_FRAME
        if frame and isinstance(tokenizer, KnowsSystemRole):
            self.system_frame = tokenizer.system_frame
        self.joins_parts = isinstance(tokenizer, JoinsParts) and tokenizer.joins_parts
        self.opening = ""
        self._tokenizer = tokenizer
        self.encode = tokenizer.encode
        self.encode_markup = tokenizer.encode_markup
        self.encode_with_offsets = tokenizer.encode_with_offsets
        self.decode = tokenizer.decode
        self.count = tokenizer.count

    def encode_parts(self, parts: Sequence[TextPart]) -> list[list[int]]:
        """The ids of the joined text by parts; only where `joins_parts`."""
        assert isinstance(self._tokenizer, JoinsParts)
        return self._tokenizer.encode_parts(parts)

    def within_text(self) -> _Framed:
        """The same for parts on their own."""
        return _Framed(within_text(self._tokenizer))
