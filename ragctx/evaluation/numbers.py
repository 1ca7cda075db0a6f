r"""Numbers for people, by the same rules in verdicts, reports and terminal tables.

- A **share** (0 to 1) is written in percent with one decimal; a report leaves out ".0".
- A **difference** of shares is written in percentage points with one decimal. A report writes its
  sign, with a true minus; a sentence that says "better" or "worse" writes none.
- A **p-value** has three decimals and ends at "< 0.001" in a report; a verdict gives two
  significant digits, and below 0.0001 only one with a power of ten.
- A **time** below a second is in whole milliseconds, else in seconds with two decimals.
- A **cost** has three significant digits; its currency is that of the prices.
- What is **not known** (None) is an en dash.

A report binds a number to its sign and unit with no-break spaces. A verdict is one line for a
terminal, a log and a JSON file as well, so it is written with plain spaces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ragctx.evaluation.statistics.intervals import Interval

MINUS = "\N{MINUS SIGN}"
NO_BREAK = "\N{NO-BREAK SPACE}"
PERCENT = f"{NO_BREAK}%"
UNKNOWN = "\N{EN DASH}"
LEAST_P = 0.001
"""The least p-value that a report writes out: below, three decimals would show 0.000."""
LEAST_PLAIN_P = 0.0001
"""The least p-value that a verdict writes without a power of ten."""


# ---- For reports -----------------------------------------------------------------------------


def percent(share: float | None) -> str:
    r"""A share in percent.

    >>> percent(0.4567), percent(1.0), percent(None)
    ('45.7\xa0%', '100\xa0%', '–')
    """
    if share is None:
        return UNKNOWN
    return bare_percent(share).removesuffix(".0") + PERCENT


def points(difference: float) -> str:
    """A difference of shares in percentage points, with its sign.

    >>> points(0.0512), points(-0.02), points(0.0)
    ('+5.1', '−2.0', '0.0')
    """
    text = f"{100 * difference:+.1f}"
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", MINUS)


def p_words(p: float) -> str:
    """A p-value in a table.

    >>> p_words(0.0321), p_words(0.00001), p_words(1.0)
    ('0.032', '< 0.001', '1.000')
    """
    return f"{p:.3f}" if p >= LEAST_P else f"< {LEAST_P}"


def p_clause(p: float) -> str:
    r"""A p-value in a sentence.

    >>> p_clause(0.0321), p_clause(0.00001)
    ('p\xa0=\xa00.032', 'p\xa0<\xa00.001')
    """
    clause = f"p = {p_words(p)}" if p >= LEAST_P else f"p {p_words(p)}"
    return clause.replace(" ", NO_BREAK)


def share_range(interval: Interval) -> str:
    r"""An interval of shares.

    >>> from ragctx.evaluation.statistics.intervals import Interval
    >>> share_range(Interval(0.5, 0.4123, 0.6))
    '41.2–60\xa0%'
    """
    return f"{percent(interval.low).removesuffix(PERCENT)}–{percent(interval.high)}"


def points_range(interval: Interval) -> str:
    """An interval of differences, in points.

    >>> from ragctx.evaluation.statistics.intervals import Interval
    >>> points_range(Interval(0.01, -0.02, 0.04))
    '−2.0 to +4.0'
    """
    return f"{points(interval.low)} to {points(interval.high)}"


def seconds(value: float) -> str:
    """A time.

    >>> seconds(0.0123), seconds(2.5)
    ('12 ms', '2.50 s')
    """
    return f"{1000 * value:.0f} ms" if value < 1 else f"{value:.2f} s"


def signed_seconds(value: float) -> str:
    """A difference of times, with its sign.

    >>> signed_seconds(-0.0123), signed_seconds(2.5), signed_seconds(0.0)
    ('−12 ms', '+2.50 s', '0 ms')
    """
    text = seconds(abs(value))
    if value == 0:
        return text
    return f"{MINUS if value < 0 else '+'}{text}"


def money(value: float | None) -> str:
    """A cost per question, in the currency of the prices.

    >>> money(0.00123), money(None)
    ('0.00123', '–')
    """
    return UNKNOWN if value is None else f"{value:.3g}"


# ---- For verdicts and terminals --------------------------------------------------------------


def bare_percent(share: float) -> str:
    """A share in percent, without the sign: for a column or a range that names the unit once.

    >>> bare_percent(0.4567), bare_percent(1.0)
    ('45.7', '100.0')
    """
    return f"{100 * share:.1f}"


def plain_points(difference: float) -> str:
    """The size of a difference in percentage points, for a sentence.

    >>> plain_points(0.053), plain_points(0.01)
    ('5.3 points', '1.0 point')
    """
    unit = "point" if abs(difference) == 0.01 else "points"
    return f"{bare_percent(difference)} {unit}"


def plain_range(low: float, high: float) -> str:
    """An interval of shares or of differences, without a unit, for a sentence.

    >>> plain_range(0.412, 0.6)
    '41.2 to 60.0'
    """
    return f"{bare_percent(low)} to {bare_percent(high)}"


def terse_range(interval: Interval) -> str:
    """An interval of shares or of differences, without a unit, for a column of a terminal.

    >>> from ragctx.evaluation.statistics.intervals import Interval
    >>> terse_range(Interval(0.5, 0.4123, 0.6))
    '41.2…60.0'
    """
    return f"{bare_percent(interval.low)}…{bare_percent(interval.high)}"


def time_range(interval: Interval) -> str:
    """A time with its interval, for a column of a terminal.

    >>> from ragctx.evaluation.statistics.intervals import Interval
    >>> time_range(Interval(0.5, 0.4, 1.5))
    '500 ms (400 ms … 1.50 s)'
    """
    return _with_range(interval, seconds)


def time_difference_range(interval: Interval) -> str:
    """A difference of times with its interval, for a column of a terminal.

    >>> from ragctx.evaluation.statistics.intervals import Interval
    >>> time_difference_range(Interval(-0.5, -0.6, 0.1))
    '−500 ms (−600 ms … +100 ms)'
    """
    return _with_range(interval, signed_seconds)


def _with_range(interval: Interval, words: Callable[[float], str]) -> str:
    return f"{words(interval.value)} ({words(interval.low)} … {words(interval.high)})"


def plain_p(p: float) -> str:
    """A p-value, for a sentence.

    >>> plain_p(0.0321), plain_p(0.00001234)
    ('0.032', '1e-05')
    """
    return f"{p:.2g}" if p >= LEAST_PLAIN_P else f"{p:.0e}"
