"""Which pieces of text a person sees on the page.

Text may be there and not be seen: in a layer that is switched off, in the colour of the paper,
under a picture, set so small that it is a line. It is how instructions are hidden in documents that
models will read, and how old prices stay in new offers. Judged is what is drawn: a piece that is
suspect is looked for in a picture of the page. (Invisible text over a scan, the layer that OCR
adds, has the scan's letters there, and is seen; over printed text it says everything again.)
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice, repeat
from typing import Any, NamedTuple

import pypdfium2.raw as raw

from ragctx.pdf.geometry import Box
from ragctx.pdf.messages import quietly

MIN_VISIBLE_PT = 1.5
"""Smaller letters are not read by anybody: the small print of contracts has 5 points."""
SAME_SHADE = 24
"""Shades of grey, of 256, that differ by less are one to the eye. Chosen by hand."""
FAINT_ALPHA = 26
"""A tenth of full cover, of 255: fainter letters are looked for in the picture."""
PALE = 230
"""Lighter letters, of 255, are looked for in the picture: paper is white."""
MAX_OBJECTS = 20_000
"""How many objects of a page are looked at, for what may cover its text."""
MIN_COVER_PT2 = 60.0
"""A smaller shape is a rule or a bullet, and covers no text."""
MAX_PIXELS = 4000
"""Pixels of the picture's longer side: a page of a metre still has one for each point."""
MIN_SCALE = 0.5
"""Pixels a point below which letters do not show in the picture: then nothing is left out."""
_SCALE = 1.5  # pixels a point
_INVISIBLE_MODES = (3, 7)  # ISO 32000-1, table 106


MAX_DEPTH = 3
"""Forms within forms that are looked into."""


class Placed(NamedTuple):
    """A piece of text to judge: its first character's number, its box on the page, its size."""

    at: int
    box: Box
    size: float


def are_seen(page: Any, textpage: Any, placed: Sequence[Placed]) -> list[bool]:
    """For each piece whether a person sees it."""
    looks = _Looks(page, textpage, tuple(placed))
    return [looks.sees(piece) for piece in placed]


