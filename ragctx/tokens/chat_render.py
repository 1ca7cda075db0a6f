"""Renders a chat template, in a process whose time and memory are limited.

jinja2's sandbox keeps a template from the interpreter, not from loops within loops or from texts of
gigabytes. What it renders is bounded here; the parent waits no longer than it says.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ragctx.errors import MissingExtraError, require_extra

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

_MEMORY = 2**30  # bytes of address space; chosen by hand
_MAX_RENDERED = 2**20  # characters; a template has some thousands; chosen by hand


def main() -> None:
    """Read a request from standard input and answer each of its messages with a line of JSON."""
    request = json.load(sys.stdin)
    _limit(request["cpu_s"])
    for messages in request["messages"]:
        try:
            answer: object = render(request["source"], request["values"], messages)
        except MissingExtraError:
            answer = {"missing": "jinja2"}
        except Exception as error:  # a template may fail in any way Python knows
            answer = {"error": f"{type(error).__name__}: {str(error)[:500]}"}
        sys.stdout.write(json.dumps(answer) + "\n")


def render(source: str, named: Mapping[str, object], messages: Mapping[str, str]) -> str:
    """The messages by role, the model's turn opened; as lists of parts if need be.

    `named` are the special tokens and options that the template may read.

    Raises whatever the template raises, and ValueError if it renders too much.
    """
    template = _environment().from_string(source)

    def rendered(contents: Mapping[str, object]) -> str:
        values: dict[str, Any] = {"tools": None, "documents": None, **named}
        values["messages"] = [
            {"role": role, "content": content} for role, content in contents.items()
        ]
        pieces, length = [], 0
        for piece in template.generate(values, add_generation_prompt=True):
            pieces.append(piece)
            length += len(piece)
            if length > _MAX_RENDERED:
                raise ValueError(f"it renders more than {_MAX_RENDERED} characters")
        return "".join(pieces)

    plain = rendered(messages)
    if all(content in plain for content in messages.values()):
        return plain
    # templates of multimodal models want a list of parts
    return rendered({role: [{"type": "text", "text": text}] for role, text in messages.items()})


def _limit(cpu_s: int) -> None:
    try:
        import resource
    except ImportError:  # not on Windows; the parent's timeout still holds there
        return
    for kind, most in ((resource.RLIMIT_CPU, cpu_s), (resource.RLIMIT_AS, _MEMORY)):
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


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
