"""From what was read of a PDF to a Document: rows, running text, labels, statuses, warnings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from ragctx.pdf.characters import clean_line, garbled_share, mixed_share
from ragctx.pdf.columns import IN_DRAWN_ORDER, IN_FORM
from ragctx.pdf.form_fields import with_fields
from ragctx.pdf.headings import believed_title, find_headings, sections_of
from ragctx.pdf.hidden_text import MARK, marked
from ragctx.pdf.layout import in_reading_order
from ragctx.pdf.line_joining import clean_piece
from ragctx.pdf.messages import MAX_PAGE_CHARACTERS
from ragctx.pdf.names import HiddenText
from ragctx.pdf.paragraphs import count_words, running_text
from ragctx.pdf.reading import Line, PageText, Reading
from ragctx.pdf.row import Cell, Row, unplaced
from ragctx.pdf.running_lines import drop_running_lines
from ragctx.pdf.symbol_fonts import private_count
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
MIN_FIELDS = 5
"""A page with at least this many fields is a form. Chosen by hand."""
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


def document_from(
    reading: Reading,
    document_id: str,
    path: str,
    *,
    max_pages: int,
    hidden: HiddenText = "drop",
    rows: Callable[[PageText | None], list[Row]] | None = None,
) -> Document:
    """The document that a reading gives; of more than `max_pages` pages, the first.

    `rows` gives what `page_rows` does, perhaps because it was found before.
    """
    count = min(reading.count, max_pages)
    read = [reading.pages.get(i) for i in range(count)]
    labels = labels_of(reading, count)
    kept = drop_running_lines([(rows or page_rows)(page) for page in read], labels)
    words = count_words(kept)
    pages = tuple(
        _page(
            i=i,
            label=labels[i],
            page=read[i],
            text=_with_hidden(running_text(kept[i], words), read[i], hidden),
            reading=reading,
        )
        for i in range(count)
    )
    outline = _outline(reading, count)
    headings = find_headings(kept, outline)
    notes = _notes(reading, pages, count, hidden)
    return Document(
        id=document_id,
        path=path,
        pages=pages,
        title=_title(reading, pages, headings.title),
        outline=outline,
        status=_status(pages, whole=_is_whole(reading, count, notes)),
        reader="+".join(sorted({page.reader for page in read if page})),
        warnings=tuple(dict.fromkeys([*notes, *reading.warnings]))[:MAX_WARNINGS],
        sections=sections_of(pages, headings.found),
    )


def labels_of(reading: Reading, count: int) -> list[str]:
    """What each of the first `count` pages calls itself."""
    return [_label(reading, i) for i in range(count)]


def rows_of(reading: Reading, count: int) -> list[list[Row]]:
    """The rows of each of the first `count` pages in reading order, running lines among them."""
    return [page_rows(reading.pages.get(i)) for i in range(count)]


def gives_no_text(page: PageText) -> bool:
    """Whether there is something on a page, but no text that can be used: OCR is for these."""
    if _is_garbled(page):
        return True
    has_specks = page.pictures and sum(len(row.text) for row in page_rows(page)) < SPECKS
    return page.stamped or has_specks


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


def page_rows(page: PageText | None) -> list[Row]:
    """The page's rows in reading order; none if it was not read or is garbled."""
    if page is None or _is_garbled(page):
        return []
    if page.text is not None:
        return _cleaned(_unplaced(page.text, page.filled_in))
    pieces, filled_in = _placed(page.lines), _placed(page.filled_in)
    if page.fields:
        pieces, values = with_fields(pieces, page.fields)
        pieces, filled_in = _cleaned(pieces), [*_cleaned(values), *filled_in]
    if not pieces and not filled_in:  # better the words on buttons than none
        filled_in = _cleaned([field.row for field in page.fields if field.kind == "button"])
    evidence = IN_FORM if len(page.fields) >= MIN_FIELDS else IN_DRAWN_ORDER
    return in_reading_order(pieces, filled_in, evidence)


def _unplaced(text: str, filled_in: Sequence[Line]) -> list[Row]:
    """The lines of a text, and form fields after them."""
    fields = [" ".join(line.text.split()) for line in filled_in if line.text.strip()]
    rows = unplaced("\n".join([text, *fields]))
    first = len(rows) - len(fields)
    return [*rows[:first], *(replace(row, is_field=True) for row in rows[first:])]


def _with_hidden(text: str, page: PageText | None, hidden: HiddenText) -> str:
    if hidden == "drop" or page is None or not page.hidden:
        return text
    rows = in_reading_order(_placed(page.hidden))
    return "\n\n".join(filter(None, (text, marked(row.text for row in rows))))


