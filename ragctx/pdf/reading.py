"""What was read of a PDF, as records: here the messages of the reading process end.

A hostile file may have taken the process over, so nothing it sends is believed unseen: a message
that lacks a key, or holds a value of another type, is not a message.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar, cast, get_args

from ragctx.pdf.form_fields import Field
from ragctx.pdf.geometry import Box, Frame
from ragctx.pdf.messages import FieldKind
from ragctx.pdf.png import SIGNATURE
from ragctx.records import Heading, PageStatus, PdfStatus
from ragctx.text.well_formed import well_formed


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of text and its place; see `messages.LineMessage`. Without a place, all are 0."""

    text: str
    turn: int
    left: float
    top: float
    right: float
    bottom: float
    size: float
    block: int = 0
    cell: int = 0
    role: str = ""
    bold: bool = False
    typewriter: bool = False
    parts: tuple[tuple[str, float, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PageText:
    """What a library gave of one page; see `messages.PageMessage`."""

    page: int
    reader: str
    text: str | None
    lines: tuple[Line, ...]
    filled_in: tuple[Line, ...]
    fields: tuple[Field, ...]
    label: str
    pictures: bool
    lost: int
    hidden: tuple[Line, ...]
    glyphs_only: bool
    doubtful: bool
    cut: bool
    lost_lines: tuple[Line, ...] = ()
    damage: str = ""
    stamped: bool = False
    confidence: float | None = None  # 0 to 1, of a page that OCR read

    @property
    def raw_text(self) -> str:
        """All characters as they were drawn, without the values of form fields."""
        return self.text or "\n".join(line.text for line in self.lines)

    @property
    def characters(self) -> int:
        """How many, with the values of form fields."""
        return len(self.raw_text) + sum(len(value.text) for value in self.filled_in)


@dataclass(frozen=True, slots=True)
class Started:
    """The library is imported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GlyphLine:
    """A line, glyph by glyph: `boxes[i]` is the box of `text[i]` on the page as shown, in points.

    Boxes are left, top, right, bottom, from the upper left corner.
    """

    text: tuple[str, ...]
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """Where the glyphs of a page are, line by line in the order in which they were drawn."""

    page: int
    frame: Frame
    lines: tuple[GlyphLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture of a page: a PNG file, its size in pixels, and pixels a point."""

    page: int
    width: int
    height: int
    scale: float
    png: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What is known before the first page is read; see `messages.OpenMessage`."""

    pages: int
    attachments: int
    xfa: bool


@dataclass(frozen=True, slots=True)
class Begun:
    """Work begins on a page, counted from 0; -1 is the structure."""

    page: int


@dataclass(frozen=True, slots=True)
class Broken:
    """A page, counted from 0, that the library could not read, and why."""

    page: int
    message: str


@dataclass(frozen=True, slots=True)
class Structure:
    """Title, outline and page labels, as the file has them; see `messages.StructureMessage`."""

    title: str = ""
    outline: tuple[Heading, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a file could not be read (any further); `message` continues the file's name."""

    status: PdfStatus
    message: str


@dataclass(frozen=True, slots=True)
class Ended:
    """Everything was sent; `warnings` is what the library logged."""

    warnings: tuple[str, ...]


OnPage: TypeAlias = Callable[[int, int], None]
"""Told the number of the page just read, from 1, and the number of pages."""
OnText: TypeAlias = Callable[[PageText, int], None]
"""Told what was read of a page, and the number of pages."""
PageEvent: TypeAlias = PageText | Sheet | Picture | Broken
Event: TypeAlias = Started | Opening | Begun | PageEvent | Structure | Failure | Ended


@dataclass(kw_only=True)
class Reading:
    """What came of reading one file with one library, over all its processes.

    Pages count from 0. `lost` are the pages that could not be read, with the reason.
    """

    opening: Opening | None = None
    pages: dict[int, PageText] = field(default_factory=dict)
    sheets: dict[int, Sheet] = field(default_factory=dict)
    pictures: dict[int, Picture] = field(default_factory=dict)
    lost: dict[int, PageStatus] = field(default_factory=dict)
    structure: Structure = Structure()
    warnings: list[str] = field(default_factory=list)
    failure: Failure | None = None
    characters: int = 0

    @property
    def count(self) -> int:
        """Pages in the file; 0 if it could not be opened."""
        return self.opening.pages if self.opening else 0


# ---- Decoding --------------------------------------------------------------------------------


def event_of(line: bytes) -> Event | None:
    """The event that a line of the pipe tells; None if the line is not a message.

    >>> event_of(b'{"kind": "begin", "page": 3}'), event_of(b'{"kind": "begin"}'), event_of(b"?")
    (Begun(page=3), None, None)
    """
    try:
        message = json.loads(line)
        return _DECODERS[message["kind"]](message)
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None


def _opening(message: Mapping[str, Any]) -> Opening:
    pages = _value(message, "pages", int)
    if pages < 0:
        raise ValueError(f"{pages} pages")
    return Opening(
        pages=pages,
        attachments=_value(message, "attachments", int),
        xfa=_value(message, "xfa", bool),
    )


def _page(message: Mapping[str, Any]) -> PageText:
    return PageText(
        page=_value(message, "page", int),
        reader=_value(message, "reader", str),
        text=None if message.get("text") is None else _value(message, "text", str),
        lines=tuple(map(_line, message.get("lines", ()))),
        filled_in=tuple(map(_line, message["filled_in"])),
        fields=tuple(map(_field, message["fields"])),
        lost_lines=tuple(map(_line, message.get("lost_lines", ()))),
        label=_value(message, "label", str),
        pictures=_value(message, "pictures", bool),
        stamped="stamped" in message and _value(message, "stamped", bool),
        lost=_value(message, "lost", int),
        hidden=tuple(map(_line, message["hidden"])),
        glyphs_only=_value(message, "glyphs_only", bool),
        doubtful=_value(message, "doubtful", bool),
        cut=_value(message, "cut", bool),
        damage=_value({"damage": "", **message}, "damage", str),
    )


def _line(message: Mapping[str, Any]) -> Line:
    message = {**_NO_TAG, **message}
    return Line(
        text=_value(message, "text", str),
        turn=_value(message, "turn", int),
        left=_number(message, "left"),
        top=_number(message, "top"),
        right=_number(message, "right"),
        bottom=_number(message, "bottom"),
        size=_number(message, "size"),
        block=_value(message, "block", int),
        cell=_value(message, "cell", int),
        role=_value(message, "role", str),
        bold=_value(message, "bold", bool),
        typewriter=_value(message, "typewriter", bool),
        parts=tuple(map(_part, message.get("parts", ()))),
    )


_NO_TAG: Mapping[str, Any] = {
    "block": 0,
    "cell": 0,
    "role": "",
    "bold": False,
    "typewriter": False,
}


def _part(part: Sequence[Any]) -> tuple[str, float, float]:
    text, left, right = part
    return well_formed(str(text)), _finite(left), _finite(right)


def _field(message: Mapping[str, Any]) -> Field:
    kind = _value(message, "kind", str)
    if kind not in get_args(FieldKind):
        raise ValueError(f"unknown kind {kind!r}")
    return Field(
        kind=cast(FieldKind, kind),
        name=_value(message, "name", str),
        tooltip=_value(message, "tooltip", str),
        value=_value(message, "value", str),
        is_chosen=_value(message, "is_chosen", bool),
        left=_number(message, "left"),
        top=_number(message, "top"),
        right=_number(message, "right"),
        bottom=_number(message, "bottom"),
    )


def _sheet(message: Mapping[str, Any]) -> Sheet:
    turn = _value(message, "turn", int)
    if turn not in range(4):
        raise ValueError(f"{turn} quarter turns")
    frame = Frame(shown=_box(message["shown"]), turn=turn)
    lines = (_glyph_line(line, frame) for line in _value(message, "lines", list))
    return Sheet(page=_value(message, "page", int), frame=frame, lines=tuple(lines))


def _glyph_line(message: Mapping[str, Any], frame: Frame) -> GlyphLine:
    boxes = tuple(frame.as_shown(_box(box)) for box in _value(message, "boxes", list))
    text = _texts(message, "text")
    if len(text) != len(boxes):
        raise ValueError(f"{len(text)} glyphs and {len(boxes)} boxes")
    return GlyphLine(text=text, boxes=boxes)


def _picture(message: Mapping[str, Any]) -> Picture:
    width, height = _value(message, "width", int), _value(message, "height", int)
    png = base64.b64decode(_value(message, "png", str), validate=True)
    if not png.startswith(SIGNATURE) or min(width, height) < 1:
        raise ValueError("not a picture")
    return Picture(
        page=_value(message, "page", int),
        width=width,
        height=height,
        scale=_number(message, "scale"),
        png=png,
    )


def _box(edges: Sequence[Any]) -> Box:
    left, first, right, second = map(_finite, edges)
    return left, first, right, second


def _structure(message: Mapping[str, Any]) -> Structure:
    outline = tuple(
        Heading(
            title=_value(heading, "title", str),
            page=_value(heading, "page", int),
            depth=_value(heading, "depth", int),
        )
        for heading in message["outline"]
    )
    return Structure(_value(message, "title", str), outline, _texts(message, "labels"))


def _failure(message: Mapping[str, Any]) -> Failure:
    status = _value(message, "status", str)
    if status not in get_args(PdfStatus):
        raise ValueError(f"unknown status {status!r}")
    return Failure(cast(PdfStatus, status), _value(message, "message", str))


_DECODERS: Mapping[str, Callable[[Mapping[str, Any]], Event]] = {
    "started": lambda message: Started(),
    "open": _opening,
    "begin": lambda message: Begun(_value(message, "page", int)),
    "page": _page,
    "sheet": _sheet,
    "picture": _picture,
    "broken": lambda message: Broken(_value(message, "page", int), _value(message, "message", str)),
    "structure": _structure,
    "failed": _failure,
    "end": lambda message: Ended(_texts(message, "warnings")),
}

T = TypeVar("T")


def _value(message: Mapping[str, Any], key: str, type_: type[T]) -> T:
    value = message[key]
    if not isinstance(value, type_):
        raise TypeError(f"{key} is {value!r}")
    return cast(T, well_formed(value)) if isinstance(value, str) else value


def _number(message: Mapping[str, Any], key: str) -> float:
    return _finite(message[key])


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"a number is {number}")
    return number


def _texts(message: Mapping[str, Any], key: str) -> tuple[str, ...]:
    return tuple(well_formed(str(text)) for text in _value(message, key, list))
