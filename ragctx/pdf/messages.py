"""What the reading process and its parent tell each other: one JSON object a line.

The parent sends one `RequestMessage`. The process answers with `started`, `open`, then `begin` and
`page` (or `broken`) for each page, `begin` and `structure`, `end`; or with `failed`. Both PDF
libraries fill the same messages; the parent turns them into records (`ragctx.pdf.reading`) as they
leave the pipe. Only the standard library is imported here: the process starts for every file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias, TypedDict, TypeVar

from ragctx.errors import PdfError

MAX_PAGE_CHARACTERS = 200_000
"""Characters kept of one page; the rest is left out. A dense page has about 10,000, a sheet of
newspaper in the smallest type not 100,000."""
MAX_PICTURE_PIXELS = 10_000_000
"""Pixels of a page's picture at most: an A4 page with 300 dots an inch has 8,700,000. As a message
its file is at most 4/3 of 3 bytes a pixel, within the bytes of one message."""
MAX_HEADINGS = 5000
"""Headings kept of an outline; the rest is left out. Chosen by hand, above any real outline."""
MAX_FIELDS = 2000
"""Form fields read of one page; the rest is left out. A tax form has some 200."""


class RequestMessage(TypedDict):
    """What a process is to read.

    Keys:
        path: the file, absolute.
        password: for encrypted files, or None.
        reader: the library, "pdfium" or "pypdf".
        max_pages: how many pages of the file to read at most.
        memory_bytes: how much address space the process may take.
        only: read only these pages, counted from 0; None means all.
        first: leave out the pages before this one.
        structure: whether to read outline, title and page labels, too.
        mend_fonts: read a copy with mended fonts, or nothing if no font can be mended.
        look: instead of reading pages, look at them so; None: read them.
    """

    path: str
    password: str | None
    reader: str
    max_pages: int
    memory_bytes: int
    only: list[int] | None
    first: int
    structure: bool
    mend_fonts: bool
    look: LookMessage | None


class LookMessage(TypedDict):
    """How pages are to be looked at: pdfium only.

    Keys:
        scale: pixels a point of a picture of the page, or None for no picture; fewer if it would
            have more than `MAX_PICTURE_PIXELS`. Where the glyphs are is told in any case.
        marks: what to draw over the page.
    """

    scale: float | None
    marks: list[MarkMessage]


class MarkMessage(TypedDict):
    """A box to draw over a page.

    Keys:
        box: left, top, right, bottom, in points from the upper left corner as shown.
        label: a word to write beside it; "" for none.
        colour: red, green, blue, 0 to 255.
        filled: whether it is filled, so that the text shows through, or only outlined.
    """

    box: list[float]
    label: str
    colour: list[int]
    filled: bool


class OddLineMessage(TypedDict, total=False):
    """What is told of a line only where it is not as most are.

    Keys:
        parts: what gaps part that are wider than between words: each with its text, its left and
            its right edge.
        typewriter: whether its letters are all equally wide.
    """

    parts: list[tuple[str, float, float]]
    typewriter: bool


class LineMessage(OddLineMessage):
    """A line of text and where it is on the page.

    Coordinates are in points and run right and down as the line is read, whatever way it is turned
    on the page. Where the place is unknown, all numbers are 0.

    Keys:
        text: the line's characters; U+FFFE at its end means that it was broken at a hyphen.
        turn: quarter turns, counter-clockwise, against the page as shown; 0 to 3.
        left, top, right, bottom: the box around the line.
        size: the font size.
        block, cell: in a tagged file, which block of the page it is part of (a paragraph, a row of
            a table), in reading order from 1, and which cell of it; 0 for none.
        role: what the block is, as the file says: "P", "H1", "LI", "TR"; "" for none.
        bold: whether its first, middle and last letters are set in a bold font.
    """

    text: str
    turn: int
    left: float
    top: float
    right: float
    bottom: float
    size: float
    block: int
    cell: int
    role: str
    bold: bool


FieldKind: TypeAlias = Literal["value", "tick", "radio", "button"]
"""What holds a text (written, or chosen from a list), a box to tick, one of several buttons, what
is pressed to have something done ("Print form") and says nothing of what is filled in."""


class FieldMessage(TypedDict):
    """A form field of a page that a person sees.

    Coordinates are as in `LineMessage`.

    Keys:
        kind: what kind of field it is.
        name: what the form calls it, with the names of the groups around it.
        tooltip: what it is called where it is pointed at; "" if it has none.
        value: what it holds; what the chosen option, or a radio button, is called.
        is_list: whether all that can be chosen is drawn in its box.
        is_chosen: whether it is ticked.
        left, top, right, bottom: its box.
    """

    kind: FieldKind
    name: str
    tooltip: str
    value: str
    is_list: bool
    is_chosen: bool
    left: float
    top: float
    right: float
    bottom: float


class StartedMessage(TypedDict):
    """The library is imported. Keys: only `kind`."""

    kind: Literal["started"]


class OpenMessage(TypedDict):
    """The file is open.

    Keys:
        pages: how many pages it has.
        attachments: how many files are embedded in it.
        xfa: whether it holds an XFA form, which no library here can draw.
    """

    kind: Literal["open"]
    pages: int
    attachments: int
    xfa: bool


class BeginMessage(TypedDict):
    """Work begins on a page, counted from 0, or on the structure.

    Keys:
        page: the page; -1 for the structure.
    """

    kind: Literal["begin"]
    page: int


class PageMessage(TypedDict):
    """A page that was read.

    Keys:
        page: which one, counted from 0.
        reader: the library that read it.
        text: its text, from a library that gives no places; else None.
        lines: its lines in the order in which they were drawn; empty if there is `text`.
        filled_in: what stamps and remarks say, and values of form fields without a place, as lines.
        fields: its form fields.
        lost_lines: the lines left out because their font does not map glyphs to letters.
        label: what the page calls itself ("xii"); "" if unknown.
        pictures: whether pictures, or letters drawn as shapes, make up the page.
        stamped: whether pictures fill the page, and its text is only what was stamped on a scan.
        lost: characters left out because their font does not map glyphs to letters.
        hidden: lines left out of the others because nobody sees them on the page.
        glyphs_only: whether nearly all characters are such glyphs.
        doubtful: whether the other library may well give more.
        cut: whether the page has more than `MAX_PAGE_CHARACTERS`.
        damage: what is wrong with its content in the file; "" if nothing is known to be.
    """

    kind: Literal["page"]
    page: int
    reader: str
    text: str | None
    lines: list[LineMessage]
    filled_in: list[LineMessage]
    fields: list[FieldMessage]
    lost_lines: list[LineMessage]
    label: str
    pictures: bool
    stamped: bool
    lost: int
    hidden: list[LineMessage]
    glyphs_only: bool
    doubtful: bool
    cut: bool
    damage: str


class GlyphLineMessage(TypedDict):
    """A line, glyph by glyph.

    Keys:
        text: the characters of each glyph.
        boxes: the box of each on the page: left, bottom, right, top; y upwards.
    """

    text: list[str]
    boxes: list[list[float]]


class SheetMessage(TypedDict):
    """Where the glyphs of a page are.

    Keys:
        page: which one, counted from 0.
        shown: what is shown of the page: left, bottom, right, top; y upwards.
        turn: quarter turns, clockwise, by which the page is shown turned.
        lines: its lines in the order in which they were drawn.
    """

    kind: Literal["sheet"]
    page: int
    shown: list[float]
    turn: int
    lines: list[GlyphLineMessage]


class PictureMessage(TypedDict):
    """A picture of a page.

    Keys:
        page: which one, counted from 0.
        width, height: in pixels.
        scale: pixels a point.
        png: the file, in base64.
    """

    kind: Literal["picture"]
    page: int
    width: int
    height: int
    scale: float
    png: str


class BrokenMessage(TypedDict):
    """A page that the library could not read.

    Keys:
        page: which one, counted from 0.
        message: why, on one line.
    """

    kind: Literal["broken"]
    page: int
    message: str


class HeadingMessage(TypedDict):
    """An entry of the outline.

    Keys:
        title: its text.
        page: the page it points to, counted from 1.
        depth: how deep it is nested, counted from 0.
    """

    title: str
    page: int
    depth: int


class StructureMessage(TypedDict):
    """Title, outline and page labels, as the file has them.

    Keys:
        title: the title in its metadata; "" if it has none.
        outline: its headings, in order.
        labels: the label of each page; empty where `PageMessage.label` has them.
    """

    kind: Literal["structure"]
    title: str
    outline: list[HeadingMessage]
    labels: list[str]


class FailedMessage(TypedDict):
    """The file could not be read (any further).

    Keys:
        status: a `records.PdfStatus`.
        message: why, as the end of a sentence that begins with the file's name.
    """

    kind: Literal["failed"]
    status: str
    message: str


class EndMessage(TypedDict):
    """Everything was sent.

    Keys:
        warnings: what the library logged, each message once.
    """

    kind: Literal["end"]
    warnings: list[str]


Message: TypeAlias = (
    StartedMessage
    | OpenMessage
    | BeginMessage
    | PageMessage
    | SheetMessage
    | PictureMessage
    | BrokenMessage
    | StructureMessage
    | FailedMessage
    | EndMessage
)

T = TypeVar("T")


def unplaced_line(text: str) -> LineMessage:
    """A line whose place on the page is unknown."""
    return {
        "text": text,
        "turn": 0,
        "left": 0.0,
        "top": 0.0,
        "right": 0.0,
        "bottom": 0.0,
        "size": 0.0,
        "block": 0,
        "cell": 0,
        "role": "",
        "bold": False,
    }


def no_password(password: str | None) -> PdfError:
    """The error for a file that needs a password, or another one."""
    if password:
        reason = "is encrypted and the password given does not open it; pass the right --password"
    else:
        reason = "is encrypted; pass its password: --password PASSWORD"
    return PdfError(reason, status="encrypted")


def quietly(call: Callable[[], T], otherwise: T) -> T:
    """The result of `call`, or `otherwise` if it raises: for what a document can do without."""
    try:
        return call()
    except Exception:
        return otherwise


def one_line(error: BaseException) -> str:
    """An error's message on one line of at most 200 characters; its type's name if it has none.

    >>> one_line(ValueError("bad\\n  stream"))
    'bad stream'
    """
    return (" ".join(str(error).split()) or type(error).__name__)[:200]
