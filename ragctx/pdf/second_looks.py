"""A file looked at again where its text may be better: with mended fonts, or by the other library.

Each look is a process that opens the file first, which takes a second for a long one: both are
taken at once. Mended pages are rare; then the other library is asked once more.
"""

from __future__ import annotations

from dataclasses import replace

from ragctx.pdf.characters import torn_share
from ragctx.pdf.document import sound_characters
from ragctx.pdf.later import Later
from ragctx.pdf.ligatures import seems_to_lack_letters
from ragctx.pdf.page_tree import written_pages
from ragctx.pdf.process import Request, read
from ragctx.pdf.reading import OnText, PageText, Reading

TORN = 0.2
"""With a larger share of single letters among its words, a page's words may be torn. Chosen by
hand: above what mathematics has on most pages."""


def with_better_pages(
    reading: Reading, request: Request, on_text: OnText | None, *, both_libraries: bool
) -> Reading:
    """What pdfium read, with the pages of a copy with mended fonts, if letters seem to be missing.

    And, of `both_libraries`, with pypdf's pages where pdfium failed or gave less sound text.
    """

    def second(first: Reading) -> Reading:
        return _with_second_opinion(first, request, on_text) if both_libraries else first

    if not seems_to_lack_letters("\n".join(page.raw_text for page in reading.pages.values())):
        return second(reading)
    mending = Later(lambda: read(replace(request, mend_fonts=True)).pages)
    unmended = second(replace(reading, pages=dict(reading.pages), lost=dict(reading.lost)))
    mended = mending.result()
    if not mended:
        return unmended
    reading.pages |= {i: page for i, page in mended.items() if i in reading.pages}
    return second(reading)


def _with_second_opinion(reading: Reading, request: Request, on_text: OnText | None) -> Reading:
    """The reading, with pypdf's pages where pdfium failed or gave less sound text."""
    if not reading.count:
        hopeless = reading.failure is not None and reading.failure.status != "corrupt"
        second = reading if hopeless else read(replace(request, reader="pypdf"), on_text)
        return second if second.count else reading
    if _may_miscount(reading, request):
        leaves = read(replace(request, reader="pypdf", only=())).count
        if leaves not in (0, reading.count):
            by_leaves = read(replace(request, reader="pypdf"), on_text)
            return by_leaves if by_leaves.pages else reading
    broken = {i for i, status in reading.lost.items() if status == "corrupt"}
    doubtful = {
        i
        for i, page in reading.pages.items()
        # Beside pages that cannot be read, one without anything on it may be broken as well.
        if page.doubtful or (broken and not page.raw_text.strip() and not page.pictures)
    }
    torn = {i for i, page in reading.pages.items() if torn_share(page.raw_text) > TORN}
    if doubtful | broken | torn:
        only = tuple(sorted(doubtful | broken | torn))
        second = read(replace(request, reader="pypdf", only=only))
        for i, page in second.pages.items():
            if i in broken or _is_better(page, reading.pages[i]):
                reading.pages[i] = page
                reading.lost.pop(i, None)
    return reading


def _is_better(second: PageText, first: PageText) -> bool:
    """Whether the second opinion on a page has more sound text, or as much and whole words."""
    sound = sound_characters(second), sound_characters(first)
    if first.doubtful or torn_share(first.raw_text) <= TORN:
        return sound[0] > sound[1]
    is_whole = torn_share(second.raw_text) < 0.5 * torn_share(first.raw_text)
    return is_whole and sound[0] > 0.9 * sound[1]


def _may_miscount(reading: Reading, request: Request) -> bool:
    """Whether the page tree may be wrong: pdfium goes by its counts, pypdf by its leaves."""
    return "corrupt" in reading.lost.values() or written_pages(request.path) > reading.count
