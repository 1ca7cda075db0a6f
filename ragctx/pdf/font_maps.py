"""Fonts whose map to letters says "f" for the sign "fi": mended in a copy of the file.

A font may hold two statements about a sign: its name, in the encoding ("/fi"), and its letters, in
the map for copying text (ToUnicode, ISO 32000-1, 9.10.3), which readers go by. Some programs write
maps with the first letter of each ligature alone, and then every reader says "signifcant".
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pypdf
from pypdf.generic import DictionaryObject, IndirectObject, StreamObject

from ragctx.pdf.cut_maps import MAC_ROMAN, MAX_MAP_BYTES, decoded_letters, ligature
from ragctx.pdf.ligatures import is_cut
from ragctx.pdf.messages import quietly
from ragctx.pdf.pypdf_reader import open_document

MAX_FILE_BYTES = 2**26
"""Larger files (64 MiB) are left as they are: the copy is made in memory."""
MAX_FONTS = 2_000
"""Fonts looked at in one file. Chosen by hand, to bound the time."""

_HEX = re.compile(rb"<([0-9A-Fa-f]{1,64})>")


def with_mended_fonts(path: str, password: str | None) -> bytes | None:
    """The file, decrypted, with the letters put back into its fonts' maps; None if none lacks any.

    Raises whatever pypdf raises for a damaged file, or for a wrong password.
    """
    if Path(path).stat().st_size > MAX_FILE_BYTES:
        return None
    document = open_document(path, password)
    if not any(_mended_map(font) for font in _fonts(document)):
        return None
    writer = pypdf.PdfWriter(clone_from=document)
    for font in _fonts(writer):
        mended = _mended_map(font)
        if mended is not None:
            _map_of(font).set_data(mended)
    copy = io.BytesIO()
    writer.write(copy)
    return copy.getvalue()


def _fonts(document: Any) -> Iterator[DictionaryObject]:
    """The fonts of all pages and of the forms drawn on them, each once."""
    seen: set[int] = set()
    found = (font for page in document.pages for font in _below(page.get("/Resources"), seen))
    return islice(found, MAX_FONTS)


def _below(resources: Any, seen: set[int]) -> Iterator[DictionaryObject]:
    """The fonts among a page's or a form's resources; what was `seen` is not looked at again."""
    for kind in ("/Font", "/XObject"):
        entries: Sequence[Any] = quietly(partial(_entries, resources, kind), ())
        for entry in entries:
            if isinstance(entry, IndirectObject):
                if entry.idnum in seen:
                    continue
                seen.add(entry.idnum)
            item = quietly(entry.get_object, None)
            if isinstance(item, DictionaryObject):
                if kind == "/Font":
                    yield item
                else:
                    yield from _below(item.get("/Resources"), seen)


def _entries(resources: Any, kind: str) -> tuple[Any, ...]:
    return tuple(resources.get_object()[kind].values())


def _map_of(font: DictionaryObject) -> StreamObject:
    stream: StreamObject = font["/ToUnicode"].get_object()  # type: ignore[assignment]
    return stream


def _mended_map(font: DictionaryObject) -> bytes | None:
    """The font's map with the letters put back; None if it lacks none, or has no map."""
    nothing: Mapping[int, str] = {}
    letters = quietly(lambda: _ligatures(font), nothing)
    data = quietly(lambda: _map_of(font).get_data(), b"") if letters else b""
    if not data or len(data) > MAX_MAP_BYTES:
        return None
    before, *sections = data.split(b"beginbf")
    mended = b"beginbf".join([before, *(_mended_section(part, letters) for part in sections)])
    return mended if mended != data else None


def _ligatures(font: DictionaryObject) -> Mapping[int, str]:
    """The letters of the ligatures that the font's encoding names, by their codes."""
    encoding: Any = font["/Encoding"].get_object()
    if not isinstance(encoding, DictionaryObject):
        return MAC_ROMAN if encoding == "/MacRomanEncoding" else {}
    found = dict(MAC_ROMAN) if encoding.get("/BaseEncoding") == "/MacRomanEncoding" else {}
    code = 0
    for item in encoding.get("/Differences", []):
        if isinstance(item, int):
            code = item
            continue
        found.pop(code, None)
        letters = ligature(str(item).removeprefix("/"))
        if letters:
            found[code] = letters
        code += 1
    return found


def _mended_section(section: bytes, letters: Mapping[int, str]) -> bytes:
    """A part of a map, what follows "beginbf", with the letters put back.

    It is `char <code> <letters>...endbfchar...` or, with the first and the last code of a range,
    `range <code> <code> <letters>...endbfrange...`.
    """
    items, end, after = section.partition(b"endbf")
    ranges = items.startswith(b"range")
    if b"[" in items:
        return section
    size, mended, start = (3 if ranges else 2), bytearray(), 0
    group = list[re.Match[bytes]]()
    for match in _HEX.finditer(items):
        group.append(match)
        if len(group) < size:
            continue
        first, last, target = group[0], group[-2], group[-1]
        group = []
        whole = letters.get(int(first[1], 16), "")
        if (
            whole
            and int(first[1], 16) == int(last[1], 16)
            and is_cut(whole, decoded_letters(target[1]))
        ):
            mended += items[start : target.start(1)] + whole.encode("utf-16-be").hex().encode()
            start = target.end(1)
    return bytes(mended + items[start:]) + end + after
