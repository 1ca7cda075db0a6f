"""Server-sent events (WHATWG HTML, 9.2): lines, and the data between empty ones."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator

FIELD = re.compile(rb"(?:data|event|id|retry)?:")


def lines_of(read_line: Callable[[], bytes]) -> Iterator[bytes]:
    """Lines without their ends, which may be of any kind, and without a byte order mark."""
    mark = BOM_UTF8
    while read := read_line():
        yield from read.removeprefix(mark).splitlines()
        mark = b""


def stream_data(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The data of each server-sent event (WHATWG HTML, 9.2): its lines up to an empty one."""
    data: list[bytes] = []
    for line in lines:
        if line.startswith(b"data:"):
            data.append(line[len(b"data:") :].removeprefix(b" "))
        elif not line and data:
            yield b"\n".join(data)
            data = []
    if data:
        yield b"\n".join(data)