@dataclass(frozen=True)
class _Looks:
    """Looks at one page; its picture is made when it is first needed."""

    page: Any
    textpage: Any
    placed: tuple[Placed, ...]

    def sees(self, piece: Placed) -> bool:
        if piece.size < MIN_VISIBLE_PT:
            return False
        item = raw.FPDFText_GetTextObject(self.textpage, piece.at)
        if not item:
            return True
        shade, alpha = _fill(self.textpage, piece.at)
        is_drawn = _is_drawn(item)
        if not is_drawn and self._repeats_printed(piece):
            return False
        is_pale = is_drawn and shade >= PALE
        faint = is_drawn and alpha < FAINT_ALPHA
        is_on_its_shade = is_drawn and not is_pale and self._is_on(piece, shade)
        suspect = (
            is_pale
            or faint
            or not is_drawn
            or is_on_its_shade
            or _in_layer(item)
            or address(item) in self._in_forms  # which may be of a layer as a whole
            or _is_cut_off(item, piece)
            or self._is_covered(item, piece)
        )
        return not suspect or self._shows(piece, shade if is_pale or is_on_its_shade else None)

    def _repeats_printed(self, piece: Placed) -> bool:
        """Whether most of an invisible piece is over text that is drawn."""
        left, bottom, right, top = piece.box
        shared = (
            max(0.0, min(right, box[2]) - max(left, box[0]))
            * max(0.0, min(top, box[3]) - max(bottom, box[1]))
            for box in self._printed
        )
        return sum(shared) > 0.5 * (right - left) * (top - bottom)

    @cached_property
    def _printed(self) -> list[Box]:
        items = ((raw.FPDFText_GetTextObject(self.textpage, p.at), p) for p in self.placed)
        return [piece.box for item, piece in items if item and _is_drawn(item)]

    def _shows(self, piece: Placed, shade: int | None) -> bool:
        """Whether the picture of the page has something there; of a shade, something else."""
        rows = self._rows(piece.box)
        pixels = b"".join(rows)
        if not pixels:
            return True
        if max(pixels) - min(pixels) < SAME_SHADE:
            return False
        ground = sorted(pixels)[len(pixels) // 2]
        return shade is None or abs(ground - shade) >= SAME_SHADE

    def _rows(self, box: Box) -> Iterator[bytes]:
        data, width, height, stride = self._picture
        corners = [self._pixel(x, y, width, height) for x in box[::2] for y in box[1::2]]
        left, right = sorted((min(x for x, _ in corners), max(x for x, _ in corners)))
        top, bottom = sorted((min(y for _, y in corners), max(y for _, y in corners)))
        for y in range(max(0, top), min(height, bottom + 1)):
            yield data[y * stride + max(0, left) : y * stride + max(0, min(width, right + 1))]

    def _pixel(self, x: float, y: float, width: int, height: int) -> tuple[int, int]:
        at_x, at_y = ctypes.c_int(), ctypes.c_int()
        window = 0, 0, width, height, 0  # left, top, width, height, turn
        raw.FPDF_PageToDevice(self.page, *(*window, x, y), at_x, at_y)
        return at_x.value, at_y.value

    @cached_property
    def _picture(self) -> tuple[bytes, int, int, int]:
        """The page in shades of grey: its bytes, width, height, and bytes a row.

        Empty for a page that is too large, or cannot be drawn.
        """
        scale = min(_SCALE, MAX_PIXELS / max(1.0, *self.page.get_size()))
        if scale < MIN_SCALE:
            return b"", 0, 0, 0
        bitmap = quietly(lambda: self.page.render(scale=scale, grayscale=True), None)
        if bitmap is None:
            return b"", 0, 0, 0
        return bytes(bitmap.buffer), bitmap.width, bitmap.height, bitmap.stride

    # ---- what may cover the text -----------------------------------------------------------

    def _is_covered(self, item: Any, piece: Placed) -> bool:
        """Whether a picture or a shape that was drawn later covers the middle of the piece."""
        x, y = _middle(piece)
        over = [
            i
            for i, (left, bottom, right, top) in self._covers
            if left <= x <= right and bottom <= y <= top
        ]
        return bool(over) and max(over) > self._drawn.get(address(item), MAX_OBJECTS)

    def _is_on(self, piece: Placed, shade: int) -> bool:
        """Whether the middle of the piece is on a shape that is filled with nearly its shade."""
        x, y = _middle(piece)
        near = (
            boxes for ground, boxes in self._grounds.items() if abs(ground - shade) < SAME_SHADE
        )
        return any(
            left <= x <= right and bottom <= y <= top
            for boxes in near
            for left, bottom, right, top in boxes
        )

    @cached_property
    def _grounds(self) -> dict[int, list[Box]]:
        """The boxes of filled shapes, by their shade."""
        grounds: dict[int, list[Box]] = {}
        for kind, item in self._objects:
            if kind == _PATH and _is_filled(item):
                box = _bounds(item)
                if _area(box) >= MIN_COVER_PT2:
                    grounds.setdefault(_shade_of(item), []).append(box)
        return grounds

    @cached_property
    def _in_forms(self) -> frozenset[int]:
        """The addresses of texts that are drawn as part of a form."""
        pairs = zip(self._objects, self._own_objects, strict=False)
        if all(item is own for (_, item), own in pairs):  # there are no forms
            return frozenset()
        return frozenset(self._drawn) - frozenset(map(address, self._own_objects))

    @cached_property
    def _own_objects(self) -> list[Any]:
        """What the page draws itself, forms among it, in the order of drawing."""
        page = self.page.raw
        count = min(raw.FPDFPage_CountObjects(page), MAX_OBJECTS)
        return list(map(raw.FPDFPage_GetObject, repeat(page), range(count)))

    @cached_property
    def _objects(self) -> list[tuple[int, Any]]:
        """The page's texts, shapes and pictures, with their kinds, in the order of drawing."""
        return list(islice(_flattened(self._own_objects, MAX_DEPTH), MAX_OBJECTS))

    @cached_property
    def _drawn(self) -> dict[int, int]:
        """When each text was drawn, by its address."""
        texts = ((i, item) for i, (kind, item) in enumerate(self._objects) if kind == _TEXT)
        return {address(item): i for i, item in texts}

    @cached_property
    def _covers(self) -> list[tuple[int, Box]]:
        """Pictures and filled shapes: when each was drawn, and its box."""
        kinds = [kind for kind, _ in self._objects]
        first = kinds.index(_TEXT) if _TEXT in kinds else len(kinds)  # what was before is below
        covers = []
        for i, (kind, item) in enumerate(self._objects[first:], start=first):
            if kind == _IMAGE or (kind == _PATH and _is_filled(item)):
                box = _bounds(item)
                if _area(box) >= MIN_COVER_PT2:
                    covers.append((i, box))
        return covers


_TEXT, _PATH = int(raw.FPDF_PAGEOBJ_TEXT), int(raw.FPDF_PAGEOBJ_PATH)
_IMAGE, _FORM = int(raw.FPDF_PAGEOBJ_IMAGE), int(raw.FPDF_PAGEOBJ_FORM)


def _flattened(items: Sequence[Any], depth: int) -> Iterable[tuple[int, Any]]:
    """The objects with their kinds; those of forms in place of the forms."""
    kinds = list(map(raw.FPDFPageObj_GetType, items))
    if _FORM not in kinds:
        return zip(kinds, items, strict=True)
    return chain.from_iterable(
        [(kind, item)] if kind != _FORM else _flattened(_inside(item), depth - 1) if depth else []
        for kind, item in zip(kinds, items, strict=True)
    )


def _inside(form: Any) -> list[Any]:
    count = min(raw.FPDFFormObj_CountObjects(form), MAX_OBJECTS)
    return [raw.FPDFFormObj_GetObject(form, i) for i in range(count)]


def _is_filled(item: Any) -> bool:
    mode, stroke = ctypes.c_int(), ctypes.c_int()
    raw.FPDFPath_GetDrawMode(item, mode, stroke)
    return mode.value != 0


def _bounds(item: Any) -> Box:
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    if not raw.FPDFPageObj_GetBounds(item, left, bottom, right, top):
        return (0.0, 0.0, 0.0, 0.0)
    return left.value, bottom.value, right.value, top.value


def _area(box: Box) -> float:
    left, bottom, right, top = box
    return (right - left) * (top - bottom)


def _middle(piece: Placed) -> tuple[float, float]:
    left, bottom, right, top = piece.box
    return (left + right) / 2, (bottom + top) / 2


def _is_cut_off(item: Any, piece: Placed) -> bool:
    """Whether the middle of the piece is outside of a rectangle to which its drawing is cut."""
    clip = raw.FPDFPageObj_GetClipPath(item)
    if not clip:
        return False
    (x, y), count = _middle(piece), min(raw.FPDFClipPath_CountPaths(clip), MAX_CLIPS)
    return any(not _may_hold(clip, i, x, y) for i in range(count))


MAX_CLIPS = 8
"""Rectangles to which one drawing is cut, each within the one before, that are looked at."""


def _may_hold(clip: Any, i: int, x: float, y: float) -> bool:
    """Whether a path of a clip, if it is a rectangle, holds a point."""
    if raw.FPDFClipPath_CountPathSegments(clip, i) not in (4, 5):
        return True
    corners = []
    for k in (0, 2):
        at_x, at_y = ctypes.c_float(), ctypes.c_float()
        segment = raw.FPDFClipPath_GetPathSegment(clip, i, k)
        if not raw.FPDFPathSegment_GetPoint(segment, at_x, at_y):
            return True
        corners.append((at_x.value, at_y.value))
    (x0, y0), (x1, y1) = corners
    return min(x0, x1) <= x <= max(x0, x1) and min(y0, y1) <= y <= max(y0, y1)


def is_faint(textpage: Any, at: int, item: Any) -> bool:
    """Whether a character may not be seen by the way it is drawn: pale, faint or not at all."""
    shade, alpha = _fill(textpage, at)
    return not _is_drawn(item) or shade >= PALE or alpha < FAINT_ALPHA


def _is_drawn(item: Any) -> bool:
    return raw.FPDFTextObj_GetTextRenderMode(item) not in _INVISIBLE_MODES


def address(item: Any) -> int:
    """What tells an object of a page from the others."""
    return ctypes.c_void_p.from_buffer(item).value or 0


def _fill(textpage: Any, at: int) -> tuple[int, int]:
    """The shade of grey (0 to 255) in which a character is filled, and how much it covers."""
    colour = [ctypes.c_uint() for _ in range(4)]
    if not raw.FPDFText_GetFillColor(textpage, at, *colour):
        return 0, 255
    return _shade_and_alpha(colour)


def _shade_of(item: Any) -> int:
    """The shade of grey in which a shape is filled; -255, which nothing else has, if unknown."""
    colour = [ctypes.c_uint() for _ in range(4)]
    if not raw.FPDFPageObj_GetFillColor(item, *colour):
        return -255
    shade, alpha = _shade_and_alpha(colour)
    return shade if alpha >= FAINT_ALPHA else -255


def _shade_and_alpha(colour: Sequence[ctypes.c_uint]) -> tuple[int, int]:
    red, green, blue, alpha = (part.value for part in colour)
    return (299 * red + 587 * green + 114 * blue) // 1000, alpha


def _in_layer(item: Any) -> bool:
    """Whether an object is marked as part of a layer, which may be switched off."""
    return any(mark_name(item, i) == "OC" for i in range(min(raw.FPDFPageObj_CountMarks(item), 20)))


def mark_name(item: Any, i: int) -> str:
    """What an object's i-th mark is called ("OC", "Artifact"); "" if that is long."""
    size, buffer = ctypes.c_ulong(), ctypes.create_string_buffer(32)
    mark = raw.FPDFPageObj_GetMark(item, i)
    chars = ctypes.cast(buffer, ctypes.POINTER(raw.FPDF_WCHAR))
    if not raw.FPDFPageObjMark_GetName(mark, chars, len(buffer), size):
        return ""
    return buffer.raw[: max(0, min(len(buffer), size.value) - 2)].decode("utf-16-le", "replace")
