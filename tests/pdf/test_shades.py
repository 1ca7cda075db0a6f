"""A page's shades, drawn band by band: they are those of the whole picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragctx.pdf.pdfium_reader import open_document
from ragctx.pdf.pdfium_shades import MAX_BANDS, MAX_PIXELS, MIN_SCALE, Shades

CASES = Path(__file__).parent / "cases"
SAMPLES = Path(__file__).parents[2] / "examples" / "samples"
FILES = sorted([*CASES.glob("*.pdf"), *SAMPLES.glob("*.pdf")])


class Counted:
    """A page that counts how often it is drawn."""

    def __init__(self, page: object, size: tuple[float, float] | None = None) -> None:
        self.page, self.size, self.drawn = page, size, 0

    def get_size(self) -> tuple[float, float]:
        """The size that was given, or the page's own."""
        return self.size or self.page.get_size()  # type: ignore[attr-defined]

    def render(self, **how: object) -> object:
        """What the page draws."""
        self.drawn += 1
        return self.page.render(**how)  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_bands_have_the_pixels_of_the_whole_picture(path: Path) -> None:
    page = open_document(str(path), None)[0]
    whole = page.render(scale=1.5, grayscale=True)
    pixels = bytes(whole.buffer)
    for tops in ((0, whole.height - 40), range(0, whole.height, 40)):  # few rows, and then all
        counted = Counted(page)
        shades = Shades(counted)
        assert (shades.width, shades.height) == (whole.width, whole.height)
        for top in tops:
            ends = max(0, top), min(whole.height, top + 40)
            assert list(shades.rows(*ends, 10, 90)) == [
                pixels[y * whole.stride + 10 : y * whole.stride + 90] for y in range(*ends)
            ]
        assert counted.drawn <= MAX_BANDS + 1


def test_a_page_that_is_too_large_has_no_shades() -> None:
    counted = Counted(None, (100.0, MAX_PIXELS / MIN_SCALE + 1))
    assert (Shades(counted).height, Shades(counted).width) == (0, 0)


def test_a_page_that_cannot_be_drawn_has_empty_rows() -> None:
    counted = Counted(None, (100.0, 100.0))
    assert list(Shades(counted).rows(3, 5, 0, 150)) == [b"", b""]
