"""Nothing that is searched for in a document or an answer takes time with the square of its length.

Once 8,000 dots in a row, as in a table of contents, took 4.7 s: the expression for leaders was
tried at every dot, and ran to the end of the line each time. A page at its limit would have taken
hours, in the process that has no limits. Times are compared as ratios, never with a clock.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    from re import _constants as codes  # type: ignore[attr-defined]
    from re import _parser as parser  # type: ignore[attr-defined]
else:
    import sre_constants as codes
    import sre_parse as parser

import ragctx
from ragctx.assembly import assemble
from ragctx.chunking import chunk_document
from ragctx.citations.abstention import is_abstention
from ragctx.citations.labels import cited_statements, without_labels
from ragctx.citations.resolve import cite
from ragctx.citations.support import ReadText, find_support, says_something
from ragctx.pdf.paragraphs import running_text
from ragctx.pdf.row import unplaced
from ragctx.records import Document, Generation, Hit, Page
from ragctx.text.sentences import split_sentences
from ragctx.tokens.load import load_tokenizer

MEASURABLE_S = 0.004
"""Shorter times are noise, and far from what the square of the length takes."""
GROWTH = 4
"""How much longer the second input is: linear time grows as much, square time four times as much.
"""
LINEAR = 2.0 * GROWTH

UNITS = (
    ".", " ", "1", "a", "A", "[", "(", "]", ")", '"', "“", "\n", ",", "-", "\t", "'", "/", "_",
    "é", "猫", "。", "·", ". ", "a ", "1 ", "a.", "A.", "1.", "1,", ",1", "[1", "[1]", "[1] ", "(a",
    "a-", "a'", " \n", "a\n", "1\n", "/g1", "https:", "a@",
)  # fmt: skip
END = "\x00 wwwwwwwwwwww"
"""What keeps an expression that reaches the end of the text from matching there."""


def compiled_patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    seen: set[int] = set()
    for found in pkgutil.walk_packages(ragctx.__path__, "ragctx."):
        if ".adapters." in found.name or found.name.endswith("__main__"):
            continue  # the adapters need other libraries, and hold no pattern
        module = importlib.import_module(found.name)
        for name, value in vars(module).items():
            for item in value if isinstance(value, tuple) else (value,):
                is_new = isinstance(item, re.Pattern) and id(item) not in seen
                if is_new and isinstance(item.pattern, str):
                    seen.add(id(item))
                    yield f"{found.name}.{name}", item


def literals(tree: Any) -> Iterator[str]:
    """The characters that a parsed expression names, ranges by their first one."""
    for code, value in tree:
        if code is codes.LITERAL:
            yield chr(value)
        elif code is codes.IN:
            yield from literals(value)
        elif code is codes.RANGE:
            yield chr(value[0])
        elif code in (codes.MAX_REPEAT, codes.MIN_REPEAT):
            yield from literals(value[2])
        elif code is codes.SUBPATTERN:
            yield from literals(value[3])
        elif code in (codes.ASSERT, codes.ASSERT_NOT):
            yield from literals(value[1])
        elif code is codes.BRANCH:
            for branch in value[1]:
                yield from literals(branch)


def units_of(pattern: re.Pattern[str]) -> list[str]:
    own = list(dict.fromkeys(literals(parser.parse(pattern.pattern, pattern.flags))))[:12]
    pairs = [a + b for a, b in pairwise(own)]
    return list(dict.fromkeys([*UNITS, *own, *pairs, "".join(own) or "b"]))


def repeated(unit: str, length: int) -> str:
    return (unit * (length // len(unit) + 1))[:length]


def seconds(work: Callable[[str], object], text: str, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        began = time.process_time()
        work(text)
        times.append(time.process_time() - began)
    return min(times)


def growth(work: Callable[[str], object], unit: str, length: int, end: str = "") -> float:
    """How many times as long it takes for `GROWTH` times the length; 0.0 if it takes no time."""
    text = repeated(unit, length) + end
    if seconds(work, text, 1) < MEASURABLE_S:
        return 0.0
    if (once := seconds(work, text, 3)) < MEASURABLE_S:
        return 0.0
    return seconds(work, repeated(unit, length * GROWTH) + end, 2) / once


def searching(pattern: re.Pattern[str]) -> Callable[[str], object]:
    def work(text: str) -> None:
        for _ in pattern.finditer(text):
            pass
        pattern.fullmatch(text)

    return work


def slow_inputs(pattern: re.Pattern[str]) -> list[str]:
    ratios = {unit: growth(searching(pattern), unit, 2000, END) for unit in units_of(pattern)}
    return [f"{unit!r}: {ratio:.0f}" for unit, ratio in ratios.items() if ratio > LINEAR]


def test_the_check_finds_what_takes_square_time() -> None:
    slow, quick = re.compile(r"(?:[.·…]\s?){4,}x"), re.compile(r"[.·…]{4,}")
    assert growth(searching(slow), ".", 2000) > LINEAR
    assert growth(searching(quick), ".", 400_000) < LINEAR


def test_every_expression_takes_linear_time() -> None:
    slow = {name: found for name, item in compiled_patterns() if (found := slow_inputs(item))}
    assert not slow


TOKENIZER = load_tokenizer("bundled")
QUESTION = ReadText("When is tin soft?")
PASSAGE = ReadText("Tin is soft. It melts at 232 degrees, and tin is not hard. " * 8)


def cut(text: str) -> None:
    document = Document(id="d", path="d", pages=(Page(number=1, label="1", text=text),))
    chunk_document(document, TOKENIZER, max_tokens=64, overlap_tokens=16)


PROMPT = assemble(
    "When is tin soft?",
    [Hit.from_text(1, 0.9, PASSAGE.text), Hit.from_text(2, 0.8, "Lead melts at 327 degrees.")],
    TOKENIZER,
    context_window=512,
)


def cite_all(answer: str) -> None:
    generation = Generation(
        text=answer,
        token_ids=(),
        finish_reason="stop",
        prefill_s=0.0,
        decode_s=0.0,
        reused_tokens=0,
    )
    cite(generation, PROMPT, lambda document_id: None)


FUNCTIONS: dict[str, tuple[Callable[[str], object], int]] = {  # and characters to begin with
    "split_sentences": (split_sentences, 4000),
    "chunk_document": (cut, 4000),
    "running_text": (lambda text: running_text(unplaced(text), {}), 4000),
    "cited_statements": (lambda text: cited_statements(text, says_something), 4000),
    "without_labels": (without_labels, 4000),
    "is_abstention": (is_abstention, 4000),
    "find_support": (lambda text: find_support(text, PASSAGE, QUESTION), 4000),
    "cite": (cite_all, 2000),
}
TEXTS = (
    *(".", " ", "a", "1", "a ", ". ", "。", '"', "[", "a.\n", "1. a\n", "tin is soft ", "Tin. "),
    *("[1]", "[1] ", "tin [1], ", "Tin is soft [1]. ", "[1] tin\n", "1. [1] ", "Sources: [2]\n"),
    *('"tin is" ', "A. B. ", "tin . . . 12\n", "Tin is soft.\nSources: [1]\n"),
)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_work_on_texts_and_answers_takes_linear_time(name: str) -> None:
    work, length = FUNCTIONS[name]
    work("Tin is soft [1].")  # whatever is loaded once
    ratios = {unit: growth(work, unit, length, END) for unit in TEXTS}
    assert not {unit: round(ratio, 1) for unit, ratio in ratios.items() if ratio > LINEAR}
