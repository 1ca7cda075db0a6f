"""How far a confidence can be taken at its word, as a picture (SVG)."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.answer_judge import reliability
from ragctx.evaluation.statistics.intervals import wilson
from ragctx.text.markup import tag

SIDE, LEFT, TOP = 240.0, 60.0, 20.0
"""The square that goes from 0 to 1 in both directions, in the picture's units."""
GREY, BLUE = "#777777", "#1a56a0"


def picture(confidences: Sequence[float], right: Sequence[bool]) -> str:
    """Share of right guesses over what was said of them, a point with its 95 % interval a tenth.

    On the diagonal both are the same. A point's area is in proportion to its guesses.
    """
    shapes = [
        _line((0, 0), (1, 1), GREY, dashed=True),
        _line((0, 0), (1, 0), GREY),
        _line((0, 0), (0, 1), GREY),
    ]
    for tick in (0.0, 0.5, 1.0):
        x, y = _at(tick, tick)
        shapes += [
            _text(f"{tick:g}", x, TOP + SIDE + 20, "middle"),
            _text(f"{tick:g}", LEFT - 8, y + 4, "end"),
        ]
    for said, found, count in reliability(confidences, right):
        interval = wilson(round(found * count), count)
        x, y = _at(said, found)
        shapes += [
            _line((said, interval.low), (said, interval.high), BLUE),
            tag("circle", cx=x, cy=y, r=1.2 * count**0.5, fill=BLUE),
            _text(f"{count}", x + 1.2 * count**0.5 + 3, y + 4, "start", BLUE),
        ]
    shapes.append(_text("confidence", LEFT + SIDE / 2, TOP + SIDE + 40, "middle"))
    shapes.append(_text("right", LEFT + 8, TOP + 4, "start"))
    words = f"Share of right answers over their confidence, {len(confidences)} questions."
    drawn = tag(
        "svg",
        tag("title", "Confidence and right answers"),
        tag("desc", words),
        *shapes,
        xmlns="http://www.w3.org/2000/svg",
        viewBox="0 0 340 310",
        font_size="13",
        font_family="sans-serif",
        role="img",
    )
    return f"{drawn}\n"


def _at(said: float, found: float) -> tuple[float, float]:
    return LEFT + SIDE * said, TOP + SIDE * (1 - found)


def _line(
    start: tuple[float, float], end: tuple[float, float], colour: str, *, dashed: bool = False
) -> str:
    (x1, y1), (x2, y2) = _at(*start), _at(*end)
    dashes = "4 4" if dashed else None
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=colour, stroke_dasharray=dashes)


def _text(words: str, x: float, y: float, anchor: str, colour: str = GREY) -> str:
    return tag("text", words, x=x, y=y, text_anchor=anchor, fill=colour)
