"""Save what can be saved of a damaged index: every document whose own rows can be read.

The rows are taken from the pages one by one (`raw_pages`), so that nothing depends on an index, a
page above, or anything else that could be made again. A document is saved if its rows give the
checksum that was taken when it was stored; what is known of the others is counted and named.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, islice, product, takewhile
from operator import itemgetter
from pathlib import Path
from typing import TypeAlias

import numpy as np

from ragctx.embedding import Vectors
from ragctx.index import store
from ragctx.index.checks import wrong_norms
from ragctx.index.checksums import checksum_of
from ragctx.index.database import MAX_DIM
from ragctx.index.raw_pages import PageFile, RawRow, Value
from ragctx.records import Chunk, Document, Heading, Page

MAX_TRIES = 64
"""Choices among rows that claim to be the same that are tried for a document. Chosen by hand."""
_NO_ROW = "its own row cannot be read"
Entry: TypeAlias = tuple[str, int]
"""A name and a number, as the unique indexes and the table of paths have them."""

UNREADABLE = (
    sqlite3.Error,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""What reading rows of a damaged database may raise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A document that could not be saved."""

    document_id: str  # "" where not even that can be read
    paths: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvaged:
    """What became of the documents of a damaged index."""

    saved: int
    lost: tuple[Lost, ...]


