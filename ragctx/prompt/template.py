"""Prompt templates: text files, because a prompt is prose.

    Answer from these passages only.

    {passages}
    [{label}] ({document}, p. {pages})
    {lead_in}{text}

    {/passages}
    Question:
    {question}

The text between {passages} and {/passages} is repeated for every passage. It contains {text} once,
and optionally {label}, {document}, {section} and {pages}: of the last two, what is not known is
left out, with a "p." or comma before it. {lead_in} is what the passage goes on from, such as the
header rows of its table, on lines of their own; mostly it is nothing. {question} occurs outside of
it, once or more. There are two optional blocks, each allowed once:

- {system} … {/system}, at the very beginning: plain text for the system's turn of a chat template,
  or, for a model without one, for the beginning of the prompt.
- {header} … {/header}, at the beginning of {passages}: text before a passage whose predecessor is
  of another document. It may contain {document}.

A mark on a line of its own takes the line's end with it, and so does the end of the file. Every
other brace is just a brace.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from ragctx.errors import InputError, TemplateError
from ragctx.paths import decoded, expanded

_INSIDE = ("text", "label", "document", "section", "pages", "lead_in")


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the template's own text (which may contain {label}), or a slot."""

    text: str
    slot: str = ""  # the name of a mark without its braces; "" for the template's own text

    @property
    def has_label(self) -> bool:
        """Whether the text contains the place of the passage's number."""
        return "{label}" in self.text

    def with_label(self, label: str) -> str:
        """The text with the passage's number."""
        return self.text.replace("{label}", label)


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """The text before the passages, around each of them, and after."""

    name: str
    before: tuple[Part, ...]
    passage: tuple[Part, ...]
    after: tuple[Part, ...]
    system: str = ""
    header: tuple[Part, ...] = ()  # before a passage of another document than the one before it


