"""The ways in which models write labels, made one: "(1)", "¹", "[1, p. 4]", "[a.pdf]" become "[1]".

Prompts ask for [1], and many models do as they were trained instead. Only what can be a label of
this prompt is one. Numbers in round brackets or raised are labels only where the answer has none in
square brackets: those in round ones where no counting word, unit or "section" stands before them,
and raised ones where they are no power (`raised`) and no passage writes them so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ragctx.citations.raised import is_power
from ragctx.file_formats import SUFFIXES

_SPACE = r"[ \t\u00a0]{0,3}"
_PAGE = (
    rf"{_SPACE}[,:;]?{_SPACE}\(?(?:pp?|pages?|pgs?|S|Seiten?|página)\.?{_SPACE}"
    rf"(?P<page>\d{{1,5}})(?:{_SPACE}[-–—]{_SPACE}\d{{1,5}})?\)?"
)
_SECTION = rf"{_SPACE}[,:;]?{_SPACE}§[^\[\]【】()\n]{{0,200}}"
_WITH_SECTION = re.compile(rf"[\[【]{_SPACE}(?P<inside>\d{{1,3}}){_SECTION}[\]】]")
_WITH_PAGES = re.compile(
    rf"(?P<open>[\[【(]){_SPACE}(?P<inside>\d{{1,3}}[^\[\]【】()\n]{{0,80}}?\d){_SPACE}[\]】)]"
)
_ANY_PAGE = re.compile(_PAGE.replace("?P<page>", "?:"), re.IGNORECASE)
_LIST = r"\d{1,3}(?:[ \t]{0,3}[,;–-][ \t]{0,3}\d{1,3}){0,20}"
_LISTED = re.compile(_LIST)
_SQUARE = re.compile(rf"[\[【]{_SPACE}\^?\#?{_LIST}{_SPACE}[\]】†]")
_ROUND = re.compile(
    rf"(?<=[^\s]){_SPACE}\((?P<inside>{_LIST})\)(?=[\s]*(?:[.,;:!?。，；：！？]|$))", re.MULTILINE
)
_RAISED = re.compile(r"(?P<inside>[⁰¹²³⁴⁵⁶⁷⁸⁹]+(?:[˒,⸴⁻–-][⁰¹²³⁴⁵⁶⁷⁸⁹]+)*)")
_SUP = re.compile(rf"<sup>{_SPACE}\[?(?P<inside>{_LIST})\]?{_SPACE}</sup>", re.IGNORECASE)
_NAMED = re.compile(
    r"(?:[\[【(［（]|\[\[)[ \t]{0,3}(?:citation|cite|source|src|reference|ref|id|doc|document|"
    rf"context|chunk|passage|quelle|fuente)s?{_SPACE}[:_#-]?{_SPACE}(?P<inside>{_LIST}){_SPACE}"
    r"(?:\]\]|[\]】)］）])",
    re.IGNORECASE,
)
_TAGGED = re.compile(
    rf"<(?P<tag>cite|citation|ref|source)>{_SPACE}\[?(?P<inside>{_LIST})\]?{_SPACE}</(?P=tag)>",
    re.IGNORECASE,
)
_ESCAPED = re.compile(rf"\\\[(?P<inside>{_LIST})\\\]")
_LINKED = re.compile(rf"\[(?P<inside>{_LIST})\]\((?:#|https?://)[^()\s]{{0,200}}\)")
_WIDE = re.compile(rf"［{_SPACE}(?P<inside>{_LIST}){_SPACE}］")
_WIDE_ROUND = re.compile(rf"（{_SPACE}(?P<inside>{_LIST}){_SPACE}）")
_DRESSED = (_NAMED, _TAGGED, _ESCAPED, _LINKED, _WIDE)
"""Numbers that stand for passages wherever they are written so."""
_CIRCLED = re.compile(r"(?<=\S)[ \t]?(?P<inside>[①-⑳])")
_LOWERED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹˒⸴⁻", "0123456789,,-")
_COUNTS = re.compile(
    r"(?:\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|sections?|"
    r"figures?|fig\.|tables?|eqs?\.|equations?|steps?|articles?|chapters?|notes?|items?|clauses?|"
    r"paragraphs?|parts?)|§|\d)\s*\Z",
    re.IGNORECASE,
)
_HEADING = re.compile(
    r"(?im)^[ \t]*(?:#{1,4}[ \t]*)?[*_]{0,3}(?:references|sources|citations|bibliography|footnotes|"
    r"works cited|quellen)[*_]{0,3}[ \t]*:?[*_]{0,3}[ \t]*$"
)
_ENDING = "|".join(map(re.escape, SUFFIXES))
_LISTED_LINE = re.compile(
    rf"\A[ \t]*(?:[-*•][ \t]*)?(?:[\[【(]?\^?\d{{1,3}}[\]】).:]|.{{1,200}}(?:{_ENDING})\b)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A passage by its label, and where it comes from."""

    label: str
    document: str
    first_page: int | None
    last_page: int | None
    text: str


