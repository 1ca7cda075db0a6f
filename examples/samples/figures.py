"""The drawings of the sample documents, made of reportlab shapes and charts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from reportlab.graphics.charts.barcharts import HorizontalBarChart, VerticalBarChart
from reportlab.graphics.charts.lineplots import LinePlot
from reportlab.graphics.shapes import Circle, Drawing, Line, PolyLine, Rect, String
from reportlab.graphics.widgets.markers import makeMarker
from reportlab.lib.colors import HexColor

INK, MIST, SEA, RUST = (HexColor(code) for code in ("#22303c", "#c3ccd4", "#1f6f8b", "#b4532a"))
FONT = "Helvetica"


def draw_figure(name: str, width: float) -> Any:
    """The drawing called `name`, `width` points wide.

    Raises:
        KeyError: there is no such drawing.
    """
    return FIGURES[name](width)


def mast(width: float) -> Any:
    """The assembled weather station, seen from the south, parts lettered as in its manual."""
    drawing = Drawing(width, 232)
    middle = width / 2
    _lines(drawing, [(middle - 150, 30, middle + 150, 30)], INK, 1.2)
    drawing.add(Rect(middle - 5, 8, 10, 28, fillColor=MIST, strokeColor=INK))
    _lines(drawing, [(middle, 36, middle, 214), (middle, 178, middle + 60, 178)], INK, 3)
    ropes = [(middle, 120, middle + end, 30) for end in (-118, 118)]
    _lines(drawing, ropes, MIST, 1)
    _lines(
        drawing, [(middle - 26, 214, middle + 26, 214), (middle - 60, 30, middle - 60, 6)], INK, 1.5
    )
    for offset in (-26, -18, -34):
        drawing.add(Circle(middle + offset, 219, 4, fillColor=SEA, strokeColor=None))
    drawing.add(PolyLine([middle + 18, 209, middle + 36, 224, middle + 36, 209], strokeColor=SEA))
    drawing.add(Rect(middle - 19, 78, 38, 30, fillColor=MIST, strokeColor=INK))
    for step in range(5):
        drawing.add(Rect(middle - 46, 128 + 5 * step, 26, 3, fillColor=MIST, strokeColor=INK))
    drawing.add(Circle(middle + 60, 182, 5, fillColor=RUST, strokeColor=INK))
    panel = [middle + 4, 128, middle + 36, 152, middle + 41, 146, middle + 9, 122, middle + 4, 128]
    drawing.add(PolyLine(panel, strokeColor=INK, strokeWidth=1.5))
    _lines(drawing, [(middle + 100, 30, middle + 100, 74)], INK, 2)
    drawing.add(Rect(middle + 91, 74, 18, 16, fillColor=MIST, strokeColor=INK))
    letters = {"A": (-32, 90), "B": (-46, 216), "C": (-56, 138), "D": (114, 80), "E": (70, 182)}
    letters |= {"F": (46, 148), "H": (6, 192), "I": (10, 14), "J": (-104, 48), "K": (-72, 12)}
    for letter, (x, y) in letters.items():
        drawing.add(String(middle + x, y, letter, fontName=FONT, fontSize=9, fillColor=RUST))
    return drawing


def layout(width: float) -> Any:
    """The three rows of tidal turbines before and after the middle one was moved."""
    drawing = Drawing(width, 170)
    left, scale = 34.0, (width - 74) / 320
    for row, along in (("A", 0), ("B", 160), ("C", 320)):
        x = left + along * scale
        drawing.add(String(x - 3, 156, row, fontName=FONT, fontSize=9, fillColor=INK))
        for place in range(4):
            y = 26 + 30 * place
            moved = y + 15 if row == "B" else y
            drawing.add(Circle(x, moved, 4, fillColor=SEA, strokeColor=INK))
            if moved != y:
                drawing.add(Circle(x, y, 4, fillColor=None, strokeColor=INK))
    _lines(drawing, [(left, 12, left + 160 * scale, 12), (14, 26, 14, 56)], INK, 0.6)
    for x, y, text in (
        (left + 70 * scale, 2, "160"),
        (0, 38, "48"),
        (left + 60 * scale, 78, "flood"),
    ):
        drawing.add(String(x, y, text, fontName=FONT, fontSize=7.5, fillColor=INK))
    tip = left + 110 * scale
    _lines(drawing, [(left + 50 * scale, 74, tip, 74), (tip, 74, tip - 6, 77)], RUST, 1)
    _lines(drawing, [(tip, 74, tip - 6, 71)], RUST, 1)
    return drawing


def recovery(width: float) -> Any:
    """Velocity deficit behind a rotor on springs and neaps."""
    springs = [(3, 41), (5, 29), (8, 17), (10, 12), (15, 6), (20, 3)]
    neaps = [(3, 46), (5, 35), (8, 24), (10, 18), (15, 10), (20, 6)]
    drawing = Drawing(width, 165)
    plot = LinePlot()
    plot.x, plot.y, plot.width, plot.height = 28, 28, width - 40, 122
    plot.data = [springs, neaps]
    for series, (colour, marker) in enumerate(((SEA, "FilledCircle"), (RUST, "FilledSquare"))):
        plot.lines[series].strokeColor = colour
        plot.lines[series].symbol = makeMarker(marker, size=4, fillColor=colour)
    _axis(plot.xValueAxis, 0, 20, 5)
    _axis(plot.yValueAxis, 0, 50, 10)
    drawing.add(plot)
    labels = (
        (width / 2 - 50, 4, "Distance in rotor diameters", INK),
        (4, 156, "Deficit in %", INK),
    )
    keys = ((width - 70, 132, "neaps", RUST), (width - 70, 120, "springs", SEA))
    for x, y, text, colour in (*labels, *keys):
        drawing.add(String(x, y, text, fontName=FONT, fontSize=7.5, fillColor=colour))
    return drawing


def visits(width: float) -> Any:
    """Visits and loans of the libraries over five years."""
    drawing = Drawing(width, 165)
    chart = VerticalBarChart()
    chart.x, chart.y, chart.width, chart.height = 36, 24, width - 140, 128
    chart.data = [(1104, 196, 611, 904, 1017), (1512, 388, 902, 1161, 1255)]
    chart.categoryAxis.categoryNames = ["2019/20", "2020/21", "2021/22", "2022/23", "2023/24"]
    _bars(chart, (SEA, MIST))
    _axis(chart.valueAxis, 0, 1600, 400)
    drawing.add(chart)
    for row, (text, colour) in enumerate((("Visits", SEA), ("Loans", MIST))):
        y = 130 - 16 * row
        drawing.add(Rect(width - 90, y, 9, 9, fillColor=colour, strokeColor=None))
        drawing.add(String(width - 76, y + 1, text, fontName=FONT, fontSize=8, fillColor=INK))
    return drawing


def branches(width: float) -> Any:
    """Visits by library."""
    names = ("Central", "Quayside", "Northfield", "St Audrey’s", "Tanners Row")
    return _ranking(
        width,
        (*names, "Elm Park", "Southmere", "Mobile library"),
        (412.6, 148.3, 121.75, 96.4, 88.15, 74.9, 63.2, 11.7),
        (500, 100),
    )


def spending(width: float) -> Any:
    """Expenditure of the libraries by item."""
    names = ("Staff", "Buildings and energy", "Books and media", "Information technology")
    return _ranking(
        width,
        (*names, "Digital licences", "Administration", "Programmes", "Mobile library"),
        (4310, 1265, 742, 391, 318, 242, 226, 118),
        (5000, 1000),
    )


FIGURES: dict[str, Callable[[float], Any]] = {
    function.__name__: function for function in (mast, layout, recovery, visits, branches, spending)
}


def _ranking(
    width: float, names: Sequence[str], values: Sequence[float], span: tuple[int, int]
) -> Any:
    """Horizontal bars, the first name on top; `span` is the axis's end and step."""
    drawing = Drawing(width, 160)
    chart = HorizontalBarChart()
    chart.x, chart.y, chart.width, chart.height = 112, 20, width - 150, 134
    chart.data = [tuple(reversed(values))]
    chart.categoryAxis.categoryNames = list(reversed(names))
    _bars(chart, (SEA,))
    _axis(chart.valueAxis, 0, *span)
    drawing.add(chart)
    return drawing


def _bars(chart: Any, colours: Sequence[Any]) -> None:
    for series, colour in enumerate(colours):
        chart.bars[series].fillColor = colour
        chart.bars[series].strokeColor = None
    chart.categoryAxis.labels.fontName, chart.categoryAxis.labels.fontSize = FONT, 8
    chart.categoryAxis.strokeColor = INK
    chart.groupSpacing = 6


def _axis(axis: Any, low: float, high: float, step: float) -> None:
    axis.valueMin, axis.valueMax, axis.valueStep = low, high, step
    axis.labels.fontName, axis.labels.fontSize = FONT, 7.5
    axis.labelTextFormat = "{:,.0f}".format
    axis.strokeColor = INK
    axis.visibleGrid, axis.gridStrokeColor = True, MIST


def _lines(drawing: Any, ends: Sequence[tuple[float, ...]], colour: Any, thickness: float) -> None:
    for x1, y1, x2, y2 in ends:
        drawing.add(Line(x1, y1, x2, y2, strokeColor=colour, strokeWidth=thickness))
