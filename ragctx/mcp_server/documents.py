"""Documents by name, pages of text within limits, and the addresses of both (`ragctx://…`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragctx.documents import Document, Page, file_name
from ragctx.errors import InputError
from ragctx.index.filters import matching_ids
from ragctx.index.store import SourceInfo
from ragctx.text.display import one_line
from ragctx.text.wording import counted
from ragctx.views import View

if TYPE_CHECKING:
    from ragctx.server.service import Service

MAX_PAGE_CHARACTERS = 20_000
"""Of a page, given at once: some 5,000 tokens. Pages are rarely longer."""
MAX_DOCUMENT_CHARACTERS = 100_000
"""Of a document that is read as one resource."""
MAX_LISTED = 100
"""Documents in one list."""
DOCUMENT_TEMPLATE = "ragctx://documents/{document_id}"
PAGE_TEMPLATE = "ragctx://documents/{document_id}/pages/{page}"
_URI = re.compile(r"ragctx://documents/([\w.-]{1,128})(?:/pages/([1-9][0-9]{0,8}))?")
_NAMED = 5  # documents that a message names


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """Characters of a page: `text` is `page_text[start:end]`."""

    text: str
    start: int
    end: int
    characters: int  # of the whole page

    @property
    def next_start(self) -> int | None:
        """Where what was cut off begins; None if nothing was."""
        return self.end if self.end < self.characters else None


def excerpt(text: str, start: int) -> Excerpt:
    """As much of a page as may be given at once.

    Raises InputError for a start beyond its end.

    >>> excerpt("Tin melts.", 4).text
    'melts.'
    """
    if start and start >= len(text):
        raise InputError(f"start is {start}, but the page has {counted(len(text), 'character')}")
    end = min(len(text), start + MAX_PAGE_CHARACTERS)
    return Excerpt(text=text[start:end], start=start, end=end, characters=len(text))


def listed(service: Service, name: str = "") -> list[SourceInfo]:
    """The documents of the index, each once, by path; only those that `name` matches.

    Raises InputError if there are none that match.
    """
    sources = sorted(service.sources(), key=lambda source: source.path)
    ids = matching_ids([name], sources) if name else {source.document_id for source in sources}
    once: dict[str, SourceInfo] = {}
    for source in sources:
        if source.document_id in ids:
            once.setdefault(source.document_id, source)
    return list(once.values())


def named(service: Service, name: str) -> SourceInfo:
    """The one document of this name, path or id. Raises InputError if it is none or several."""
    found = listed(service, name) if name.strip() else []
    if len(found) == 1:
        return found[0]
    names = ", ".join(one_line(file_name(source.path), 80) for source in found[:_NAMED])
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    if found:
        told = f"{len(found)} documents match {name[:80]!r}: {names}{more}; name one of them"
    else:
        told = "the document is not named; list_documents shows their names"
    raise InputError(told)


def page_of(document: Document, source: SourceInfo, number: int) -> Page:
    """A page by its number. Raises InputError if the document has none of this number."""
    count = len(document.pages)
    if not 1 <= number <= count:
        name = one_line(file_name(source.path), 80)
        raise InputError(
            f"{name} has {counted(count, source.unit)}, but the {source.unit} is {number}"
        )
    return document.pages[number - 1]


def page_view(document: Document, source: SourceInfo, page: Page, part: Excerpt) -> View:
    """What `read_page` gives."""
    return {
        "document": file_name(source.path),
        "path": source.path,
        "document_id": document.id,
        "title": document.title,
        "page": page.number,
        "unit": source.unit,
        "label": page.label,
        "pages": len(document.pages),
        "status": page.status,
        "text": part.text,
        "start": part.start,
        "end": part.end,
        "characters": part.characters,
        "next_start": part.next_start,
        "uri": uri_of(document.id, page.number),
    }


def list_view(sources: Sequence[SourceInfo], start: int) -> View:
    """What `list_documents` gives. Raises InputError for a start beyond the end."""
    if start and start >= len(sources):
        raise InputError(f"start is {start}, but there are {counted(len(sources), 'document')}")
    end = start + MAX_LISTED
    return {
        "documents": [
            {
                "document": file_name(source.path),
                "path": source.path,
                "document_id": source.document_id,
                "title": source.title,
                "pages": source.pages,
                "unit": source.unit,
                "status": source.status,
                "uri": uri_of(source.document_id),
            }
            for source in sources[start:end]
        ],
        "count": len(sources),
        "next_start": end if end < len(sources) else None,
    }


# ---- Addresses -------------------------------------------------------------------------------


def uri_of(document_id: str, page: int | None = None) -> str:
    """The address of a document, or of a page of it."""
    address = DOCUMENT_TEMPLATE.format(document_id=document_id)
    return address if page is None else f"{address}/pages/{page}"


def parsed(uri: str) -> tuple[str, int | None]:
    """The document's id and the page that an address names. It never becomes a path.

    Raises InputError for any other address.

    >>> parsed("ragctx://documents/00ff/pages/12")
    ('00ff', 12)
    >>> parsed("ragctx://documents/../../etc/passwd")
    Traceback (most recent call last):
        ...
    ragctx.errors.InputError: 'ragctx://documents/../../etc/passwd' is no address of a document; \
give ragctx://documents/{document_id} or ragctx://documents/{document_id}/pages/{page}
    """
    match = _URI.fullmatch(uri)
    if match is None:
        raise InputError(
            f"{one_line(uri, 120)!r} is no address of a document; give {DOCUMENT_TEMPLATE} or "
            f"{PAGE_TEMPLATE}"
        )
    return match[1], int(match[2]) if match[2] else None
