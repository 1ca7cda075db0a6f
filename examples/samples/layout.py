"""Blocks to pages: flowables, page templates, outline, page labels, contents and index."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from figures import draw_figure
from looks import INK, LOOKS, PALE, RUST, Look, face, paragraph_styles, typeset
from reportlab.lib.colors import white
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Frame,
    FrameBreak,
    KeepTogether,
    NextPageTemplate,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)
from reportlab.platypus.tableofcontents import SimpleIndex, TableOfContents
from source_text import Block, Callout, Figure, Grid, Heading, Items, Mark, Prose, Source

PAPER_TITLE_HEIGHT = 266.0  # points of the first page that title and abstract take up
COLUMN_GAP = 14.0
TIGHT = TableStyle(
    [(f"{side}PADDING", (0, 0), (-1, -1), 0) for side in ("TOP", "BOTTOM", "LEFT", "RIGHT")]
)


def write_pdf(source: Source, path: Path, hyphenation: dict[str, str]) -> None:
    """Lay out one source and write it to `path`, the same bytes every time.

    Raises:
        KeyError: the source asks for an unknown layout or figure.
    """
    look = LOOKS[source.facts["layout"]]
    pages = _Pages(path, source.facts, look)
    story = list(_Story(source, look, pages, hyphenation if look.hyphenated else {}))
    pages.multiBuild(story, canvasmaker=pages.index.getCanvasMaker())


class _Pages(BaseDocTemplate):  # type: ignore[misc]
    """The document while it is built: knows where the body begins and what each page is called."""

    def __init__(self, path: Path, facts: dict[str, str], look: Look) -> None:
        left, right, top, bottom = look.margins
        super().__init__(
            str(path),
            pagesize=look.page,
            leftMargin=left,
            rightMargin=right,
            topMargin=top,
            bottomMargin=bottom,
            title=facts["title"],
            author=facts["author"],
            subject=facts["subject"],
            keywords=facts["keywords"],
            creator="ragctx sample builder",
            invariant=1,
            pageCompression=1,
            allowSplitting=1,
        )
        self.look, self.running = look, facts["running"]
        self.body_start = 1  # physical page, known after the first of several passes
        self.headings, self.in_body = 0, False
        self.styles = paragraph_styles(look)
        self.index = SimpleIndex(style=self.styles["text"], headers=False, tableStyle=TIGHT)
        self.addPageTemplates(list(self._templates()))

    def _templates(self) -> Iterator[Any]:
        width, height = self.width, self.height
        x, y = self.leftMargin, self.bottomMargin
        bare = {"leftPadding": 0, "rightPadding": 0, "topPadding": 0, "bottomPadding": 0}
        full = Frame(x, y, width, height, id="full", **bare)
        if self.look.columns == 1:
            yield PageTemplate("front", [full], onPage=self._front_page)
            yield PageTemplate("body", [full], onPage=self._body_page)
            return
        column, right = (width - COLUMN_GAP) / 2, x + (width + COLUMN_GAP) / 2
        title = PAPER_TITLE_HEIGHT
        top = Frame(x, y + height - title, width, title, id="top", **bare)
        short = [Frame(at, y, column, height - title, **bare) for at in (x, right)]
        tall = [Frame(at, y, column, height, **bare) for at in (x, right)]
        yield PageTemplate("front", [top, *short], onPage=self._front_page)
        yield PageTemplate("body", tall, onPage=self._body_page)

    def label(self, page: int) -> str:
        """What a physical page is called in print."""
        style, first, prefix = self.look.front_label
        if page >= self.body_start:
            style, first, prefix = self.look.body_label
            page -= self.body_start - 1
        if style is None:
            return prefix or ""
        number = page + (first or 1) - 1
        return _roman(number) if style == "ROMAN_LOWER" else str(number)

    def beforeDocument(self) -> None:
        """Called by reportlab before each of its passes."""
        self.headings, self.in_body = 0, False

    def afterFlowable(self, flowable: Any) -> None:
        """Called by reportlab after each flowable: headings enter the outline and the contents."""
        level = {"h1": 0, "h2": 1}.get(getattr(getattr(flowable, "style", None), "name", ""))
        if level is None:
            return
        self.headings += 1
        key, text = f"heading-{self.headings}", flowable.getPlainText().replace("\u00ad", "")
        self.canv.bookmarkPage(key)
        self.canv.addOutlineEntry(text, key, level, closed=level == 0)
        if level < self.look.contents_levels and text != "Contents":
            self.notify("TOCEntry", (level, text, self.page, key))

    def _front_page(self, canvas: Any, document: Any) -> None:
        if self.page == 1:
            canvas.addPageLabel(0, *self.look.front_label)
        if self.page > 1 or self.look.columns == 2:
            self._footer(canvas)

    def _body_page(self, canvas: Any, document: Any) -> None:
        if not self.in_body and self.look.front_label != self.look.body_label:
            self.body_start, self.index.offset = self.page, self.page - 1
            canvas.addPageLabel(self.page - 1, *self.look.body_label)
        self.in_body = True
        canvas.setFont(face(self.look.head_font, "Roman"), 8)
        canvas.setFillColor(INK)
        line = self.look.page[1] - self.topMargin + 14
        canvas.drawString(self.leftMargin, line, self.running)
        canvas.setLineWidth(0.4)
        canvas.line(self.leftMargin, line - 4, self.leftMargin + self.width, line - 4)
        self._footer(canvas)

    def _footer(self, canvas: Any) -> None:
        canvas.setFont(face(self.look.head_font, "Roman"), 8)
        canvas.setFillColor(INK)
        middle = self.leftMargin + self.width / 2
        canvas.drawCentredString(middle, self.bottomMargin - 22, self.label(self.page))


class _Story:
    """Turns blocks into flowables, in order."""

    def __init__(
        self, source: Source, look: Look, pages: _Pages, hyphenation: dict[str, str]
    ) -> None:
        self.source, self.look, self.pages = source, look, pages
        self.hyphenation, self.styles = hyphenation, pages.styles
        self.width = pages.width
        self.prose = self.styles["front"]

    def __iter__(self) -> Iterator[Any]:
        blocks = self.source.blocks
        for number, block in enumerate(blocks):
            # Inside a chain such as heading, heading, table the first one has asked for the room.
            chained = number > 0 and isinstance(blocks[number - 1], Heading)
            if not chained and not isinstance(block, Mark):
                lines = _lines_needed(blocks[number : number + 4], self.look.kept_rows)
                yield CondPageBreak(self.look.leading * lines)
            yield from self._flowables(block)

    def _flowables(self, block: Block) -> Iterator[Any]:
        match block:
            case Heading(level, text):
                yield self._paragraph(text, f"h{level}", {})
            case Prose(text):
                is_reference = re.match(r"\[\d+\] ", text)
                style = self.styles["reference"] if is_reference else self.prose
                yield Paragraph(typeset(text, self.hyphenation), style)
            case Items(items, ordered):
                for number, item in enumerate(items, start=1):
                    bullet = f"{number}." if ordered else "•"
                    style = "last item" if number == len(items) else "item"
                    yield self._paragraph(item, style, self.hyphenation, bulletText=bullet)
            case Callout(word, text):
                yield self._callout(word, text)
            case Grid():
                yield from self._table(block)
            case Figure(name, caption):
                drawing = draw_figure(name, self.width)
                yield KeepTogether([drawing, self._paragraph(caption, "legend", {})])
            case Mark(name):
                yield from self._placed(name)

    def _paragraph(self, text: str, style: str, hyphenation: dict[str, str], **more: str) -> Any:
        return Paragraph(typeset(text, hyphenation), self.styles[style], **more)

    def _placed(self, mark: str) -> Iterator[Any]:
        if mark == "title":
            yield Spacer(1, self.pages.height * (0.0 if self.look.columns == 2 else 0.3))
            yield self._paragraph(self.source.facts["title"], "title", {})
            yield self._paragraph(self.source.facts["subtitle"], "subtitle", {})
        elif mark == "contents":
            yield self._contents()
        elif mark == "index":
            yield self.pages.index
        elif mark == "newpage":
            yield PageBreak()
        elif mark == "body":
            self.prose = self.styles["body"]
            self.width = self.pages.width
            if self.look.columns == 2:
                self.width = (self.pages.width - COLUMN_GAP) / 2
            yield NextPageTemplate("body")
            yield FrameBreak() if self.look.columns == 2 else PageBreak()

    def _contents(self) -> Any:
        entry = self.styles["text"].clone("entry")
        bold = face(self.look.head_font, "Bold")
        chapter = entry.clone("entry 0", fontName=bold, spaceBefore=self.look.leading * 0.8)
        section = entry.clone("entry 1", leftIndent=14)
        return TableOfContents(
            levelStyles=[chapter, section],
            dotsMinLevel=0,
            formatter=self.pages.label,
            tableStyle=TIGHT,
        )

    def _callout(self, word: str, text: str) -> Any:
        inside = self._paragraph(f"**{word}.** {text}", "callout", {})
        box = Table([[inside]], colWidths=[self.width], spaceAfter=self.look.leading * 0.5)
        box.setStyle(
            TableStyle(
                [
                    ("BACKGROUND", (0, 0), (-1, -1), PALE),
                    ("LINEBEFORE", (0, 0), (0, -1), 3, RUST),
                    ("LEFTPADDING", (0, 0), (-1, -1), 9),
                ]
            )
        )
        return box

    def _table(self, grid: Grid) -> Iterator[Any]:
        head, *rows = grid.rows
        cells = [self._cells(grid, head, " head"), *(self._cells(grid, row, "") for row in rows)]
        widths = [self.width * percent / sum(grid.widths) for percent in grid.widths]
        table = Table(cells, colWidths=widths, repeatRows=1, spaceAfter=self.look.leading * 0.8)
        table.setStyle(
            TableStyle(
                [
                    ("VALIGN", (0, 0), (-1, -1), "TOP"),
                    ("BACKGROUND", (0, 0), (-1, 0), PALE),
                    ("ROWBACKGROUNDS", (0, 1), (-1, -1), (white,)),
                    ("LINEBELOW", (0, 0), (-1, -1), 0.3, INK),
                    ("LINEABOVE", (0, 0), (-1, 0), 0.8, INK),
                    ("TOPPADDING", (0, 0), (-1, -1), 2),
                    ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
                    ("LEFTPADDING", (0, 0), (-1, -1), 4),
                    ("RIGHTPADDING", (0, 0), (-1, -1), 4),
                ]
            )
        )
        table.splitByRow = int(len(rows) > self.look.kept_rows)
        yield self._paragraph(grid.caption, "loose caption" if table.splitByRow else "caption", {})
        yield table

    def _cells(self, grid: Grid, row: tuple[str, ...], suffix: str) -> list[Any]:
        styles = [("number" if numeric else "text") + suffix for numeric in grid.numeric]
        return [self._paragraph(text, style, {}) for text, style in zip(row, styles, strict=True)]


def _lines_needed(blocks: Sequence[Block], kept_rows: int) -> int:
    """About how many lines the first of `blocks` needs before a page may end, headings included."""
    match blocks[0]:
        case Heading(level):
            below = _lines_needed(blocks[1:], kept_rows) if blocks[1:] else 0
            return (5 if level == 1 else 3) + below
        case Grid(rows=rows):
            return 8 if len(rows) - 1 > kept_rows else 2
        case _:
            return 2


def _roman(number: int) -> str:
    """A small page number in roman letters.

    >>> [_roman(number) for number in (1, 4, 9)]
    ['i', 'iv', 'ix']
    """
    letters = ((10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))
    text = ""
    for value, letter in letters:
        text += letter * (number // value)
        number %= value
    return text
