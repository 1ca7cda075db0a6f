"""Which pieces of text a person sees on the page.

Text may be there and not be seen: in a layer that is switched off, in the colour of the paper,
under a picture, set so small that it is a line. It is how instructions are hidden in documents that
models will read, and how old prices stay in new offers. Judged is what is drawn: a piece that is
suspect is looked for in a picture of the page. (Invisible text over a scan, the layer that OCR
adds, has the scan's letters there, and is seen; over printed text it says everything again.)
"""

from __future__ import annotations

import ctypes
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import Any, NamedTuple

import pypdfium2.raw as raw

from ragctx.pdf.geometry import Box, Frame
from ragctx.pdf.pdfium_calls import Address, clip_path
from ragctx.pdf.pdfium_page_objects import MAX_OBJECTS, Cover, PageObjects
from ragctx.pdf.pdfium_shades import Shades
from ragctx.pdf.pdfium_text_objects import PALE, TextObject

MIN_VISIBLE_PT = 1.5
"""Smaller letters are not read by anybody: the small print of contracts has 5 points."""
SAME_SHADE = 24
"""Shades of grey, of 256, that differ by less are one to the eye. Chosen by hand."""
BESIDE_PT, MIN_PART_PT = 1.5, 4.0
"""Points: how far beside other text a piece is looked for, and how wide a part of it must be."""


class Placed(NamedTuple):
    """A piece of text to judge: what draws its first letter, its box on the page, its size."""

    drawn: TextObject
    box: Box
    size: float


def are_seen(page: Any, frame: Frame, objects: PageObjects, placed: Sequence[Placed]) -> list[bool]:
    """For each piece of a page, of which the frame is shown, whether a person sees it."""
    looks = _Looks(page, frame, objects, tuple(placed))
    return [looks.sees(piece) for piece in placed]


def part_cover(objects: PageObjects, piece: Placed) -> Cover | None:
    """A shape of one colour, drawn later, that covers a part of a piece and not all of it."""
    left, bottom, right, top = piece.box
    later = _drawn_after(objects, piece)
    return next((one for one in later if _cuts(one, left, right, (bottom + top) / 2)), None)


def _cuts(cover: Cover, left: float, right: float, y: float) -> bool:
    is_level = cover.shade is not None and cover.box[1] <= y <= cover.box[3]
    return is_level and (left < cover.box[0] < right or left < cover.box[2] < right)


def _drawn_after(objects: PageObjects, piece: Placed) -> Sequence[Cover]:
    """The pictures and shapes that were drawn after a piece."""
    if not objects.covers:
        return ()
    order = objects.order.get(piece.drawn.at, MAX_OBJECTS)
    return objects.covers[bisect_right(objects.covers, order, key=attrgetter("order")) :]


