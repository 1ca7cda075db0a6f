"""How each kind of sample document looks: page, fonts, paragraph styles, inline markup."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import reportlab
from reportlab.lib.colors import HexColor
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

INK, RUST, PALE = HexColor("#1c2730"), HexColor("#b4532a"), HexColor("#eef2f4")
SOFT_HYPHEN = "\u00ad"


@dataclass(frozen=True, slots=True)
class Look:
    """Page geometry in points, font families and sizes, and the labels of the pages.

    Tables of up to `kept_rows` rows are never broken over pages. `front_label` and `body_label`
    are reportlab's (style, first number, prefix) of page labels.
    """

    page: tuple[float, float]
    margins: tuple[float, float, float, float]  # left, right, top, bottom
    body_font: str
    head_font: str
    size: float
    leading: float
    columns: int
    contents_levels: int
    kept_rows: int
    front_label: tuple[str | None, int | None, str | None]
    body_label: tuple[str | None, int | None, str | None]
    hyphenated: bool = False


A4 = (210 * mm, 297 * mm)
LOOKS = {
    "manual": Look(
        page=(176 * mm, 250 * mm),
        margins=(20 * mm, 20 * mm, 24 * mm, 22 * mm),
        body_font="Vera",
        head_font="Vera",
        size=8.4,
        leading=12.4,
        columns=1,
        contents_levels=2,
        kept_rows=9,
        front_label=("ROMAN_LOWER", 1, None),
        body_label=("ARABIC", 1, None),
    ),
    "paper": Look(
        page=(176 * mm, 246 * mm),
        margins=(16 * mm, 16 * mm, 22 * mm, 20 * mm),
        body_font="Times",
        head_font="Times",
        size=10,
        leading=12.4,
        columns=2,
        contents_levels=0,
        kept_rows=12,
        front_label=("ARABIC", 211, None),
        body_label=("ARABIC", 211, None),
        hyphenated=True,
    ),
    "report": Look(
        page=A4,
        margins=(27 * mm, 27 * mm, 28 * mm, 26 * mm),
        body_font="Times",
        head_font="Helvetica",
        size=11,
        leading=15,
        columns=1,
        contents_levels=1,
        kept_rows=12,
        front_label=(None, None, "Cover"),
        body_label=("ARABIC", 1, None),
    ),
}


def register_fonts() -> None:
    """Make reportlab's Bitstream Vera known as the family "Vera" (its licence lets us embed it)."""
    folder = Path(reportlab.__file__).parent / "fonts"
    names = {"Vera": "Vera.ttf", "Vera-Bold": "VeraBd.ttf"}
    names |= {"Vera-Italic": "VeraIt.ttf", "Vera-BoldItalic": "VeraBI.ttf"}
    for name, file in names.items():
        pdfmetrics.registerFont(TTFont(name, folder / file))
    pdfmetrics.registerFontFamily(
        "Vera", normal="Vera", bold="Vera-Bold", italic="Vera-Italic", boldItalic="Vera-BoldItalic"
    )


def face(family: str, weight: str) -> str:
    """The name of a font, e.g. ("Times", "Roman") -> "Times-Roman", ("Vera", "Roman") -> "Vera".

    >>> face("Helvetica", "Italic")
    'Helvetica-Oblique'
    """
    if weight == "Roman":
        return "Times-Roman" if family == "Times" else family
    return f"{family}-{'Oblique' if (family, weight) == ('Helvetica', 'Italic') else weight}"


