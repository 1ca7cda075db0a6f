"""Whether a passage supports what an answer states: a check of words, strict rather than generous.

The rule. A statement is *supported* by a passage if either

1. its words occur in the passage one after another (case, punctuation and white space apart), or
2. within one sentence of the passage there is a stretch, at most half as long again as the
   statement, that has all its content words in the same order, each number with the unit that
   follows it (word endings and function words apart; "In 1998, …" may be at either end, and
   "According to the manual, …" is left out);

and, in both cases, the stretch denies something ("not", "never", …) exactly if the statement does,
and whatever the statement puts in quotation marks occurs in the passage word for word.

So a statement may leave out part of the passage; but one that adds a word or replaces one, is put
together from two sentences, swaps who did what, or drops a "not", is not supported. What the rule
cannot see is meaning: a paraphrase in other words is not supported either, and a true quotation can
be cited out of context.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, zip_longest

from ragctx.text.folding import plain_text
from ragctx.text.sentences import sentence_spans

STRETCH = 1.5
"""Content words of a stretch, at most, for each content word of the statement; one more is allowed.
Enough to leave out an adjective or a short clause, too few to join two facts. Chosen by hand."""

_DENIAL_REACH = 3
"""Words before a stretch among which a denial still bears on it ("is not at all likely to …").
Chosen by hand."""

_LETTER = r"(?:[^\W\d_]|[\u0300-\u036f\u00ad])"
_IDEOGRAPH = r"[\u3040-\u30ff\u3400-\u9fff]"  # written without spaces: each counts as a word
_WORD = re.compile(
    rf"(?:(?<![\w.,)\]])[-\u2212])?\d+(?:[.,]\d+)*|{_IDEOGRAPH}|(?:(?!{_IDEOGRAPH}){_LETTER})+"
    rf"(?:['\u2019](?:(?!{_IDEOGRAPH}){_LETTER})+)*|[%\u2030$\u20ac\u00a3\u00a5\u00b0]"
)
_GROUPED = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?\Z")
_QUOTATION = re.compile(r"[\"“„«]([^\"“”„«»\n]{3,1000})[\"”“»]")
_ATTRIBUTION = re.compile(
    r"\A\s*(?:(?:according to|as (?:stated|described|mentioned|noted) in|(?:based )?on|in|per)\s*)?"
    r"(?:the |this |that )?(?:\w{1,30} ){0,2}"
    r"(?:document|passage|text|source|context|manual|guide|report|paper|article|excerpt|page)s?"
    r"(?:,|:|\s+(?:says?|states?|notes?|mentions?|explains?|reads?|indicates?)\b(?:\s+that\b)?)"
    r"[,:]?",
    re.IGNORECASE,
)
_FRONTED = re.compile(
    r"\A((?:in|on|since|by|during|at|after|before|from|until|for) [^,]{1,60}), (.+)\Z",
    re.IGNORECASE | re.DOTALL,
)
_FINAL = re.compile(
    r"\A(.+) ((?:in|on|since|by) (?:\w{1,20} ){0,2}\d{1,9})\W{0,3}\Z", re.IGNORECASE | re.DOTALL
)
_DENIALS = frozenset("not no never none nor neither nothing nobody without cannot".split())
_NUMBER_WORDS = {
    word: str(value)
    for value, word in [
        *enumerate(
            "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
            "sixteen seventeen eighteen nineteen twenty".split(),
            start=2,
        ),
        (30, "thirty"),
        (40, "forty"),
        (50, "fifty"),
        (60, "sixty"),
        (70, "seventy"),
        (80, "eighty"),
        (90, "ninety"),
        (100, "hundred"),
        (1000, "thousand"),
        (1_000_000, "million"),
        (1_000_000_000, "billion"),
    ]
}
_EMPTY_WORDS = frozenset(
    "a an the this that these those it its he she they them his her their we our you your i my me "
    "is are was were be been being am do does did has have had having will would shall should can "
    "could may might must of in on at to for from by with as into onto and or but so if then than "
    "there here which who whom whose what when where how also such both each any some very "
    "according passage passages source sources document documents text context answer says say "
    "said states stated mentions mentioned reference references citation citations see yes "
    "therefore thus however moreover furthermore additionally specifically namely overall".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A word of a text, `text[start:end]`, how it is compared, and whether it is content."""

    start: int
    end: int
    text: str  # normalised
    key: str  # without its ending; numbers in digits (but "one" is a word: "no one", "one of")
    is_number: bool
    unit: str = ""  # the key of what follows a number directly

    @property
    def denies(self) -> bool:
        """Whether it is "not", "never" or the like."""
        return self.text in _DENIALS or self.text.endswith("n't")

    @property
    def is_content(self) -> bool:
        """Whether it is neither a function word, nor a denial, nor a number."""
        return not (self.is_number or self.text in _EMPTY_WORDS or self.denies)


