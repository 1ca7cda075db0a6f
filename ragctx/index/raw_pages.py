"""Read the rows of a SQLite file from its pages, without its b-trees.

SQLite finds a row by walking down from the root of its table. Where a page on that way is damaged,
it finds nothing below, though the rows are there. Here every page is read by itself: a leaf that is
whole gives its rows, whatever became of the pages above it or of any index. The file is only read.

The format is https://www.sqlite.org/fileformat2.html: the sections "B-tree Pages" (1.6), "Record
Format" (2.1) and "WAL File Format" (4.1) are what this module implements.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

Value = None | int | float | str | bytes

_MAGIC = b"SQLite format 3\x00"
_DEFAULT_PAGE_BYTES = 4096  # SQLite's own default, which ragctx never changes
_LEAF_TABLE, _LEAF_INDEX, _INNER_INDEX = 0x0D, 0x0A, 0x02
_WAL_MAGIC = 0x377F0682  # the last bit tells the byte order of its checksums


@dataclass(frozen=True, slots=True)
class RawRow:
    """A row as it is on a page. `rowid` is None in a table without row ids, and in an index."""

    page: int  # all rows on one page are of one table or index
    rowid: int | None
    values: tuple[Value, ...]


class PageFile:
    """The pages of a database, with those of its write-ahead log in place of the older ones.

    Pages count from 1. A file that was cut off lacks its last pages; those are empty.
    """

    def __init__(self, file: Path) -> None:
        self._data = _mapped(file)
        header = self._data[:100].ljust(100, b"\0")
        (size,) = struct.unpack_from(">H", header, 16)
        size = 65536 if size == 1 else size
        known = header.startswith(_MAGIC) and size >= 512 and size & (size - 1) == 0
        self.page_bytes = size if known else _DEFAULT_PAGE_BYTES
        self._reserved = header[20] if known else 0
        self._log = _read_log(Path(f"{file}-wal"), self.page_bytes)
        self.pages = max([-(-len(self._data) // self.page_bytes), *self._log])

    @property
    def usable_bytes(self) -> int:
        """Bytes of a page that hold content."""
        return self.page_bytes - self._reserved

    def page(self, number: int) -> bytes:
        """The bytes of a page, zeros for what the file lacks."""
        if number in self._log:
            return self._log[number]
        start = (number - 1) * self.page_bytes
        return self._data[start : start + self.page_bytes].ljust(self.page_bytes, b"\0")

    @cached_property
    def free_pages(self) -> frozenset[int]:
        """Pages that hold nothing any more, though older rows may still be read there."""
        free: set[int] = set()
        trunk = int.from_bytes(self.page(1)[32:36], "big")
        while 0 < trunk <= self.pages and trunk not in free:
            free.add(trunk)
            page = self.page(trunk)
            trunk, count = struct.unpack_from(">II", page)
            count = min(count, (len(page) - 8) // 4)
            free.update(struct.unpack_from(f">{count}I", page, 8))
        return frozenset(free)

    def rows(self) -> Iterator[RawRow]:
        """Every row that can be read, page by page; also the entries of indexes."""
        for number in range(1, self.pages + 1):
            if number not in self.free_pages:
                yield from self._rows_of(number)

    def _rows_of(self, number: int) -> Iterator[RawRow]:
        page = self.page(number)
        at = 100 if number == 1 else 0
        kind = page[at]
        if kind not in (_LEAF_TABLE, _LEAF_INDEX, _INNER_INDEX):
            return
        (cells,) = struct.unpack_from(">H", page, at + 3)
        pointers = at + (12 if kind == _INNER_INDEX else 8)
        for i in range(min(cells, (len(page) - pointers) // 2)):
            with suppress(ValueError, IndexError, struct.error, RecursionError):
                (start,) = struct.unpack_from(">H", page, pointers + 2 * i)
                rowid, values = self._row(page, start, kind)
                yield RawRow(number, rowid, values)

    def _row(self, page: bytes, at: int, kind: int) -> tuple[int | None, tuple[Value, ...]]:
        """The row of the cell at a place. Raises ValueError or IndexError where there is none."""
        at += 4 if kind == _INNER_INDEX else 0  # the number of the page to its left
        size, at = _varint(page, at)
        rowid: int | None = None
        if kind == _LEAF_TABLE:
            rowid, at = _varint(page, at)
        if size > len(self._data) + len(self._log) * self.page_bytes:
            raise ValueError(f"a row of {size} bytes")
        return rowid, _record(self._payload(page, at, size, kind))

    def _payload(self, page: bytes, at: int, size: int, kind: int) -> bytes:
        """The bytes of a row: those on the page, then those on its chain of overflow pages."""
        usable = self.usable_bytes
        most = usable - 35 if kind == _LEAF_TABLE else (usable - 12) * 64 // 255 - 23
        if size <= most:
            local = size
        else:
            least = (usable - 12) * 32 // 255 - 23
            local = least + (size - least) % (usable - 4)
            local = local if local <= most else least
        payload = bytearray(page[at : at + local])
        overflow = int.from_bytes(page[at + local : at + local + 4], "big") if local < size else 0
        while len(payload) < size:
            if not 0 < overflow <= self.pages:
                raise ValueError("a chain of overflow pages that is cut off")
            more = self.page(overflow)[:usable]
            overflow = int.from_bytes(more[:4], "big")
            payload += more[4 : 4 + size - len(payload)]
        if len(payload) != size:
            raise ValueError("a row that is cut off")
        return bytes(payload)


def _mapped(file: Path) -> bytes | mmap.mmap:
    """The content of a file, read as it is needed."""
    with file.open("rb") as stream:
        if not os.fstat(stream.fileno()).st_size:
            return b""  # an empty file cannot be mapped
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A variable-length integer, and where it ends; 64 bits, two's complement."""
    value = 0
    for i in range(8):
        byte = data[at + i]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + i + 1
    value = value << 8 | data[at + 8]
    return value - (1 << 64) if value >> 63 else value, at + 9