def paragraph_styles(look: Look) -> dict[str, Any]:
    """The paragraph styles of a look by name; h1 to h3 are the headings."""
    bold = face(look.head_font, "Bold")
    size, leading = look.size, look.leading
    body = ParagraphStyle(
        "body",
        fontName=face(look.body_font, "Roman"),
        fontSize=size,
        leading=leading,
        textColor=INK,
        spaceAfter=leading * (0.15 if look.columns == 2 else 0.5),
        alignment=4 if look.columns == 2 else 0,
        firstLineIndent=size if look.columns == 2 else 0,
        allowWidows=0,
        allowOrphans=0,
    )

    def style(name: str, **changes: Any) -> Any:
        return ParagraphStyle(name, parent=body, **{"firstLineIndent": 0, "alignment": 0} | changes)

    def heading(name: str, factor: float, before: float) -> Any:
        return style(
            name,
            fontName=bold,
            fontSize=size * factor,
            leading=size * factor * 1.25,
            spaceBefore=leading * before,
            spaceAfter=leading * 0.4,
            keepWithNext=1,
        )

    compact = look.columns == 2
    small = {"fontSize": size * 0.88, "leading": leading * 0.88}
    caption = {"fontName": bold, "spaceBefore": 6} | small
    listed = {"leftIndent": 18, "bulletIndent": 2, "bulletFontName": body.fontName}
    listed["bulletFontSize"] = size
    return {
        "body": body,
        "front": style("front", alignment=4 if compact else 0),
        "title": heading("title", 1.7 if compact else 2.8, 0.5 if compact else 12),
        "subtitle": style("subtitle", fontSize=size * 1.15, leading=leading * 1.5),
        "h1": heading("h1", 1.15 if compact else 1.75, 1.0 if compact else 1.6),
        "h2": heading("h2", 1.02 if compact else 1.25, 0.7 if compact else 0.9),
        "h3": heading("h3", 1, 0.6),
        "item": style("item", spaceAfter=leading * 0.25, **listed),
        "last item": style("last item", spaceAfter=leading * 0.7, **listed),
        "reference": style("reference", leftIndent=size, **small | {"firstLineIndent": -size}),
        "text": style("text", spaceAfter=0, **small),
        "number": style("number", spaceAfter=0, alignment=2, **small),
        "text head": style("text head", spaceAfter=0, fontName=bold, **small),
        "number head": style("number head", spaceAfter=0, fontName=bold, alignment=2, **small),
        "caption": style("caption", keepWithNext=1, **caption),
        "loose caption": style("loose caption", **caption),
        "legend": style("legend", spaceBefore=2, spaceAfter=leading * 0.8, **small),
        "callout": style("callout", spaceAfter=0),
    }


def typeset(text: str, hyphenation: dict[str, str]) -> str:
    """Inline marks to reportlab's markup, straight apostrophes to curly ones, soft hyphens in.

    >>> typeset("Don't *stop* the turbine", {"turbine": "tur-bine"}).replace(SOFT_HYPHEN, "|")
    'Don’t <i>stop</i> the tur|bine'
    """
    text = escape(text, quote=False).replace("'", "’")
    text = re.sub(r"\{\{(.+?)\}\}", r'<index item="\1"/>', text)
    text = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text)
    text = re.sub(r"\*(.+?)\*", r"<i>\1</i>", text)
    text = re.sub(r"`(.+?)`", r'<font name="Courier">\1</font>', text)
    text = re.sub(r"[a-z]{7,}", lambda word: _hyphenate(word[0], hyphenation), text)
    # NOTE: reportlab loses the blank between a word with soft hyphens and a change of font.
    return re.sub(r"\S+(?= <)|>[^<\s]+", lambda word: word[0].replace(SOFT_HYPHEN, ""), text)


def read_hyphenation(path: Path) -> dict[str, str]:
    """The words of a list like "tur-bine ves-sel" by their unbroken form."""
    words = path.read_text(encoding="utf-8").split()
    return {word.replace("-", ""): word for word in words}


def _hyphenate(word: str, hyphenation: dict[str, str]) -> str:
    """Soft hyphens into a word; two letters alone are never taken over to the next line."""
    broken = re.sub(r"-(\w{1,2})$", r"\1", hyphenation.get(word, word))
    return broken.replace("-", SOFT_HYPHEN)
