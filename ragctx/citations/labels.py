"""Find labels such as [1] or [2-4] in an answer, and the statement that each is cited for."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from ragctx.citations.list_markers import without_list_markers
from ragctx.text.sentences import sentence_spans

_SPACE = r"[ \t\u00a0]{0,3}"
_NOUN = r"(?:passages?|sources?|documents?|docs?|references?|refs?)\.?"
_NUMBER = rf"(?:{_NOUN}{_SPACE})?\#?\d{{1,3}}(?!\d)"
_LIST = rf"{_NUMBER}(?:{_SPACE}(?:,|;|&|/|-|–|—|and|to){_SPACE}{_NUMBER}){{0,50}}"
_LABEL = re.compile(
    rf"[\[【]{_SPACE}\^?(?P<inside>{_LIST}){_SPACE}(?:†[^\]】\n]{{0,80}})?[\]】]"
    rf"(?:{_SPACE}\([^()\n]{{1,200}}, pp?\. ?[^()\n]{{1,20}}\))?"  # as our prompts show passages
    rf"|\(?\bpassages?[ \u00a0](?P<bare>{_LIST})\)?",
    re.IGNORECASE,
)
_PART = re.compile(r"(?P<range>[-–—]|to)?[^\d–—-]{0,20}?(?P<number>\d+)", re.IGNORECASE)
_WIDEST_RANGE = 50
"""Labels. A wider range, such as [1-999], is taken for its two ends: nobody cites that many
passages at once. Chosen by hand."""
_MOST_ELSEWHERE = 100
"""Statements that a label may be for if it is not part of one. More would take time with the square
of the answer's length, and nobody ends so long an answer with one list of sources. Chosen by hand.
"""


@dataclass(frozen=True, slots=True)
class CitedStatement:
    """Labels that are written together in an answer, and what they are cited for.

    `statements` holds one text, or several if the labels are not part of a statement
    ("Sources: [1]"): then a label is right if any of them comes from its passage.
    """

    labels: tuple[str, ...]
    statements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Group:
    """Labels that are written together: `answer[start:end]`."""

    start: int
    end: int
    labels: tuple[str, ...]


def cited_statements(answer: str, says_something: Callable[[str], bool]) -> list[CitedStatement]:
    """What each group of labels is cited for, in the order of the answer.

    A label belongs to the sentence before it or around it. If a sentence has several, each belongs
    to the words since the label before, and the last also to the words after it. Labels that open a
    sentence or a clause belong to what follows. The marks of list items are left out.
    `says_something` tells whether a text has any content to check ("According to" has none).

    >>> cited = cited_statements("It is tin [1], melting at 232 °C [2, 3].", lambda text: True)
    >>> [(group.labels, group.statements) for group in cited]
    [(('1',), ('It is tin',)), (('2', '3'), ('melting at 232 °C',))]
    """
    groups = _groups(answer)
    sentences = sentence_spans(without_labels(answer))  # which items of a list begin
    bare = without_labels(without_list_markers(answer))
    by_sentence: dict[tuple[int, int], list[_Group]] = {}
    line = _Line(bare, 0)
    for group in groups:
        line = line if group.start <= line.end else _Line(bare, group.start)
        to_next = line.is_wordless_before(group.start) and not line.is_wordless_after(group.end)
        by_sentence.setdefault(_sentence_of(group, sentences, to_next), []).append(group)
    texts = {(start, end): _tidy(bare[start:end]) for start, end in sentences}
    with_content = {span: text for span, text in texts.items() if says_something(text)}
    uncited = tuple(text for span, text in with_content.items() if span not in by_sentence)
    elsewhere = (uncited or tuple(with_content.values()))[:_MOST_ELSEWHERE]
    cited = []
    for span, together in by_sentence.items():
        for group, text in _share(bare, span, together, says_something):
            statements = (text,) if says_something(text) or not elsewhere else elsewhere
            cited.append(CitedStatement(group.labels, statements))
    return cited


def without_labels(answer: str) -> str:
    """The answer with spaces for its labels and what joins them, so that offsets stay the same.

    >>> without_labels("Tin [1].")
    'Tin    .'
    """
    pieces, at = [], 0
    for group in _groups(answer):
        pieces += [answer[at : group.start], " " * (group.end - group.start)]
        at = group.end
    return "".join(pieces) + answer[at:]


def _groups(answer: str) -> list[_Group]:
    """Every label with its numbers; labels with nothing but commas between them are one group."""
    spans: list[tuple[int, int]] = []
    labels: list[dict[str, None]] = []  # of each span, in order, each once
    for match in _LABEL.finditer(answer):
        numbers = dict.fromkeys(_numbers(match["inside"] or match["bare"]))
        between = answer[spans[-1][1] : match.start()] if spans else "\n"
        if "\n" not in between and between.strip(" \t,;&") in ("", "and"):
            spans[-1] = (spans[-1][0], match.end())
            labels[-1].update(numbers)
        else:
            spans.append(match.span())
            labels.append(numbers)
    return [
        _Group(start, end, tuple(numbers))
        for (start, end), numbers in zip(spans, labels, strict=True)
    ]


def _numbers(listing: str) -> tuple[str, ...]:
    """The labels in a listing, ranges written out.

    >>> _numbers("1, 3–5 and Passage 7")
    ('1', '3', '4', '5', '7')
    """
    numbers: list[int] = []
    for part in _PART.finditer(listing):
        number = int(part["number"])
        if part["range"] and numbers and 0 < number - numbers[-1] <= _WIDEST_RANGE:
            numbers.extend(range(numbers[-1] + 1, number))
        numbers.append(number)
    return tuple(str(number) for number in numbers)


class _Line:
    """The line around an offset, searched for words once, however many labels it has.

    Punctuation and list markers such as "2." are no words.
    """

    def __init__(self, bare: str, at: int) -> None:
        end = bare.find("\n", at)
        self.end = end if end >= 0 else len(bare)
        start = bare.rfind("\n", 0, at) + 1
        words = [m.start() for m in _WORDY.finditer(bare, start, self.end)]
        letters = [m.start() for m in _LETTER.finditer(bare, start, self.end)]
        markers = [m.start() for m in _MARKER.finditer(bare, start, self.end)]
        none = (self.end, start - 1)  # no first one before any offset, no last one after it
        self._words = (words[0], words[-1]) if words else none
        self._letters = (letters[0], letters[-1]) if letters else none
        self._markers = (markers[0] + 1, markers[-1]) if markers else none

    def is_wordless_before(self, offset: int) -> bool:
        """Whether the line has no word before `offset`."""
        if offset <= self._words[0]:
            return True
        return offset <= self._letters[0] and self._markers[0] < offset

    def is_wordless_after(self, offset: int) -> bool:
        """Whether the line has no word from `offset` on."""
        if offset > self._words[1]:
            return True
        return offset > self._letters[1] and self._markers[1] >= offset


_WORDY = re.compile(r"[^\W_]")
_LETTER = re.compile(r"[^\W\d_]")
_MARKER = re.compile(r"\d[.)]")


def _sentence_of(group: _Group, sentences: list[tuple[int, int]], to_next: bool) -> tuple[int, int]:
    """The sentence that a group belongs to; (0, 0) if the answer is nothing but labels."""
    if to_next:
        i = bisect_right(sentences, group.end, key=lambda span: span[1])
    else:
        i = max(0, bisect_left(sentences, group.start, key=lambda span: span[0]) - 1)
    return sentences[i] if i < len(sentences) else next(iter(sentences), (0, 0))


def _share(
    bare: str,
    sentence: tuple[int, int],
    groups: list[_Group],
    says_something: Callable[[str], bool],
) -> list[tuple[_Group, str]]:
    """Give each group of one sentence its part of the sentence."""
    start, end = sentence
    after = [*(group.start for group in groups[1:]), end]
    before = [start, *(group.end for group in groups[:-1])]
    if len(groups) == 1:
        return [(groups[0], _tidy(bare[start:end]))]
    if not says_something(bare[start : groups[0].start]):  # labels precede what they are cited for
        pieces = [(group.end, stop) for group, stop in zip(groups, after, strict=True)]
    else:
        pieces = [(begin, group.start) for begin, group in zip(before, groups, strict=True)]
        pieces[-1] = (before[-1], end)
    return [(g, _tidy(bare[a:b])) for g, (a, b) in zip(groups, pieces, strict=True)]


def _tidy(text: str) -> str:
    """`text` on one line, without punctuation and space at its ends."""
    return re.sub(r"\s+", " ", text).strip(" ,;:.")