def _record(payload: bytes) -> tuple[Value, ...]:
    """The values of a row. Raises ValueError or IndexError if these are not the bytes of one."""
    end, at = _varint(payload, 0)
    if not 0 < end <= len(payload):
        raise ValueError("no row begins like this")
    values: list[Value] = []
    place = end
    while at < end:
        kind, at = _varint(payload, at)
        value, place = _value(payload, place, kind)
        values.append(value)
    if place != len(payload):
        raise ValueError("a row with bytes to spare")
    return tuple(values)


_INTEGER_BYTES = (0, 1, 2, 3, 4, 6, 8)


def _value(payload: bytes, at: int, kind: int) -> tuple[Value, int]:
    """The value of a serial type, and where it ends. Text that is not UTF-8 comes as bytes."""
    if kind == 0:
        return None, at
    if 1 <= kind <= 6:
        end = at + _INTEGER_BYTES[kind]
        return int.from_bytes(_cut(payload, at, end), "big", signed=True), end
    if kind == 7:
        number: float = struct.unpack(">d", _cut(payload, at, at + 8))[0]
        return number, at + 8
    if kind in (8, 9):
        return kind - 8, at
    if kind < 12:
        raise ValueError(f"no value is of type {kind}")
    end = at + (kind - 12) // 2
    content = _cut(payload, at, end)
    if kind % 2:
        with suppress(UnicodeDecodeError):
            return content.decode(), end
    return content, end


def _cut(payload: bytes, at: int, end: int) -> bytes:
    if end > len(payload):
        raise ValueError("a value that is cut off")
    return payload[at:end]


def _read_log(file: Path, page_bytes: int) -> dict[int, bytes]:
    """The pages of the commits in a write-ahead log, up to the first frame that is damaged."""
    try:
        data = file.read_bytes()
    except OSError:
        return {}
    if len(data) < 32:
        return {}
    magic, _, size, _, *salts = struct.unpack_from(">6I", data)
    if magic & ~1 != _WAL_MAGIC or size != page_bytes:
        return {}
    order = ">" if magic & 1 else "<"
    checksum = _log_checksum(data[:24], (0, 0), order)
    committed: dict[int, bytes] = {}
    pending: dict[int, bytes] = {}
    for start in range(32, len(data) - 24 - size + 1, 24 + size):
        number, commit, *rest = struct.unpack_from(">6I", data, start)
        content = data[start + 24 : start + 24 + size]
        checksum = _log_checksum(data[start : start + 8] + content, checksum, order)
        if rest != [*salts, *checksum]:
            break
        pending[number] = content
        if commit:
            committed |= pending
            pending = {}
    return committed


def _log_checksum(data: bytes, checksum: tuple[int, int], order: str) -> tuple[int, int]:
    one, other = checksum
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        one = (one + even + other) & 0xFFFFFFFF
        other = (other + odd + one) & 0xFFFFFFFF
    return one, other
