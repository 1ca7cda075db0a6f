"""What callers pass, checked at the door: never an AttributeError or TypeError from further in."""

from __future__ import annotations

from numbers import Integral, Real

from ragctx.errors import InputError


def require_whole(name: str, value: object, *, least: int | None = None) -> None:
    """Raise InputError unless `value` is a whole number, and at least `least` if that is given.

    >>> require_whole("k", "5")
    Traceback (most recent call last):
        ...
    ragctx.errors.InputError: k is a str ('5'); give a whole number
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise InputError(f"{name} is {told(value)}; give a whole number")
    if least is not None and int(value) < least:
        raise InputError(f"{name} is {value}. Give {least} or more.")


def require_number(name: str, value: object) -> None:
    """Raise InputError unless `value` is a number; NaN is one.

    >>> require_number("score", 0.5)
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InputError(f"{name} is {told(value)}; give a number")


def require_kind(name: str, value: object, kind: type | tuple[type, ...], remedy: str) -> None:
    """Raise InputError unless `value` is of that kind; `remedy` tells what to give.

    >>> require_kind("retrieval", 3, dict, "give Retrieval(k=3)")
    Traceback (most recent call last):
        ...
    ragctx.errors.InputError: retrieval is a int (3); give Retrieval(k=3)
    """
    if not isinstance(value, kind):
        raise InputError(f"{name} is {told(value)}; {remedy}")


def require_function(name: str, value: object, remedy: str) -> None:
    """Raise InputError unless `value` can be called.

    >>> require_function("on_text", print, "give a function of a text")
    """
    if not callable(value):
        raise InputError(f"{name} is {told(value)}; {remedy}")


def told(value: object) -> str:
    """The kind of a value and, in short, the value.

    >>> told("a.pdf"), told(None)
    ("a str ('a.pdf')", 'None')
    """
    return "None" if value is None else f"a {type(value).__name__} ({value!r:.40})"