@dataclass(frozen=True)
class _Looks:
    """Looks at one page; its picture is made when it is first needed."""

    page: Any
    frame: Frame
    objects: PageObjects
    placed: tuple[Placed, ...]

    def sees(self, piece: Placed) -> bool:
        drawn = piece.drawn
        if piece.size < MIN_VISIBLE_PT:
            return False
        if not drawn.at:
            return True
        if not drawn.is_drawn and self._repeats_printed(piece):
            return False
        is_pale = drawn.is_drawn and drawn.shade >= PALE
        is_on_its_shade = drawn.is_drawn and not is_pale and self._is_on(piece)
        cover = self._cover_of(piece)
        suspect = (
            drawn.is_faint
            or is_on_its_shade
            or drawn.in_layer
            or self._is_in_form(piece)
            or _is_cut_off(piece)
            or cover is not None
        )
        shade = drawn.shade if is_pale or is_on_its_shade else None
        boxes = [piece.box] if cover is None else self._not_written_over(piece, cover)
        return not suspect or any(self._shows(box, shade) for box in boxes)

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
        return [piece.box for piece in self.placed if piece.drawn.at and piece.drawn.is_drawn]

    def _not_written_over(self, piece: Placed, cover: Cover) -> Iterator[Box]:
        """The parts of a piece's box on which no text was drawn after what covers the piece.

        What shows there is of the piece: a new price, printed on the white that covers the old one,
        is not.
        """
        left, bottom, right, top = piece.box
        later = [one.box for one in self.placed if self._is_drawn_after(one, cover)]
        if any(_are_alike(box, piece.box) for box in later):  # the same, drawn again
            later = []
        for box in sorted(later):
            if box[2] > left and box[0] < right and box[3] > bottom and box[1] < top:
                if box[0] - left > MIN_PART_PT:
                    yield left, bottom, box[0] - BESIDE_PT, top
                left = max(left, box[2] + BESIDE_PT)
        if right - left > (MIN_PART_PT if left > piece.box[0] else 0):
            yield left, bottom, right, top

    def _is_drawn_after(self, piece: Placed, cover: Cover) -> bool:
        return piece.drawn.is_drawn and self.objects.order.get(piece.drawn.at, -1) > cover.order

    def _shows(self, box: Box, shade: int | None = None) -> bool:
        """Whether the picture of the page has something there; of a shade, something else."""
        rows = list(filter(None, self._rows(box)))
        if rows and not _is_of_one_shade(rows):
            return shade is None or abs(_ground(rows) - shade) >= SAME_SHADE
        return not rows

    def _rows(self, box: Box) -> Iterator[bytes]:
        width, height = self._shades.width, self._shades.height
        across, down = width / self.frame.width, height / self.frame.height
        left, top, right, bottom = self.frame.as_shown(box)
        first, last = max(0, round(left * across)), max(0, min(width, round(right * across) + 1))
        ends = max(0, round(top * down)), min(height, round(bottom * down) + 1)
        return self._shades.rows(*ends, first, last)

    @cached_property
    def _shades(self) -> Shades:
        return Shades(self.page)

    # ---- what may hide the text ------------------------------------------------------------

    def _cover_of(self, piece: Placed) -> Cover | None:
        """The first picture or shape, drawn later, that covers the middle of the piece."""
        x, y = _middle(piece)
        return next((one for one in _drawn_after(self.objects, piece) if one.holds(x, y)), None)

    def _is_on(self, piece: Placed) -> bool:
        """Whether the middle of the piece is on a shape that is filled with nearly its shade."""
        x, y = _middle(piece)
        shade = piece.drawn.shade
        return any(
            abs(ground - shade) < SAME_SHADE and any(cover.holds(x, y) for cover in covers)
            for ground, covers in self._grounds.items()
        )

    @cached_property
    def _grounds(self) -> dict[int, list[Cover]]:
        """Filled shapes, by their shade."""
        grounds: dict[int, list[Cover]] = {}
        for cover in self.objects.covers:
            if cover.shade is not None:
                grounds.setdefault(cover.shade, []).append(cover)
        return grounds

    def _is_in_form(self, piece: Placed) -> bool:
        """Whether the piece is drawn by a form, which may be of a layer that is switched off.

        pdfium does not tell. But one form is of one layer: where some of its pieces show, all do.
        """
        form = self.objects.forms.get(piece.drawn.at)
        return form is not None and form not in self._shown_forms

    @cached_property
    def _shown_forms(self) -> frozenset[Address]:
        pieces: dict[Address, list[Placed]] = {}
        for piece in self.placed:
            form = self.objects.forms.get(piece.drawn.at)
            if form is not None and not piece.drawn.is_faint:
                pieces.setdefault(form, []).append(piece)
        return frozenset(
            form
            for form, inside in pieces.items()
            if all(self._shows(piece.box) for piece in _some(inside))
        )


def _is_of_one_shade(rows: Sequence[bytes]) -> bool:
    """Whether pixels are of one shade to the eye; what shows of a line shows in its middle."""
    middle = len(rows) // 2
    least, most = 255, 0
    for row in (*rows[middle:], *rows[:middle]):
        least, most = min(least, min(row)), max(most, max(row))
        if most - least >= SAME_SHADE:
            return False
    return True


def _ground(rows: Sequence[bytes]) -> int:
    """The shade of the pixel of middle shade."""
    pixels = sorted(b"".join(rows))
    return pixels[len(pixels) // 2]


FORM_SAMPLE = 8
"""So many pieces of a form, from its first to its last, must show to prove that it is shown."""


def _some(pieces: Sequence[Placed]) -> Sequence[Placed]:
    return pieces[:: max(1, len(pieces) // FORM_SAMPLE)]


def _are_alike(a: Box, b: Box) -> bool:
    return all(abs(x - y) < 1 for x, y in zip(a, b, strict=True))


def _middle(piece: Placed) -> tuple[float, float]:
    left, bottom, right, top = piece.box
    return (left + right) / 2, (bottom + top) / 2


def _is_cut_off(piece: Placed) -> bool:
    """Whether the middle of the piece is outside of a rectangle to which its drawing is cut."""
    clip = clip_path(piece.drawn.at)
    if not clip:
        return False
    clip = ctypes.cast(clip, raw.FPDF_CLIPPATH)
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
