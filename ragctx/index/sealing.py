"""Segments are made, joined and removed here, under the index's write lock.

What was stored since the last time goes into a new segment, together with the segments that are no
larger than twice that: so there are few, each some times larger than the next, and a chunk is
written again a few times only, however many follow. A segment is made whole before the transaction
that lists it, and removed after the one that no longer does: a writer that is killed leaves the
state before or after, and a file that the next writer removes.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ragctx.index import membership
from ragctx.index.clusters import Clusters, cluster_of, learned_centers, sample_size
from ragctx.index.database import Meta, SegmentName, read_meta, transaction
from ragctx.index.loading import loose_segment, not_in, open_segments, with_words
from ragctx.index.postings import merged
from ragctx.index.segment import (
    CLUSTERED_FROM,
    HASHED_BYTES,
    NO_ROWS,
    OF_A_CHUNK,
    WORDS_FROM,
    Ints,
    Mask,
    Segment,
    cluster_arrays,
)
from ragctx.index.segment_file import Planned, SegmentError, read_arrays, write_arrays

if TYPE_CHECKING:
    from ragctx.embedding import Vectors

OLD_VECTORS = "vectors.faiss"
"""What held the vectors in ragctx 0.3 and before."""
SEAL_ROWS = 8192
"""Chunks that a writer may store before it seals them. Chosen by hand."""
SEAL_AT_MOST = 65_536
"""Chunks in no segment that are sealed at a time, to take little memory. Chosen by hand."""
REWRITE_ROWS = 16_384
"""Chunks that a writer may write again, however few it stored: half a second's work."""
REWRITE_RATIO = 16
"""Chunks that a writer may write again for each that it stored."""
DEAD_SHARE = 0.3
"""A segment of which more was deleted is made again without it. Chosen by hand."""
MOST_ROWS = 2**31
"""Of a segment, in which places are numbers of 32 bits."""
_BLOCK = 2**14


@dataclass(frozen=True)
class Part:
    """A segment, and which of its chunks are wanted."""

    segment: Segment
    alive: Mask

    def __len__(self) -> int:
        return int(np.count_nonzero(self.alive))


