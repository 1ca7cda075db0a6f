"""The whole list, where a question asks for several things and the reader points at one of them.

The reader copies one span, and learnt on questions with one short answer. Where a question asks for
several ("Which parts are in the box?"), the span often is one item of a list. Its other items are
given with it, if the list is what was asked for: its lead-in has the question's words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from ragctx.tables import TAB, column_names, table_spans
from ragctx.text.line_shapes import begins_item
from ragctx.text.sentences import sentence_spans
from ragctx.text.words import STOP_WORDS, words_of

MOST_ITEMS = 15
"""Items of a list that is given whole. Chosen by hand: a longer one is a table to look at."""
MOST_WORDS = 120
"""Words of a list that is given whole. Chosen by hand, as above."""
MOST_ITEM_WORDS = 8
"""Words of an item within a sentence, where a longer one may hold more than the item. Chosen by
hand."""
MOST_SENTENCES = 3
"""Sentences of an item after which its list is over. Chosen by hand."""
SHARED = 0.5
"""Share of the question's words that the list's lead-in must have. Chosen by hand."""

_COUNTS = {
    word: count
    for count, word in enumerate("two three four five six seven eight nine ten".split(), start=2)
}
_COUNT = "|".join(("both", *_COUNTS))
_PLURAL = r"\w+s(?<!ss)(?<!us)(?<!is)"
_VERB = "are|were|do|did|does|have|can|may|must|shall|should|will|would|need|belong|count|apply"
_ASKS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?:please )?(?:list|enumerate) ",
        rf"(?:please )?(?:name|tell|give) (?:me )?(?:all|the (?:{_COUNT})|{_COUNT}) ",
        r"(?:what|which) are (?:all )?(?:the|its|their) ",
        rf"(?:what|which) (?:other )?(?:{_COUNT}) ",
        rf"(?:what|which) (?:\w+ ){{0,2}}?{_PLURAL} (?:[\w'’-]+ ){{0,12}}?(?:{_VERB})\b",
    )
)
_EVERY = re.compile(  # of a table: without a condition that only some of its rows meet
    rf"(?:(?:what|which) (?:\w+ )?(?P<asked>{_PLURAL}) are (?:there|listed|shown|named|given)"
    rf"|(?:please )?(?:list|name|enumerate) (?:all )?(?:the )?(?P<told>{_PLURAL})[.?!]?\Z)"
)
_ASKING = frozenset("list name give tell enumerate please all both me there listed named".split())
_MARKER = re.compile(
    r"[ \t]{0,20}(?:(?P<bullet>[^\w\s(])\s*|\(?(?P<number>\w{1,5}(?:\.\d{1,3}){0,3})[.)]\s+)"
)
_LINE = re.compile(r"[^\n]+")
_GAP = r"[ \u00a0\n]{1,3}"
_SEPARATOR = re.compile(rf"[,;]{_GAP}(?:(?:and|or){_GAP})?|{_GAP}(?:and|or){_GAP}")
_JOINT = re.compile(rf"[,;]?{_GAP}(?:and|or)\Z")
_BEFORE_ITEMS = re.compile(
    r":\s+|\b(?:are|were|includes?|including|contains?|comprises?|namely|such as|consists? of|"
    r"made up of|of)\s+"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeList:
    """A list's items as one text, and the characters from its first item to its last."""

    text: str
    start: int
    end: int


Span = tuple[int, int]


def whole_list(text: str, start: int, end: int, question: str) -> WholeList | None:
    r"""The list of which `text[start:end]` is a part; None if the question does not ask for one.

    Items of their own lines, of a sentence ("a, b and c") or of a table's column.

    >>> text = "The box holds these parts:\n- a pump,\n- a filter.\n\nKeep it dry."
    >>> found = whole_list(text, text.index("pump"), 35, "Which parts does the box hold?")
    >>> found.text, text[found.start : found.end]
    ('a pump; a filter', 'a pump,\n- a filter')
    >>> whole_list(text, text.index("pump"), 35, "Which part does the box hold?")
    """
    asked = " ".join(question.casefold().split())
    if " or " in asked or not any(pattern.match(asked) for pattern in _ASKS):
        return None
    count = next((_COUNTS.get(word, 2) for word in asked.split()[:5] if word in _COUNT_WORDS), None)
    for items, joint in (
        (_column(text, start, end, asked), "; "),
        (_lines(text, start, end, asked), "; "),
        (_within_sentence(text, start, end, asked), None),
    ):
        spans = [_bare(text, *item) for item in items]
        if len(spans) < 2 or (count is not None and len(spans) != count):
            continue
        first, last = spans[0][0], spans[-1][1]
        said = text[first:last] if joint is None else joint.join(text[a:b] for a, b in spans)
        if len(spans) <= MOST_ITEMS and len(said.split()) <= MOST_WORDS:
            return WholeList(text=" ".join(said.split()), start=first, end=last)
    return None


_COUNT_WORDS = frozenset(("both", *_COUNTS))


def _bare(text: str, start: int, end: int) -> Span:
    """An item without white space and the marks that part it from the next."""
    said = _JOINT.sub("", text[start:end].rstrip()).rstrip(".,; \n")
    return start + len(said) - len(said.lstrip()), start + len(said)


