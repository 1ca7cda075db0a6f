"""Contextual headers: what a passage belongs to, searched together with its text.

A passage that says "It rose by 4 percent" is found by a question that names its document, its
section or its column only if these go with it. So the document's title, the headings above the
passage and its lead-in (the header rows of its table, the opening of its list) are put before the
text where it is embedded and where its words are indexed, and nowhere else: a passage's text and
offsets stay the document's own. (Anthropic 2024, "Introducing Contextual Retrieval", has a model
write such a header; here it is what the author wrote.)
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from operator import attrgetter

from ragctx.lead_ins import LeadIns
from ragctx.records import Chunk, Document, Section

PATH_SEPARATOR = " > "
"""Between the headings of a path, as it is shown."""
MAX_HEADER_CHARACTERS = 400
"""Characters of a header that are indexed; the rest, from the front, is left out. Chosen by hand:
three long headings and a table's header row."""


def section_at(sections: Sequence[Section], start: int, end: int) -> tuple[str, ...]:
    """The headings above `text[start:end]`, the outermost first; () before the first heading.

    Of several sections that the stretch touches, the one that most of it is in counts.

    Args:
        sections: a document's sections, in order.
        start: where a stretch of the document's text begins, in characters …
        end: … and ends, half open.

    >>> sections = [Section("Metals", 0), Section("Tin", 10, 1), Section("Wood", 90)]
    >>> section_at(sections, 10, 80), section_at(sections, 70, 200)
    (('Metals', 'Tin'), ('Wood',))
    """
    first = bisect_right(sections, start, key=_start) - 1
    stop = bisect_right(sections, max(end - 1, start), key=_start)
    if stop <= 0:
        return ()
    bounds = [start, *(section.start for section in sections[first + 1 : stop]), end]
    lengths = [b - a for a, b in pairwise(bounds)]
    chosen = first + lengths.index(max(lengths))
    return _path(sections, chosen) if chosen >= 0 else ()


_start = attrgetter("start")


def _path(sections: Sequence[Section], i: int) -> tuple[str, ...]:
    path, depth = [sections[i].title], sections[i].depth
    while depth > 0 and i > 0:
        i -= 1
        if sections[i].depth < depth:
            path.append(sections[i].title)
            depth = sections[i].depth
    return tuple(reversed(path))


def with_context(chunk: Chunk, document: Document, lead_ins: LeadIns) -> Chunk:
    """The chunk with the title and section that it belongs to, and what it goes on from.

    Args:
        chunk: of the document.
        document: with its sections.
        lead_ins: of the document's text.
    """
    return replace(
        chunk,
        title=document.title,
        section=section_at(document.sections, chunk.start, chunk.end),
        lead_in=lead_ins.before(chunk.start),
    )


def section_words(chunk: Chunk) -> str:
    """The path of headings on one line; "" where none is known.

    >>> chunk = Chunk(
    ...     id="d:0-4",
    ...     document_id="d",
    ...     start=0,
    ...     end=4,
    ...     first_page=1,
    ...     last_page=1,
    ...     text="Tin.",
    ...     token_count=2,
    ...     title="Metals",
    ...     section=("3 Results", "3.2 Ablations"),
    ... )
    >>> section_words(chunk), header_of(chunk)
    ('3 Results > 3.2 Ablations', 'Metals\\n3 Results > 3.2 Ablations')
    """
    return PATH_SEPARATOR.join(chunk.section)


def header_of(chunk: Chunk) -> str:
    """What goes before the text of a chunk where it is indexed; "" if nothing is known.

    Title, path and lead-in, a line each. What its text says already is not said twice.
    """
    lines = (chunk.title, section_words(chunk), chunk.lead_in)
    header = "\n".join(line for line in lines if line and not chunk.text.startswith(line))
    return header[-MAX_HEADER_CHARACTERS:]


def indexed_text(chunk: Chunk) -> str:
    """The text of a chunk as it is indexed: its header, if it has one, and its own text."""
    header = header_of(chunk)
    return f"{header}\n{chunk.text}" if header else chunk.text


def fitted(chunk: Chunk, count: Callable[[str], int], limit_tokens: int) -> str:
    """`indexed_text` in at most `limit_tokens`, for an embedder that reads no more.

    Words are left out of the header from the front, for what stands nearest to the text tells most;
    never of the text.

    Args:
        chunk: of at most `limit_tokens`.
        count: counts the embedder's tokens.
        limit_tokens: without special tokens.
    """
    whole = indexed_text(chunk)
    if count(whole) <= limit_tokens:
        return whole
    words = header_of(chunk).split()
    low, high = 0, len(words)  # how many of the last words fit: `low` do, more than `high` do not
    while low < high:
        middle = (low + high + 1) // 2
        if count(f"{' '.join(words[-middle:])}\n{chunk.text}") <= limit_tokens:
            low = middle
        else:
            high = middle - 1
    return f"{' '.join(words[-low:])}\n{chunk.text}" if low else chunk.text
