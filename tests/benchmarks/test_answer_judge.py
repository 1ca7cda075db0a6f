"""What counts as right, and what a calibration error is."""

from __future__ import annotations

import pytest

from benchmarks.answer_judge import calibration_error, holds, is_right
from benchmarks.dev_set import DevQuestion


def asked(*answers: str, question: str = "How many in 2023?") -> DevQuestion:
    return DevQuestion(id="q", half="choose", kind="number", question=question, answers=answers)


@pytest.mark.parametrize(
    ("text", "answers", "right"),
    [
        ("$7,168 million", ("7,168",), True),
        ("7,168 10,435 (31)%", ("7,168",), False),  # a row is copied, the cell is not picked
        ("7,168 in 2023", ("7,168",), True),  # the question's own year is no other number
        ("-1", ("1",), False),
        ("19", ("9",), False),
        ("the Crawler and the Selector", ("Crawler and the Selector",), True),
        ("Crawler", ("Crawler and the Selector",), False),
        ("", ("x",), False),
        ("x", (), False),
    ],
)
def test_an_answer_is_right_if_it_says_an_accepted_form_and_little_else(
    text: str, answers: tuple[str, ...], right: bool
) -> None:
    assert is_right(text, asked(*answers)) == right


def test_line_breaks_and_kinds_of_quotes_do_not_count() -> None:
    assert holds("called the\n“silent\nhour”", 'the "silent hour"')


def test_confidence_that_is_always_right_or_always_wrong() -> None:
    assert calibration_error([1.0, 1.0], [True, True]) == 0
    assert calibration_error([1.0, 1.0], [False, False]) == 1
    assert calibration_error([], []) == 0
