"""Whether a file may hold a font whose map lacks letters of ligatures, told by its bytes alone.

`ragctx.pdf.font_maps` knows for sure, but reads every object for it: 1.0 s for a manual of 1,158
pages, where this takes 0.09 s. Here all names of ligatures, in whatever encoding they are, and all
maps, of whatever font, are held against each other: if nothing is cut so, nothing is.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from itertools import pairwise

from ragctx.pdf.ligatures import LIGATURES, is_cut
from ragctx.pdf.soundness import contents

MAX_MAP_BYTES = 2**17
"""A longer map is left as it is: fonts that name their signs have 256 of them, some 4 KB."""
MAC_ROMAN = {222: "fi", 223: "fl"}  # ISO 32000-1, annex D.2
MAX_ALL_MAPS = 2**24
"""Bytes of maps after which the answer is yes. Chosen by hand, to bound the time."""
_NAMES = re.compile(rb"/Differences\s{0,9}(\[[\w\s/.+-]{0,20000}\])?")
_CODE_OR_NAME = re.compile(rb"/([\w.+-]{0,99})|([+-]?[0-9]{1,9})")
_HEX = re.compile(rb"<([0-9A-Fa-f]{1,64})>")


def may_be_cut(path: str) -> bool:
    """Whether it may; also where that cannot be known: of an encrypted file, a damaged one."""
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return data.rfind(b"/Encrypt") >= 0 or _may_be_cut(data)
    except (OSError, ValueError, MemoryError):
        return True


def _may_be_cut(data: mmap.mmap) -> bool:
    named = set(_named(data))
    entries, left = set[tuple[int, str]](), MAX_ALL_MAPS
    for content in contents(data):
        named.update(_named(content))
        if b"beginbf" in content and len(content) <= MAX_MAP_BYTES:
            left -= len(content)
            if left < 0:
                return True
            entries.update(_entries(content))
    letters_of: dict[int, list[str]] = {}
    for code, letters in named:
        letters_of.setdefault(code, []).append(letters)
    return any(is_cut(whole, said) for code, said in entries for whole in letters_of.get(code, ()))


def _named(content: bytes | mmap.mmap) -> Iterator[tuple[int, str]]:
    """The ligatures that encodings in these bytes name, with their codes.

    Raises:
        ValueError: an encoding is somewhere else, or written in a way that is not read here.
    """
    if content.find(b"/MacRomanEncoding") >= 0:
        yield from MAC_ROMAN.items()
    for names in _NAMES.finditer(content):
        if names[1] is None or re.search(rb"\sR\b", names[1]):
            raise ValueError("it is not there")
        code = 0
        for name, number in _CODE_OR_NAME.findall(names[1]):
            if number:
                code = int(number)
                continue
            letters = ligature(name.decode("ascii", "replace"))
            if letters:
                yield code, letters
            code += 1


def ligature(name: str) -> str:
    """The letters of a ligature by its sign's name in a font; "" if it is none.

    >>> ligature("fi.alt"), ligature("f")
    ('fi', '')
    """
    return LIGATURES.get(name.partition(".")[0], "")


def _entries(content: bytes) -> Iterator[tuple[int, str]]:
    """What maps say of codes: each two things that stand beside each other in them."""
    for code, letters in pairwise(_HEX.findall(content)):
        yield int(code, 16), decoded_letters(letters)


def decoded_letters(digits: bytes) -> str:
    """The letters that a map writes with these digits.

    >>> decoded_letters(b"00660069")
    'fi'
    """
    return bytes.fromhex(digits.decode() + "0" * (len(digits) % 2)).decode("utf-16-be", "replace")
