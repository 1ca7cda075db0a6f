"""Vectors that were computed before are not computed again.

A vector depends on the chunk's text, with its header, and on the embedder. The text always comes
from the file itself: whoever cannot open a document learns nothing of it from another index.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ragctx.errors import StoreError
from ragctx.index.database import read_meta, reading
from ragctx.index.folder import FolderIndex
from ragctx.index.store import read_recipes
from ragctx.index.waiting import read_waiting_documents

if TYPE_CHECKING:
    from ragctx.embedding import Vectors
    from ragctx.index.index import Index

MAX_LENDERS = 300
"""Indexes that are asked for what they hold, 2 to 4 ms for each: a second in all; by hand."""


class KnownVectors:
    """The vectors that an index holds, and other indexes on this machine.

    `lenders` are folders of the others; one that cannot be read, or was made by another embedder,
    has nothing to lend.
    """

    def __init__(self, own: Index, lenders: Iterable[Path] = ()) -> None:
        self._own = own
        self._lenders = tuple(islice((path for path in lenders if path != own.path), MAX_LENDERS))

    def of(self, document_id: str, recipe: str) -> dict[str, Vectors]:
        """The vectors (dim,) of a document's chunks by their texts as indexed; empty if none.

        Others are asked only for documents that were made by this recipe.
        """
        own: dict[str, Vectors] = {}
        with suppress(StoreError), self._own.snapshot() as snapshot:
            own = snapshot.sound_vectors(document_id)
            if own and not snapshot.count_lacking(document_id):
                return own
        lender = self._lender_of.get((document_id, recipe))
        if lender is not None:
            with suppress(StoreError), lender.snapshot() as snapshot:
                return {**snapshot.sound_vectors(document_id), **own}
        return own

    @cached_property
    def _lender_of(self) -> dict[tuple[str, str], Index]:
        """The first lender of each document, by id and recipe; looked up when first needed.

        One that has all of its vectors, if there is one.
        """
        found: dict[tuple[str, str], Index] = {}
        partly: dict[tuple[str, str], Index] = {}
        for folder in self._lenders:
            with suppress(StoreError), reading(folder) as connection:  # one look at each
                meta = read_meta(connection, folder)
                if (meta.embedder, meta.dim) == (self._own.embedder, self._own.dim):
                    waiting = read_waiting_documents(connection)
                    for made in read_recipes(connection).items():
                        lenders = partly if made[0] in waiting else found
                        lenders.setdefault(made, FolderIndex(folder, meta))
        return {**partly, **found}
