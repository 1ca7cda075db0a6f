"""Vectors that were computed before are not computed again.

A vector depends on the chunk's text, with its header, and on the embedder. The text always comes
from the file itself: whoever cannot open a document learns nothing of it from another index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ragctx.embedding import text_tokens
from ragctx.errors import StoreError
from ragctx.headers import fitted, indexed_text
from ragctx.index.database import read_meta, reading
from ragctx.index.index import Index
from ragctx.index.store import read_recipes
from ragctx.index.unfinished import UnfinishedVectors

if TYPE_CHECKING:
    from ragctx.embedding import Embedder, Vectors
    from ragctx.records import Chunk

_GROUP = 64
"""Chunks embedded between two writes: some seconds of work are lost at most. Chosen by hand."""
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
        with suppress(StoreError), self._own.snapshot() as snapshot:
            if found := snapshot.sound_vectors(document_id):
                return found
        lender = self._lender_of.get((document_id, recipe))
        if lender is not None:
            with suppress(StoreError), lender.snapshot() as snapshot:
                return snapshot.sound_vectors(document_id)
        return {}

    @cached_property
    def _lender_of(self) -> dict[tuple[str, str], Index]:
        """The first lender of each document, by id and recipe; looked up when first needed."""
        found: dict[tuple[str, str], Index] = {}
        for folder in self._lenders:
            with suppress(StoreError), reading(folder) as connection:  # one look at each
                meta = read_meta(connection, folder)
                if (meta.embedder, meta.dim) == (self._own.embedder, self._own.dim):
                    for made in read_recipes(connection).items():
                        found.setdefault(made, Index(folder, meta))
        return found


def embedded(
    chunks: Sequence[Chunk],
    embedder: Embedder,
    *,
    known: Mapping[str, Vectors],
    unfinished: UnfinishedVectors,
    on_embedded: Callable[[int, int], None],
) -> Vectors:
    """The vectors of a document's chunks, float32 (n, dim): those known, and the others computed.

    What is computed is kept in `unfinished` from time to time, so that a run that is cut off has
    not computed it in vain. `on_embedded` is called with the chunks done and the chunks in all.
    """
    vectors = np.empty((len(chunks), embedder.dim), np.float32)
    by_text = {indexed_text(chunk): chunk for chunk in chunks}
    found = {**known, **unfinished.find(list(by_text))}
    # The longest first, as the embedder wants its batches: of texts of similar length.
    left = sorted(by_text.keys() - found.keys(), key=lambda text: (-len(text), text))
    done = len(chunks) - len(left)
    count, limit_tokens = embedder.tokenizer.count, text_tokens(embedder)
    for first in range(0, len(left), _GROUP):
        group = left[first : first + _GROUP]

        def on_progress(count: int, before: int = done + first) -> None:
            on_embedded(before + count, len(chunks))

        texts = [fitted(by_text[text], count, limit_tokens) for text in group]
        rows = embedder.encode(texts, on_progress=on_progress)
        found.update(zip(group, rows, strict=True))
        if first + _GROUP < len(left):  # the last group is stored with its document in a moment
            unfinished.keep(group, rows)
    for i, chunk in enumerate(chunks):
        vectors[i] = found[indexed_text(chunk)]
    return vectors