@dataclass(frozen=True)
class Sealer:
    """Brings the segments of an index up to date. The caller holds the write lock.

    `connection` is in no transaction; every step is one of its own. Raises OSError where a segment
    cannot be written: everything is as it was before that step.
    """

    connection: sqlite3.Connection
    folder: Path

    def seal(self, *, stored: int) -> None:
        """Put what is in no segment into one, after a writer that stored that number of chunks."""
        self._join(lambda parts: _worth_joining(parts, stored))

    def compact(self) -> None:
        """Put everything into one segment, without what was deleted."""
        self._join(lambda parts: [] if _is_one(parts) else parts)

    def rebuild(self) -> None:
        """Make all segments again from the database."""
        with transaction(self.connection):
            membership.forget_segments(self.connection)
        self.compact()

    def _join(self, choice: Callable[[list[Part]], list[Part]]) -> None:
        """Write the parts that are chosen of all as one segment."""
        meta, segments = self._opened()
        dropped = membership.read_dropped(self.connection)
        parts = [_part(segment, dropped) for segment in segments]
        rows = membership.read_unsealed(self.connection)
        if len(rows):
            parts.append(_part(loose_segment(self.connection, rows, meta.dim), dropped))
        joined = choice(parts)
        names = {part.segment.name for part in joined}
        sound = self._sound(meta, names)
        if sound < names:
            self._unlist(meta, [s for s in segments if s.name not in names or s.name in sound])
            return self._join(choice)
        listed = tuple(told for told in meta.segments if told.name not in names)
        if sum(map(len, joined)):
            listed = (*listed, self._written(meta, joined))
        if joined:
            left = [segment for segment in segments if segment.name not in names]
            self._list(listed, sealed=rows, forgotten=not_in(left, dropped))
        _sweep(self.folder, listed)
        return None

    def _opened(self) -> tuple[Meta, list[Segment]]:
        """All segments, when those whose files are lost or damaged are no longer in the list.

        Of what is in none at most `SEAL_AT_MOST` chunks are left then.
        """
        meta = read_meta(self.connection, self.folder)
        segments, notes = open_segments(self.folder, meta)
        if notes:
            self._unlist(meta, segments)
        while len(rows := membership.read_unsealed(self.connection)) > SEAL_AT_MOST:
            meta = read_meta(self.connection, self.folder)
            few = rows[:SEAL_AT_MOST]
            part = _part(loose_segment(self.connection, few, meta.dim), few[:0])
            self._list((*meta.segments, self._written(meta, [part])), sealed=few)
        meta = read_meta(self.connection, self.folder)
        segments, notes = open_segments(self.folder, meta)
        return self._opened() if notes else (meta, segments)

    def _sound(self, meta: Meta, names: set[str]) -> set[str]:
        """Those of some segments whose files are as they were written. Reads the large ones."""
        sound = {""} & names
        for told in meta.segments:
            if told.name in names:
                with suppress(SegmentError):
                    if told.bytes > HASHED_BYTES:  # the others were checked when they were opened
                        read_arrays(self.folder / told.name, sha256=told.sha256)
                    sound.add(told.name)
        return sound

    def _unlist(self, meta: Meta, sound: Sequence[Segment]) -> None:
        """Keep `sound` in the list only: what was in the others is in no segment then."""
        rows = not_in(sound, membership.read_vector_rows(self.connection))
        names = {segment.name for segment in sound}
        listed = [told for told in meta.segments if told.name in names]
        forgotten = not_in(sound, membership.read_dropped(self.connection))
        self._list(listed, unsealed=rows, forgotten=forgotten)

    def _list(
        self,
        listed: Sequence[SegmentName],
        *,
        sealed: Ints = NO_ROWS,
        unsealed: Ints = NO_ROWS,
        forgotten: Ints = NO_ROWS,
    ) -> None:
        """Record in one step which segments there are, and what is in one now, or no longer."""
        with transaction(self.connection):
            membership.note_unsealed(self.connection, unsealed)
            membership.note_sealed(self.connection, sealed)
            membership.forget_dropped(self.connection, forgotten)
            membership.list_segments(self.connection, listed)

    def _written(self, meta: Meta, parts: Sequence[Part]) -> SegmentName:
        """Write the chunks of some parts as one segment, and read it back."""
        with_their_words = parts
        if sum(map(len, parts)) >= WORDS_FROM:
            with_their_words = [
                replace(part, segment=with_words(self.connection, part.segment)) for part in parts
            ]
        arrays = _Joined(with_their_words).arrays()
        by_size = sorted(arrays.items(), key=lambda item: -np.dtype(item[1].kind).itemsize)
        path = self.folder / f"vectors-{secrets.token_hex(8)}.safetensors"
        sha256 = write_arrays(path, dict(by_size), {"store": meta.store})
        read_arrays(path, sha256=sha256)
        (n,) = arrays["rows"].shape
        return SegmentName(name=path.name, rows=n, bytes=path.stat().st_size, sha256=sha256)


def _part(segment: Segment, dropped: Ints) -> Part:
    alive = np.ones(len(segment), np.bool_)
    alive[segment.positions(dropped)] = False
    return Part(segment, alive)


def _is_one(parts: Sequence[Part]) -> bool:
    """Whether everything is in one segment already, as it would be written."""
    if len(parts) != 1:
        return not parts
    (part,) = parts
    return part.segment.name != "" and bool(part.alive.all())


