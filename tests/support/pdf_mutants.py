"""PDFs damaged at random, the same for the same seed: bits, objects, numbers, nesting, streams."""

from __future__ import annotations

import base64
import io
import random
import re
import zlib
from collections.abc import Callable, Mapping, Sequence

import pypdf
from pypdf._codecs._codecs import LzwCodec
from pypdf.generic import ArrayObject, NameObject, StreamObject

_OBJECT = re.compile(rb"\d+ \d+ obj\b.{0,20000}?endobj", re.DOTALL)
_REFERENCE = re.compile(rb"\d+ \d+ R\b")
_NUMBER = re.compile(rb"(?<=[\s\[])-?\d+\.?\d*(?=[\s\]/>])")
_NAME = re.compile(rb"/[A-Za-z][A-Za-z0-9]{1,20}")
_STREAM = re.compile(rb"stream\r?\n(.*?)endstream", re.DOTALL)
_NUMBERS = (
    b"0",
    b"-1",
    b"1",
    b"65536",
    b"2147483647",
    b"2147483648",
    b"-2147483649",
    b"99999999999999",
    b"1e308",
    b"0.0000000001",
    b"340282366920938463463374607431768211456",
    b"1" * 400,
)
_OPENERS = (b"[", b"<<", b"<</A ", b"(", b"q ", b"BT ", b"{", b"<</Kids[", b"/A<</B", b"BI ")


# ---- Streams under every filter --------------------------------------------------------------


def run_lengths(data: bytes) -> bytes:
    """`data` for a RunLengthDecode filter: literal runs of up to 128 bytes, then end of data."""
    runs = (data[i : i + 128] for i in range(0, len(data), 128))
    return b"".join(bytes([len(run) - 1]) + run for run in runs) + b"\x80"


ENCODERS: Mapping[str, Callable[[bytes], bytes]] = {
    "/FlateDecode": zlib.compress,
    "/LZWDecode": lambda data: LzwCodec().encode(data),
    "/ASCII85Decode": lambda data: base64.a85encode(data) + b"~>",
    "/ASCIIHexDecode": lambda data: data.hex().encode() + b">",
    "/RunLengthDecode": run_lengths,
}
"""What a filter's stream holds, by the filter's name."""


def refiltered(data: bytes, filters: Sequence[str]) -> bytes:
    """The file, with the contents of its pages under these filters, the outermost first."""
    writer = pypdf.PdfWriter(clone_from=pypdf.PdfReader(io.BytesIO(data)))
    for page in writer.pages:
        content = page.get_contents()
        if content is None:
            continue
        encoded = content.get_data()
        for name in reversed(filters):
            encoded = ENCODERS[name](encoded)
        stream = StreamObject()
        stream._data = encoded
        if filters:
            stream[NameObject("/Filter")] = ArrayObject(map(NameObject, filters))
        page[NameObject("/Contents")] = writer._add_object(stream)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


# ---- Mutations -------------------------------------------------------------------------------


