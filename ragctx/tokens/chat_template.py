"""A model directory's chat template: the text around the user's message, and the system's.

A chat template is a program that came with somebody's model: it is rendered in jinja2's immutable
sandbox, with the globals that transformers offers and nothing else, and in a process of its own
whose time and memory are limited (`chat_render`).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ragctx.errors import InputError, TokenizerError, missing_extra

_SENTINEL = "RagctxUserMessageStandsHere"
_SYSTEM = "RagctxSystemMessageStandsHere"
_TAKEN = frozenset({"messages", "add_generation_prompt", "tools", "documents"})
_OPTIONS = frozenset({"enable_thinking", "thinking", "reasoning_effort", "thinking_budget"})
"""The options that templates of models that think most often have, to be named in messages."""
_CPU_S = 5  # seconds for all a template renders, which takes milliseconds; chosen by hand
_TIMEOUT_S = 60.0  # for the process, starting included, on a busy machine; chosen by hand
_START = (
    "import sys; sys.path[:] = [*filter(None, sys.path), sys.argv[1]]; "
    "from ragctx.tokens.chat_render import main; main()"
)
"""Unlike `-m`, this never imports from the working directory, where anybody may put files."""
_RENDERER = (sys.executable, "-c", _START, str(Path(__file__).parents[2]))


@dataclass(frozen=True)
class ChatTemplate:
    """A template's source and what it may name: special tokens (`bos_token`), and options.

    Which `options` there are, such as enable_thinking, each template decides for itself.
    """

    source: str
    special_tokens: Mapping[str, str]
    origin: str  # where it was read, for messages
    options: Mapping[str, object] = field(default_factory=dict)

    def with_options(self, options: Mapping[str, object]) -> ChatTemplate:
        """The same template with these options, as JSON has them.

        Raises InputError for one that the template does not read.

        >>> template = ChatTemplate("{{ mood }}{{ messages[0].content }}", {}, "here")
        >>> template.with_options({"mood": "happy "}).frame()
        ('happy ', '')
        """
        known = sorted(name for name in _OPTIONS if self._reads(name))
        for name in options:
            if name in _TAKEN or not self._reads(name):
                hint = f"; it reads {', '.join(known)}" if known else ""
                raise InputError(
                    f"the chat template of {self.origin} reads no option {name!r}{hint}. Leave "
                    f"--template-option {name} out."
                )
        return replace(self, options=dict(options))

    def _reads(self, name: str) -> bool:
        return re.search(rf"\b{re.escape(name)}\b", self.source) is not None

    def frame(self) -> tuple[str, str]:
        r"""The text before and after a single user message, the model's turn opened.

        Raises:
            TokenizerError: the template fails, or does not show the message exactly once.

        >>> source = "{% for m in messages %}<user>{{ m.content }}</user>{% endfor %}<model>"
        >>> ChatTemplate(source, {}, "here").frame()
        ('<user>', '</user><model>')
        """
        rendered = self._rendered[0]
        if not isinstance(rendered, str):
            why = rendered["error"].rstrip(".")
            raise TokenizerError(
                f"The chat template of {self.origin} failed: {why}. Correct it, or remove it from "
                "the directory to use the model without one."
            )
        before, *after = rendered.split(_SENTINEL)
        if len(after) != 1:
            raise TokenizerError(
                f"The chat template of {self.origin} shows the user's message {len(after)} times, "
                "so there is no one place for it. Use a template that shows it once."
            )
        return before, after[0]

    def system_frame(self) -> tuple[str, str, str] | None:
        r"""The text before a system message, between it and the user's, and after that one.

        None where the template has no place for a system message: it fails (as Gemma's does on
        purpose), or does not show both messages once, that of the system first.

        >>> source = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<model>"
        >>> ChatTemplate(source, {}, "here").system_frame()
        ('<system>', '<user>', '<model>')
        """
        rendered = self._rendered[1]
        if not isinstance(rendered, str):
            return None
        if rendered.count(_SYSTEM) != 1 or rendered.count(_SENTINEL) != 1:
            return None
        before, _, rest = rendered.partition(_SYSTEM)
        between, in_order, after = rest.partition(_SENTINEL)
        return (before, between, after) if in_order else None

    @cached_property
    def _rendered(self) -> list[str | dict[str, str]]:
        """A user's message alone, and after a system message: the text, or {"error": why not}."""
        asked = [{"user": _SENTINEL}, {"system": _SYSTEM, "user": _SENTINEL}]
        request = {
            "source": self.source,
            "values": {**self.special_tokens, **self.options},
            "messages": asked,
            "cpu_s": _CPU_S,
        }
        try:
            done = subprocess.run(
                _RENDERER,
                input=json.dumps(request).encode(),
                capture_output=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return [_BEYOND, _BEYOND]
        answers = done.stdout.splitlines()
        if done.returncode or len(answers) != len(asked):
            return [_BEYOND, _BEYOND]
        rendered: list[str | dict[str, str]] = [json.loads(answer) for answer in answers]
        if any(isinstance(answer, dict) and "missing" in answer for answer in rendered):
            raise missing_extra("Reading a chat template", "jinja2", "'jinja2>=3.1.6'")
        return rendered


_BEYOND = {"error": "it takes more time or memory than a template may"}


def read_chat_template(directory: Path) -> ChatTemplate | None:
    """The chat template of a Hugging Face directory, or None where there is none.

    `chat_template.jinja` wins over `tokenizer_config.json`, as in transformers. Of several named
    templates the one called "default" is taken.

    Raises:
        TokenizerError: a file cannot be read, or several are named and none is the default.
    """
    config = _read_json(directory / "tokenizer_config.json")
    source = _read_source(directory, config.get("chat_template"))
    if source is None:
        return None
    tokens = _special_tokens(_read_json(directory / "special_tokens_map.json"))
    return ChatTemplate(source, {**tokens, **_special_tokens(config)}, str(directory))


def _read_source(directory: Path, configured: object) -> str | None:
    file = directory / "chat_template.jinja"
    if file.is_file():
        return _read_text(file)
    if configured is None:
        return None
    if isinstance(configured, str):
        return configured
    if isinstance(configured, list):
        pairs = [entry for entry in configured if isinstance(entry, dict)]
        configured = {entry.get("name"): entry.get("template") for entry in pairs}
    if isinstance(configured, dict):
        source = configured.get("default")
        if isinstance(source, str):
            return source
    names = sorted(map(str, configured)) if isinstance(configured, dict) else configured
    raise TokenizerError(
        f"{directory / 'tokenizer_config.json'} has no chat template called 'default', only "
        f"{names!r}. Save the one to use as {file}."
    )


def _special_tokens(config: Mapping[str, object]) -> dict[str, str]:
    """`bos_token` and its like, each plain text or a record with `content`."""
    tokens = {}
    for name, value in config.items():
        content = value.get("content") if isinstance(value, dict) else value
        if name.endswith("_token") and isinstance(content, str):
            tokens[name] = content
    return tokens


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TokenizerError(f"{file} cannot be read ({error}). Restore the file.") from error


def _read_json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        value = json.loads(_read_text(file))
    except (ValueError, RecursionError) as error:
        raise TokenizerError(f"{file} is not JSON ({error}). Restore the file.") from error
    if not isinstance(value, dict):
        raise TokenizerError(f"{file} does not hold a JSON object. Restore the file.")
    return value
