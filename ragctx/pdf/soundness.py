"""Whether the streams of a file are whole: PDF libraries give what they could decode, silently.

Of 40 single flipped bits in a page's stream, 38 lost text and no library said a word. zlib ends its
data with a checksum, so one pass over a file, some 300 MB a second, tells that nothing is wrong.
Other filters have only a mark of their end, and streams without filters a length.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ragctx.pdf.filters import decoded, inflated_size

MAX_INFLATED = 2**28
"""Bytes of output after which the rest of a file is taken for sound: the check must stay cheap.
A manual of 5,000 pages has about a fifth of this."""
MAX_DECODED = 2**24
"""Bytes of one stream that are decoded, where it has other filters than zlib's."""
_BRACKET = re.compile(rb"\\.|[()%]", re.DOTALL)
_LINE_END = re.compile(rb"[\r\n]")
UNKNOWN = -1
"""Instead of the number of an object, where that is not found."""
_FILTER = re.compile(rb"/Filter\s{0,9}(\[[^\]]{0,200}\]|/\w{1,40})")
_NAME = re.compile(rb"/(\w{1,40})")
_LENGTH = re.compile(rb"/Length\s{0,9}(\d{1,10})(?:\s{1,9}(\d{1,5})\s{1,9}R)?")
_NUMBER = re.compile(rb"(\d{1,10})\s{1,9}\d{1,5}$")
_NUMBER_BYTES = 24
_IS_TABLE = re.compile(rb"\s{0,9}(xref|\d{1,10}\s{1,9}\d{1,5}\s{1,9}obj)")
_IMPRECISE = 16
"""Bytes by which programs may be wrong about where their table is. Chosen by hand."""
_TABLE = re.compile(rb"startxref\s{1,9}(\d{1,10})")
_NO_TEXT = (b"/Image", b"/Metadata", b"/EmbeddedFile", b"/ICC")
_PACKED = (b"/ObjStm", b"/XRef")
_DICTIONARY = 4096  # bytes before a stream in which its dictionary begins


@dataclass(frozen=True, slots=True, kw_only=True)
class Soundness:
    """What one pass over a file finds.

    `broken` are the numbers of the objects whose streams are damaged or cut short. `shared` tells
    that one of these holds objects of any page, such as fonts, or that part of the file is missing;
    `encrypted` that streams must be decrypted to be checked, and none was.
    """

    encrypted: bool = False
    shared: bool = False
    broken: frozenset[int] = frozenset()

    @property
    def is_certain(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.encrypted or self.shared or self.broken)


def soundness_of(path: str) -> Soundness:
    """Whether any stream of a file, pictures apart, is damaged or cut short."""
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            encrypted = data.rfind(b"/Encrypt") >= 0
            found = Soundness(encrypted=True) if encrypted else _checked(data)
            return replace(found, shared=True) if _is_cut(data) else found
    except (OSError, ValueError, MemoryError):  # the reader will say what is wrong
        return Soundness()


