"""A form as words: each field a row of its own, `Label: value`, where its label stands.

A field's label is what it calls itself to a person (its tooltip), else the text beside its box, or
right above it, else its name. Ticks are "yes" and "no", of options the chosen one is named. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ragctx.pdf.line_joining import held_together
from ragctx.pdf.messages import FieldKind
from ragctx.pdf.row import Row, same_row
from ragctx.text.line_shapes import ends_clause
from ragctx.text.words import compared_words

MAX_LABEL_GAP = 20.0
"""Em: a label to the left of its field is at most this far away, if nothing is in between."""
NEAR = 2.5
"""Em: an option stands at most this far from its button or box."""
LABEL_STEP = 0.6
"""Row heights between two lines of one label at most."""
MAX_ABOVE = 1.2
"""A label above its field is at most this far from it, in its own height."""
MAX_LABEL = 120
"""Characters: a tooltip that is longer explains, and is no label where there is another."""
_FILLERS = " \t\n\xa0._…:–-"
"""What leads from a label to its field."""
_LETTER = re.compile(r"[^\W\d_]")
_LINE_NUMBER = re.compile(r"\d+[a-z]?")
_INDEX = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A form field and its box, in the coordinates of the page's upright text.

    `value` is what it holds; of a tick or one of several buttons, what it stands for where it is
    chosen; of what is pressed, what is drawn on it.
    """

    kind: FieldKind
    name: str
    tooltip: str
    value: str
    is_chosen: bool
    left: float
    top: float
    right: float
    bottom: float

    @property
    def row(self) -> Row:
        """Its value as a row at its place."""
        size = min(max(0.7 * (self.bottom - self.top), 1.0), 12.0)
        bottom = min(self.bottom, self.top + 1.5 * size)
        return Row(
            text=self.value,
            left=self.left,
            top=self.top,
            right=self.right,
            bottom=bottom,
            size=size,
        )

    def is_beside(self, row: Row) -> bool:
        """Whether a row is at the height of its box, however tall that is."""
        middle = (row.top + row.bottom) / 2
        return self.top <= middle <= self.bottom or same_row(self.row, row)

    @property
    def short_name(self) -> str:
        """Its name without those of the groups around it ("form[0].page[0].Total[0]")."""
        return _INDEX.sub("", self.name.rpartition(".")[2])


def with_fields(pieces: Sequence[Row], fields: Sequence[Field]) -> tuple[list[Row], list[Row]]:
    """The pieces of a page with its fields beside their labels; and the values without a label.

    >>> label = Row(text="City:", left=0, top=0, right=20, bottom=10, size=10)
    >>> town = Field(
    ...     **{"kind": "value", "name": "t2", "tooltip": "", "value": "Boise", "is_chosen": False},
    ...     **{"left": 40, "top": 0, "right": 90, "bottom": 12},
    ... )
    >>> [row.text for row in with_fields([label], [town])[0]]
    ['City: Boise']
    """
    form = _Form(_with_whole_labels(pieces, fields), tuple(fields))
    groups: dict[str, list[Field]] = {}
    for field in fields:
        if field.kind == "radio":
            groups.setdefault(field.name, []).append(field)
        elif field.kind == "tick":
            form.put_tick(field)
        elif field.kind == "value" and field.value.strip():
            if not form.put_cell(field):
                form.put_value(field)
    for buttons in groups.values():
        form.put_choice(buttons)
    return form.rows(), form.loose


