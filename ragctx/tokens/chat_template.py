"""A model directory's chat template: the text around the user's message, and the system's.

A chat template is a program that came with somebody's model: it is rendered in jinja2's immutable
sandbox, with the globals that transformers offers and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragctx.errors import TokenizerError, require_extra

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

_SENTINEL = "RagctxUserMessageStandsHere"
_SYSTEM = "RagctxSystemMessageStandsHere"


@dataclass(frozen=True)
class ChatTemplate:
    """A template's source and the special tokens it may name, such as `bos_token`."""

    source: str
    special_tokens: Mapping[str, str]
    origin: str  # where it was read, for messages

    def frame(self) -> tuple[str, str]:
        r"""The text before and after a single user message, the model's turn opened.

        Raises:
            TokenizerError: the template fails, or does not show the message exactly once.

        >>> source = "{% for m in messages %}<user>{{ m.content }}</user>{% endfor %}<model>"
        >>> ChatTemplate(source, {}, "here").frame()
        ('<user>', '</user><model>')
        """
        try:
            rendered = self._render({"user": _SENTINEL})
        except TokenizerError:
            raise
        except Exception as error:  # a template may fail in any way Python knows
            raise TokenizerError(
                f"The chat template of {self.origin} failed: {type(error).__name__}: {error}. "
                "Correct it, or remove it from the directory to use the model without one."
            ) from error
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
        try:
            rendered = self._render({"system": _SYSTEM, "user": _SENTINEL})
        except Exception:  # the template may fail in any way Python knows
            return None
        if rendered.count(_SYSTEM) != 1 or rendered.count(_SENTINEL) != 1:
            return None
        before, _, rest = rendered.partition(_SYSTEM)
        between, in_order, after = rest.partition(_SENTINEL)
        return (before, between, after) if in_order else None

    def _render(self, messages: Mapping[str, str]) -> str:
        """The messages by role, the model's turn opened; as lists of parts if need be."""
        rendered = self._render_contents(messages)
        if all(content in rendered for content in messages.values()):
            return rendered
        # templates of multimodal models want a list of parts
        parts = {role: [{"type": "text", "text": text}] for role, text in messages.items()}
        return self._render_contents(parts)

    def _render_contents(self, contents: Mapping[str, object]) -> str:
        values: dict[str, Any] = {"tools": None, "documents": None, **self.special_tokens}
        values["messages"] = [
            {"role": role, "content": content} for role, content in contents.items()
        ]
        template = _environment().from_string(self.source)
        return template.render(values, add_generation_prompt=True)


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


def _environment() -> ImmutableSandboxedEnvironment:
    """The sandbox in which transformers renders chat templates, without its training marks."""
    with require_extra("Reading a chat template", "jinja2", "'jinja2>=3.1.6'"):
        from jinja2.ext import loopcontrols
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _generation_tag()]
    )
    environment.filters["tojson"] = _to_json
    environment.globals.update(
        raise_exception=_raise_exception,
        strftime_now=_strftime_now,
        namespace=_plain_namespace(),
        dict=_make_dict,
    )
    return environment


def _generation_tag() -> type[Any]:
    """`{% generation %} … {% endgeneration %}` marks training targets: it shows what it holds."""
    from jinja2 import nodes
    from jinja2.ext import Extension
    from jinja2.parser import Parser

    class Generation(Extension):
        tags = {"generation"}  # noqa: RUF012 - jinja2 reads it so

        def parse(self, parser: Parser) -> list[nodes.Node]:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    return Generation


def _plain_namespace() -> type[Any]:
    """jinja2's namespace without underscored names, which lead into the interpreter."""
    from jinja2.exceptions import SecurityError
    from jinja2.utils import Namespace

    class PlainNamespace(Namespace):
        def __init__(self, /, **values: object) -> None:
            super().__init__()
            for name, value in values.items():
                self[name] = value

        def __setitem__(self, name: str, value: object) -> None:
            if name.startswith("_"):
                raise SecurityError(f"namespace cannot hold the underscored name {name!r}")
            super().__setitem__(name, value)

    return PlainNamespace


def _make_dict(**values: object) -> dict[str, object]:
    return values


def _to_json(value: object, ensure_ascii: bool = False, indent: int | None = None) -> str:
    """jinja2's own filter escapes HTML, which a prompt is not."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)


def _raise_exception(message: str) -> None:
    from jinja2.exceptions import TemplateError

    raise TemplateError(message)


def _strftime_now(layout: str) -> str:
    from datetime import datetime

    return datetime.now().strftime(layout)
