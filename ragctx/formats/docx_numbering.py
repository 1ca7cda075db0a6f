"""The numbers of paragraphs in a Word document, which are nowhere in its text.

Contracts and standards number their clauses so, and are cited by these numbers.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from docx.oxml.ns import qn

from ragctx.formats.numerals import numeral

MAX_LEVELS = 9
"""As Word has them."""
_KINDS = {"lowerLetter": "a", "upperLetter": "A", "lowerRoman": "i", "upperRoman": "I"}
_PLACE = re.compile(r"%([1-9])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """How one level of a list is numbered."""

    kind: str = "decimal"
    text: str = ""  # "%1.%2)": the numbers of this level and of those above it
    start: int = 1


@dataclass(kw_only=True)
class Numbering:
    """The lists of a document, by their number, and how far each has been counted."""

    levels: Mapping[str, Mapping[int, Level]] = field(default_factory=dict)  # by list
    shared: Mapping[str, str] = field(default_factory=dict)  # what lists count together, by list
    counts: dict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    begun: set[str] = field(default_factory=set)
    restarts: Mapping[str, Mapping[int, int]] = field(default_factory=dict)

    def mark(self, list_id: str, level: int) -> str:
        """The mark of the next paragraph in a list: "3.2 ", "(a) " or "- "; "" for no list."""
        levels = self.levels.get(list_id)
        if levels is None or not 0 <= level < MAX_LEVELS:
            return ""
        counts = self.counts[self.shared[list_id]]
        if list_id not in self.begun:
            self.begun.add(list_id)
            for k, start in self.restarts.get(list_id, {}).items():
                counts[k] = start - 1
        here = levels.get(level, Level())
        counts[level] = counts.get(level, here.start - 1) + 1
        for deeper in [k for k in counts if k > level]:
            del counts[deeper]
        if here.kind == "bullet":
            return "- "
        if here.kind == "none" or not here.text:
            return ""
        return (
            _PLACE.sub(lambda match: self._number(levels, counts, int(match[1]) - 1), here.text)
            + " "
        )

    def _number(self, levels: Mapping[int, Level], counts: Mapping[int, int], level: int) -> str:
        here = levels.get(level, Level())
        return numeral(counts.get(level, here.start), _KINDS.get(here.kind, "1"))


def numbering_of(root: Any) -> Numbering:
    """The lists that a document's part `numbering` (its root element, or None) defines."""
    if root is None:
        return Numbering()
    drafts = {
        _id(draft, "abstractNumId"): draft for draft in root.iterchildren(qn("w:abstractNum"))
    }
    levels: dict[str, Mapping[int, Level]] = {}
    shared: dict[str, str] = {}
    restarts: dict[str, Mapping[int, int]] = {}
    for one in root.iterchildren(qn("w:num")):
        name, draft = _id(one, "numId"), _value(one, "w:abstractNumId")
        changed = list(one.iterchildren(qn("w:lvlOverride")))
        own = (level for change in changed for level in change.iterchildren(qn("w:lvl")))
        levels[name] = {**_levels(drafts.get(draft, ())), **_levels(own)}
        shared[name] = draft
        restarts[name] = {
            _number(change.get(qn("w:ilvl")), 0): _number(start, 1)
            for change in changed
            if (start := _value(change, "w:startOverride"))
        }
    return Numbering(levels=levels, shared=shared, restarts=restarts)


def _levels(elements: Any) -> dict[int, Level]:
    return {
        _number(element.get(qn("w:ilvl")), 0): Level(
            kind=_value(element, "w:numFmt") or "decimal",
            text=_value(element, "w:lvlText"),
            start=_number(_value(element, "w:start"), 1),
        )
        for element in elements
        if element.tag == qn("w:lvl")
    }


def _id(element: Any, name: str) -> str:
    return str(element.get(qn(f"w:{name}"), ""))


def _value(element: Any, name: str) -> str:
    child = element.find(qn(name))
    return "" if child is None else str(child.get(qn("w:val"), ""))


def _number(value: str | None, default: int) -> int:
    found = re.fullmatch(r"\d{1,6}", value or "", re.ASCII)
    return int(found[0]) if found else default