class _Form:
    """The pieces of a page while its fields are put in."""

    def __init__(self, pieces: list[Row], fields: tuple[Field, ...]) -> None:
        self._pieces = pieces
        self._fields = fields
        self._instead: dict[int, list[Row]] = {}  # by index of the piece
        self._ticks_first = _stand_first(pieces, [f for f in fields if f.kind != "value"])
        self.loose: list[Row] = []

    def rows(self) -> list[Row]:
        """The pieces with the fields."""
        return [row for i, piece in enumerate(self._pieces) for row in self._at(i, piece)]

    def _at(self, i: int, piece: Row) -> list[Row]:
        return self._instead.get(i, [piece])

    # ---- kinds of fields -------------------------------------------------------------------

    def put_value(self, field: Field) -> None:
        """A text, or what was chosen from a list."""
        beside = _to_the_left(self._pieces, field, self._fields)
        if beside is not None and _is_in_a_sentence(self._pieces, field, beside):
            self._instead[beside] = [*self._at(beside, self._pieces[beside]), field.row]
            return
        above = _right_above(self._pieces, field, self._fields)
        if above is None and beside is None:
            above = _right_below(self._pieces, field, self._fields)
        gap = _gap(self._pieces[beside], field) if beside is not None else 0.0
        label = above if beside is None or (above is not None and gap > NEAR) else beside
        if label is not None and not _LETTER.search(self._pieces[label].text):
            value = f"{self._pieces[label].text} {field.value}"  # the "$" before an amount
            further = _to_the_left(self._pieces, field, self._fields, before=label)
            if further is not None and _LETTER.search(self._pieces[further].text):
                self._instead[label] = []
                field, label = replace(field, value=value), further
        self._put(field, label, field.value)

    def put_cell(self, field: Field) -> bool:
        """A cell of a table of fields, behind the label of its row; whether the field is one."""
        if not any(_are_in_a_grid(self._pieces, a, b) for a, b in _pairs(field, self._fields)):
            return False
        if not any(_are_side_by_side(self._pieces, field, other) for other in self._fields):
            return False
        labels = [i for i, piece in enumerate(self._pieces) if _begins_row(piece, field)]
        if not labels:
            return False
        label = max(labels, key=lambda i: self._pieces[i].right)
        cell = replace(field.row, text=" ".join(field.value.split()))
        self._instead[label] = [*self._at(label, self._pieces[label]), cell]
        return True

    def put_tick(self, field: Field) -> None:
        """A box: "yes" or "no"."""
        self._put(field, self._option(field), "yes" if field.is_chosen else "no")

    def put_choice(self, buttons: Sequence[Field]) -> None:
        """Buttons of which one may be chosen: the chosen one, named; of the others "no"."""
        options = {id(button): self._option(button) for button in buttons}
        chosen = next((button for button in buttons if button.is_chosen), None)
        if chosen is None:
            return
        group = _to_the_left(self._pieces, buttons[0], self._fields)
        if group in options.values():
            group = None
        at = options[id(chosen)]
        value = _label_of(self._pieces[at].text) if at is not None else chosen.value
        if at is not None and (group is not None or chosen.tooltip):
            self._instead[at] = []
        if group is None and at is not None:
            if chosen.tooltip:
                self._instead[at] = [self._row(chosen, at, f"{chosen.tooltip}: {value}")]
            else:
                self._put(chosen, at, "yes")
        else:
            self._put(chosen, group, value)
        for button in buttons:
            other = options[id(button)]
            if button is not chosen and other is not None and other != at:
                self._put(replace(button, tooltip=""), other, "no")

    def _option(self, field: Field) -> int | None:
        """Index of the text that says what a box or button stands for; a number tells least."""
        right = _to_the_right(self._pieces, field)
        left = _to_the_left(self._pieces, field, self._fields)
        sides = (right, left) if self._ticks_first else (left, right)
        found = [i for i in sides if i is not None]
        worded = (i for i in found if not _LINE_NUMBER.fullmatch(self._pieces[i].text))
        return next(worded, found[0] if found else None)

    # ---- rows --------------------------------------------------------------------------------

    def _put(self, field: Field, at: int | None, value: str) -> None:
        printed = _label_of(self._pieces[at].text) if at is not None else ""
        label = _label(field, printed)
        if at is None:
            if label or field.is_chosen or field.kind == "value":
                self.loose.append(replace(field.row, text=_said(label, value)))
            return
        row = self._row(field, at, _said(label, value))
        if label == printed or _has_words_of(label, printed):
            self._instead[at] = [row]
        else:  # what is printed says something else
            self._instead[at] = [*self._at(at, self._pieces[at]), row]

    def _row(self, field: Field, at: int, text: str) -> Row:
        piece = self._pieces[at]
        right = max(piece.right, field.right)
        return replace(
            piece,
            text=text,
            left=min(piece.left, field.left),
            right=right,
            is_field=True,
            cells=(),
        )