class ReadText:
    """A text with its sentences and words, each found when first needed and then kept."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def words(self) -> tuple[Word, ...]:
        """Every word, in order."""
        return tuple(_words(self.text))

    @cached_property
    def plain(self) -> tuple[str, ...]:
        """The words as they are compared verbatim: normalised, with their endings."""
        return tuple(word.text for word in self.words)

    @cached_property
    def sentences(self) -> tuple[tuple[int, int], ...]:
        """Each sentence as a half-open range of word indices."""
        starts = [word.start for word in self.words]
        spans = sentence_spans(self.text)
        firsts = [bisect_right(starts, a - 1) for a, _ in spans]
        ranges = pairwise([*firsts, len(starts)])  # none in a blank text
        return tuple((first, last) for first, last in ranges if first < last)

    @cached_property
    def content(self) -> tuple[Word, ...]:
        """Content words and numbers."""
        return tuple(word for word in self.words if word.is_content or word.is_number)

    @cached_property
    def keys(self) -> frozenset[str]:
        """The keys of its content words and numbers."""
        return frozenset(word.key for word in self.content)

    def sentence_of(self, index: int) -> tuple[int, int]:
        """The sentence that holds word `index`, as a half-open range of word indices."""
        return self.sentences[bisect_right(self.sentences, index, key=lambda range_: range_[0]) - 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """A stretch of a passage that supports a statement: `passage.text[start:end]`."""

    start: int
    end: int
    verbatim: bool
    shared: int  # content words of the question in the same sentence


def says_something(text: str) -> bool:
    """Whether a text has any word or number that can be checked.

    >>> says_something("According to the passage, it is"), says_something("It is 5.")
    (False, True)
    """
    return any(word.is_content or word.is_number for word in _words(text))


def find_support(statement: str, passage: ReadText, question: ReadText) -> Support | None:
    """The stretch of `passage` that supports `statement`, by the rule above; None without one.

    Of several, a verbatim one is preferred, then one whose sentence shares more words with the
    question, then the first.

    >>> passage = ReadText("The lamp uses 5 W. It must not get wet. Ann sold it to Bob.")
    >>> question = ReadText("")
    >>> support = find_support("The lamp uses 5 W", passage, question)
    >>> passage.text[support.start : support.end]
    'The lamp uses 5 W'
    >>> [
    ...     find_support(statement, passage, question)
    ...     for statement in ("It uses 6 W", "It must get wet", "Bob sold it to Ann")
    ... ]
    [None, None, None]
    """
    if not _holds_quotations(statement, passage):
        return None
    for text in _phrasings(statement):
        phrasing = ReadText(text)
        if not phrasing.content:
            continue
        support = find_verbatim(phrasing, passage, question)
        if support is None:
            support = _best(_stretches(phrasing, passage), passage, question, verbatim=False)
        if support is not None:
            return support
    return None


def find_verbatim(statement: ReadText, passage: ReadText, question: ReadText) -> Support | None:
    """Where the statement's words occur one after another (rule 1); None if they do not."""
    if not statement.content:
        return None
    denies = any(word.denies for word in statement.words)
    runs = [
        (first, last)
        for first, last in _runs(statement.plain, passage.plain)
        if _denies(passage, first, last) == denies
    ]
    return _best(runs, passage, question, verbatim=True)


def closest_sentence(statement: str, passage: ReadText) -> tuple[int, int] | None:
    """The span of the sentence that shares most words with the statement; None if none shares."""
    keys = ReadText(statement).keys
    best: tuple[int, tuple[int, int]] | None = None
    for first, last in passage.sentences:
        words = passage.words[first:last]
        shared = len(keys & {word.key for word in words})
        if shared and (best is None or shared > best[0]):
            best = shared, (words[0].start, words[-1].end)
    return best[1] if best else None


def _phrasings(statement: str) -> tuple[str, ...]:
    """The statement, without its attribution, and with its time or place at the other end.

    >>> _phrasings("In 1998, Ann hired Bob")
    ('In 1998, Ann hired Bob', 'Ann hired Bob In 1998')
    """
    bare = _ATTRIBUTION.sub("", statement, count=1)
    time_last, time_first = _FRONTED.sub(r"\2 \1", bare), _FINAL.sub(r"\2, \1", bare)
    return tuple(dict.fromkeys((statement, bare, time_last, time_first)))


# ---- the two rules -------------------------------------------------------------------------------


