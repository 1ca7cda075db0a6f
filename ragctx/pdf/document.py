"""From what was read of a PDF to a Document: rows, running text, labels, statuses, warnings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ragctx.pdf.characters import clean_line, garbled_share, mixed_share
from ragctx.pdf.layout import in_reading_order
from ragctx.pdf.line_joining import clean_piece
from ragctx.pdf.messages import MAX_PAGE_CHARACTERS
from ragctx.pdf.paragraphs import count_words, running_text
from ragctx.pdf.reading import Line, PageText, Reading
from ragctx.pdf.row import Row, unplaced
from ragctx.pdf.running_lines import drop_running_lines
from ragctx.records import Document, Heading, Page, PageStatus, PdfStatus
from ragctx.text.composition import composed

GARBLED = 0.3
"""A page with a larger share of meaningless characters is garbled, and gives no text. Chosen by
hand."""
SPECKS = 12
"""A page with a picture and fewer characters than this is a scan with specks. Chosen by hand."""
PLATES = 0.1
"""The share of pages that may be pictures (a cover, plates) in a document that is otherwise text.
Chosen by hand."""
MAX_DAMAGED = 20
"""Damaged pages that are named. Chosen by hand; the others are counted."""
MIN_SIZE = 0.5
"""Points: the least font size, so that what is measured in font sizes never divides by zero."""
MAX_WARNINGS, MAX_LABEL, MAX_TITLE = 50, 40, 500
"""Warnings of a document, characters of a page label, characters of a title or heading: what is
kept at most. Chosen by hand, above what real files have."""

_LOST = ("timeout", "corrupt", "too_long")
"""Statuses of pages whose text there may be, and was not read."""
_SOUND = ("ok", "ocr", "empty")
_XFA = "the form is XFA (made for one vendor's viewer): only its notice page could be read"
_OCR = "no text layer, OCR needed"
_GLYPHS = "its fonts do not say which letters their glyphs are, OCR needed"


def document_from(reading: Reading, document_id: str, path: str, max_pages: int) -> Document:
    """The document that a reading gives; of more than `max_pages` pages, the first."""
    count = min(reading.count, max_pages)
    read = [reading.pages.get(i) for i in range(count)]
    labels = labels_of(reading, count)
    rows = drop_running_lines(rows_of(reading, count), labels)
    words = count_words(rows)
    pages = tuple(
        _page(
            i=i,
            label=labels[i],
            page=read[i],
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
        title=clean_line(reading.structure.title)[:MAX_TITLE],
        outline=_outline(reading, count),
        status=_status(pages, whole=_is_whole(reading, count, notes)),
        reader="+".join(sorted({page.reader for page in read if page})),
        warnings=tuple(dict.fromkeys([*notes, *reading.warnings]))[:MAX_WARNINGS],
    )


def labels_of(reading: Reading, count: int) -> list[str]:
    """What each of the first `count` pages calls itself."""
    return [_label(reading, i) for i in range(count)]


def rows_of(reading: Reading, count: int) -> list[list[Row]]:
    """The rows of each of the first `count` pages in reading order, running lines among them."""
    return [_rows(reading.pages.get(i)) for i in range(count)]


def gives_no_text(page: PageText) -> bool:
    """Whether there is something on a page, but no text that can be used: OCR is for these."""
    if _is_garbled(page):
        return True
    return page.pictures and sum(len(row.text) for row in _rows(page)) < SPECKS


def sound_characters(page: PageText) -> float:
    """How much text a page gave, to compare two readings of it: less if garbled or lost.

    The eighth power (chosen by hand) makes a page with a fifth of nonsense count a sixth.
    """
    characters = len("".join(page.raw_text.split()))
    whole = characters / max(1, characters + page.lost)
    sound = max(0.0, 1 - _nonsense(page.raw_text)) ** 8
    return characters * whole * (0.01 if page.glyphs_only else sound)


def _nonsense(text: str) -> float:
    """Share of characters that mean nothing, 0 to 1."""
    if len(_BEYOND_LATIN.findall(text)) < 0.01 * len(text):  # one script: nothing can be mixed
        return garbled_share(text)
    return min(1.0, garbled_share(text) + mixed_share(" ".join(text.splitlines())))


_BEYOND_LATIN = re.compile("[^\x00-\u024f\u2000-\u206f]")


# ---- pages -----------------------------------------------------------------------------------


def _rows(page: PageText | None) -> list[Row]:
    """The page's rows in reading order; none if it was not read or is garbled."""
    if page is None or _is_garbled(page):
        return []
    if page.text is not None:
        values = "".join(f"\n{line.text}" for line in page.filled_in)
        return _cleaned(unplaced(page.text + values))
    return in_reading_order(
        _cleaned([_row(line) for line in page.lines]),
        _cleaned([_row(line) for line in page.filled_in]),
    )


def _row(line: Line) -> Row:
    return Row(
        text=line.text,
        left=line.left,
        top=line.top,
        right=line.right,
        bottom=line.bottom,
        size=max(line.size, MIN_SIZE),
        turn=line.turn,
    )