def _said(label: str, value: str) -> str:
    value = " ".join(value.split())
    if not label:
        return value
    return f"{label} {value}" if label[-1] in "?!=" else f"{label}: {value}"


def _label(field: Field, printed: str) -> str:
    tooltip = " ".join(field.tooltip.split()).rstrip(": ")
    if printed and (not tooltip or len(tooltip) > MAX_LABEL or _has_words_of(printed, tooltip)):
        return printed
    if tooltip:
        return tooltip
    return field.short_name if field.kind != "value" and field.is_chosen else ""


def _label_of(text: str) -> str:
    return text.rstrip(_FILLERS)


def _has_words_of(text: str, part: str) -> bool:
    return set(compared_words(part)) <= set(compared_words(text))


# ---- labels of several lines -----------------------------------------------------------------


def _with_whole_labels(pieces: Sequence[Row], fields: Sequence[Field]) -> list[Row]:
    """The pieces, with labels that run over several lines as one, where the first of them is."""
    whole = list(pieces)
    for field in fields:
        at = None if field.kind == "button" else _first_line(whole, field, fields)
        last = None if at is None else whole[at]
        while at is not None and last is not None:
            following = _next_line(whole, last, field, fields)
            if following is not None:
                whole[at] = _with_line(whole[at], whole[following])
                last = whole.pop(following)
                at -= following < at
            else:
                last = None
    return whole


def _first_line(pieces: Sequence[Row], field: Field, fields: Sequence[Field]) -> int | None:
    right = None if field.kind == "value" else _to_the_right(pieces, field)
    return _to_the_left(pieces, field, fields) if right is None else right


def _next_line(
    pieces: Sequence[Row], last: Row, field: Field, fields: Sequence[Field]
) -> int | None:
    """Index of the piece with which a field's label goes on below its `last` line.

    It goes on in mid-sentence, at the same left edge; beside the field if that is to be written in;
    and it is not what another field is called.
    """
    if ends_clause(last.text):
        return None
    below = (
        i
        for i, piece in enumerate(pieces)
        if -0.3 * last.height <= piece.top - last.bottom < LABEL_STEP * last.height
        and abs(piece.left - last.left) <= piece.size
        and abs(piece.size - last.size) <= 1
        and piece.text[0].islower()
        and (field.kind != "value" or field.is_beside(piece))
        and not any(o is not field and _is_right_of(piece, o) for o in fields)
    )
    return next(below, None)


def _is_right_of(piece: Row, field: Field) -> bool:
    """Whether a field is beside a piece, and near its end."""
    return field.is_beside(piece) and -0.5 <= (field.left - piece.right) / piece.size <= NEAR


def _with_line(label: Row, line: Row) -> Row:
    text = held_together(label.text, line.text)
    return replace(label, text=text, right=max(label.right, line.right), cells=())


# ---- where labels stand ----------------------------------------------------------------------


def _stand_first(pieces: Sequence[Row], ticks: Sequence[Field]) -> bool:
    """Whether boxes and buttons stand before what they are about: where fewer lack a text."""
    rights = sum(_to_the_right(pieces, tick) is not None for tick in ticks)
    lefts = sum(
        i is not None and _gap(pieces[i], tick) <= NEAR
        for tick in ticks
        for i in (_to_the_left(pieces, tick, ticks),)
    )
    return rights >= lefts


def _gap(piece: Row, field: Field) -> float:
    """Em from a piece to a field on its right."""
    return max(0.0, field.left - piece.right) / piece.size


def _to_the_left(
    pieces: Sequence[Row], field: Field, fields: Sequence[Field], before: int | None = None
) -> int | None:
    """Index of the nearest piece to the left of a field, with no other field between."""
    limit = pieces[before].left if before is not None else field.left
    beside = [
        i
        for i, piece in enumerate(pieces)
        if field.is_beside(piece)
        and piece.left < limit - 0.3 * piece.size
        and piece.right <= max(limit + piece.size, field.right)
        and _label_of(piece.text)
    ]
    if not beside:
        return None
    nearest = max(pieces[i].right for i in beside)
    lines = (i for i in beside if pieces[i].left < nearest <= pieces[i].right + 4 * pieces[i].size)
    i = min(lines, key=lambda i: pieces[i].top)
    is_between = any(
        pieces[i].right <= other.left + 1 and other.right <= field.left + 1
        for other in fields
        if other is not field and field.is_beside(other.row)
    )
    return None if is_between or _gap(pieces[i], field) > MAX_LABEL_GAP else i


