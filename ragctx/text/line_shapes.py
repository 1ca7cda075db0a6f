"""What a line looks like: an item of a list, a row of a table, the end of a sentence.

Whoever joins lines into running text asks which line ends are the author's and which only the
page's. Two places do: `ragctx.pdf.paragraphs`, which knows where rows are on the page, and
`ragctx.text.sentences`, which has nothing but the text. What a line's characters alone tell is
decided here, for both.
"""

from __future__ import annotations

import re

NEIGHBOURS = 6
"""Lines on either side that tell how wide the column of text is. Chosen by hand: a paragraph has
about as many, and further lines may be in another column."""
FIGURES = 0.4
"""Of two lines with at least this share of words that hold a digit, each is a row of a table.
Chosen by hand: prose, dates and prices included, has fewer."""
_TAIL = 80
"""Characters at the end of a line in which its shape is sought, so that no line takes long."""

CLOSERS = "\"'”’»›)]}」』）】〉》〕］"
"""What may follow a full stop and still belong to its sentence."""
_BULLETS = "•‣◦▪▫■□●○◆◇►▶✓✗✔✘☐☑☒◻❑❒❖➢➲✦"
_CIRCLED = "\u2460-\u2473\u2776-\u277f\u3220-\u3229"  # ①, ❶, ㈠
_BULLET = re.compile(rf"[{_BULLETS}{_CIRCLED}]")
_NUMBER = r"(?:\d{1,3}(?:\.\d{1,3}){0,8}|[a-zA-Z]|[ivxIVX]{1,5})"
_ITEM = re.compile(rf"[-–—*·]\s|\(?{_NUMBER}[.)]\s")
_LONE_MARKER = re.compile(r"(?:[^\w\s.,;:!?)\]}»”]|\(?(?:\d{1,3}|[a-zA-Z])[.)])\Z")
_LEADER = re.compile(  # "Contents . . . . . 12"; what begins with a set is sought quickly
    r"[.·…](?<![.·…][.·…])(?<![.·…]\s[.·…])(?:\s?[.·…]){3,}\s*\S{1,8}\Z"
)
_COLUMNS = re.compile(r"\s(?<=\S\s)(?:(?<=\t)|\s{2,}\S)")
_MAY_BE_FIGURE = re.compile(r"[0-9]|[^\x00-\x7f]")
_AMOUNT = re.compile(r"(?:\d[.,]\d\d\)?%?|\d%\s+\d+(?:[.,]\d+)?%)\Z")
_SPACELESS = re.compile("[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\u0e00-\u0eff]")
_SENTENCE_END = re.compile(rf"[.!?…。！？｡।॥؟۔።][{re.escape(CLOSERS)}]*(?:\[\d+\])*\Z")
_CLAUSE_END = re.compile(r"[.!?:;。！？؟…][\"'”’»)\]\d]{0,3}\Z")


def begins_bullet(line: str) -> bool:
    """Whether the line begins with a sign that nothing but an item of a list begins with.

    >>> begins_bullet("• tin"), begins_bullet("- tin")
    (True, False)
    """
    return _BULLET.match(line) is not None


def begins_item(line: str) -> bool:
    """Whether the line begins as items of a list often do: with a bullet, a dash or a number.

    >>> [begins_item(line) for line in ("•tin", "- tin", "3.1. Tin", "(b) tin", "3.1 percent")]
    [True, True, True, True, False]
    """
    return begins_bullet(line) or _ITEM.match(line) is not None


def is_labelled(line: str) -> bool:
    """Whether the line is a value with its label before it.

    >>> [is_labelled(line) for line in ("City: Boise", "Invoice no.: 12", "It melts; so: heat it")]
    [True, True, False]
    """
    return _LABELLED.match(line) is not None


_LABELLED = re.compile(r"[^\W\d_][\w.'’/-]{0,24}(?: [\w.'’/-]{1,24}){0,2}: \S")


def are_items(line: str, following: str) -> bool:
    """Whether both lines begin as items of one list do: with the same dash, or with (a) and (b).

    >>> are_items("– tin", "– lead"), are_items("(a) tin", "(b) lead"), are_items("1. tin", "7. in")
    (True, True, False)
    """
    a, b = _MARKER.match(line), _MARKER.match(following)
    if a is None or b is None:
        return False
    if a[1] is not None:
        return a[1] == b[1]
    return b[2] is not None and _place_of(b[2]) == _place_of(a[2]) + 1