def flip(data: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(data)
    for _ in range(chance.choice((1, 1, 4, 16, 64, 1024))):
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def cut(data: bytes, chance: random.Random) -> bytes:
    a, b = sorted(chance.randrange(len(data)) for _ in range(2))
    return chance.choice((data[:a], data[b:], data[:a] + data[b:], data[: -min(a, 2000)]))


def overwrite(data: bytes, chance: random.Random) -> bytes:
    start, size = chance.randrange(len(data)), chance.choice((1, 16, 512, 4096))
    filling = chance.choice((bytes(size), chance.randbytes(size), b" " * size, b"\xff" * size))
    return (data[:start] + filling + data[start + size :])[: len(data)]


def repeat(data: bytes, chance: random.Random) -> bytes:
    start, size = chance.randrange(len(data)), chance.choice((1, 8, 64, 2048))
    times = chance.choice((2, 20, 300)) if size > 64 else chance.choice((2, 1000, 20_000))
    return data[:start] + data[start : start + size] * times + data[start + size :]


def nest(data: bytes, chance: random.Random) -> bytes:
    at = chance.choice([m.start() for m in _NAME.finditer(data)] or [0])
    return data[:at] + chance.choice(_OPENERS) * chance.choice((10, 500, 100_000)) + data[at:]


def change_numbers(data: bytes, chance: random.Random) -> bytes:
    return _replaced(data, _NUMBER, lambda old: chance.choice(_NUMBERS), chance)


def change_references(data: bytes, chance: random.Random) -> bytes:
    known = _REFERENCE.findall(data) or [b"1 0 R"]
    return _replaced(data, _REFERENCE, lambda old: chance.choice(known), chance)


def change_names(data: bytes, chance: random.Random) -> bytes:
    known = _NAME.findall(data) or [b"/Null"]
    return _replaced(data, _NAME, lambda old: chance.choice(known), chance)


def splice(data: bytes, chance: random.Random) -> bytes:
    """Objects of the file in the place of other objects."""
    objects = [match.span() for match in _OBJECT.finditer(data)]
    if len(objects) < 2:
        return flip(data, chance)
    for _ in range(chance.choice((1, 2, 8))):
        (a, b), (c, d) = chance.choice(objects), chance.choice(objects)
        body = data[c:d].partition(b"obj")[2]
        fits = body[: b - a].ljust(b - a - 10)  # the table of offsets stays right
        data = data[:a] + data[a:b].partition(b"obj")[0] + b"obj" + fits + data[b:]
    return data


def damage_stream(data: bytes, chance: random.Random) -> bytes:
    """Bytes flipped, overwritten, left out or cut off within one stream."""
    streams = [match.span(1) for match in _STREAM.finditer(data) if match.end(1) > match.start(1)]
    if not streams:
        return flip(data, chance)
    start, end = chance.choice(streams)
    change = chance.choice((flip, flip, cut, overwrite, repeat))
    return data[:start] + change(data[start:end], chance) + data[end:]


def _replaced(
    data: bytes, kind: re.Pattern[bytes], new: Callable[[bytes], bytes], chance: random.Random
) -> bytes:
    found = [match.span() for match in kind.finditer(data)]
    for start, end in sorted(chance.sample(found, min(len(found), chance.choice((1, 3, 20)))))[
        ::-1
    ]:
        data = data[:start] + new(data[start:end]) + data[end:]
    return data


MUTATIONS: Mapping[str, Callable[[bytes, random.Random], bytes]] = {
    f.__name__: f
    for f in (
        flip,
        cut,
        overwrite,
        repeat,
        nest,
        change_numbers,
        change_references,
        change_names,
        splice,
        damage_stream,
    )
}

FILTERS: Sequence[Sequence[str]] = (
    (),
    ("/FlateDecode",),
    ("/LZWDecode",),
    ("/ASCII85Decode",),
    ("/ASCIIHexDecode",),
    ("/RunLengthDecode",),
    ("/ASCII85Decode", "/FlateDecode"),
    ("/ASCIIHexDecode", "/LZWDecode"),
)


def mutant(data: bytes, seed: int) -> tuple[str, bytes]:
    """(what was done, the damaged file) for a sound file and a seed."""
    chance = random.Random(seed)
    done = []
    if chance.random() < 0.5:
        filters = chance.choice(FILTERS)
        try:
            data = refiltered(data, filters)
            done.append("+".join(name[1:-6] for name in filters) or "plain")
        except Exception as error:  # of pypdf, for files that are damaged already
            done.append(type(error).__name__)
    names = [*MUTATIONS, "damage_stream", "damage_stream", "damage_stream"]
    for name in chance.choices(names, k=chance.choice((1, 1, 1, 2, 4))):
        data = MUTATIONS[name](data, chance) or b"%PDF-1.7"
        done.append(name)
    return ",".join(done), data