def in_square_brackets(answer: str, passages: Sequence[Labelled]) -> str:
    """The answer with every label as [1], and without a list of references that only repeats them.

    >>> tin = Labelled(label="1", document="a.pdf", first_page=4, last_page=4, text="Tin melts.")
    >>> [in_square_brackets(f"Tin melts{label}", [tin]) for label in ("¹.", " (1).", " [a.pdf].")]
    ['Tin melts[1].', 'Tin melts [1].', 'Tin melts [1].']
    >>> in_square_brackets("Tin melts [1, p. 4]. Two (2) cans; 3 m².", [tin])
    'Tin melts [1]. Two (2) cans; 3 m².'
    """
    labels = {passage.label for passage in passages}
    for dressed in _DRESSED:
        answer = dressed.sub(lambda match: _undressed(match, labels), answer)
    answer = _WITH_PAGES.sub(lambda match: _without_pages(match, labels), answer)
    answer = _WITH_SECTION.sub(lambda match: _without_section(match, labels), answer)
    answer = _with_documents(answer, passages)
    answer = _SUP.sub(lambda match: f"[{match['inside']}]", answer)
    answer = _without_references(answer, passages)
    if _SQUARE.search(answer):
        return answer
    answer = _WIDE_ROUND.sub(r"(\g<inside>)", answer)
    answer = _ROUND.sub(lambda match: _round(match, labels), answer)
    if _SQUARE.search(answer):
        return answer
    texts = [passage.text for passage in passages]
    answer = _CIRCLED.sub(lambda match: _circled(match, labels, texts), answer)
    return _RAISED.sub(lambda match: _raised(match, labels, texts), answer)


def _known(listing: str, labels: set[str]) -> bool:
    return all(number in labels for number in re.findall(r"\d+", listing))


def _undressed(match: re.Match[str], labels: set[str]) -> str:
    return f"[{match['inside']}]" if _known(match["inside"], labels) else match.group()


def _circled(match: re.Match[str], labels: set[str], texts: Sequence[str]) -> str:
    number = str(1 + ord(match["inside"]) - ord("①"))
    is_copied = any(match["inside"] in text for text in texts)
    return match.group() if is_copied or number not in labels else f" [{number}]"


def _without_pages(match: re.Match[str], labels: set[str]) -> str:
    inside = _ANY_PAGE.sub("", match["inside"])
    if inside == match["inside"] or not _LISTED.fullmatch(inside) or not _known(inside, labels):
        return match.group()
    return f"[{inside}]"


def _without_section(match: re.Match[str], labels: set[str]) -> str:
    return f"[{match['inside']}]" if match["inside"] in labels else match.group()


def _round(match: re.Match[str], labels: set[str]) -> str:
    before = match.string[max(0, match.start() - 30) : match.start()]
    line = match.string[match.string.rfind("\n", 0, match.start()) + 1 : match.start()]
    if not _known(match["inside"], labels) or _COUNTS.search(before) or not line.strip():
        return match.group()
    return f" [{match['inside']}]"


def _raised(match: re.Match[str], labels: set[str], texts: Sequence[str]) -> str:
    inside = match["inside"].translate(_LOWERED)
    before = match.string[max(0, match.start() - 30) : match.start()]
    after = match.string[match.end() : match.end() + 3]
    if not _known(inside, labels) or is_power(before, inside, after):
        return match.group()
    written = re.split(r"\s", before)[-1] + match.group()
    return match.group() if any(written in text for text in texts) else f"[{inside}]"


def _with_documents(answer: str, passages: Sequence[Labelled]) -> str:
    """Names of documents in brackets, "[a.pdf, p. 4]", as the labels of their passages."""
    names = {name for passage in passages for name in _names(passage.document)}
    if not names:
        return answer
    either = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    mention = re.compile(
        rf"(?<![\]】])(?<![\]】] )[\[【(]{_SPACE}(?:(?:see|sources?|quelle):?{_SPACE})?"
        rf"(?P<name>{either})(?:{_PAGE}|{_SECTION})?{_SPACE}[\]】)]",
        re.IGNORECASE,
    )

    def label(match: re.Match[str]) -> str:
        name, page = match["name"].casefold(), match["page"]
        of_document = [p for p in passages if name in map(str.casefold, _names(p.document))]
        on_page = [p for p in of_document if page and _covers(p, int(page))]
        start = match.string.rfind("\n", 0, match.start()) + 1
        line = match.string[start : match.start()] or match.string[match.end() :][:300]
        words = _words(line)
        best = max(on_page or of_document, key=lambda p: len(words & _words(p.text)))
        return f"[{best.label}]"

    behind_label = rf"(?<=[\]】]){_SPACE}[:,–-]?{_SPACE}(?:{either})(?:{_PAGE})?"
    return re.sub(behind_label, "", mention.sub(label, answer), flags=re.IGNORECASE)


def _names(document: str) -> Iterator[str]:
    """What a document may be called: as it is, and without its ending if that is left distinct."""
    name = " ".join(document.split())
    if name:
        yield name
    stem, dot, _ = name.rpartition(".")
    if dot and len(stem) > 3 and not stem.isdecimal():
        yield stem


def _covers(passage: Labelled, page: int) -> bool:
    first, last = passage.first_page, passage.last_page
    return first is not None and last is not None and first <= page <= last


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w{3,}|\d+", text.casefold()))


def _without_references(answer: str, passages: Sequence[Labelled]) -> str:
    """The answer without a list of references at its end, if labels stand in what it says.

    Where none do, only the names and pages in the list are left out.
    """
    headings = list(_HEADING.finditer(answer))
    if not headings:
        return answer
    heading = headings[-1]
    body, listing = answer[: heading.start()], answer[heading.end() :]
    if not all(_LISTED_LINE.match(line) for line in listing.splitlines() if line.strip()):
        return answer
    if _SQUARE.search(body):
        return body.rstrip()
    labels = {passage.label for passage in passages}
    first = (re.search(r"\d{1,3}", line) for line in listing.splitlines())
    numbers = [number.group() for number in first if number and number.group() in labels]
    if not numbers:
        return answer
    return f"{body.rstrip()}\n\nSources: [{', '.join(dict.fromkeys(numbers))}]"
