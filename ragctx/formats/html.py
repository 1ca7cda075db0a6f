"""HTML: what a browser shows, in the order in which it is written.

Headings, paragraphs, lists, tables and code become blocks; what nobody sees and what only leads to
other pages (`nav`) are left out, as running lines of PDFs are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import webencodings
from lxml import etree

from ragctx.formats.blocks import Block, Cell, Content, table_text
from ragctx.formats.encoding import decoded
from ragctx.formats.numerals import numeral
from ragctx.formats.unseen import take_unseen

HEADINGS = {f"h{depth + 1}": depth for depth in range(6)}
_BLOCKS = frozenset(
    "address article aside blockquote body center dd details dir div dl dt fieldset figcaption "
    "figure footer form frameset header hgroup hr html legend li main menu ol p pre section "
    "summary table caption tbody td tfoot th thead tr ul option optgroup textarea".split()
).union(HEADINGS)
_LISTS = ("ul", "ol", "menu", "dir", "dl")
_LEFT_OUT = frozenset(
    "head title link meta base script style object embed iframe audio video canvas map datalist "
    "annotation annotation-xml desc defs metadata rp nav".split()
)
"""Elements whose content is not drawn, or leads elsewhere; `title` is one of pictures here."""
MAX_CELL = 2000
"""Characters of a cell; a table with longer ones only sets text side by side. Chosen by hand."""
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{1,40})""", re.IGNORECASE)
_DECLARED = re.compile(rb"""\A\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]{1,40})""")
_PERMALINKS = ("¶", "#", "§", "🔗", "↩", "↩︎")
_SPACE, _SPACES = re.compile(r"\s+"), re.compile(r"[^\S\n]+")
_AROUND_BREAK = re.compile(r" ?\n ?")


def read_html(data: bytes, name: str) -> Content:
    """The blocks of an HTML page.

    Raises:
        DocumentError, MissingExtraError: see `decoded`.
    """
    text, notes = decoded(data, name, _declared(data))
    return content_of_html(text, notes)


def content_of_html(text: str, notes: tuple[str, ...] = ()) -> Content:
    """The blocks of an HTML page, or of a part of one.

    >>> content = content_of_html("<title>Tin</title><h2>Use</h2><p hidden>x</p><p>Foil,<br>cans")
    >>> content.title, [(block.text, block.depth, block.hidden) for block in content.blocks]
    ('Tin', [('Use', 1, False), ('x', None, True), ('Foil,\\ncans', None, False)])
    """
    parser = etree.HTMLParser(encoding="utf-8", huge_tree=True, remove_pis=True)
    source = text.replace("\0", "").encode("utf-8", "replace")
    if not source.strip():
        return Content(blocks=(), notes=notes)
    root = etree.fromstring(source, parser)
    if root is None:  # nothing but a comment, perhaps
        return Content(blocks=(), notes=notes)
    is_whole = not any("Excessive depth" in entry.message for entry in parser.error_log)
    title = root.find(".//head/title")
    flow = _Flow(unseen=take_unseen(root))
    flow.read(root)
    found = (*notes, *_told(root, is_whole=is_whole))
    return Content(
        blocks=tuple(flow.blocks),
        title="" if title is None else title.text or "",
        notes=found,
        is_whole=is_whole,
    )


def _told(root: etree._Element, *, is_whole: bool) -> Iterator[str]:
    described = sum(bool(image.get("alt", "").strip()) for image in root.iter("img"))
    if described:
        yield f"descriptions of pictures left out: {described}"
    if not is_whole:
        yield "elements within elements, more than 2,000 deep; what follows may be missing"


def _declared(data: bytes) -> str | None:
    """The encoding that the page says it has, if browsers know it."""
    found = _DECLARED.search(data[:2048]) or _CHARSET.search(data[:2048])
    known = webencodings.lookup(found[1].decode("ascii", "replace")) if found else None
    if known is None or known.name in ("utf-8", "utf-16le", "utf-16be", "x-user-defined"):
        return None
    return str(known.codec_info.name)


