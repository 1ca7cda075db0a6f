"""Boxes on a page, in the three ways they are told here.

On the page: as the PDF has it, y upwards. Along the line: x runs as the text is read and y down
from it, whatever way the text is turned. As shown: from the upper left corner of what is shown of
the page, turned as it is shown. All are in points; turns are quarter turns, counter-clockwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Box: TypeAlias = tuple[float, float, float, float]
"""left, first edge, right, second edge: top before bottom where y runs down, else bottom first."""

Matrix: TypeAlias = tuple[float, float, float, float, float, float]
"""a to f of ISO 32000-1, 8.3.4: a point (x, y) becomes (ax + cy + e, bx + dy + f)."""
UNMOVED: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What is shown of a page, as a box on the page, and how the page is turned.

    `turn` counts clockwise, as PDFs do.

    >>> frame = Frame(shown=(0, 0, 200, 100), turn=1)
    >>> frame.width, frame.height, frame.as_shown((10, 20, 30, 25))
    (100, 200, (20, 10, 25, 30))
    """

    shown: Box
    turn: int

    @property
    def width(self) -> float:
        """Points from left to right, as shown."""
        left, bottom, right, top = self.shown
        return top - bottom if self.turn % 2 else right - left

    @property
    def height(self) -> float:
        """Points from top to bottom, as shown."""
        left, bottom, right, top = self.shown
        return right - left if self.turn % 2 else top - bottom

    def as_shown(self, box: Box) -> Box:
        """A box on the page as shown: left, top, right, bottom, from the upper left corner."""
        left, bottom, right, top = self.shown
        x0, y0, x1, y1 = box
        if self.turn == 1:
            return y0 - bottom, x0 - left, y1 - bottom, x1 - left
        if self.turn == 2:
            return right - x1, y0 - bottom, right - x0, y1 - bottom
        if self.turn == 3:
            return top - y1, right - x1, top - y0, right - x0
        return x0 - left, top - y1, x1 - left, top - y0

    def from_shown(self, box: Box) -> Box:
        """A box on the page as shown, on the page: `as_shown` undone."""
        left, bottom, right, top = self.shown
        x0, y0, x1, y1 = box
        if self.turn == 1:
            return y0 + left, x0 + bottom, y1 + left, x1 + bottom
        if self.turn == 2:
            return right - x1, y0 + bottom, right - x0, y1 + bottom
        if self.turn == 3:
            return right - y1, top - x1, right - y0, top - x0
        return x0 + left, top - y1, x1 + left, top - y0

    def line_as_shown(self, box: Box, turn: int) -> Box:
        """A box along a line of text, which is turned so against the page as shown, as shown."""
        return self.as_shown(on_page(box, (turn + self.turn) % 4))


def along_line(box: Box, turn: int) -> Box:
    """A box on the page, seen along text that is turned so on the page.

    >>> along_line((10, 20, 30, 25), 1)
    (20, 10, 25, 30)
    """
    x0, y0, x1, y1 = box
    if turn == 1:
        return y0, x0, y1, x1
    if turn == 2:
        return -x1, y0, -x0, y1
    if turn == 3:
        return -y1, -x1, -y0, -x0
    return x0, -y1, x1, -y0


def on_page(box: Box, turn: int) -> Box:
    """A box along text that is turned so on the page, on the page: `along_line` undone.

    >>> on_page(along_line((10, 20, 30, 25), 3), 3)
    (10, 20, 30, 25)
    """
    left, top, right, bottom = box
    if turn == 1:
        return top, left, bottom, right
    if turn == 2:
        return -right, top, -left, bottom
    if turn == 3:
        return -bottom, -right, -top, -left
    return left, -bottom, right, -top


def multiplied(first: Matrix, second: Matrix) -> Matrix:
    """The matrix that does what the first does, and then what the second does.

    >>> multiplied((2, 0, 0, 2, 0, 0), (1, 0, 0, 1, 10, 20))
    (2, 0, 0, 2, 10, 20)
    """
    a, b, c, d, e, f = first
    a2, b2, c2, d2, e2, f2 = second
    return (
        *(a * a2 + b * c2, a * b2 + b * d2),
        *(c * a2 + d * c2, c * b2 + d * d2),
        *(e * a2 + f * c2 + e2, e * b2 + f * d2 + f2),
    )


def transformed(box: Box, matrix: Matrix) -> Box:
    """The box around what a box becomes.

    >>> transformed((0, 0, 30, 10), (0, 1, -1, 0, 100, 0))
    (90, 0, 100, 30)
    """
    a, b, c, d, e, f = matrix
    corners = [(x, y) for x in (box[0], box[2]) for y in (box[1], box[3])]
    xs = [a * x + c * y + e for x, y in corners]
    ys = [b * x + d * y + f for x, y in corners]
    return min(xs), min(ys), max(xs), max(ys)