def _runs(wanted: Sequence[str], words: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Half-open ranges of `words` that equal `wanted`."""
    for i in range(len(words) - len(wanted) + 1):
        if words[i] == wanted[0] and tuple(words[i : i + len(wanted)]) == tuple(wanted):
            yield i, i + len(wanted)


def _stretches(statement: ReadText, passage: ReadText) -> Iterator[tuple[int, int]]:
    """Ranges of the passage's words that support the statement by rule 2, one for a sentence."""
    denies = any(word.denies for word in statement.words)
    longest = math.ceil(STRETCH * len(statement.content)) + 1
    for first, last in passage.sentences:
        words = passage.words[first:last]
        if not statement.keys <= {word.key for word in words}:
            continue
        indices = [i for i, word in enumerate(words) if word.is_content or word.is_number]
        content = [words[i] for i in indices]
        for i, word in enumerate(content):
            if word.key != statement.content[0].key:
                continue
            length = _length_in_order(statement.content, content[i : i + longest])
            if not length:
                continue
            stretch = first + indices[i], first + indices[i + length - 1] + 1
            if _denies(passage, *stretch) == denies:
                yield stretch
                break


def _length_in_order(wanted: Sequence[Word], words: Sequence[Word]) -> int:
    """How many of the first `words` it takes to find all `wanted` in order; 0 if not all are there.

    `wanted` is not empty.
    """
    if len(words) < len(wanted):
        return 0
    matched = 0  # of wanted
    for length, word in enumerate(words, start=1):
        want = wanted[matched]
        if word.key == want.key and want.unit in ("", word.unit):
            matched += 1
        if matched == len(wanted):
            return length
    return 0


def _denies(passage: ReadText, first: int, last: int) -> bool:
    """Whether a denial is among words `first` to `last`, or shortly before in that sentence."""
    begin = max(first - _DENIAL_REACH, passage.sentence_of(first)[0])
    return any(word.denies for word in passage.words[begin:last])


def _holds_quotations(statement: str, passage: ReadText) -> bool:
    """Whether everything in quotation marks occurs in the passage word for word."""
    for match in _QUOTATION.finditer(statement):
        quoted = tuple(word.text for word in _words(match[1]))
        if len(quoted) > 1 and next(_runs(quoted, passage.plain), None) is None:
            return False
    return True


def _best(
    ranges: Iterable[tuple[int, int]],
    passage: ReadText,
    question: ReadText,
    *,
    verbatim: bool,
) -> Support | None:
    """The range whose sentence shares most words with the question; the first of equals."""
    best: Support | None = None
    for first, last in ranges:
        begin, end = passage.sentence_of(first)
        shared = len(question.keys & {word.key for word in passage.words[begin:end]})
        if best is None or shared > best.shared:
            start, end = passage.words[first].start, passage.words[last - 1].end
            best = Support(start=start, end=end, verbatim=verbatim, shared=shared)
    return best


# ---- words ---------------------------------------------------------------------------------------


def _words(text: str) -> Iterator[Word]:
    plain = plain_text(text)
    matches = list(_WORD.finditer(plain.text))
    for match, following in zip_longest(matches, matches[1:]):
        normal = _normal(match.group())
        if not normal:  # nothing but soft hyphens
            continue
        is_number = _is_number(normal)
        unit = ""
        if is_number and following:
            unit = _unit(plain.text[match.end() : following.start()], _normal(following.group()))
        start, end = plain.origin(*match.span())
        yield Word(
            start=start,
            end=end,
            text=normal,
            key=_NUMBER_WORDS.get(normal, normal) if is_number else _stem(normal),
            is_number=is_number,
            unit=unit,
        )


def _is_number(normal: str) -> bool:
    return normal in _NUMBER_WORDS or normal[-1:].isdigit()


def _unit(gap: str, word: str) -> str:
    """The key of the word after a number, if only space or a hyphen is between them; else ""."""
    if gap.strip(" \u00a0\n-") or _is_number(word) or word in _EMPTY_WORDS:
        return ""
    return _stem(word)


def _normal(word: str) -> str:
    """A word without differences of case, soft hyphens and thousands separators."""
    word = word.replace("\u00ad", "").casefold()
    word = word.replace("\u2019", "'").replace("\u2212", "-")
    return word.replace(",", "") if _GROUPED.match(word) else word


def _stem(word: str) -> str:
    """A word without a common English ending: enough for "requires" to match "required".

    >>> [_stem(word) for word in ("requires", "required", "requiring", "sizes", "size", "care")]
    ['requir', 'requir', 'requir', 'size', 'size', 'care']
    """
    word = word.removesuffix("'s")
    for ending, least in (("ing", 4), ("ed", 4), ("es", 4), ("s", 3), ("e", 4)):
        if word.endswith(ending) and len(word) - len(ending) >= least and word[-2:] != "ss":
            return word[: -len(ending)]
    return word
