"""From what a reading gave to a Document: rows, running text, labels, statuses, warnings."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from ragctx.pdf.characters import clean_line, garbled_share, mixed_share
from ragctx.pdf.layout import Row, in_reading_order, unplaced
from ragctx.pdf.line_joining import clean_piece
from ragctx.pdf.messages import MAX_PAGE_CHARACTERS, Message
from ragctx.pdf.paragraphs import count_words, running_text
from ragctx.pdf.process import Reading
from ragctx.pdf.running_lines import drop_running_lines
from ragctx.records import Document, Heading, Page, PageStatus, PdfStatus

GARBLED = 0.3
"""A page with a larger share of characters that mean nothing is garbled, and gives no text."""
SPECKS = 12
"""A page with a picture and fewer characters than this is a scan with specks, not text."""
PLATES = 0.1
"""Up to this share of pages may be pictures (a cover, plates) in a document that is else text."""
MAX_WARNINGS = 50
MAX_LABEL = 40

_XFA = "the form is XFA (made for one vendor's viewer): only its notice page could be read"
_OCR = "no text layer, OCR needed"
_GLYPHS = "its fonts do not say which letters their glyphs are, OCR needed"


def document_from(reading: Reading, document_id: str, path: str, max_pages: int) -> Document:
    """The document that `reading` gave."""
    count = min(reading.count, max_pages)
    messages = [reading.pages.get(i) for i in range(count)]
    labels = [_label(reading, i) for i in range(count)]
    rows = drop_running_lines([_rows(message) for message in messages], labels)
    words = count_words(rows)
    pages = tuple(
        _page(
            i=i,
            label=labels[i],
            message=messages[i],
            rows=rows[i],
            text=running_text(rows[i], words),
            reading=reading,
        )
        for i in range(count)
    )
    notes = _notes(reading, pages, count)
    return Document(
        id=document_id,
        path=path,
        pages=pages,
        title=clean_line(str(reading.structure.get("title") or ""))[:500],
        outline=_outline(reading, count),
        status=_status(pages, whole=count == reading.count and _XFA not in notes),
        reader="+".join(sorted({message["reader"] for message in messages if message})),
        warnings=tuple(dict.fromkeys([*notes, *reading.warnings]))[:MAX_WARNINGS],
    )


def worth(message: Message) -> float:
    """How much a page's message is worth beside another of the same page: sound characters."""
    text = _raw_text(message)
    sound = max(0.0, 1 - _nonsense(text)) ** 8
    return len("".join(text.split())) * (0.01 if message["glyphs_only"] else sound)


def _raw_text(message: Message) -> str:
    return str(message.get("text") or "\n".join(line[0] for line in message.get("lines", ())))


def _nonsense(text: str) -> float:
    """Share of characters that mean nothing, 0 to 1."""
    if len(_BEYOND_LATIN.findall(text)) < 0.01 * len(text):  # one script: nothing can be mixed
        return garbled_share(text)
    return min(1.0, garbled_share(text) + mixed_share("".join(text.splitlines())))


_BEYOND_LATIN = re.compile("[^\x00-\u024f\u2000-\u206f]")


# ---- pages -----------------------------------------------------------------------------------


def _rows(message: Message | None) -> list[Row]:
    if message is None or _is_garbled(message):
        return []
    if "text" in message:
        values = "".join(f"\n{value}" for (value,) in message["filled_in"])
        rows = unplaced(message["text"] + values)
        return _cleaned(rows)
    pieces, filled_in = (
        _cleaned([_row(line) for line in message[key]]) for key in ("lines", "filled_in")
    )
    return in_reading_order(pieces, filled_in)


def _row(line: Sequence[Any]) -> Row:
    text, turn, left, top, right, bottom, size = line if len(line) == 7 else (line[0], *[0] * 6)
    return Row(
        text=text, left=left, top=top, right=right, bottom=bottom, size=max(size, 0.5), turn=turn
    )


def _cleaned(rows: Sequence[Row]) -> list[Row]:
    cleaned = ((row, clean_piece(row.text)) for row in rows)
    return [
        Row(
            text=text,
            left=row.left,
            top=row.top,
            right=row.right,
            bottom=row.bottom,
            size=row.size,
            turn=row.turn,
        )
        for row, text in cleaned
        if text
    ]


def _is_garbled(message: Message) -> bool:
    return bool(message["glyphs_only"]) or _nonsense(_raw_text(message)) > GARBLED


def _page(
    i: int, label: str, message: Message | None, rows: Sequence[Row], text: str, reading: Reading
) -> Page:
    text = unicodedata.normalize("NFC", text)
    return Page(
        number=i + 1, label=label, text=text, status=_page_status(i, message, text, reading)
    )


def _page_status(i: int, message: Message | None, text: str, reading: Reading) -> PageStatus:
    if message is None:
        return reading.lost.get(i, "corrupt")
    if message["pictures"] and len(text) < SPECKS:
        return "scanned"
    if not text:
        return "garbled" if _is_garbled(message) else "empty"
    return "ok"


def _label(reading: Reading, i: int) -> str:
    labels = reading.structure.get("labels") or ()
    given = labels[i] if i < len(labels) else reading.pages.get(i, {}).get("label")
    return clean_line(str(given or ""))[:MAX_LABEL] or str(i + 1)


# ---- the whole -------------------------------------------------------------------------------


def _outline(reading: Reading, count: int) -> tuple[Heading, ...]:
    entries = reading.structure.get("outline") or ()
    return tuple(
        Heading(clean_line(title)[:500], page, depth)
        for title, page, depth in entries
        if 1 <= page <= count and clean_line(title)
    )


def _status(pages: Sequence[Page], *, whole: bool) -> PdfStatus:
    scans = sum(page.status == "scanned" for page in pages)
    fine = ("ok", "empty", "scanned") if scans <= len(pages) * PLATES else ("ok", "empty")
    if not any(page.status == "ok" for page in pages):
        lost = any(page.status in ("timeout", "corrupt") for page in pages)
        return "partial" if lost else "no_text"
    return "ok" if whole and all(page.status in fine for page in pages) else "partial"


def _notes(reading: Reading, pages: Sequence[Page], count: int) -> list[str]:
    """What ragctx itself has to say about the document."""
    notes = []
    statuses = [page.status for page in pages]
    if not any(status in ("ok", "timeout", "corrupt") for status in statuses):
        blank = "every page is blank"
        notes.append(_OCR if "scanned" in statuses else _GLYPHS if "garbled" in statuses else blank)
    elif "garbled" in statuses:
        notes.append(
            f"pages of which only glyphs are known: {statuses.count('garbled')}; {_GLYPHS}"
        )
    if count < reading.count:
        notes.append(f"only the first {count} of {reading.count} pages were read")
    opening = reading.opening or {}
    if opening.get("xfa") and any("please wait" in page.text.lower() for page in pages):
        notes.append(_XFA)
    if opening.get("attachments"):
        notes.append(f"embedded files left out: {opening['attachments']}")
    if lossy := [i + 1 for i, message in sorted(reading.pages.items()) if message["lost"]]:
        some = ", ".join(map(str, lossy[:10])) + (" …" if len(lossy) > 10 else "")
        notes.append(f"lines of which only glyphs are known left out, on pages {some}")
    if any(message["cut"] for message in reading.pages.values()):
        notes.append(f"a page has more than {MAX_PAGE_CHARACTERS} characters; the rest is left out")
    return notes
