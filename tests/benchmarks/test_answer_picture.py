"""The calibration curve: each point stands where what was said and what was found say it does."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from benchmarks.answer_judge import reliability
from benchmarks.answer_picture import LEFT, SIDE, TOP, picture

SVG = "{http://www.w3.org/2000/svg}"
SAID = [0.12, 0.14, 0.18, 0.55, 0.56, 0.91, 0.95, 0.97, 0.99, 1.0]
RIGHT = [False, False, True, True, False, True, True, True, True, True]


def test_points_read_back_are_the_reliability_of_the_guesses() -> None:
    drawn = ElementTree.fromstring(picture(SAID, RIGHT))
    points = drawn.findall(f"{SVG}circle")
    rows = reliability(SAID, RIGHT)
    read = [
        ((float(p.get("cx", 0)) - LEFT) / SIDE, 1 - (float(p.get("cy", 0)) - TOP) / SIDE)
        for p in points
    ]
    for (x, y), (said, found, _) in zip(read, rows, strict=True):
        assert (x, y) == pytest.approx((said, found), abs=0.001)
    areas = [float(p.get("r", 0)) ** 2 for p in points]
    counts = [count for *_, count in rows]
    assert areas[-1] / areas[0] == pytest.approx(counts[-1] / counts[0], rel=0.1)


def test_nothing_asked_is_a_picture_without_points() -> None:
    drawn = ElementTree.fromstring(picture([], []))
    assert not drawn.findall(f"{SVG}circle") and drawn.find(f"{SVG}title") is not None
