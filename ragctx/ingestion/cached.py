"""The index of a handful of files that are asked without being ingested, kept in a cache."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ragctx.errors import DocumentError, IndexDamagedError, IndexMismatchError
from ragctx.formats.read import id_of_file
from ragctx.index.cache import IndexCache, Lease
from ragctx.index.index import Index
from ragctx.ingestion.finding import find_files
from ragctx.ingestion.run import ingest_files
from ragctx.ingestion.settings import IngestSettings
from ragctx.pdf.opening import require_size

if TYPE_CHECKING:
    from ragctx.embedding import Embedder
    from ragctx.ingestion.progress import Progress
    from ragctx.pdf.process import Limits
    from ragctx.records import IngestRow

_SCRYPT_COST = 2**14
"""Work to try one password, about 50 ms and 16 MiB: what RFC 7914 names for logins."""


def open_cached(
    paths: Iterable[str | Path],
    embedder: Embedder,
    *,
    settings: IngestSettings | None = None,
    progress: Progress | None = None,
    folder: Path | None = None,
    lenders: Iterable[Path] = (),
    embed_at_most: int | None = None,
) -> tuple[Index, tuple[IngestRow, ...]]:
    """The index of exactly these files, made unless it is in the cache; and the rows of making it.

    The cache (`folder`, by default `paths.cache_dir() / "indexes"`) is keyed by the files' bytes,
    the recipe and the password: a changed file makes another index, a renamed one is recognised,
    and an encrypted one is not opened without its password. No rows means that nothing had to be
    done. A cached index that is damaged is made again. The cache is bounded: see `IndexCache`. What
    is returned stays there as long as it is in use.

    With `embed_at_most`, documents are found by their words only if more chunks than this would
    have to be embedded. Vectors that another index has by the next call are taken from there.

    Vectors of the same documents in other cached indexes, and in those of the folders `lenders`,
    are not computed again.

    Raises:
        InputError: a path names nothing, or a setting is out of range.
        StoreError: the cache cannot be written.

    >>> index, rows = open_cached(["contract.pdf"], embedder)  # doctest: +SKIP
    """
    settings = settings or IngestSettings()
    ids = {path: _id_of(path, settings.limits) for path in find_files(list(paths))}
    cache = IndexCache(folder)
    key = _key(ids.values(), str(settings.recipe(embedder)), settings.password)
    lease = cache.lease(key)
    index = _opened(cache, lease, embedder)
    index.lease = lease
    wanted = {str(path): document_id for path, document_id in ids.items()}
    if _holds(index, wanted):
        return index, ()
    rows = ingest_files(
        list(ids),
        index,
        embedder,
        ids=ids,
        settings=settings,
        lenders=(*lenders, *cache.folders()),
        embed_at_most=embed_at_most,
        progress=progress,
    )
    _forget_others(index, wanted)
    cache.shrink()
    return index, rows


def _holds(index: Index, wanted: Mapping[str, str]) -> bool:
    """Whether an index has exactly these documents, by path, and all of their vectors."""
    with index.snapshot() as snapshot:
        held = {source.path: source.document_id for source in snapshot.sources()}
        return held == wanted and snapshot.is_complete


def _opened(cache: IndexCache, lease: Lease, embedder: Embedder) -> Index:
    try:
        return Index.open_or_create(lease.folder, embedder=embedder)
    except (IndexDamagedError, IndexMismatchError):
        cache.empty(lease)
        return Index.open_or_create(lease.folder, embedder=embedder)


def _key(ids: Iterable[str], recipe: str, password: str | None) -> str:
    """What names a cached index; a password is hashed slowly, since a name is no secret."""
    about = "\n".join([recipe, *sorted(ids)]).encode()
    if password:
        about += hashlib.scrypt(
            password.encode("utf-8", "surrogatepass"), salt=about, n=_SCRYPT_COST, r=8, p=1
        )
    # Before passwords were part of it, the key began with the recipe: such names never come again.
    return hashlib.sha256(b"2\n" + about).hexdigest()[:24]


def _id_of(path: Path, limits: Limits) -> str:
    """The file's id; "" if it is too large or cannot be read, which its row will report."""
    try:
        require_size(path, limits)
        return id_of_file(path)
    except (OSError, DocumentError):
        return ""


def _forget_others(index: Index, wanted: Mapping[str, str]) -> None:
    """Remove the paths under which these files were cached before: citations name today's."""
    others = [source.path for source in index.sources() if source.path not in wanted]
    if others:
        with index.writer() as writer:
            writer.remove(*others)
