"""What a search needs, brought from the disk: segments, and from the database what is in none."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ragctx.index import membership, store
from ragctx.index.checks import wrong_norms
from ragctx.index.database import Meta
from ragctx.index.engine import Engine
from ragctx.index.lexicon import LATE_MOST, Lexicon
from ragctx.index.postings import postings_of
from ragctx.index.segment import Ints, Segment, read_segment
from ragctx.index.segment_file import SegmentError

if TYPE_CHECKING:
    from ragctx.embedding import Vectors


def load_engine(
    connection: sqlite3.Connection,
    folder: Path,
    meta: Meta,
    known: Engine | None = None,
    *,
    spoiled: Collection[str] = (),
) -> Engine:
    """The engine for the state of the index that `connection` sees.

    What a segment lacks whose file is lost or damaged is read from the database, as is what is in
    no segment yet. What `known` has, of an earlier state of this very index, is not read again: as
    long as an index only goes forward, a row's vector never changes. A database that was put back
    from an older copy numbers its next rows like those that were lost, but then `known` is of a
    state that it never had. `spoiled` are names of segments not to be used.

    Raises:
        sqlite3.DatabaseError: the database lacks a vector, or has one that is none.
    """
    segments, notes = open_segments(folder, meta, known, spoiled=spoiled)
    rows = membership.read_unsealed(connection)
    if notes:
        rows = not_in(segments, membership.read_vector_rows(connection))
    if len(rows):
        trusted = known is not None and known.meta.state in meta.states
        loose = [s for s in known.segments if not s.name] if known is not None and trusted else []
        segments.append(loose_segment(connection, rows, meta.dim, *loose))
    dropped = membership.read_dropped(connection)
    return Engine(meta=meta, segments=tuple(segments), dropped=dropped, notes=notes)


def open_segments(
    folder: Path, meta: Meta, known: Engine | None = None, *, spoiled: Collection[str] = ()
) -> tuple[list[Segment], tuple[str, ...]]:
    """The segments that an index lists, and what is wrong with those that cannot be used."""
    open_ones = {segment.name: segment for segment in known.segments} if known else {}
    segments: list[Segment] = []
    notes: list[str] = []
    for told in meta.segments:
        try:
            if told.name in spoiled:
                raise SegmentError("a vector is not of length 1", name=told.name)
            segments.append(open_ones.get(told.name) or read_segment(folder, told, meta.dim))
        except SegmentError as error:
            notes.append(str(error))
    return segments, tuple(notes)


def not_in(segments: Iterable[Segment], rows: Ints) -> Ints:
    """Those of some rows that no segment holds."""
    for segment in segments:
        rows = rows[~np.isin(rows, segment.rows)]
    return rows


def loose_segment(
    connection: sqlite3.Connection, rows: Ints, dim: int, known: Segment | None = None
) -> Segment:
    """A segment in memory, of chunks that are in none.

    Raises:
        sqlite3.DatabaseError: the database lacks one of the vectors, or it is none.
    """
    vectors = np.empty((len(rows), dim), np.float32)
    is_new = np.ones(len(rows), np.bool_)
    if known is not None:
        is_new = ~np.isin(rows, known.rows)
        vectors[~is_new] = known.vectors[known.positions(rows[~is_new])]
    vectors[is_new] = fresh = store.read_vectors(connection, rows[is_new].tolist(), dim)
    if (wrong := wrong_norms(fresh)).size:
        row = rows[is_new][wrong[0]]
        raise sqlite3.DatabaseError(f"the vector of row {row} is not of length 1")
    return _in_memory(connection, rows, vectors)


def _in_memory(connection: sqlite3.Connection, rows: Ints, vectors: Vectors) -> Segment:
    own, documents, first_pages, last_pages = membership.read_chunk_table(connection, rows)
    return Segment(
        name="",
        rows=own,
        documents=documents,
        first_pages=first_pages,
        last_pages=last_pages,
        vectors=vectors,
    )


# ---- Words -----------------------------------------------------------------------------------


def load_lexicon(
    connection: sqlite3.Connection, engine: Engine, known: Lexicon | None = None
) -> Lexicon | None:
    """The words of everything that `engine` has, and of what has no vectors yet.

    None if too many passages are in no segment. Words that `known` has are not split again.
    """
    late = membership.read_waiting_rows(connection)
    if len(late) + sum(len(s) for s in engine.segments if s.words is None) > LATE_MOST:
        return None
    split = {s.name: s for s in known.segments if s.name} if known else {}
    segments = [split.get(s.name) or with_words(connection, s) for s in engine.segments]
    alive = list(engine.alive)
    if len(late):
        none = np.empty((len(late), 0), np.float32)
        segments.append(with_words(connection, _in_memory(connection, late, none)))
        alive.append(np.ones(len(late), np.bool_))
    return Lexicon(segments=tuple(segments), alive=tuple(alive))


def with_words(connection: sqlite3.Connection, segment: Segment) -> Segment:
    """The segment with its words, split now if it has none; a deleted chunk has none then."""
    if segment.words is not None:
        return segment
    texts = membership.read_passages(connection, segment.rows)
    return replace(
        segment, words=postings_of([texts.get(row, "") for row in segment.rows.tolist()])
    )
