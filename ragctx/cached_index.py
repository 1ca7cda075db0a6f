"""An index for a handful of PDFs, made once and found again by their content."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ragctx.errors import IndexDamagedError, IndexMismatchError
from ragctx.index.index import Index
from ragctx.ingestion import IngestSettings, Progress, file_id, find_pdfs, ingest
from ragctx.paths import cache_dir

if TYPE_CHECKING:
    from ragctx.embedding import Embedder
    from ragctx.records import IngestRow


def open_cached(
    paths: Iterable[str | Path],
    embedder: Embedder,
    *,
    settings: IngestSettings | None = None,
    progress: Progress | None = None,
    folder: Path | None = None,
) -> tuple[Index, tuple[IngestRow, ...]]:
    """The index of exactly these PDFs, made unless it is in the cache; and the rows of making it.

    The cache (`folder`, by default `paths.cache_dir() / "indexes"`) is keyed by the files' bytes
    and the recipe: a changed file makes another index, a renamed one is recognised. No row means
    that nothing was to be done. A cached index that is damaged is made again.

    >>> index, rows = open_cached(["contract.pdf"], embedder)  # doctest: +SKIP
    """
    settings = settings or IngestSettings()
    files = find_pdfs(paths)
    wanted = {str(path): _id_of(path) for path in files}
    key = _key(wanted.values(), settings.recipe(embedder))
    place = (folder or cache_dir() / "indexes") / key
    index = _opened(place, embedder)
    if _holds(index, wanted):
        return index, ()
    rows = ingest(files, index, embedder, settings=settings, progress=progress)
    _forget_others(index, wanted)
    return index, rows


def _opened(place: Path, embedder: Embedder) -> Index:
    try:
        return Index.open_or_create(place, embedder=embedder)
    except (IndexDamagedError, IndexMismatchError):
        shutil.rmtree(place)
        return Index.open_or_create(place, embedder=embedder)


def _key(ids: Iterable[str], recipe: str) -> str:
    return hashlib.sha256("\n".join([recipe, *sorted(ids)]).encode()).hexdigest()[:24]


def _id_of(path: Path) -> str:
    """The file's id; "" where it cannot be read, which ingesting will say."""
    try:
        return file_id(path)
    except OSError:
        return ""


def _holds(index: Index, wanted: Mapping[str, str]) -> bool:
    return {source.path: source.document_id for source in index.sources()} == wanted


def _forget_others(index: Index, wanted: Mapping[str, str]) -> None:
    """Remove the names under which these files were asked before: sources must bear today's."""
    others = [source.path for source in index.sources() if source.path not in wanted]
    if others:
        with index.writer() as writer:
            for path in others:
                writer.remove(path)
