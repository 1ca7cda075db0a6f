"""The filters of PDF streams, decoded strictly: damage is an error here, and never guessed around.

PDF libraries skip what does not belong and stop where the data stops, without a word. What is told
here is that bytes are impossible, that the mark of the end is missing, or that there is more after
it. A byte that became another possible one cannot be told, but by zlib, which has a checksum.

ISO 32000-1 describes the filters in 7.4.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Mapping, Sequence

_SPACE = b"\0\t\n\f\r "
_CLEAR, _END = 256, 257  # codes of LZW
_STEP = 2**20  # bytes of output at a time


def decoded(data: bytes, filters: Sequence[bytes], most: int) -> bytes:
    """What a stream's data hold, after its filters, the outermost first; up to `most` bytes.

    Decoding ends before the first filter that is not known here (those of pictures), and where
    there is more output than `most`.

    Raises:
        ValueError: the data are damaged or end early.

    >>> decoded(b"54696e>", [b"ASCIIHexDecode"], 100)
    b'Tin'
    """
    for name in filters:
        decoder = _DECODERS.get(name)
        if decoder is None or len(data) >= most:
            break
        data = decoder(data, most)
    return data


def inflated_size(data: bytes, most: int) -> int:
    """How many bytes zlib's `data` hold, counted up to `most`.

    Data without the checksum at its end is sound: some programs leave it out.

    Raises:
        ValueError: the data are damaged or end early.

    >>> inflated_size(zlib.compress(b"Tin melts at 232 degrees."), 100)
    25
    """
    return _inflated(data, most, lambda block: None)


def _inflated(data: bytes, most: int, take: Callable[[bytes], object]) -> int:
    try:
        size, ended = _inflated_as(data, most, zlib.MAX_WBITS, take)
        if not ended:
            size, ended = _inflated_as(data[2:], most, -zlib.MAX_WBITS, lambda block: None)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not ended:
        raise ValueError("it ends early")
    return size


def _inflated_as(
    data: bytes, most: int, wbits: int, take: Callable[[bytes], object]
) -> tuple[int, bool]:
    """Size of the output, and whether it came to its end, or to `most`."""
    inflater, size = zlib.decompressobj(wbits), 0
    while not inflater.eof and size < most:
        block = inflater.decompress(data, _STEP)
        data = inflater.unconsumed_tail
        size += len(block)
        take(block)
        if not block and not data:
            return size, inflater.eof
    return size, True


def _flate(data: bytes, most: int) -> bytes:
    blocks: list[bytes] = []
    _inflated(data, most, blocks.append)
    return b"".join(blocks)


def _ascii_hex(data: bytes, most: int) -> bytes:
    digits, end, more = data.translate(None, _SPACE).partition(b">")
    if not end or more:
        raise ValueError("no end, or an early one")
    return bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode("ascii"))


def _ascii85(data: bytes, most: int) -> bytes:
    digits, end, more = data.translate(None, _SPACE).removeprefix(b"<~").partition(b"~>")
    if not end or more:
        raise ValueError("no end, or an early one")
    if (len(digits) - digits.count(b"z")) % 5 == 1:
        raise ValueError("a single digit is no byte")
    return base64.a85decode(digits)


def _run_lengths(data: bytes, most: int) -> bytes:
    out, at = bytearray(), 0
    while at < len(data) and data[at] != 128 and len(out) < most:
        length = data[at]
        if length < 128:
            out += data[at + 1 : at + 2 + length]
            at += 2 + length
        else:
            out += data[at + 1 : at + 2] * (257 - length)
            at += 2
    if len(out) < most and (at >= len(data) or data[at + 1 :].strip(_SPACE)):
        raise ValueError("no end, or an early one")
    return bytes(out)


def _lzw(data: bytes, most: int) -> bytes:
    try:
        return _lzw_of(data, most, early=1)
    except ValueError:  # the width of codes may also grow one code later: /EarlyChange 0
        return _lzw_of(data, most, early=0)


def _lzw_of(data: bytes, most: int, early: int) -> bytes:
    out, table, last = bytearray(), list(_FIRST), b""
    held = bits = 0
    width = 9
    for at, byte in enumerate(data):
        held, bits = (held << 8 | byte) & 0xFFFFFF, bits + 8
        if bits < width:
            continue
        bits -= width
        code = held >> bits & ((1 << width) - 1)
        if code == _CLEAR:
            table, last, width = list(_FIRST), b"", 9
            continue
        if len(out) >= most or (code == _END and not data[at + 1 :].strip(_SPACE)):
            return bytes(out)
        if code == _END or code > len(table) or (code == len(table) and not last):
            raise ValueError("an impossible code, or an early end")
        entry = table[code] if code < len(table) else last + last[:1]
        out += entry
        if last and len(table) < 4096:
            table.append(last + entry[:1])
        last, width = entry, _width(len(table) + early)
    raise ValueError("no end")


def _width(codes: int) -> int:
    """Bits of the next code when the table has this many."""
    return min(max(codes.bit_length(), 9), 12)


_FIRST = (*(bytes([i]) for i in range(256)), b"", b"")
_DECODERS: Mapping[bytes, Callable[[bytes, int], bytes]] = {
    b"FlateDecode": _flate,
    b"Fl": _flate,
    b"LZWDecode": _lzw,
    b"LZW": _lzw,
    b"ASCII85Decode": _ascii85,
    b"A85": _ascii85,
    b"ASCIIHexDecode": _ascii_hex,
    b"AHx": _ascii_hex,
    b"RunLengthDecode": _run_lengths,
    b"RL": _run_lengths,
}