@dataclass(frozen=True, slots=True)
class Remains:
    """The rows of a damaged database, by what they are. Keys are numbers of rows.

    Of each row there may be several: what is on a damaged page can look like any other row.
    """

    meta: dict[str, str] = field(default_factory=dict)
    documents: dict[int, list[tuple[Value, ...]]] = field(default_factory=lambda: defaultdict(list))
    pages: dict[int, dict[int, list[tuple[Value, ...]]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )  # of each document by position
    chunks: dict[int, list[tuple[int, tuple[Value, ...]]]] = field(
        default_factory=lambda: defaultdict(list)
    )  # of each document, with their own rows
    contexts: dict[int, tuple[str, str, str]] = field(default_factory=dict)
    vectors: dict[int, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    paths: dict[int, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))

    @property
    def dim(self) -> int:
        """Length of the vectors: as meta tells, else that of most of them."""
        told = self.meta.get("dim", "")
        if told.isdigit() and 0 < int(told[:9]) <= MAX_DIM:
            return int(told)
        lengths = [len(blob) // 4 for blobs in self.vectors.values() for blob in blobs]
        return max(set(lengths), key=lengths.count) if lengths else 0

    def numbers(self) -> list[int]:
        """The rows of all documents that any row tells of."""
        return sorted({*self.documents, *self.pages, *self.chunks, *self.paths})


def read_remains(file: Path) -> Remains:
    """All rows of a damaged database that can be read. Changes nothing."""
    remains = Remains()
    entries: dict[int, list[Entry]] = defaultdict(list)
    certain: set[Entry] = set()
    for row in PageFile(file).rows():
        match row.values:
            case _ if row.rowid is not None:
                _sort_row(row.rowid, row, remains)
            case (str(key), str(value)):
                remains.meta.setdefault(key, value)
            case (int(number), str(path)):  # of sources_of_document, and of nothing else
                certain.add((path, number))
            case (str(name), int(number)):
                entries[row.page].append((name, number))
    for path, number in _paths(entries.values(), certain, _ids(remains)):
        remains.paths[number][path] = None
    return remains


def save_documents(remains: Remains, new: sqlite3.Connection, dim: int) -> Salvaged:
    """Put every document that gives its checksum into a new database. In one transaction."""
    saved = 0
    lost: list[Lost] = []
    for number in remains.numbers():
        paths = sorted(remains.paths.get(number, ()))
        try:
            document, chunks, vectors, recipe = _document(remains, number, dim)
        except UNREADABLE as error:
            lost.append(
                Lost(document_id=_id_of(remains, number), paths=tuple(paths), reason=str(error))
            )
            continue
        for path in paths or [f"unknown path of {document.id}"]:
            store.put_document(
                new,
                path=path,
                document=document,
                chunks=chunks,
                vectors=vectors,
                recipe=recipe,
            )
        saved += 1
    return Salvaged(saved=saved, lost=tuple(lost))


# ---- Which row is what -----------------------------------------------------------------------


def _sort_row(rowid: int, row: RawRow, remains: Remains) -> None:
    """A row of a table with row ids, told by the number and the types of its columns."""
    values = row.values
    match len(values):
        case 10 if isinstance(values[2], int) and isinstance(values[3], int):
            remains.chunks[values[2]].append((rowid, values))
        case 10 if isinstance(values[1], str | bytes):
            remains.documents[rowid].append(values)
        case 6 if isinstance(values[0], int) and isinstance(values[1], int):
            remains.pages[values[0]][values[1]].append(values[2:])
        case 4 if values[0] is None and all(isinstance(text, str | bytes) for text in values[1:]):
            title, section, lead_in = map(_text, values[1:])
            remains.contexts[rowid] = title, section, lead_in
        case 2 if values[0] is None and isinstance(values[1], bytes):
            if values[1] and len(values[1]) % 4 == 0:
                remains.vectors[rowid].append(values[1])


def _ids(remains: Remains) -> set[Entry]:
    """The entries that the unique indexes have of the documents and chunks that can be read."""
    ids = {(str(row[1]), number) for number, rows in remains.documents.items() for row in rows}
    for chunks in remains.chunks.values():
        ids |= {(str(row[1]), number) for number, row in chunks}
    return ids


def _paths(
    pages: Iterable[Sequence[Entry]], certain: set[Entry], ids: set[Entry]
) -> Iterator[Entry]:
    """The entries that are paths with their documents.

    Those of the unique indexes, an id and a row, look the same. A page is of one b-tree, so one
    known entry tells what the others are, also those of documents and chunks that are lost.
    """
    yield from sorted(certain)
    for entries in pages:
        if not certain.isdisjoint(entries):
            yield from (entry for entry in entries if entry not in certain)
        elif ids.isdisjoint(entries):
            yield from (entry for entry in entries if _may_be_path(entry[0]))


_OFFSETS = re.compile(r"\d{1,19}-\d{1,19}")


def _may_be_path(name: str) -> bool:
    """Whether a name is neither a setting of the lexical index nor an id as chunks have them.

    >>> [_may_be_path(name) for name in ("a.pdf", "version", "1f0c:20-310")]
    [True, False, False]
    """
    before, _, offsets = name.rpartition(":")
    return name != "version" and not (before and _OFFSETS.fullmatch(offsets))


# ---- A document of its rows ------------------------------------------------------------------


def _document(
    remains: Remains, number: int, dim: int
) -> tuple[Document, list[Chunk], Vectors | None, str]:
    """The document with its chunks, vectors and recipe. Raises ValueError where it is not sound.

    Without vectors, if it did not have all of them: those that were kept are computed again.
    """
    rows = remains.documents.get(number, [])
    reason = "pages, chunks or vectors of it are missing or damaged" if rows else _NO_ROW
    of_number = remains.pages.get(number, {})
    tries = ((row, pages) for row in rows for pages in _choices_of_pages(of_number))
    for row, pages in islice(tries, MAX_TRIES):
        try:
            _, id_, title, outline, status, reader, warnings, recipe, checksum, _ = map(_text, row)
            document = Document(
                id=id_,
                path="",
                pages=tuple(_page(*page) for page in pages),
                title=title,
                outline=tuple(Heading(*heading) for heading in json.loads(outline)),
                status=status,  # type: ignore[arg-type]
                reader=reader,
                warnings=tuple(json.loads(warnings)),
            )
            numbers, chunks = _chunks(remains, number, document)
            if checksum_of(document, chunks) == checksum:
                return document, chunks, None, recipe
            vectors = np.array([_vector(remains, n, dim) for n in numbers], np.float32)
            if checksum_of(document, chunks, vectors) == checksum:
                return document, chunks, vectors, recipe
        except UNREADABLE as error:
            reason = str(error)
    raise ValueError(reason)


def _choices_of_pages(
    pages: Mapping[int, Sequence[tuple[Value, ...]]],
) -> Iterator[tuple[tuple[Value, ...], ...]]:
    """Every choice of one row for each position, from 0 to before the first without a row."""
    return product(*(pages[position] for position in takewhile(pages.__contains__, count())))


def _page(number: Value, label: Value, status: Value, text: Value) -> Page:
    return Page(
        number=number,  # type: ignore[arg-type]
        label=_text(label),
        text=_text(text),
        status=_text(status),  # type: ignore[arg-type]
    )


def _chunks(remains: Remains, number: int, document: Document) -> tuple[list[int], list[Chunk]]:
    """The chunks that are stretches of the document's text, with their rows."""
    rows: list[int] = []
    chunks: list[Chunk] = []
    for row, values in sorted(remains.chunks.get(number, ()), key=itemgetter(0)):
        _, id_, _, start, end, first_page, last_page, token_count, text, _ = values
        if not (isinstance(start, int) and isinstance(end, int)):
            continue
        text = text.decode(errors="replace") if isinstance(text, bytes) else text
        if document.text[start:end] == text:
            title, section, lead_in = remains.contexts.get(row, ("", "[]", ""))
            chunks.append(
                Chunk(
                    id=id_,  # type: ignore[arg-type]
                    document_id=document.id,
                    start=start,
                    end=end,
                    first_page=first_page,  # type: ignore[arg-type]
                    last_page=last_page,  # type: ignore[arg-type]
                    text=text,
                    token_count=token_count,  # type: ignore[arg-type]
                    title=title,
                    section=tuple(map(str, json.loads(section))),
                    lead_in=lead_in,
                )
            )
            rows.append(row)
    return rows, chunks


def _vector(remains: Remains, row: int, dim: int) -> Vectors:
    for blob in remains.vectors.get(row, ()):
        if len(blob) == dim * 4:
            vector = np.frombuffer(blob, dtype="<f4")
            if not len(wrong_norms(vector[None])):
                return vector
    raise ValueError(f"the vector of row {row} cannot be read")


def _id_of(remains: Remains, number: int) -> str:
    """The id of a document that cannot be saved, if a row tells it."""
    for values in remains.documents.get(number, []):
        id_ = values[1]
        return id_.decode(errors="replace") if isinstance(id_, bytes) else str(id_)
    return ""


def _text(value: Value) -> str:
    """The text of a value, also if damage to its type has made it bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)
