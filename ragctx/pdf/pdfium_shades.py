"""A page in shades of grey, to see what shows on it.

Most pages that are looked at have one doubtful line, at their foot: so the picture is drawn in
bands, each when it is first needed. Their pixels are those that the whole picture has.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ragctx.pdf.messages import quietly

MAX_PIXELS = 4000
"""Pixels of the picture's longer side: a page of a metre still has one for each point."""
MIN_SCALE = 0.5
"""Pixels a point below which letters do not show in the picture: then there is none."""
_SCALE = 1.5  # pixels a point
_BAND = 48
"""Pixels from top to bottom of a band: two lines of text."""
MAX_BANDS = 3
"""So many bands of a page are drawn one by one, a tenth of a millisecond each; then the page."""


class Shades:
    """The shades of one page, 0 (black) to 255, by pixels from its upper left corner as shown.

    A page that is too large, or cannot be drawn, has none: its height and width are 0.
    """

    def __init__(self, page: Any) -> None:
        self._page = page
        sides = page.get_size()
        self._scale = min(_SCALE, MAX_PIXELS / max(1.0, *sides))
        is_drawn = self._scale >= MIN_SCALE
        self.width, self.height = (math.ceil(side * self._scale) * is_drawn for side in sides)
        self._drawn: dict[int, tuple[int, bytes]] = {}  # by band: bytes a row, and the pixels
        self._band = _BAND

    def rows(self, top: int, bottom: int, left: int, right: int) -> Iterator[bytes]:
        """The pixels of a rectangle of the page, row by row; its right and bottom are outside."""
        for y in range(top, bottom):
            if y // self._band not in self._drawn:
                self._draw(y)
            stride, pixels = self._drawn[y // self._band]
            start = y % self._band * stride
            yield pixels[start + left : start + right] if stride else b""

    def _draw(self, y: int) -> None:
        """Draw the band that holds a row, or the page."""
        if len(self._drawn) == MAX_BANDS:
            self._drawn, self._band = {}, self.height
        top = y // self._band * self._band
        below = max(0, self.height - top - self._band)
        # pdfium rounds up what is cut off (left, below, right, above); pixels are whole.
        crop = (0.0, (below - 0.5) / self._scale, 0.0, (top - 0.5) / self._scale)
        bitmap = quietly(
            lambda: self._page.render(scale=self._scale, grayscale=True, crop=crop), None
        )
        drawn = (0, b"") if bitmap is None else (bitmap.stride, bytes(bitmap.buffer))
        self._drawn[y // self._band] = drawn
