"""What the styles of a Word document say of a paragraph or run: heading, list, hidden, colour."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from docx.oxml.ns import qn

from ragctx.formats.blocks import SMALLEST_POINTS

MAX_BASES = 20
"""How many styles a style may rest on; more would be a circle. Chosen by hand."""
_HEADING = re.compile(r"heading ([1-9])", re.IGNORECASE)
_OFF = ("0", "false", "off", "none")
_PAPER = "FFFFFF"


@dataclass(frozen=True, slots=True)
class Styles:
    """The styles by their ids: elements of the document's part `styles`."""

    elements: dict[str, Any]
    has_background: bool = False  # whether the page has a colour of its own

    def heading_depth(self, paragraph: Any) -> int | None:
        """The depth of a heading, 0 for a title; None for any other paragraph."""
        for properties in self._of_paragraph(paragraph):
            level = _value(properties, "w:outlineLvl")
            if level is not None:
                return int(level) + 1 if level.isdecimal() and int(level) < 9 else None
        for style in self._chain(_style_of(paragraph)):
            name = _value(style, "w:name") or ""
            if name.lower() == "title":
                return 0
            if found := _HEADING.fullmatch(name):
                return int(found[1])
        return None

    def list_place(self, paragraph: Any) -> tuple[str, int] | None:
        """The list that a paragraph belongs to, and at which level, from 0; None for none."""
        level = None
        for properties in self._of_paragraph(paragraph):
            numbers = properties.find(qn("w:numPr"))
            if numbers is None:
                continue
            own = _value(numbers, "w:ilvl")
            level = level if level is not None else own
            list_id = _value(numbers, "w:numId")
            if list_id is not None:
                return None if list_id == "0" else (list_id, _small(level))
        return None

    def is_unseen(self, run: Any, paragraph: Any) -> bool:
        """Whether nobody sees a run: hidden, of no size, or in the colour of the paper."""
        own = run.find(qn("w:rPr"))
        for properties in self._of_run(own, paragraph):
            vanish = properties.find(qn("w:vanish"))
            if vanish is not None:
                if is_on(vanish):
                    return True
                break
        if own is None:
            return False
        size = _value(own, "w:sz")
        if size is not None and size.isdecimal() and int(size) / 2 < SMALLEST_POINTS:
            return True
        return self._is_paper(own, run, paragraph)

    def _is_paper(self, own: Any, run: Any, paragraph: Any) -> bool:
        colour = (_value(own, "w:color") or "").upper()
        if not re.fullmatch("[0-9A-F]{6}", colour) or own.find(qn("w:highlight")) is not None:
            return False
        fills = (_fill(around) for around in (own, *_around(paragraph)))
        behind = next((fill for fill in fills if fill), None)
        if behind is None and (self.has_background or _is_shaded_by_others(paragraph)):
            return False
        return colour == (behind or _PAPER)

    def _of_paragraph(self, paragraph: Any) -> Iterator[Any]:
        """The properties of a paragraph, then those of its style, and of what that rests on."""
        own = paragraph.find(qn("w:pPr"))
        return (
            found
            for found in (own, *self._told(_style_of(paragraph), "w:pPr"))
            if found is not None
        )

    def _of_run(self, own: Any, paragraph: Any) -> Iterator[Any]:
        """The properties of a run, then those of its style and of the paragraph's."""
        if own is not None:
            yield own
            yield from self._told(_value(own, "w:rStyle"), "w:rPr")
        yield from self._told(_style_of(paragraph), "w:rPr")

    def _told(self, style_id: str | None, kind: str) -> Iterator[Any]:
        """The properties of this kind that a style has, and the styles that it rests on."""
        found = (style.find(qn(kind)) for style in self._chain(style_id))
        return (properties for properties in found if properties is not None)

    def _chain(self, style_id: str | None) -> Iterator[Any]:
        for _ in range(MAX_BASES):
            style = self.elements.get(style_id or "")
            if style is None:
                return
            yield style
            style_id = _value(style, "w:basedOn")


def styles_of(root: Any, has_background: bool) -> Styles:
    """The styles in a document's part `styles`: its root element, or None."""
    styles = () if root is None else root.iterchildren(qn("w:style"))
    return Styles({style.get(qn("w:styleId"), ""): style for style in styles}, has_background)


def is_on(element: Any) -> bool:
    """Whether a property that is there is switched on."""
    return element.get(qn("w:val"), "1") not in _OFF


def _style_of(paragraph: Any) -> str | None:
    own = paragraph.find(qn("w:pPr"))
    return None if own is None else _value(own, "w:pStyle")


def _value(element: Any, name: str) -> str | None:
    child = element.find(qn(name))
    return None if child is None else child.get(qn("w:val"))


def _small(level: str | None) -> int:
    return int(level) if level is not None and re.fullmatch("[0-8]", level) else 0


def _fill(properties: Any) -> str | None:
    shade = None if properties is None else properties.find(qn("w:shd"))
    fill = "" if shade is None else shade.get(qn("w:fill"), "").upper()
    return fill if re.fullmatch("[0-9A-F]{6}", fill) else None


def _around(paragraph: Any) -> Iterator[Any]:
    """The properties of a paragraph and of the cells around it, the nearest first."""
    yield paragraph.find(qn("w:pPr"))
    for cell in paragraph.iterancestors(qn("w:tc")):
        yield cell.find(qn("w:tcPr"))


def _is_shaded_by_others(paragraph: Any) -> bool:
    """Whether what is behind it is not known: the style of a table, or a shape, may give it."""
    if next(paragraph.iterancestors(qn("w:txbxContent")), None) is not None:
        return True
    tables = (table.find(qn("w:tblPr")) for table in paragraph.iterancestors(qn("w:tbl")))
    return any(own is not None and _value(own, "w:tblStyle") for own in tables)
