r"""The sources' small Markdown: front matter, headings, paragraphs, lists, tables, callouts.

Blocks are separated by blank lines and told apart by how their first line begins:

    # Heading                      one to three marks
    - item        1. item          bullet and numbered lists
    > **Warning.** text            a callout
    Table: caption {30 70}         a pipe table follows; the numbers are column widths in percent
    !figure name: caption          a drawing of `figures.py`
    !title  !contents  !index      placed by the page layout
    \newpage  \body                a page break; the end of the front matter

Inside a paragraph `**bold**`, `*italic*` and backquoted code are marked up, and `{{term}}` puts
the place into the index.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; `level` 1 is a chapter."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Prose:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list, numbered from 1 if `ordered`."""

    items: tuple[str, ...]
    ordered: bool


@dataclass(frozen=True, slots=True)
class Grid:
    """A table; `rows[0]` is its head, `widths` are percent, `numeric` columns align right."""

    caption: str
    widths: tuple[int, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Callout:
    """A boxed warning; `word` is its signal word."""

    word: str
    text: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing by name, with its caption."""

    name: str
    caption: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A place the page layout fills: title, contents, index, newpage or body."""

    name: str


Block = Heading | Prose | Items | Grid | Callout | Figure | Mark


@dataclass(frozen=True, slots=True)
class Source:
    """One source file: its front matter and its blocks in order."""

    facts: dict[str, str]
    blocks: tuple[Block, ...]


def read_source(path: Path) -> Source:
    """Read one Markdown source.

    Raises:
        ValueError: the file has no front matter, or a table row does not fit its head.
    """
    parts = path.read_text(encoding="utf-8").split("---\n", 2)
    if len(parts) != 3 or parts[0]:
        raise ValueError(f"{path} must open with front matter between two lines of ---")
    facts = dict(line.split(": ", 1) for line in parts[1].splitlines())
    return Source(facts, tuple(_blocks(parts[2])))


def _blocks(text: str) -> Iterator[Block]:
    for piece in re.split(r"\n{2,}", text.strip()):
        yield _block(piece)


def _block(piece: str) -> Block:
    lines = piece.splitlines()
    first = lines[0]
    if heading := re.match(r"(#{1,3}) (.+)", first):
        return Heading(len(heading[1]), heading[2])
    if mark := re.fullmatch(r"[!\\](title|contents|index|newpage|body)", first):
        return Mark(mark[1])
    if figure := re.match(r"!figure (\w+): (.+)", first):
        return Figure(figure[1], figure[2])
    if callout := re.match(r"> \*\*(\w+)\.\*\* (.+)", first):
        return Callout(callout[1], callout[2])
    if re.match(r"(-|\d+\.) ", first):
        return Items(tuple(re.sub(r"^(-|\d+\.) ", "", line) for line in lines), first[0] != "-")
    if table := re.match(r"Table: (.+) \{([\d ]+)\}", first):
        return _grid(table[1], table[2], lines[1:])
    return Prose(" ".join(lines))


def _grid(caption: str, widths: str, lines: list[str]) -> Grid:
    head, rule, *body = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    for row in body:
        if len(row) != len(head):
            raise ValueError(f"a row of {caption!r} has {len(row)} cells, its head {len(head)}")
    return Grid(
        caption=caption,
        widths=tuple(int(width) for width in widths.split()),
        numeric=tuple(cell.endswith(":") and not cell.startswith(":") for cell in rule),
        rows=tuple(tuple(row) for row in (head, *body)),
    )
