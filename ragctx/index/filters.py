"""Filters: which documents and pages to search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Protocol

from ragctx.arguments import require_whole
from ragctx.errors import InputError
from ragctx.records import file_name
from ragctx.text.composition import composed

_LAST_PAGE = 2**62


class Named(Protocol):
    """A file that an index knows: `SourceInfo`, or no more than its names."""

    @property
    def path(self) -> str:
        """The path under which it was stored."""
        ...

    @property
    def document_id(self) -> str:
        """The id of the document that it holds."""
        ...


@dataclass(frozen=True, slots=True)
class Filter:
    """Limits a search to documents and pages.

    It applies before the best k are taken, so k hits come back if there are as many.

    Args:
        documents: ids, paths, ends of paths ("manuals/pump.pdf", "pump.pdf") or patterns with
            `*`, `?` and `[…]` ("*2023*.pdf"); what names nothing so may be any part of a name or
            path ("pump"). Upper and lower case are the same. Empty means all documents; otherwise
            a document needs to match one.
        first_page: only chunks that reach this page or a later one; pages count from 1.
        last_page: only chunks that begin on this page or an earlier one.

    >>> Filter(("pump.pdf",), first_page=3).pages
    (3, 4611686018427387904)
    """

    documents: tuple[str, ...] = ()
    first_page: int | None = None
    last_page: int | None = None

    def __post_init__(self) -> None:
        """Raise InputError if `documents` is a string, or the page range is impossible."""
        documents: object = self.documents
        if isinstance(documents, str):
            raise InputError(f"documents is one text. Give a tuple: ({documents!r},)")
        for name in ("first_page", "last_page"):
            if getattr(self, name) is not None:
                require_whole(name, getattr(self, name))
        first, last = self.pages
        if first < 1 or last < first:
            raise InputError(
                f"The page range is {self.first_page} to {self.last_page}; pages count from 1 and "
                "the last is not before the first."
            )

    @property
    def pages(self) -> tuple[int, int]:
        """First and last page, also where none was given; neither larger than SQLite takes."""
        return (
            1 if self.first_page is None else min(self.first_page, _LAST_PAGE),
            _LAST_PAGE if self.last_page is None else min(self.last_page, _LAST_PAGE),
        )

    @property
    def everything(self) -> bool:
        """Whether it excludes nothing."""
        return not self.documents and self.first_page is None and self.last_page is None


def matching_ids(
    wanted: Sequence[str], sources: Sequence[Named], *, by_part: bool = True
) -> set[str]:
    """The ids of the documents that `wanted` (`Filter.documents`) names.

    An entry means what it names exactly; failing that, what it matches as a pattern; failing that,
    what it names or matches in other letters, upper or lower case; failing that, with `by_part`,
    every document with the entry somewhere in its path.

    Raises:
        InputError: an entry names no document; the message lists the most similar names.
    """
    found: set[str] = set()
    for entry in wanted:
        ids = _ids_of(entry, sources, by_part=by_part)
        if not ids:
            raise InputError(_no_such_document(entry, sources))
        found |= ids
    return found


def _ids_of(entry: str, sources: Sequence[Named], *, by_part: bool) -> set[str]:
    rules = (_names, _matches, _matches_in_any_case, _is_part_of)
    for matches in rules if by_part else rules[:2]:
        ids = {source.document_id for source in sources if matches(entry, source)}
        if ids:
            return ids
    return set()


def _names(entry: str, source: Named) -> bool:
    """Whether it is the id, the path or an end of it, as written: "[1].pdf" is no pattern then."""
    path = f"/{_slashed(source.path)}"
    return entry == source.document_id or path.endswith(f"/{_plain(entry)}")


def _matches(entry: str, source: Named) -> bool:
    return _fits(_plain(entry), _slashed(source.path))


def _matches_in_any_case(entry: str, source: Named) -> bool:
    return _fits(_folded(_plain(entry)), _folded(_slashed(source.path)))


def _is_part_of(entry: str, source: Named) -> bool:
    part = _folded(_plain(entry))
    return bool(part.strip("./ ")) and part in _folded(_slashed(source.path))


def _fits(entry: str, path: str) -> bool:
    """Whether an entry is a path, an end of it, or a pattern of either, as of a relative path."""
    return f"/{path}".endswith(f"/{entry}") or fnmatchcase(f"/{path}", f"*/{entry}")


def _plain(entry: str) -> str:
    return _slashed(entry).removeprefix("./")


def _slashed(path: str) -> str:
    return path.replace("\\", "/")


def _folded(text: str) -> str:
    """In lower case and composed: file systems differ in how they spell an accented letter."""
    return composed(text).casefold()


def _no_such_document(entry: str, sources: Sequence[Named]) -> str:
    names = sorted({file_name(source.path) for source in sources})
    similar = get_close_matches(entry, names, n=3, cutoff=0.4) or names[:5]  # 0.4: by hand
    among = f"Nearest of {len(names)}: {', '.join(similar)}." if names else "The index is empty."
    return f"No document of the index matches {entry!r}. {among}"