def load_template(name_or_path: str | Path) -> Template:
    r"""One of the templates that come with ragctx ("qa"), a file of your own, or a text itself.

    A text is taken for the template itself if it has several lines or a brace.

    Raises:
        InputError: there is no such template or file.
        TemplateError: the file cannot be read or lacks a slot; the message names the slot.

    >>> [part.slot or part.text for part in load_template("plain").passage]
    ['lead_in', 'text', '\n\n']
    >>> load_template("{passages}{text}\n{/passages}{question}").passage[0].slot
    'text'
    """
    if isinstance(name_or_path, str) and re.search(r"[{\n]", name_or_path):
        return parse_template(name_or_path, "given as text")
    if not isinstance(name_or_path, str | Path):
        raise InputError(
            f"a template is a name, a path or a text, not a {type(name_or_path).__name__}"
        )
    file = _folder() / f"{Path(name_or_path).name}.prompt"
    if Path(name_or_path).name != str(name_or_path) or not file.is_file():
        file = expanded(name_or_path)
    if not file.is_file():
        shipped = [file.stem for file in _folder().glob("*.prompt")]
        raise InputError(
            f"There is no template {str(name_or_path)!r}. Valid: {', '.join(sorted(shipped))}, or "
            "the path of a file."
        )
    try:
        source = decoded(file.read_bytes()).replace("\r\n", "\n").replace("\r", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateError(f"The template {name_or_path} cannot be read: {error}.") from error
    return parse_template(source, str(name_or_path))


def parse_template(source: str, name: str = "template") -> Template:
    """A template from its text.

    Raises:
        TemplateError: a slot or mark is missing, occurs twice, or is in the wrong place.

    >>> parse_template("{passages}{text}{/passages}", "mine")
    Traceback (most recent call last):
    ragctx.errors.TemplateError: The template mine must hold {question} outside {passages}. Add it.
    """
    source = re.sub(r"(?m)^(\{/?(?:passages|system|header)\})\n", r"\1", source.removesuffix("\n"))
    lead, system, source = _cut_block(name, source, "system")
    if lead:
        raise TemplateError(f"In the template {name} {{system}} must stand at the very beginning.")
    before, block, after = _cut_block(name, source, "passages")
    if "{header}" in before + after:
        raise TemplateError(f"The template {name} holds {{header}} outside {{passages}}: move it.")
    if block is None:
        raise TemplateError(
            f"The template {name} must hold {{passages}} once, not 0 times: "
            "{passages} … {/passages} goes around what is repeated for every passage."
        )
    lead, header, block = _cut_block(name, block, "header")
    if lead:
        raise TemplateError(
            f"In the template {name} {{header}} must stand at the beginning of {{passages}}."
        )
    _check_slots(name, block, before + after)
    _forbid(name, "{system}", system or "", {*_INSIDE, "question"})
    _forbid(name, "{header}", header or "", {*_INSIDE, "question"} - {"document"})
    return Template(
        name=name,
        before=_parts(before),
        passage=_parts(block),
        after=_parts(after),
        system=system or "",
        header=_parts(header or ""),
    )


def _cut_block(name: str, source: str, mark: str) -> tuple[str, str | None, str]:
    """The text before a block, in it, and after it; ("", None, source) if there is none."""
    opening, closing = f"{{{mark}}}", f"{{/{mark}}}"
    counts = source.count(opening), source.count(closing)
    if counts == (0, 0):
        return "", None, source
    for shown, count in zip((opening, closing), counts, strict=True):
        if count != 1:
            raise TemplateError(f"The template {name} must hold {shown} once, not {count} times.")
    before, _, rest = source.partition(opening)
    block, closed, after = rest.partition(closing)
    if not closed:
        raise TemplateError(f"In the template {name} {closing} stands before {opening}.")
    return before, block, after


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
    _forbid(name, "{passages}", block, {"question"})
    _forbid(name, "the part outside {passages}", frame, _INSIDE)


def _forbid(name: str, place: str, source: str, slots: Collection[str]) -> None:
    for slot in sorted(slots):
        if f"{{{slot}}}" in source:
            raise TemplateError(
                f"In the template {name} {{{slot}}} stands in {place}, where it has no meaning. "
                "Move it, or remove it."
            )


def _parts(source: str) -> tuple[Part, ...]:
    pieces = re.split(r"\{(text|document|section|pages|lead_in|question)\}", source)
    parts = [Part("", piece) if i % 2 else Part(piece) for i, piece in enumerate(pieces)]
    return tuple(part for part in parts if part.text or part.slot)


def without(slots: Collection[str], parts: Sequence[Part]) -> tuple[Part, ...]:
    r"""The parts for a passage of which something is not known, without what introduces it.

    Args:
        slots: what is not known: "pages", "section", both or nothing.
        parts: around a passage.

    >>> source = "[{label}] ({document}, {section}, p. {pages}) {text}"
    >>> parts = parse_template(f"{{passages}}{source}{{/passages}}{{question}}").passage
    >>> [part.slot or part.text for part in without({"pages"}, parts)]
    ['[{label}] (', 'document', ', ', 'section', ') ', 'text']
    >>> [part.slot or part.text for part in without({"section", "pages"}, parts)]
    ['[{label}] (', 'document', ') ', 'text']
    """
    kept = [*parts]
    while unknown := [at for at, part in enumerate(kept) if part.slot in slots]:
        at = unknown[0]
        lead = kept[at - 1].text if at and not kept[at - 1].slot else ""
        tail = kept[at + 1].text if at + 1 < len(kept) and not kept[at + 1].slot else ""
        first, last = at - bool(lead), at + 1 + bool(tail)
        lead = _without_introduction(lead)
        if (lead[-1:], tail[:1]) in _BRACKETS:
            lead, tail = lead[:-1].rstrip(" "), tail[1:]
        kept[first:last] = [Part(lead + tail)] if lead + tail else []
    return tuple(kept)


def by_section(parts: Sequence[Part], *, is_named: bool) -> tuple[Part, ...]:
    """The parts for a passage of a document that has sections: these stand where pages would.

    Args:
        parts: around a passage.
        is_named: whether the headings above it are known; else its section has a number.

    >>> source = "[{label}] ({document}, p. {pages}) {text}"
    >>> parts = parse_template(f"{{passages}}{source}{{/passages}}{{question}}").passage
    >>> [part.slot or part.text for part in by_section(parts, is_named=True)]
    ['[{label}] (', 'document', ', § ', 'section', ') ', 'text']
    >>> [part.slot or part.text for part in by_section(parts, is_named=False)]
    ['[{label}] (', 'document', ', section ', 'pages', ') ', 'text']
    """
    if is_named and any(part.slot == "section" for part in parts):
        return without({"pages"}, parts)
    kept = [*parts]
    for at in (i for i, part in enumerate(parts) if part.slot == "pages"):
        lead = kept[at - 1].text if at and not kept[at - 1].slot else ""
        lead = _PAGE_WORD.sub("", lead.rstrip(" \t:=")) + ("§ " if is_named else "section ")
        kept[at] = Part("", "section") if is_named else kept[at]
        if at and not kept[at - 1].slot:
            kept[at - 1] = Part(lead)
    return tuple(kept)


_PAGE_WORD = re.compile(r"(?i)\b(?:pages?|pp?\.?|pgs?\.?)\Z")


def _without_introduction(lead: str) -> str:
    """The text before a page number or section without what introduces it: ", p. ", " page "."""
    lead = _PAGE_WORD.sub("", lead.rstrip(" \t:=")).rstrip(" \t")
    return lead[:-1] if lead.endswith((",", ";", ":")) else lead


_BRACKETS = (("(", ")"), ("[", "]"))


def _folder() -> Path:
    """The wheel holds the templates inside the package; a source checkout beside it."""
    packaged = Path(__file__).parents[1] / "prompts"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "prompts"
