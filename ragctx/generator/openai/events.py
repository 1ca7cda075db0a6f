"""What the objects that a chat server sends say: text, thought, a tool's call, tokens counted.

Every server has its own dialect of the same protocol. What is understood here is what vLLM, SGLang,
llama.cpp, Ollama, LM Studio, TGI, Mistral, DeepSeek, OpenRouter, Azure and OpenAI send. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_THOUGHTS = ("reasoning_content", "reasoning", "thinking", "thought")
"""Names of the thought: DeepSeek's, vLLM's, llama.cpp's; Ollama's, OpenRouter's; others'."""
_THOUGHT_PARTS = ("reasoning_details", "thinking_blocks")  # OpenRouter's, LiteLLM's
_REUSED = (
    "cached_tokens",  # OpenAI, vLLM; SGLang beside the counts themselves
    "prompt_cache_hit_tokens",  # DeepSeek
    "cache_read_input_tokens",  # Anthropic, LiteLLM
    "num_cached_tokens",  # Mistral
    "cache_n",  # llama.cpp
)
_FAILED = frozenset({"error", "abort", "aborted", "cancelled", "insufficient_system_resource"})
"""How answers end that are none: OpenRouter's words, vLLM's, SGLang's, DeepSeek's."""
_ABOUT = frozenset(
    {"usage", "timings", "object", "id", "model", "created", "prompt_filter_results", "type"}
)
"""What an event without choices may hold: counts, or a word about the prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as the server counted them; None where it does not tell."""

    prompt_tokens: int | None = None
    new_tokens: int | None = None
    thought_tokens: int | None = None  # of the new ones, whether or not the thought is shown
    reused_tokens: int | None = None  # of the prompt, from the server's cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What one event says. `finish` is the server's own word for how the answer ended."""

    text: str = ""
    thought: str = ""
    refusal: str = ""
    calls_tool: bool = False
    finish: str | None = None
    usage: Usage | None = None


def read_event(event: Mapping[str, Any]) -> Event:
    """What one object says, streamed ("delta") or whole ("message").

    Raises ValueError for what is no chat completion; for one that failed see `failure`.

    >>> read_event({"choices": [{"delta": {"reasoning_content": "Tin?"}}]}).thought
    'Tin?'
    """
    usage = _usage(event)
    choices = event.get("choices")
    if not choices:
        if choices is None and _ABOUT.isdisjoint(event):
            raise ValueError("no choices")
        return Event(usage=usage)
    choice = choices[0] if isinstance(choices, list) else None
    if not isinstance(choice, dict):
        raise ValueError("a choice that is no object")
    message = choice.get("delta") or choice.get("message") or {}
    finish = choice.get("finish_reason")
    if not isinstance(message, dict) or not isinstance(finish, str | None):
        raise ValueError("a message that is no object")
    content = message.get("content")
    content = choice.get("text") if content is None else content
    parts = list(_parts(content))
    thoughts = [message[name] for name in _THOUGHTS if isinstance(message.get(name), str)]
    in_parts = (message[name] for name in _THOUGHT_PARTS if isinstance(message.get(name), list))
    thoughts += ["".join(map(_thought_of, parts)) for parts in in_parts]
    return Event(
        text="".join(text for kind, text in parts if kind == "text"),
        thought=next(filter(None, thoughts), "")
        + "".join(text for kind, text in parts if kind == "thought"),
        refusal=_text(message.get("refusal")) + "".join(t for k, t in parts if k == "refusal"),
        calls_tool=bool(message.get("tool_calls") or message.get("function_call")),
        finish=finish,
        usage=usage,
    )


def _parts(content: object) -> Iterator[tuple[str, str]]:
    """Kind and text of each part of a message's content, which may be one text."""
    if content is None:
        return
    if isinstance(content, str):
        yield "text", content
        return
    if not isinstance(content, list):
        raise ValueError("a content that is no text")
    for part in content:
        if isinstance(part, str):
            yield "text", part
        elif isinstance(part, dict):
            kind = str(part.get("type", "text"))
            if kind in ("thinking", "reasoning", "thought"):
                yield "thought", _thought_of(part)
            elif kind == "refusal":
                yield "refusal", _text(part.get("refusal"))
            else:
                yield "text", _text(part.get("text"))


def _thought_of(part: object) -> str:
    names = ("thinking", "reasoning", "text", "summary")
    table = _table(part)
    inner = next((table[name] for name in names if name in table), None)
    return "".join(text for _, text in _parts(inner))


def failure(event: Mapping[str, Any]) -> str | dict[str, Any]:
    """A server's own words, or its error object, where an event says that it failed; else "".

    Errors come as an event of their own, whole, or in a choice that ends with one.

    >>> failure(
    ...     {"choices": [{"delta": {}, "finish_reason": "error", "error": {"message": "full"}}]}
    ... )
    {'message': 'full'}
    """
    if event.get("object") == "error" or event.get("type") == "error":
        return dict(event)
    found = event.get("error")
    choices = event.get("choices")
    choice = _table(choices[0]) if isinstance(choices, list) and choices else {}
    if choice.get("finish_reason") in _FAILED:
        found = found or choice.get("error") or str(choice["finish_reason"])
    return found if isinstance(found, (str, dict)) else ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _usage(event: Mapping[str, Any]) -> Usage | None:
    """The tokens that an event counts; None if it counts none."""
    counts = _table(event.get("usage")) or _table(_table(event.get("x_groq")).get("usage"))
    timings = _table(event.get("timings"))
    if not counts and not timings:
        return None
    details = _table(counts.get("prompt_tokens_details"))
    thinking = _table(counts.get("completion_tokens_details"))
    prompt = _first_count(counts, "prompt_tokens", "input_tokens")
    reused = _first_count({**timings, **counts, **details}, *_REUSED)
    return Usage(
        prompt_tokens=prompt,
        new_tokens=_first_count(counts, "completion_tokens", "output_tokens"),
        thought_tokens=_first_count({**counts, **thinking}, "reasoning_tokens"),
        reused_tokens=None if prompt and reused and reused > prompt else reused,
    )


def _first_count(counts: Mapping[str, Any], *names: str) -> int | None:
    return next((n for n in (_count(counts.get(name)) for name in names) if n is not None), None)


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if value >= 0 else None


class Joined:
    r"""Joins the halves of a character that a server's JSON escapes tore apart.

    >>> joined = Joined()
    >>> joined.take("\ud83d"), joined.take("\ude00!"), joined.rest()
    ('', '😀!', '')
    """

    def __init__(self) -> None:
        self._half = ""

    def take(self, text: str) -> str:
        """`text` with the half that came before it, without one that is still to be completed."""
        text, self._half = self._half + text, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return _whole(text)

    def rest(self) -> str:
        """A half that was never completed, as a replacement character."""
        half, self._half = self._half, ""
        return _whole(half)


def _whole(text: str) -> str:
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