def _placed(lines: Sequence[Line]) -> list[Row]:
    """The lines as rows of clean text, without those of which nothing is left."""
    return [_row(line, text) for line in lines if (text := clean_piece(line.text))]


def _row(line: Line, text: str) -> Row:
    """A line, cleaned, as a row."""
    return Row(
        text=text,
        left=line.left,
        top=line.top,
        right=line.right,
        bottom=line.bottom,
        size=max(line.size, MIN_SIZE),
        turn=line.turn,
        block=line.block,
        cell=line.cell,
        role=line.role,
        bold=line.bold,
        typewriter=line.typewriter,
        cells=_cells(line, text) if line.parts else (),
    )


def _cells(line: Line, text: str) -> tuple[Cell, ...]:
    """The line as one cell, if it has narrow gaps."""
    cleaned = ((clean_piece(part), left, right) for part, left, right in line.parts)
    parts = tuple(Cell(left, right, part) for part, left, right in cleaned if part)
    return (Cell(line.left, line.right, text, parts),) if len(parts) > 1 else ()


def _cleaned(rows: Sequence[Row]) -> list[Row]:
    """The rows with clean text, without those of which nothing is left."""
    cleaned = zip(rows, (clean_piece(row.text) for row in rows), strict=True)
    return [row if text == row.text else replace(row, text=text) for row, text in cleaned if text]


def _is_garbled(page: PageText) -> bool:
    return page.glyphs_only or _nonsense(page.raw_text) > GARBLED


def _page(i: int, label: str, page: PageText | None, text: str, reading: Reading) -> Page:
    text = composed(text)
    status = _page_status(page, text) if page else reading.lost.get(i, "corrupt")
    return Page(number=i + 1, label=label, text=text, status=status)


def _page_status(page: PageText, text: str) -> PageStatus:
    if page.reader == "ocr" and text:
        return "ocr"
    if page.stamped or (page.pictures and len(text) < SPECKS):
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


def _title(reading: Reading, pages: Sequence[Page], seen: str) -> str:
    """The title in the file, unless its first page has another one in large type (`seen`)."""
    title = clean_line(reading.structure.title)[:MAX_TITLE]
    first = next((page.text for page in pages if page.text), "")
    return title if not seen or believed_title(title, first) else seen


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


def _notes(reading: Reading, pages: Sequence[Page], count: int, hidden: HiddenText) -> list[str]:
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
    return [*notes, *_what_is_missing(reading, hidden)]


def _what_is_missing(reading: Reading, hidden: HiddenText) -> list[str]:
    """Notes on what of the pages did not become their text."""
    notes = []
    if lossy := [i for i, page in reading.pages.items() if page.lost]:
        notes.append(f"lines of which only glyphs are known left out, {_on_pages(lossy)}")
    if private := {i: n for i, page in reading.pages.items() if (n := _private_count(page))}:
        total = sum(private.values())
        notes.append(f"signs of which only codes are known left out: {total}, {_on_pages(private)}")
    if unseen := {i: page.hidden for i, page in reading.pages.items() if page.hidden}:
        total = sum(len(line.text) for lines in unseen.values() for line in lines)
        fate = "left out" if hidden == "drop" else f"kept as [{MARK}: …]"
        notes.append(f"text that nobody sees {fate}: {total} characters, {_on_pages(unseen)}")
    damaged = [f"page {i + 1}: {p.damage}" for i, p in sorted(reading.pages.items()) if p.damage]
    notes += damaged[:MAX_DAMAGED]
    if len(damaged) > MAX_DAMAGED:
        notes.append(f"other pages damaged in the same way: {len(damaged) - MAX_DAMAGED}")
    if any(page.cut for page in reading.pages.values()):
        notes.append(f"a page has more than {MAX_PAGE_CHARACTERS} characters; the rest is left out")
    return notes


def _private_count(page: PageText) -> int:
    """How many signs of a page that gave text nobody knows."""
    count = private_count(page.raw_text)
    return 0 if count and _is_garbled(page) else count


def _on_pages(pages: Iterable[int]) -> str:
    """Pages, counted from 0 here and from 1 by people; of many, the first.

    >>> _on_pages([4, 0])
    'on pages 1, 5'
    """
    numbers = [str(i + 1) for i in sorted(pages)]
    return f"on pages {', '.join(numbers[:10])}{' …' if len(numbers) > 10 else ''}"


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