def _is_asked(question: str, lead_in: str, items: str) -> bool:
    """Whether a list with this lead-in is what is asked for.

    A word of the question that only items have is a condition that some of them meet.
    """
    wanted = _stems(question) - _ASKING - _COUNT_WORDS
    told = _stems(lead_in)
    return (
        bool(wanted)
        and len(wanted & told) >= SHARED * len(wanted)
        and not ((wanted - told) & _stems(items))
    )


def _stems(text: str) -> set[str]:
    """The content words, without the s of a plural or a verb."""
    return {word.removesuffix("s") for word in words_of(text) if word not in STOP_WORDS}


# ---- lines of their own --------------------------------------------------------------------------


def _lines(text: str, start: int, end: int, question: str) -> list[Span]:
    """The items of the list of lines, around the answer or led in by its sentence."""
    for line, items in _lists(text):
        before = text[:line].rstrip()
        if not before.endswith(":"):
            continue
        lead_in = sentence_spans(before)[-1]
        said = " ".join(text[a:b] for a, b in items)
        if lead_in[0] <= start < items[-1][1] and _is_asked(question, before[lead_in[0] :], said):
            return items
    return []


def _lists(text: str) -> Iterator[tuple[int, list[Span]]]:
    """Each list of lines: where its first line begins, and its items without their marks."""
    marks = [
        mark
        for line in _LINE.finditer(text)
        if begins_item(line[0].lstrip()) and (mark := _MARKER.match(text, *line.span()))
    ]
    items, line, kind, number = list[Span](), 0, "", 0
    for mark, following in zip_longest(marks, marks[1:]):
        stop = following.start() if following else len(text)
        sentences = sentence_spans(text[mark.end() : stop])
        if not sentences:
            continue
        new, counted = mark["bullet"] or "number", _number(mark["number"] or "")
        if items and (new != kind or (counted and counted != number + 1)):
            yield line, items
            items = []
        line, kind, number = line if items else mark.start(), new, counted
        items.append((mark.end(), mark.end() + sentences[0][1]))
        if len(sentences) > MOST_SENTENCES:
            yield line, items
            items = []
    if items:
        yield line, items


def _number(mark: str) -> int:
    """Which item a mark numbers: "3", "1.3" and "c" are the third; 0 for a bullet."""
    last = mark.rpartition(".")[2]
    if not last:
        return 0
    return int(last) if last.isdigit() else ord(last[0].lower()) - ord("a") + 1


# ---- within a sentence ---------------------------------------------------------------------------


def _within_sentence(text: str, start: int, end: int, question: str) -> list[Span]:
    """The items of an enumeration, "a, b and c", that the answer is a part of."""
    whole = next(((a, b) for a, b in sentence_spans(text) if a <= start < b), None)
    if whole is None:
        return []
    for pieces in _enumerations(text, *whole):
        first_end, last = pieces[0][1], pieces[-1]
        begins = _first_item(text, pieces[0], start)
        if begins is None or not (begins < end and start < last[1]):
            continue
        items = [(begins, first_end), *pieces[1:]]
        said = " ".join(text[a:b] for a, b in items)
        short = all(0 < len(text[a:b].split()) <= MOST_ITEM_WORDS for a, b in items)
        around = text[whole[0] : begins] + text[last[1] : whole[1]]
        if short and _is_asked(question, around, said):
            return items
    return []


def _enumerations(text: str, start: int, end: int) -> Iterator[list[Span]]:
    """The pieces of each enumeration: parted by commas, the last one by "and" or "or"."""
    pieces, at = list[Span](), start
    for match in _SEPARATOR.finditer(text, start, end):
        pieces.append((at, match.start()))
        at = match.end()
        if match[0].strip(" ,;\n\u00a0"):  # "and", "or"
            following = _SEPARATOR.search(text, at, end)
            yield [*pieces, (at, following.start() if following else end)]
            pieces = []


def _first_item(text: str, piece: Span, answer: int) -> int | None:
    """Where the first item begins: where the answer does, or after what leads the items in."""
    if piece[0] <= answer < piece[1]:
        return answer
    led_in = [match.end() for match in _BEFORE_ITEMS.finditer(text, *piece)]
    return led_in[-1] if led_in else None


# ---- columns of tables ---------------------------------------------------------------------------


def _column(text: str, start: int, end: int, question: str) -> list[Span]:
    """The cells of the column that holds the answer, if every one of them is asked for."""
    every = _EVERY.match(question)
    if every is None:
        return []
    for table in table_spans(text):
        header = table.header(text)
        if not header or not table.start <= start < table.end:
            continue
        names = column_names([row.split(TAB) for row in header])
        named = _stems(every["asked"] or every["told"])
        for k, name in enumerate(names):
            if named == _stems(name):
                rows = table.lines[len(header) :]
                cells = [cell for line in rows for cell in _cell(text, line, k)]
                return cells if any(a < end and start < b for a, b in cells) else []
    return []


def _cell(text: str, line: Span, column: int) -> Iterator[Span]:
    """The cell of a row in a column, if it is not empty."""
    cells = text[slice(*line)].split(TAB)
    if column < len(cells) and cells[column].strip():
        at = line[0] + sum(len(cell) + 1 for cell in cells[:column])
        yield at, at + len(cells[column])
