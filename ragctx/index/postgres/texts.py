"""Texts as PostgreSQL can hold them: it knows no zero byte, and no key of some kilobytes."""

from __future__ import annotations

import hashlib

from ragctx.errors import InputError

_MARK = "\x1a"  # a control character that texts hardly ever have
_MOST_BYTES = 2600
"""Of what is looked up: an entry of PostgreSQL's B-trees takes 2,704 bytes at most."""
_MOST_TERM_BYTES = 255
"""Of a word; longer ones, which no person wrote, are kept by a hash. Chosen by hand."""


def held(text: str) -> str:
    r"""A text without zero bytes, of which `told` makes the text again.

    >>> held("a\0b"), told(held("a\0b")) == "a\0b", held("as it is")
    ('a\x1a0b', True, 'as it is')
    """
    if _MARK in text or "\0" in text:
        return text.replace(_MARK, _MARK + "1").replace("\0", _MARK + "0")
    return text


def told(text: str) -> str:
    """The text that `held` was given."""
    if _MARK in text:
        return text.replace(_MARK + "0", "\0").replace(_MARK + "1", _MARK)
    return text


def key(name: str, text: str) -> str:
    """`held`, for what is looked up: a path, or an id.

    Raises:
        InputError: it is longer than an entry of an index in PostgreSQL may be.
    """
    found = held(text)
    if (size := len(found.encode())) > _MOST_BYTES:
        raise InputError(
            f"{name} has {size:,} bytes ({text[:40]!r}…); PostgreSQL looks up {_MOST_BYTES:,} at "
            "most. Give a shorter one."
        )
    return found


def term_of(word: str) -> str:
    """The word as it is looked up; a very long one by its beginning and a hash.

    >>> term_of("tin"), len(term_of("a" * 10_000).encode())
    ('tin', 97)
    """
    data = word.encode()
    if len(data) <= _MOST_TERM_BYTES:
        return word
    return f"{data[:32].decode(errors='ignore')}{_MARK}{hashlib.sha256(data).hexdigest()}"