def _is_cut(data: mmap.mmap) -> bool:
    """Whether the file's end is missing, or its table of objects comes earlier than it says.

    Then bytes before it are gone. A table that comes later is no loss: people edit files by hand.
    """
    at = data.rfind(b"startxref")
    told = _TABLE.match(data[at : at + _DICTIONARY]) if at >= 0 else None
    if not told:
        return at < 0
    place = int(told[1])
    if _IS_TABLE.match(data[place : place + 32]):
        return False
    table = data.rfind(b"\nxref", 0, at)
    return place > (at if table < 0 else table + _IMPRECISE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stream:
    """A stream in a file: the number of its object, and where its bytes are."""

    number: int
    dictionary: bytes  # and whatever else is between its object's number and its bytes
    start: int
    end: int  # -1 where nothing says that it ends

    @property
    def filters(self) -> list[bytes] | None:
        """The names of its filters, the outermost first; None if they cannot be known."""
        if found := _FILTER.search(self.dictionary):
            return _NAME.findall(found[1])
        return None if b"/Filter" in self.dictionary else []


def _checked(data: mmap.mmap) -> Soundness:
    """The check ends with the first broken stream that holds objects of any page."""
    broken: set[int] = set()
    left = MAX_INFLATED
    for stream in _streams(data):
        if left <= 0:
            break
        if any(kind in stream.dictionary for kind in _NO_TEXT):
            continue
        try:
            left -= _size(data, stream, left)
        except ValueError:
            broken.add(stream.number)
            if any(kind in stream.dictionary for kind in _PACKED):
                return Soundness(shared=True, broken=frozenset(broken))
    return Soundness(broken=frozenset(broken))


def contents(data: mmap.mmap) -> Iterator[bytes]:
    """What each stream of a file holds, pictures apart.

    Raises:
        ValueError: one is damaged, has a filter that is not known here, or all are too large.
    """
    left = MAX_INFLATED
    for stream in _streams(data):
        if any(kind in stream.dictionary for kind in _NO_TEXT):
            continue
        filters = stream.filters
        if filters is None or left <= 0:
            raise ValueError("its filters are not known, or the file is too large")
        content = data[stream.start : stream.end if stream.end >= 0 else len(data)]
        content = decoded(content, filters, min(left, MAX_DECODED))
        if len(content) >= MAX_DECODED:
            raise ValueError("it is too large")
        left -= len(content)
        yield content


def _streams(data: mmap.mmap) -> Iterator[_Stream]:
    at = data.find(b"stream")
    while at >= 0:
        start = at + len(b"stream")
        line_end = data[start : start + 2]
        begins = line_end[:1] in (b"\r", b"\n") and data[at - 3 : at] != b"end"
        before = data[max(0, at - _DICTIONARY) : at] if begins else b""
        if b"/Length" not in before and b"/Filter" not in before:
            at = data.find(b"stream", start)
            continue
        end = data.find(b"endstream", start)
        head, _, dictionary = before.rpartition(b" obj")
        number = _NUMBER.search(head[-_NUMBER_BYTES:])
        yield _Stream(
            number=int(number[1]) if number else UNKNOWN,
            dictionary=dictionary,
            start=start + (2 if line_end == b"\r\n" else 1),
            end=end,
        )
        at = data.find(b"stream", end + len(b"endstream")) if end >= 0 else -1


def _size(data: mmap.mmap, stream: _Stream, most: int) -> int:
    """Bytes of output, as far as that was counted. Raises ValueError if the stream is damaged."""
    filters = stream.filters
    if filters is None:
        return 0
    content = data[stream.start : stream.end if stream.end >= 0 else len(data)]
    if filters == [b"FlateDecode"]:
        return inflated_size(content, most)
    if not filters and (stream.end < 0 or len(content) < _told_length(data, stream)):
        raise ValueError("it ends early")
    content = decoded(content, filters, min(most, MAX_DECODED))
    if _ends_in_a_string(content):
        raise ValueError("its last string does not end")
    return len(content)


def _ends_in_a_string(content: bytes) -> bool:
    """Whether what draws a page ends within a string: a damaged bracket takes all that follows."""
    if b"BT" not in content or b"ID" in content:  # no text; or a picture, in which anything may be
        return False
    depth = at = 0
    while found := _BRACKET.search(content, at):
        at = found.end()
        if found[0] == b"(":
            depth += 1
        elif found[0] == b")":
            depth = max(0, depth - 1)
        elif found[0] == b"%" and not depth:  # a comment, to the end of its line
            line_end = _LINE_END.search(content, at)
            at = line_end.end() if line_end else len(content)
    return depth > 0


def _told_length(data: mmap.mmap, stream: _Stream) -> int:
    """The length in the stream's dictionary, or in an object after it; 0 if that is unknown."""
    found = _LENGTH.search(stream.dictionary)
    if not found or found[2] is None:
        return int(found[1]) if found else 0
    after = data[stream.end : stream.end + _DICTIONARY]
    there = re.search(rb"\b%s\s+%s\s+obj\s+(\d{1,10})\b" % found.groups(), after)
    return int(there[1]) if there else 0
