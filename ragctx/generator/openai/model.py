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
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from typing import Any

from ragctx.arguments import require_kind
from ragctx.errors import BudgetError, InputError, ModelError
from ragctx.generator.decoding import Decoding
from ragctx.generator.openai.about import ask_window
from ragctx.generator.openai.answer import ServedAnswer
from ragctx.generator.openai.counting import Messages, ServedTokenizer, find_tokenizer
from ragctx.generator.openai.dialect import Dialect
from ragctx.generator.openai.events import Event, Usage, read_event
from ragctx.generator.openai.http import END, KEY_VARIABLE, Server
from ragctx.generator.openai.plain import plain_text
from ragctx.generator.openai.settings import RefusedError, ServerSettings
from ragctx.generator.prefix import common_prefix
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
"""Tokens that a model is taken to hold if neither its server nor anybody else tells: what small
local servers allow."""

_SLACK = 4  # of the tokenizer's tokens for one of the server's, which may be another's; by hand
_TOKEN_CHARACTERS = 256  # more than any token has; chosen by hand
_REMEMBERED = 16  # prompts that were sent last: those a server is likeliest to hold; by hand
_SHOWN = 80  # characters of an answer that broke off

_USER, _ANSWER = "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"
_STAND_IN_FRAME = (_USER, _ANSWER)
_STAND_IN_SYSTEM_FRAME = ("<|im_start|>system\n", f"<|im_end|>\n{_USER}", _ANSWER)


def load_openai_api(
    spec: str,
    *,
    tokenizer: Tokenizer | None = None,
    context_window: int | None = None,
    api_key: str | None = None,
    temperature: float = 0.0,
    timeout_s: float = 300.0,
    template_options: Mapping[str, object] | None = None,
    server_options: Mapping[str, object] | None = None,
    decoding: Decoding | None = None,
) -> OpenAIGenerator:
    """Describe a model on a server. With a tokenizer, nothing is sent before the first question.

    Args:
        spec: the address, "#" and the model's name: "http://127.0.0.1:8000/v1#my-model". What
            every request must have may stand in the address: "…?api-version=2024-10-21#my-model".
        tokenizer: the model's; budgets are counted with it. Without one the server is asked to
            count, as vLLM, SGLang, llama.cpp and TGI can.
        context_window: tokens the model holds, prompt and answer together; by default what the
            server tells when it is first needed, or 4096.
        api_key: by default the environment variable RAGCTX_API_KEY, if set.
        temperature: 0 for the likeliest answer; short for a `decoding` with nothing else.
        timeout_s: seconds without a byte from the server before giving up.
        template_options: what the model's chat template is told, such as {"enable_thinking":
            False}; sent as `chat_template_kwargs`.
        server_options: "limit_s" (seconds for one question), "retries", headers ("header.NAME"),
            and further fields of the request; see `ragctx.generator.openai.settings`.
        decoding: temperature, its limits, seed and stop texts, as the server understands them.

    Raises InputError if `spec` names no model, is not an address, or holds a password, if the
    tokenizer's chat template does not read an option, or if there is no tokenizer and the server
    does not count; ModelError if it was to be asked and is not there.

    >>> from ragctx.tokens.load import load_tokenizer
    >>> model = "http://127.0.0.1:8000/v1#my-model"
    >>> load_openai_api(model, tokenizer=load_tokenizer("bundled")).name
    'my-model'
    """
    address, _, model = spec.partition("#")
    url, _, query = address.partition("?")
    key = os.environ.get(KEY_VARIABLE) or None if api_key is None else api_key
    settings = ServerSettings.of({"timeout_s": timeout_s, **(server_options or {})})
    server = Server(url.rstrip("/"), key, settings, query)
    if not model:
        raise InputError(f"{url} names no model; write it after the address: {url}#MODEL")
    options = template_options or {}
    if tokenizer is None:
        tokenizer = find_tokenizer(server, model, options)
    elif tokenizer.chat_frame:
        tokenizer = with_template_options(tokenizer, options)
    return OpenAIGenerator(
        server,
        model,
        tokenizer,
        context_window,
        decoding=decoding or Decoding(temperature=temperature),
        template_options=options,
    )