def _cleaned(rows: Sequence[Row]) -> list[Row]:
    """The rows with clean text, without those of which nothing is left."""
    cleaned = (replace(row, text=clean_piece(row.text)) for row in rows)
    return [row for row in cleaned if row.text]


def _is_garbled(page: PageText) -> bool:
    return page.glyphs_only or _nonsense(page.raw_text) > GARBLED


def _page(i: int, label: str, page: PageText | None, text: str, reading: Reading) -> Page:
    text = composed(text)
    status = _page_status(page, text) if page else reading.lost.get(i, "corrupt")
    return Page(number=i + 1, label=label, text=text, status=status)


def _page_status(page: PageText, text: str) -> PageStatus:
    if page.reader == "ocr" and text:
        return "ocr"
    if page.pictures and len(text) < SPECKS:
        return "scanned"
    if not text and page.damage:
        return "corrupt"
    if not text:
        return "garbled" if _is_garbled(page) else "empty"
    return "ok"


def _label(reading: Reading, i: int) -> str:
    """What page i calls itself: by the file's list of labels, else by the page, else its number."""
    labels, page = reading.structure.labels, reading.pages.get(i)
    label = labels[i] if i < len(labels) else page.label if page else ""
    return clean_line(label)[:MAX_LABEL] or str(i + 1)


# ---- the whole -------------------------------------------------------------------------------


def _outline(reading: Reading, count: int) -> tuple[Heading, ...]:
    headings = (replace(h, title=clean_line(h.title)) for h in reading.structure.outline)
    return tuple(
        replace(heading, title=heading.title[:MAX_TITLE])
        for heading in headings
        if 1 <= heading.page <= count and heading.title
    )


def _is_whole(reading: Reading, count: int, notes: Sequence[str]) -> bool:
    """Whether nothing of the pages is known to be missing from their text."""
    if count < reading.count or _XFA in notes:
        return False
    return not any(page.cut or page.damage for page in reading.pages.values())


def _status(pages: Sequence[Page], *, whole: bool) -> PdfStatus:
    scans = sum(page.status == "scanned" for page in pages)
    fine = (*_SOUND, "scanned") if scans <= len(pages) * PLATES else _SOUND
    if not any(page.status in ("ok", "ocr") for page in pages):
        lost = any(page.status in _LOST for page in pages)
        return "partial" if lost else "no_text"
    if not (whole and all(page.status in fine for page in pages)):
        return "partial"
    return "ocr" if any(page.status == "ocr" for page in pages) else "ok"


def _notes(reading: Reading, pages: Sequence[Page], count: int) -> list[str]:
    """ragctx's own warnings about the document."""
    notes = []
    statuses = [page.status for page in pages]
    if not any(status in ("ok", "ocr", *_LOST) for status in statuses):
        blank = "every page is blank"
        notes.append(_OCR if "scanned" in statuses else _GLYPHS if "garbled" in statuses else blank)
    elif "garbled" in statuses:
        notes.append(
            f"pages of which only glyphs are known: {statuses.count('garbled')}; {_GLYPHS}"
        )
    notes += _ocr_notes(reading)
    if count < reading.count:
        notes.append(f"only the first {count} of {reading.count} pages were read")
    opening = reading.opening
    if opening and opening.xfa and any("please wait" in page.text.lower() for page in pages):
        notes.append(_XFA)
    if opening and opening.attachments:
        notes.append(f"embedded files left out: {opening.attachments}")
    if lossy := [i + 1 for i, page in sorted(reading.pages.items()) if page.lost]:
        some = ", ".join(map(str, lossy[:10])) + (" …" if len(lossy) > 10 else "")
        notes.append(f"lines of which only glyphs are known left out, on pages {some}")
    if hidden := {i + 1: page.hidden for i, page in reading.pages.items() if page.hidden}:
        some = ", ".join(map(str, sorted(hidden)[:10])) + (" …" if len(hidden) > 10 else "")
        notes.append(
            f"text that nobody sees left out: {sum(hidden.values())} characters, on pages {some}"
        )
    damaged = [f"page {i + 1}: {p.damage}" for i, p in sorted(reading.pages.items()) if p.damage]
    notes += damaged[:MAX_DAMAGED]
    if len(damaged) > MAX_DAMAGED:
        notes.append(f"other pages damaged in the same way: {len(damaged) - MAX_DAMAGED}")
    if any(page.cut for page in reading.pages.values()):
        notes.append(f"a page has more than {MAX_PAGE_CHARACTERS} characters; the rest is left out")
    return notes


def _ocr_notes(reading: Reading) -> list[str]:
    """How many pages were read by OCR, and how certain that was."""
    certain = {i: p.confidence for i, p in reading.pages.items() if p.confidence is not None}
    if not certain:
        return []
    least = min(certain, key=certain.__getitem__)
    mean = sum(certain.values()) / len(certain)
    return [
        f"pages read by OCR: {len(certain)}, with a confidence of {mean:.2f}; the least, on page "
        f"{least + 1}, is {certain[least]:.2f}"
    ]