def _worth_joining(parts: Sequence[Part], stored: int) -> list[Part]:
    """What is in no file, what is mostly deleted, and the segments small beside these."""
    joined = [part for part in parts if not part.segment.name]
    budget = max(REWRITE_ROWS, REWRITE_RATIO * stored)
    for part in sorted((part for part in parts if part.segment.name), key=len):
        total = sum(map(len, joined))
        small = bool(joined) and len(part) <= 2 * total
        spoiled = len(part) < (1 - DEAD_SHARE) * len(part.segment)
        if (small or spoiled) and len(part) <= budget and total + len(part) < MOST_ROWS:
            budget -= len(part)
            joined.append(part)
    return joined


def _sweep(folder: Path, listed: Sequence[SegmentName]) -> None:
    """Remove files that no state lists: of a writer that was killed, and those that were joined."""
    names = {told.name for told in listed}
    old = folder / OLD_VECTORS
    for path in [*folder.glob("vectors-*.safetensors"), *folder.glob(".vectors*.part"), old]:
        if path.name not in names:
            with suppress(OSError):  # on Windows, one that a reader has open
                path.unlink(missing_ok=True)


# ---- The arrays of a segment -----------------------------------------------------------------


class _Joined:
    """The wanted chunks of some parts, in the order in which a segment holds them."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts
        at = [np.flatnonzero(part.alive) for part in parts]
        self._of_part = np.repeat(np.arange(len(parts)), [len(some) for some in at])
        self._at = np.concatenate(at)
        self._order = np.argsort(self._unordered("rows"), kind="stable")
        self.clusters = self._clustered() if len(self) >= CLUSTERED_FROM else None

    def __len__(self) -> int:
        return len(self._at)

    def arrays(self) -> dict[str, Planned]:
        """What the file holds, by name."""
        arrays = {name: Planned.of(self._unordered(name)[self._order]) for name in OF_A_CHUNK}
        arrays |= self._words()
        if self.clusters is not None:
            arrays |= {name: Planned.of(a) for name, a in cluster_arrays(self.clusters).items()}
        dim = self.parts[0].segment.vectors.shape[1]
        blocks = (self._vectors(places) for places in self._blocks())
        arrays["vectors"] = Planned(kind=np.float32, shape=(len(self), dim), blocks=blocks)
        return arrays

    def _unordered(self, name: str) -> Ints:
        """An array of all parts, one after another."""
        arrays: list[Ints] = [getattr(part.segment, name)[part.alive] for part in self.parts]
        return np.concatenate(arrays)

    def _blocks(self) -> Iterator[Ints]:
        for at in range(0, len(self), _BLOCK):
            yield self._order[at : at + _BLOCK]

    def _vectors(self, places: Ints) -> Vectors:
        """The vectors at some places of all parts, one after another."""
        found = np.empty((len(places), self.parts[0].segment.vectors.shape[1]), np.float32)
        for i, part in enumerate(self.parts):
            own = self._of_part[places] == i
            found[own] = part.segment.vectors[self._at[places[own]]]
        return found

    def _clustered(self) -> Clusters:
        """Learn clusters of the vectors, and bring these into their order."""
        chosen = np.random.default_rng(len(self)).choice(
            len(self), sample_size(len(self)), replace=False
        )
        centers = learned_centers(self._vectors(self._order[np.sort(chosen)]), len(self))
        of_each = [cluster_of(self._vectors(places), centers) for places in self._blocks()]
        cluster = np.concatenate(of_each)
        by_cluster = np.argsort(cluster, kind="stable")
        self._order = self._order[by_cluster]
        bounds = np.searchsorted(cluster[by_cluster], np.arange(len(centers) + 1))
        return Clusters(centers=centers, bounds=bounds.astype(np.int64))

    def _words(self) -> Mapping[str, Planned]:
        """The words of all parts; nothing if a part has none."""
        place = np.empty(len(self), np.int64)
        place[self._order] = np.arange(len(self))
        parts = []
        for i, part in enumerate(self.parts):
            if part.segment.words is None:
                return {}
            to = np.full(len(part.segment), -1, np.int64)
            own = self._of_part == i
            to[self._at[own]] = place[own]
            parts.append((part.segment.words, to))
        return merged(parts, len(self))
