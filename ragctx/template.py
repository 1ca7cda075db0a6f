"""Prompt templates: text files, because a prompt is prose.

    Answer from these passages only.

    {passages}
    [{label}] ({document}, p. {pages})
    {text}

    {/passages}
    Question:
    {question}

What stands between {passages} and {/passages} is repeated for every passage; {text} must stand in
it once, {label}, {document} and {pages} may. {question} stands outside, once or more. A {passages}
or {/passages} on a line of its own takes the line's end with it, and so does the end of the file.
Every other brace is just a brace.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ragctx.errors import InputError, TemplateError

_INSIDE = "text|label|document|pages"


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the template's own text (in which {label} may stand), or a slot."""

    text: str
    slot: str = ""  # "text", "document", "pages" or "question"; "" for the template's own text

    def with_label(self, label: str) -> str:
        """The text with the passage's number."""
        return self.text.replace("{label}", label)


@dataclass(frozen=True, slots=True)
class Template:
    """What stands before the passages, around each of them, and after."""

    name: str
    before: tuple[Part, ...]
    passage: tuple[Part, ...]
    after: tuple[Part, ...]


def load_template(name_or_path: str | Path) -> Template:
    r"""One of the templates that come with ragctx ("qa"), or a file of your own.

    Raises:
        InputError: there is no such template or file.
        TemplateError: the file cannot be read or lacks a slot; the message names the slot.

    >>> [part.slot or part.text for part in load_template("plain").passage]
    ['text', '\n\n']
    """
    shipped = {file.stem: file for file in _folder().glob("*.prompt")}
    file = shipped.get(str(name_or_path), Path(name_or_path).expanduser())
    if not file.is_file():
        raise InputError(
            f"There is no template {str(name_or_path)!r}. Valid: {', '.join(sorted(shipped))}, or "
            "the path of a file."
        )
    try:
        source = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateError(f"The template {name_or_path} cannot be read: {error}.") from error
    return parse_template(source, str(name_or_path))


def parse_template(source: str, name: str = "template") -> Template:
    """A template from its text.

    Raises:
        TemplateError: a slot or mark is missing, stands twice or in the wrong place.

    >>> parse_template("{passages}{text}{/passages}", "mine")
    Traceback (most recent call last):
    ragctx.errors.TemplateError: The template mine must hold {question} outside {passages}. Add it.
    """
    source = re.sub(r"(?m)^(\{/?passages\})\n", r"\1", source.removesuffix("\n"))
    for mark in ("{passages}", "{/passages}"):
        if source.count(mark) != 1:
            raise TemplateError(
                f"The template {name} must hold {mark} once, not {source.count(mark)} times: "
                "{passages} … {/passages} goes around what is repeated for every passage."
            )
    before, _, rest = source.partition("{passages}")
    block, closed, after = rest.partition("{/passages}")
    if not closed:
        raise TemplateError(f"In the template {name} {{/passages}} stands before {{passages}}.")
    _check_slots(name, block, before + after)
    return Template(name, _parts(before), _parts(block), _parts(after))


def _check_slots(name: str, block: str, frame: str) -> None:
    if block.count("{text}") != 1:
        raise TemplateError(
            f"The template {name} must hold {{text}} once between {{passages}} and {{/passages}}, "
            f"not {block.count('{text}')} times."
        )
    if "{question}" not in frame:
        raise TemplateError(
            f"The template {name} must hold {{question}} outside {{passages}}. Add it."
        )
    misplaced = re.findall(r"\{question\}", block) + re.findall(rf"\{{(?:{_INSIDE})\}}", frame)
    if misplaced:
        raise TemplateError(
            f"In the template {name} {misplaced[0]} stands on the wrong side of {{passages}} or "
            "{/passages}: move it."
        )


def _parts(source: str) -> tuple[Part, ...]:
    pieces = re.split(r"\{(text|document|pages|question)\}", source)
    parts = [Part("", piece) if i % 2 else Part(piece) for i, piece in enumerate(pieces)]
    return tuple(part for part in parts if part.text or part.slot)


def _folder() -> Path:
    """The wheel holds the templates inside the package; a source checkout beside it."""
    packaged = Path(__file__).parent / "prompts"
    return packaged if packaged.is_dir() else Path(__file__).parents[1] / "prompts"