_MARKER = re.compile(r"(?:([-–—*·])|\(?([0-9]{1,3}|[a-z])[.)])\s")


def _place_of(marker: str) -> int:
    """How far on in a list its mark is."""
    return int(marker) if marker.isdigit() else ord(marker)


def is_lone_marker(line: str) -> bool:
    """Whether the line is nothing but the mark of an item, whose text is in the next line.

    >>> is_lone_marker("•"), is_lone_marker("(3)"), is_lone_marker("3) tin")
    (True, True, False)
    """
    return _LONE_MARKER.match(line) is not None


def is_table_row(line: str, following: str) -> bool:
    """Whether the line looks like a row of a table or of a table of contents.

    >>> is_table_row("Tin 232 50", "Lead 327 82"), is_table_row("Tin . . . . . 12", "is soft")
    (True, True)
    """
    if _LEADER.search(line[-_TAIL:]) or _COLUMNS.search(line):
        return True
    return _numeric_share(line) >= FIGURES and _numeric_share(following) >= FIGURES


def _numeric_share(line: str) -> float:
    """The share of words with a digit in them, 0 to 1."""
    if not _MAY_BE_FIGURE.search(line):
        return 0.0
    words = line.split()
    return sum(any(map(str.isdigit, word)) for word in words) / len(words)


def ends_in_amount(line: str) -> bool:
    """Whether the line ends as a row of a bill does.

    >>> ends_in_amount("Total 1,250.00"), ends_in_amount("in chapter 12")
    (True, False)
    """
    return _AMOUNT.search(line[-_TAIL:]) is not None


def is_spaceless(character: str) -> bool:
    """Whether the script is written without spaces between words (Chinese, Japanese, Thai, Lao).

    >>> is_spaceless("猫"), is_spaceless("c")
    (True, False)
    """
    return _SPACELESS.match(character) is not None


def has_note_apart(word: str) -> bool:
    """Whether the number of a note that is raised behind a word is told apart by a space.

    Behind few letters it is a power ("m2"); behind a letter and a full stop, nothing else follows
    without a space (see `ragctx.text.sentences`).

    >>> [has_note_apart(word) for word in ("capital", "320.", "m", "soft.")]
    [True, True, False, False]
    """
    return _BEFORE_NOTE.search(word[-3:]) is not None


def is_capital_of(letter: str, following: str) -> bool:
    """Whether a large letter and what follows it are one word.

    Not "A" and "I", which may be words themselves.

    >>> is_capital_of("T", "he pump"), is_capital_of("A", "pump"), is_capital_of("T", "The")
    (True, False, False)
    """
    return len(letter) == 1 and letter.isupper() and letter not in "AI" and following[0].islower()


DROP_CAP = 1.8
"""How many times as large as the text a first letter is, at least, that goes down several lines."""
_BEFORE_NOTE = re.compile(r"[^\W\d_]{3}\Z|\d[.,;:)%]\Z")


def ends_sentence(text: str, start: int = 0, end: int | None = None) -> bool:
    """Whether `text[start:end]` ends with a full stop, quotes, brackets and notes aside.

    >>> ends_sentence('He said: "No.[12]'), ends_sentence("two metals:")
    (True, False)
    """
    end = len(text) if end is None else end
    # A full stop with all its closers and notes has fewer than 24 characters.
    return _SENTENCE_END.search(text, max(start, end - 24), end) is not None


def ends_clause(line: str) -> bool:
    """Whether the line ends with a full stop, a colon or a semicolon, perhaps with a note's number.

    This is not `ends_sentence`: on a page, a colon or semicolon at a line's end is as good a sign
    as a full stop that the next line begins something new, and notes are raised digits ("end.12").
    In finished text the digits could be a number, and text goes on after a colon.

    >>> ends_clause("two metals:"), ends_clause("is soft.12"), ends_clause("and tin")
    (True, True, False)
    """
    return _CLAUSE_END.search(line[-_TAIL:]) is not None