class OpenAIGenerator:
    """A model on a server; see `load_openai_api`. Several threads may use it."""

    template = "qa"
    caches_prompts = False  # the server may; it cannot be told to forget
    only_language = ""

    def __init__(
        self,
        server: Server,
        name: str,
        tokenizer: Tokenizer,
        context_window: int | None,
        *,
        decoding: Decoding,
        template_options: Mapping[str, object] | None = None,
    ) -> None:
        self.name = name
        self.tokenizer = _Framed(tokenizer)
        self._window = context_window
        self._server = server
        self._dialect = Dialect()
        self._notes: dict[str, str] = {}  # each kind is told once
        self._told: set[str] = set()
        self._sent: deque[tuple[int, ...]] = deque(maxlen=_REMEMBERED)
        self._decoding = decoding
        self._template_options = dict(template_options or {})
        self.decoding = decoding.words

    @cached_property
    def context_window(self) -> int:
        """Tokens it holds: as given, as its server tells, or `DEFAULT_CONTEXT_WINDOW`.

        Raises ModelError if the server has to be asked and is not there.
        """
        if self._window is not None:
            return self._window
        return ask_window(self._server, self.name) or DEFAULT_CONTEXT_WINDOW

    def take_notes(self) -> tuple[str, ...]:
        """What there is to tell since the last call, each once: how the server counts and takes."""
        new = [kind for kind in list(self._notes) if kind not in self._told]
        self._told.update(new)
        return tuple(self._notes[kind] for kind in new)

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
        messages, counted = self._messages(prompt)
        answer = ServedAnswer(opener_at_end(prompt.text), on_text)
        while not self._answered(prompt, messages, answer):
            pass
        answer.end()
        self._sent.append(prompt.token_ids)
        self._compare(prompt, counted, answer.usage)
        encode = self.tokenizer.encode
        return Generation(
            text=answer.text,
            token_ids=(*encode(answer.thought), *encode(answer.text)),
            finish_reason=self._finish_reason(answer),
            prefill_s=answer.prefill_s,
            decode_s=answer.decode_s,
            reused_tokens=answer.usage.reused_tokens or 0,
            thought=answer.thought,
            thought_tokens=answer.usage.thought_tokens or 0,
        )

    def _answered(
        self, prompt: Prompt, messages: list[dict[str, str]], answer: ServedAnswer
    ) -> bool:
        """Ask, and collect the answer; False if it has to be asked in other terms."""
        body = self._body(prompt, messages)
        events = self._server.post("/chat/completions", body, tokens=prompt.max_new_tokens)
        left = _SLACK * prompt.max_new_tokens + _SLACK
        try:
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
        except RefusedError as error:
            refused = self._dialect.learn(error.words)
            if not refused:
                raise ModelError(str(error)) from None
            if refused in ("temperature", "chat_template_kwargs"):
                self._notes[refused] = (
                    f"{self.name} takes no {refused}, so that it decides on that itself"
                )
            return False
        return True

    def _compare(self, prompt: Prompt, counted: int, usage: Usage) -> None:
        """Note where the server counts other tokens than were counted here."""
        theirs, new = usage.prompt_tokens, usage.new_tokens
        if theirs and theirs != counted and (self.tokenizer.is_model_s or theirs > counted):
            remedy = (
                f"lower --budget-tokens by {theirs - counted} to be sure that it fits"
                if theirs > counted
                else "the budget could hold more"
            )
            self._notes["prompt_tokens"] = (
                f"{self.name} counted {theirs} tokens in a prompt of {counted}; {remedy}"
            )
        if new and new > prompt.max_new_tokens:
            self._notes["new_tokens"] = (
                f"{self.name} counted {new} tokens in its answer, where "
                f"{prompt.max_new_tokens} were asked for; look at how it is served"
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

    def cached_tokens(self, token_ids: Sequence[int]) -> int:
        """How many ids at the beginning of a prompt were sent before.

        Its server may hold what it made of them, as most do, or have dropped it since.
        """
        return max((common_prefix(sent, token_ids[:-1]) for sent in list(self._sent)), default=0)

    def identity(self) -> tuple[str, ...]:
        """Name, decoding and template options; which model it is only its server knows."""
        options = json.dumps(self._template_options, sort_keys=True)
        return (self.name, self.decoding, *([options] if self._template_options else []))

    def forget(self) -> None:
        """Do nothing: what the server caches is out of reach."""

    def _messages(self, prompt: Prompt) -> tuple[list[dict[str, str]], int]:
        """The messages to send, without the frame that the server adds, and the tokens of both.

        They were checked to fit.
        """
        safe = replace(prompt, segments=tuple(self._harmless(prompt.segments)))
        texts: dict[Role, list[str]] = {"system": [], "user": []}
        for segment in safe.segments:
            texts[segment.role].append(segment.message_text)
        joined = {role: "".join(pieces) for role, pieces in texts.items()}
        messages = [_message(role, text) for role, text in joined.items() if text]
        return messages, self._check_fits(safe, messages)

    def _check_fits(self, prompt: Prompt, messages: list[dict[str, str]]) -> int:
        tokens = self.tokenizer.count_messages(messages)
        if tokens is None:
            tokens = check_text_count(prompt, self.tokenizer)
        over = tokens - prompt.budget_tokens
        if over > 0:
            raise BudgetError(
                f"the server of {self.name} counts {tokens} tokens in the prompt, {over} more than "
                f"its budget of {prompt.budget_tokens}; lower --budget-tokens by {over}"
            )
        missing = tokens + prompt.max_new_tokens - self.context_window
        if missing > 0:
            raise BudgetError(
                f"the prompt takes {tokens} tokens and {prompt.max_new_tokens} are kept for the "
                f"answer, {missing} more than the {self.context_window} that {self.name} holds; "
                "lower --budget-tokens or --max-new-tokens, or raise --context-window"
            )
        return tokens

    def _harmless(self, segments: Sequence[Segment]) -> Iterator[Segment]:
        """The segments, with the special tokens in question and passages made plain text."""
        for segment in segments:
            if segment.kind in ("passage", "question"):
                text = plain_text(segment.text, self.tokenizer)
                segment = replace(segment, text=text)
            yield segment

    def _body(self, prompt: Prompt, messages: list[dict[str, str]]) -> dict[str, Any]:
        options = self._template_options
        wanted = {
            "max_tokens": prompt.max_new_tokens,
            **_fields(self._decoding),
            "stream_options": {"include_usage": True},
            **({"chat_template_kwargs": options} if options else {}),
        }
        fields = self._dialect.fields(wanted)
        return {"model": self.name, "messages": messages, "stream": True, **fields}

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
            raise ModelError(
                f"{self._server.url} withheld the answer (content_filter); ask in other words, or "
                "another model"
            )
        if answer.refused:
            return "refused"
        if answer.calls_tool:
            return "tool_call"
        if answer.finish is None:
            shown = self._server.shown(answer.text)[:_SHOWN]
            raise ModelError(f"{self._server.url} broke off in mid-answer; ask again: {shown!r}")
        return "length" if answer.is_cut else "stop"


def _fields(decoding: Decoding) -> dict[str, Any]:
    """The request's fields for a decoding, without those that change nothing."""
    fields: dict[str, Any] = {"temperature": decoding.temperature}
    if not decoding.greedy:
        limits = {"top_p": decoding.top_p, "top_k": decoding.top_k, "min_p": decoding.min_p}
        default = {"top_p": 1.0, "top_k": 0, "min_p": 0.0}
        fields |= {name: value for name, value in limits.items() if value != default[name]}
        fields["seed"] = decoding.seed
    return fields | ({"stop": [*decoding.stop]} if decoding.stop else {})


def _message(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": well_formed(text)}  # as it was counted


class _Framed:
    """A tokenizer that always has a chat frame: the server puts one around every message."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        frame = tokenizer.chat_frame
        self.is_model_s = bool(frame)
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

    def count_messages(self, messages: Messages) -> int | None:
        """Tokens of messages as the server itself counts them; None where it is not asked."""
        tokenizer = self._tokenizer
        return (
            tokenizer.count_messages(messages) if isinstance(tokenizer, ServedTokenizer) else None
        )

    def encode_parts(self, parts: Sequence[TextPart]) -> list[list[int]]:
        """The ids of the joined text by parts; only where `joins_parts`."""
        assert isinstance(self._tokenizer, JoinsParts)
        return self._tokenizer.encode_parts(parts)

    def within_text(self) -> _Framed:
        """The same for parts on their own."""
        return _Framed(within_text(self._tokenizer))
