"""Word documents: the text as it stands when every tracked change is accepted.

Headings by their styles, paragraphs with the numbers that Word gives them, tables, text boxes,
footnotes behind the paragraph that they belong to. Headers and footers are left out, as running
lines of PDFs are, and so are comments, what was deleted, and text that is hidden.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from docx import Document as open_docx
from docx.oxml import parse_xml
from docx.oxml.ns import qn

from ragctx.errors import DocumentError
from ragctx.formats.blocks import Block, Cell, Content, table_text
from ragctx.formats.docx_numbering import Numbering, numbering_of
from ragctx.formats.docx_styles import Styles, styles_of

MAX_UNPACKED_BYTES, MAX_XML_BYTES = 512 * 2**20, 100 * 2**20
"""What all parts of a file may take together, and those with text: they take some ten times as much
memory. Chosen by hand: a book has 100 MB of pictures and 20 MB of text."""
_OLE = b"\xd0\xcf\x11\xe0"  # what old Word documents and encrypted ones begin with
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_NOTES = ("footnote", "endnote")
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_MATHS = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_GONE = (qn("w:del"), qn("w:moveFrom"))
_SKIPPED = (
    qn("w:pPr"),
    qn("w:rPr"),
    qn("w:instrText"),
    qn("w:delText"),
    qn("w:sdtPr"),
    qn("w:rt"),
    f"{_MC}Fallback",
)
_BREAKS = {qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:tab"): " ", qn("w:noBreakHyphen"): "-"}
_TEXTS = (qn("w:t"), f"{_MATHS}t")
_AROUND = (
    qn("w:sdt"),
    qn("w:sdtContent"),
    qn("w:ins"),
    qn("w:moveTo"),
    qn("w:customXml"),
    f"{_MC}AlternateContent",
    f"{_MC}Choice",
)
"""What may be around paragraphs, and says nothing of its own."""
MAX_CELL = 2000
"""Characters of a cell; a table with longer ones only sets text side by side. Chosen by hand."""


def read_docx(data: bytes, name: str) -> Content:
    """The blocks of a Word document.

    Raises:
        DocumentError: ("encrypted", "corrupt", "too_large") it cannot be opened.
    """
    _require_package(data, name)
    try:
        document = open_docx(io.BytesIO(data))
    except Exception as error:  # python-docx and lxml raise what they come upon
        raise _damaged(name, error) from error
    root = document.element
    if root.getroottree().docinfo.doctype:  # where entities are declared
        raise DocumentError(
            f"{name} has a document type declaration, which no Word document has; it is not read",
            status="corrupt",
        )
    parts = {part.partname: part for part in document.part.package.iter_parts()}
    roots = {name: _root(parts.get(f"/word/{name}.xml"), name) for name in _PARTS}
    if root.find(qn("w:body")) is None:
        raise DocumentError(
            f"{name} has no text in the form that Word writes by default; save it again as Word "
            "document (.docx)",
            status="corrupt",
        )
    reader = _Reader(
        styles=styles_of(roots["styles"], root.find(qn("w:background")) is not None),
        numbering=numbering_of(roots["numbering"]),
        notes={kind: _notes(roots[f"{kind}s"], kind) for kind in _NOTES},
    )
    blocks = tuple(reader.blocks(root.find(qn("w:body"))))
    comments = roots["comments"]
    counts = {
        "comments left out": 0 if comments is None else len(list(comments.iter(qn("w:comment")))),
        "deleted pieces of text left out, as tracked changes": reader.deleted,
        "descriptions of pictures left out": reader.described,
    }
    return Content(
        blocks=blocks,
        title=document.core_properties.title or "",
        notes=tuple(f"{what}: {count}" for what, count in counts.items() if count),
    )


_PARTS = ("styles", "numbering", "footnotes", "endnotes", "comments")


def _require_package(data: bytes, name: str) -> None:
    """Raise DocumentError for what is no Word document, or would take too much when unpacked."""
    if data.startswith(_OLE):
        if _ENCRYPTED in data[:65536] or _ENCRYPTED in data[-65536:]:
            raise DocumentError(
                f"{name} is encrypted; save it without a password", status="encrypted"
            )
        raise DocumentError(
            f"{name} is in the old format of Word; save it as .docx, for example: "
            f"libreoffice --convert-to docx {name}",
            status="corrupt",
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            parts = package.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise _damaged(name, error) from error
    if any(part.flag_bits & 1 for part in parts):
        raise DocumentError(f"{name} is encrypted; save it without a password", status="encrypted")
    written = sum(part.file_size for part in parts if part.filename.lower().endswith(".xml"))
    size, most = sum(part.file_size for part in parts), MAX_UNPACKED_BYTES
    if written > MAX_XML_BYTES:
        size, most = written, MAX_XML_BYTES
    if size > most:
        raise DocumentError(
            f"{name} takes {size} bytes when unpacked, more than the {most} allowed; split it",
            status="too_large",
        )


def _damaged(name: str, error: Exception) -> DocumentError:
    why = " ".join(str(error).split())[:200]
    return DocumentError(f"{name} is no Word document, or damaged ({why})", status="corrupt")


def _root(part: Any, name: str) -> Any:
    """The root element of a part; None where there is none, or none that can be read."""
    if part is None:
        return None
    try:
        return parse_xml(part.blob)
    except Exception as error:
        raise _damaged(f"its part {name}", error) from error


def _notes(root: Any, kind: str) -> dict[str, Any]:
    elements = () if root is None else root.iterchildren(qn(f"w:{kind}"))
    return {element.get(qn("w:id"), ""): element for element in elements}


@dataclass(slots=True)
class _Pieces:
    """What was found in a paragraph."""

    seen: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    boxes: list[Any] = field(default_factory=list)  # text boxes that are anchored in it
    notes: list[Any] = field(default_factory=list)  # footnotes that it refers to


@dataclass(slots=True, kw_only=True)
class _Reader:
    """Reads the body of a document from top to bottom."""

    styles: Styles
    numbering: Numbering
    notes: Mapping[str, dict[str, Any]]  # footnotes and endnotes that are not read yet
    deleted: int = 0
    described: int = 0
    noted: int = 0
    in_list: bool = False  # whether the last block was an item of a list

    def blocks(self, element: Any) -> Iterator[Block]:
        """The blocks of paragraphs and tables, and of what is around them."""
        for child in element:
            if child.tag == qn("w:p"):
                block, behind = self._paragraph(child)
                yield from [block, *behind] if block else behind
            elif child.tag == qn("w:tbl"):
                yield from self._table(child)
            elif child.tag in _AROUND:
                yield from self.blocks(child)

    def _paragraph(self, paragraph: Any) -> tuple[Block | None, list[Block]]:
        """The paragraph's block, if it has text, and what goes behind it."""
        pieces = _Pieces()
        self._collect(paragraph, paragraph, pieces, unseen=False)
        text, behind = "".join(pieces.seen).strip(), self._behind(pieces)
        place = None if _is_deleted(paragraph) else self.styles.list_place(paragraph)
        mark = self.numbering.mark(*place) if place else ""  # Word counts those without text, too
        if not text:
            return None, behind
        depth = self.styles.heading_depth(paragraph)
        is_item = bool(mark) and depth is None
        indent = "  " * place[1] if place and is_item else ""
        block = Block(text=indent + mark + text, depth=depth, tight=is_item and self.in_list)
        self.in_list = is_item and not behind
        return block, behind

    def _behind(self, pieces: _Pieces) -> list[Block]:
        hidden = "".join(pieces.unseen).strip()
        behind = [Block(text=hidden, hidden=True)] if hidden else []
        for box in pieces.boxes:
            behind += self.blocks(box)
        for note in pieces.notes:
            self.noted += 1
            text = " ".join(block.text for block in self.blocks(note) if not block.hidden)
            if text:
                behind.append(Block(text=f"Note {self.noted}: {text}"))
        return behind

    def _collect(self, element: Any, paragraph: Any, into: _Pieces, *, unseen: bool) -> None:
        for child in element:
            tag = child.tag
            if tag in _GONE:
                self.deleted += 1
            elif tag in _TEXTS:
                (into.unseen if unseen else into.seen).append(child.text or "")
            elif tag in _BREAKS:
                (into.unseen if unseen else into.seen).append(_BREAKS[tag])
            elif tag == qn("w:txbxContent"):
                into.boxes.append(child)
            elif tag in _REFERENCES:
                # Each but once: a note may refer to itself, and a thousand places to one note.
                note = self.notes[_REFERENCES[tag]].pop(child.get(qn("w:id"), ""), None)
                into.notes += [] if note is None else [note]
            elif tag == qn("w:r"):
                hides = unseen or self.styles.is_unseen(child, paragraph)
                self._collect(child, paragraph, into, unseen=hides)
            elif isinstance(tag, str) and tag not in _SKIPPED:
                self.described += tag == qn("wp:docPr") and bool(child.get("descr", "").strip())
                self._collect(child, paragraph, into, unseen=unseen)

    def _table(self, table: Any) -> Iterator[Block]:
        """A table of data as one block; of any other, the blocks of its cells."""
        if not _is_of_data(table):
            for cell in table.iter(qn("w:tc")):
                if next(cell.iterancestors(qn("w:tbl"))) is table:
                    yield from self.blocks(cell)
            return
        rows: list[list[Cell]] = []
        behind: list[Block] = []
        for row in table.iter(qn("w:tr")):
            if row.find(f"{qn('w:trPr')}/{qn('w:del')}") is not None:
                self.deleted += 1
                continue
            rows.append([self._cell(cell, behind) for cell in row.iter(qn("w:tc"))])
        self.in_list = False
        yield Block(text=table_text(rows))
        yield from behind

    def _cell(self, cell: Any, behind: list[Block]) -> Cell:
        """A cell; what is hidden in it, its text boxes and footnotes go behind the table."""
        properties = cell.find(qn("w:tcPr"))
        span = merged = None
        if properties is not None:
            span, merged = properties.find(qn("w:gridSpan")), properties.find(qn("w:vMerge"))
        columns = span.get(qn("w:val"), "1") if span is not None else "1"
        texts: list[str] = []
        for paragraph in _paragraphs(cell):
            block, others = self._paragraph(paragraph)
            texts += [block.text.strip()] if block else []
            behind += others
        goes_on = merged is not None and merged.get(qn("w:val"), "continue") == "continue"
        return Cell(
            text="" if goes_on else " ".join(texts),
            columns=int(columns) if re.fullmatch(r"\d{1,3}", columns, re.ASCII) else 1,
        )


_REFERENCES = {qn("w:footnoteReference"): "footnote", qn("w:endnoteReference"): "endnote"}


def _is_deleted(paragraph: Any) -> bool:
    """Whether the end of a paragraph was deleted, as a tracked change."""
    return paragraph.find(f"{qn('w:pPr')}/{qn('w:rPr')}/{qn('w:del')}") is not None


def _paragraphs(cell: Any) -> Iterator[Any]:
    for child in cell:
        if child.tag == qn("w:p"):
            yield child
        elif child.tag in _AROUND:
            yield from _paragraphs(child)


def _is_of_data(table: Any) -> bool:
    """Whether a table has rows of cells to be read as such, rather than text set side by side."""
    if next(table.iterdescendants(qn("w:tbl")), None) is not None:
        return False
    rows = [list(row.iter(qn("w:tc"))) for row in table.iter(qn("w:tr"))]
    if max(map(len, rows), default=0) < 2:
        return False
    return all(_length(cell) <= MAX_CELL for row in rows for cell in row)


def _length(cell: Any) -> int:
    return sum(len(text.text or "") for text in cell.iter(qn("w:t")))