@dataclass(kw_only=True)
class _Flow:
    """Reads a tree from top to bottom, and ends a block where a browser would."""

    unseen: dict[etree._Element, str]
    blocks: list[Block] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)  # of the block that is being read
    hidden: list[str] = field(default_factory=list)  # to go behind it
    depth: int | None = None  # of the heading that is being read
    lists: list[_List] = field(default_factory=list)  # that are open, the outermost first
    preformatted: int = 0  # how many elements are open that keep their spaces
    left_out: set[etree._Element] = field(default_factory=set)

    def read(self, root: etree._Element) -> None:
        """Add the blocks of an element."""
        walk = etree.iterwalk(root, events=("start", "end", "comment"))
        for event, element in walk:
            if event == "start":
                if self._leaves_out(element):
                    self.left_out.add(element)
                    walk.skip_subtree()
                else:
                    self._begin(element)
                continue
            if event == "comment":
                self._hide(element)
            elif element not in self.left_out:
                self._end(element)
            if element is not root:
                self.pieces.append(self._spaced(element.tail))
        self.flush()

    def _leaves_out(self, element: etree._Element) -> bool:
        """Whether nothing more is to be read of an element; then what there is was read."""
        if element in self.unseen:
            self._hide(element)
            return True
        if element.tag in _LEFT_OUT or element.get("role") == "navigation":
            return True
        if element.tag == "table" and is_of_data(element):
            self.flush()
            self._table(element)
            return True
        is_link = element.tag == "a" and len(element) == 0
        return is_link and (element.text or "").strip() in _PERMALINKS

    def _hide(self, element: etree._Element) -> None:
        text = self.unseen.get(element, "")
        if text:
            self.hidden.append(text)

    def _begin(self, element: etree._Element) -> None:
        tag = element.tag
        if tag in _BLOCKS:
            self.flush()
        if tag in HEADINGS:
            self.depth = HEADINGS[tag]
        elif tag in _LISTS:
            self.lists.append(_List.of(element))
        elif tag == "li" and self.lists:
            self.lists[-1].begin(element)
        elif tag in ("pre", "textarea"):
            self.preformatted += 1
        elif tag == "br":
            self.pieces.append("\n")
        self.pieces.append(self._spaced(element.text))

    def _end(self, element: etree._Element) -> None:
        tag = element.tag
        if tag in _BLOCKS:
            self.flush()
        if tag in HEADINGS:
            self.depth = None
        elif tag in _LISTS and self.lists:
            self.lists.pop()
        elif tag in ("pre", "textarea"):
            self.preformatted -= 1

    def _spaced(self, text: str | None) -> str:
        """Text as it is shown: line ends are spaces, unless they are kept."""
        if not text:
            return ""
        return text.expandtabs(4) if self.preformatted else _SPACE.sub(" ", text)

    def flush(self) -> None:
        """End the block that is being read."""
        text = "".join(self.pieces)
        self.pieces.clear()
        if not self.preformatted:
            text = _AROUND_BREAK.sub("\n", _SPACES.sub(" ", text)).strip()
        if text.strip():
            self._add(text)
        self.blocks += [Block(text=text, hidden=True) for text in self.hidden]
        self.hidden.clear()

    def _add(self, text: str) -> None:
        opened = self.lists[0] if self.lists else None
        marker = self.lists[-1].marker(len(self.lists)) if self.lists else ""
        tight = opened is not None and opened.has_begun
        self.blocks.append(Block(text=marker + text, depth=self.depth, tight=tight))
        for one in self.lists:
            one.has_begun = True

    def _table(self, table: etree._Element) -> None:
        """Add a table of data; what nobody sees in it goes behind it."""
        caption = table.find("caption")
        if caption is not None:
            self._add_text(self._text_in(caption))
        rows = [[self._cell(cell) for cell in row.iter("td", "th")] for row in table.iter("tr")]
        for element in table.iter():
            self._hide(element)
        self._add_text(table_text(rows))

    def _add_text(self, text: str) -> None:
        if text.strip():
            self._add(text)
        self.flush()

    def _cell(self, cell: etree._Element) -> Cell:
        columns, rows = (_whole(cell.get(name), 1) for name in ("colspan", "rowspan"))
        return Cell(text=self._text_in(cell), columns=columns, rows=rows)

    def _text_in(self, cell: etree._Element) -> str:
        inner = _Flow(unseen=self.unseen)
        inner.read(cell)
        return " ".join(block.text for block in inner.blocks if not block.hidden)


@dataclass(slots=True, kw_only=True)
class _List:
    """A list that is open: the number of its next item, None for bullets."""

    number: int | None = None
    kind: str = "1"
    waiting: str = ""  # the mark of the item that has just begun
    has_begun: bool = False  # whether it gave a block

    @classmethod
    def of(cls, element: etree._Element) -> _List:
        if element.tag != "ol":
            return cls()
        return cls(number=_whole(element.get("start"), 1), kind=element.get("type", "1"))

    def begin(self, item: etree._Element) -> None:
        """An item begins: the next block has its mark."""
        if self.number is None:
            self.waiting = "- "
            return
        number = _whole(item.get("value"), self.number)
        self.waiting, self.number = f"{numeral(number, self.kind)}. ", number + 1

    def marker(self, depth: int) -> str:
        """What to put before the next block, in a list that is within `depth - 1` others."""
        marker, self.waiting = self.waiting, ""
        return "  " * (depth - 1) + marker if marker else ""


def is_of_data(table: etree._Element) -> bool:
    """Whether a table has rows of cells to be read as such, rather than text set side by side."""
    if table.get("role") in ("presentation", "none"):
        return False
    if next(table.iterdescendants("table", "pre", *HEADINGS), None) is not None:
        return False
    rows = [list(row.iter("td", "th")) for row in table.iter("tr")]
    if max(map(len, rows), default=0) < 2:
        return False
    return all(len("".join(cell.itertext())) <= MAX_CELL for row in rows for cell in row)


def _whole(value: str | None, default: int) -> int:
    """A whole number of an attribute, of six digits at most."""
    found = re.fullmatch(r"\s*(-?\d{1,6})\s*", value or "", re.ASCII)
    return int(found[1]) if found else default