def _to_the_right(pieces: Sequence[Row], field: Field) -> int | None:
    """Index of the nearest piece to the right of a box or button, if it is near."""
    beside = [
        i
        for i, piece in enumerate(pieces)
        if field.is_beside(piece) and -0.3 <= (piece.left - field.right) / piece.size <= NEAR
    ]
    return min(beside, key=lambda i: pieces[i].left, default=None)


def _right_above(pieces: Sequence[Row], field: Field, fields: Sequence[Field]) -> int | None:
    """Index of the piece right above a field that begins where it does.

    Not in a grid: there it is the head of a column, and says it for all the fields below.
    """
    if any(_are_in_a_grid(pieces, field, other) for other in fields):
        return None
    above = [
        i
        for i, piece in enumerate(pieces)
        if -0.5 * piece.height <= field.top - piece.bottom <= MAX_ABOVE * piece.height
        and abs(piece.left - field.left) <= piece.size
        and _LETTER.search(piece.text)
    ]
    return max(above, key=lambda i: pieces[i].bottom, default=None)


def _right_below(pieces: Sequence[Row], field: Field, fields: Sequence[Field]) -> int | None:
    """Index of the piece right below a field that begins where it does, and is under no other.

    So are the labels under the lines on which names and places are written.
    """
    if any(_are_in_a_grid(pieces, field, other) for other in fields):
        return None
    below = [
        i
        for i, piece in enumerate(pieces)
        if -0.5 * piece.height <= piece.top - field.bottom <= 0.5 * piece.height
        and abs(piece.left - field.left) <= piece.size
        and _LETTER.search(piece.text)
        and not any(
            -0.5 * piece.height <= other.top - piece.bottom <= MAX_ABOVE * piece.height
            and abs(piece.left - other.left) <= piece.size
            for other in fields
        )
    ]
    return min(below, key=lambda i: pieces[i].top, default=None)


def _pairs(field: Field, fields: Sequence[Field]) -> Iterator[tuple[Field, Field]]:
    """The field with each other one, both ways."""
    for other in fields:
        if other is not field:
            yield from ((field, other), (other, field))


def _are_side_by_side(pieces: Sequence[Row], a: Field, b: Field) -> bool:
    """Whether two fields to write in are at one height, with no text in between."""
    if a is b or b.kind != "value" or b.top >= a.bottom or a.top >= b.bottom:
        return False
    left, right = min(a.right, b.right), max(a.left, b.left)
    return not any(
        a.is_beside(piece) and left < (piece.left + piece.right) / 2 < right for piece in pieces
    )


def _begins_row(piece: Row, field: Field) -> bool:
    """Whether a piece is at a field's height, to its left, and has words."""
    is_left = piece.right <= field.left + piece.size
    return is_left and field.is_beside(piece) and _LETTER.search(piece.text) is not None


def _are_in_a_grid(pieces: Sequence[Row], a: Field, b: Field) -> bool:
    """Whether b is right below a, with no text in between."""
    height = a.bottom - a.top
    if abs(a.left - b.left) >= 2 or not -0.5 * height < b.top - a.bottom < 0.6 * height:
        return False
    return not any(
        a.bottom < (piece.top + piece.bottom) / 2 < b.top
        and piece.left < a.right
        and a.left < piece.right
        for piece in pieces
    )


def _is_in_a_sentence(pieces: Sequence[Row], field: Field, before: int) -> bool:
    """Whether a field is a blank in running text, which goes on behind it."""
    after = _to_the_right(pieces, field)
    if after is None or _gap(pieces[before], field) > 1.0:
        return False
    first = pieces[after].text[0]
    return first.islower() or first in ",.;)"
