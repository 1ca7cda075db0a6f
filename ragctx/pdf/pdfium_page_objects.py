"""What a page draws, object by object in the order of drawing; forms are opened.

(A form is a piece of a page's content that has a name of its own: ISO 32000-1, 8.10.)
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice, repeat
from typing import Any, NamedTuple

import pypdfium2.raw as raw

from ragctx.pdf.geometry import UNMOVED, Box, Matrix, multiplied, transformed
from ragctx.pdf.pdfium_calls import (
    Address,
    address,
    object_bounds,
    object_kind,
    object_of_page,
    page_object,
    path_mode,
)
from ragctx.pdf.pdfium_text_objects import FAINT_ALPHA, Fills

MAX_OBJECTS = 20_000
"""How many objects of a page are looked at."""
MAX_DEPTH = 3
"""Forms within forms that are looked into."""
MIN_COVER_PT2 = 60.0
"""A smaller shape is a rule or a bullet: it covers no text, and none stands on it."""
_TEXT, _PATH = int(raw.FPDF_PAGEOBJ_TEXT), int(raw.FPDF_PAGEOBJ_PATH)
_IMAGE, _FORM = int(raw.FPDF_PAGEOBJ_IMAGE), int(raw.FPDF_PAGEOBJ_FORM)


class Cover(NamedTuple):
    """A picture or a filled shape: when it is drawn, its box on the page, its shade of grey.

    The shade, 0 to 255, is None for pictures and for what is not filled with one colour.
    """

    order: int
    box: Box
    shade: int | None

    def holds(self, x: float, y: float) -> bool:
        """Whether a point of the page is in its box."""
        left, bottom, right, top = self.box
        return left <= x <= right and bottom <= y <= top


class PageObjects:
    """The objects of one page. Asked for once, when they are first needed."""

    def __init__(self, page: Any) -> None:
        self._page = address(page.raw)
        self._count = raw.FPDFPage_CountObjects(page.raw)

    @property
    def are_too_many(self) -> bool:
        """Whether the page draws more than `MAX_OBJECTS`."""
        return bool(self._count > MAX_OBJECTS)

    @cached_property
    def _all(self) -> _Drawn:
        count = min(self._count, MAX_OBJECTS)
        items = list(map(object_of_page, repeat(self._page), range(count)))
        kinds = list(map(object_kind, items))
        if _FORM not in kinds:
            return _Drawn(kinds, items, {}, {})
        opened = list(islice(_opened(kinds, items, _PAGE, MAX_DEPTH), MAX_OBJECTS))
        return _Drawn(
            [kind for kind, _, _ in opened],
            [item for _, item, _ in opened],
            {item: form.at for kind, item, form in opened if form.at and kind == _TEXT},
            {
                item: form.matrix
                for kind, item, form in opened
                if kind in (_PATH, _IMAGE) and form.matrix != UNMOVED
            },
        )

    @cached_property
    def order(self) -> dict[Address, int]:
        """When each object is drawn."""
        return {item: i for i, item in enumerate(self._all.items)}

    @property
    def forms(self) -> Mapping[Address, Address]:
        """The form of each text that is part of one: the innermost."""
        return self._all.forms

    @cached_property
    def covers(self) -> Sequence[Cover]:
        """Pictures and filled shapes that are large enough to hold text, in order of drawing."""
        edges, mode = (ctypes.c_float * 4)(), (ctypes.c_int * 2)()
        edges_at, mode_at = ctypes.addressof(edges), ctypes.addressof(mode)
        fills, found = Fills(), []
        for i in [i for i, kind in enumerate(self._all.kinds) if kind in (_PATH, _IMAGE)]:
            at, is_path = self._all.items[i], self._all.kinds[i] == _PATH
            if is_path:
                path_mode(at, mode_at, mode_at + 4)
                if not mode[0]:
                    continue
            if not object_bounds(at, edges_at, edges_at + 4, edges_at + 8, edges_at + 12):
                continue
            left, bottom, right, top = edges
            box: Box = left, bottom, right, top
            if matrix := self._all.matrices.get(at):
                box = transformed(box, matrix)
            if (box[2] - box[0]) * (box[3] - box[1]) >= MIN_COVER_PT2:
                found.append(Cover(i, box, _shade(fills, at) if is_path else None))
        return found


class _Drawn(NamedTuple):
    """All objects, aligned; the form of each text that is part of one.

    And where forms put their pictures and shapes, which are told in coordinates of the form's own.
    """

    kinds: Sequence[int]
    items: Sequence[Address]
    forms: Mapping[Address, Address]
    matrices: Mapping[Address, Matrix]


class _Form(NamedTuple):
    """A form, and what its coordinates become on the page."""

    at: Address
    matrix: Matrix


_PAGE = _Form(0, UNMOVED)


def _opened(
    kinds: Sequence[int], items: Sequence[Address], form: _Form, depth: int
) -> Iterator[tuple[int, Address, _Form]]:
    """Objects, those of forms in place of the forms, with their form; of the page's own, 0."""
    for kind, item in zip(kinds, items, strict=True):
        if kind != _FORM:
            yield kind, item, form
        elif depth:
            handle = page_object(item)
            count = min(raw.FPDFFormObj_CountObjects(handle), MAX_OBJECTS)
            inside = [address(raw.FPDFFormObj_GetObject(handle, i)) for i in range(count)]
            opened = _Form(item, multiplied(_matrix(handle), form.matrix))
            yield from _opened(list(map(object_kind, inside)), inside, opened, depth - 1)


def _matrix(handle: Any) -> Matrix:
    matrix = raw.FS_MATRIX()
    if not raw.FPDFPageObj_GetMatrix(handle, matrix):
        return UNMOVED
    return matrix.a, matrix.b, matrix.c, matrix.d, matrix.e, matrix.f


def _shade(fills: Fills, at: Address) -> int | None:
    fill = fills.of(at)
    return fill[0] if fill and fill[1] >= FAINT_ALPHA else None
