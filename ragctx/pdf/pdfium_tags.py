"""The order and the roles that a tagged PDF gives its text (ISO 32000-1, 14.8), where they hold.

pdfium gives both sides, the structure tree and each text's number in it, of the page that is open
anyhow; pypdf would open the file a second time and interpret the page's content again.

Tags are believed where they are about the page that is seen: nearly all of its text is in the tree,
and nothing of it twice. Programs that tag by guessing leave text out, or tag it where it is not.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pypdfium2.raw as raw

from ragctx.pdf.pdfium_calls import (
    Address,
    address,
    content_number,
    tree_child,
    tree_child_count,
    tree_child_number,
    tree_role,
)
from ragctx.pdf.pdfium_page_objects import PageObjects
from ragctx.pdf.pdfium_pieces import Piece
from ragctx.pdf.pdfium_text_objects import marks_of

COVERED = 0.95
"""The share of a page's characters, artifacts apart, that must be in the tree."""
MAX_DEPTH, MAX_ELEMENTS = 60, 20_000
"""Elements within elements, and elements of one page, that are looked at."""
MAX_ROLE = 40
"""Characters of a role's name."""

_HEADINGS = frozenset(("H", "H1", "H2", "H3", "H4", "H5", "H6", "Title"))
_BLOCKS = _HEADINGS | {"P", "LI", "TR", "Caption", "TOCI", "Note", "BlockQuote", "Code", "Formula"}
_WHOLE = frozenset(("LI", "TR", "TOCI"))
"""Blocks that go on through the paragraphs in them."""
_CELLS = frozenset(("TD", "TH"))
_PARTS = frozenset(("L", "Table"))
"""What begins other blocks, even within a block that goes on."""


class Tag(NamedTuple):
    """Where a piece of text is in the order of the tree: its block, the cell in it, its role."""

    block: int
    cell: int
    role: str


NO_TAG = Tag(0, 0, "")


def tags_of(page: Any, objects: PageObjects, pieces: Sequence[Piece]) -> list[Tag]:
    """Each piece's place in the tree; all `NO_TAG` where there is none, or it cannot be believed.

    Artifacts (running heads, rules) have no place in it.
    """
    untagged = [NO_TAG] * len(pieces)
    if objects.are_too_many or objects.forms:
        return untagged  # what is within forms has numbers of their own
    tree = raw.FPDF_StructTree_GetForPage(page)
    if not tree:
        return untagged
    try:
        walk = _Walk()
        for i in range(min(raw.FPDF_StructTree_CountChildren(tree), MAX_ELEMENTS)):
            walk.enter(address(raw.FPDF_StructTree_GetChildAtIndex(tree, i)), NO_TAG, 0)
    finally:
        raw.FPDF_StructTree_Close(tree)
    if not walk.tags or walk.is_twisted:
        return untagged
    found: list[Tag] = []
    covered = whole = 0
    for piece in pieces:
        at = piece.placed.drawn.at
        tag = walk.tags.get(content_number(at), NO_TAG) if at else NO_TAG
        found.append(tag)
        if tag.block or not (at and "Artifact" in marks_of(at)):
            length = len(piece.message["text"])
            whole += length
            covered += length * (tag.block > 0)
    return found if covered and covered >= COVERED * whole else untagged


@dataclass(slots=True)
class _Walk:
    """A walk through the elements of one page, in their order."""

    tags: dict[int, Tag] = field(default_factory=dict)  # by number of the marked content
    is_twisted: bool = False  # whether something is in the tree twice, or too deep
    blocks: int = 0
    cells: int = 0
    seen: int = 0
    roles: _Roles = field(default_factory=lambda: _Roles())

    def enter(self, element: Address, around: Tag, depth: int) -> None:
        """Take in an element and what is below it; `around` is the block that it is part of."""
        self.seen += 1
        if not element or self.seen > MAX_ELEMENTS or depth > MAX_DEPTH:
            self.is_twisted = self.is_twisted or bool(element)
            return
        tag = self._tag_of(self.roles.of(element), around)
        for i in range(min(tree_child_count(element), MAX_ELEMENTS)):
            child = tree_child(element, i)
            if child:
                self.enter(child, tag, depth + 1)
                continue
            number = tree_child_number(element, i)
            if number >= 0:
                self.is_twisted = self.is_twisted or number in self.tags
                self.tags[number] = tag if tag.block else self._block("P")

    def _tag_of(self, role: str, around: Tag) -> Tag:
        if around.role in _WHOLE and role not in _WHOLE:
            if role in _CELLS:
                self.cells += 1
                return around._replace(cell=self.cells)
            return NO_TAG if role in _PARTS and around.role != "TR" else around
        if role in _BLOCKS:
            return self._block(role)
        return around

    def _block(self, role: str) -> Tag:
        self.blocks += 1
        return Tag(self.blocks, 0, role)


class _Roles:
    """Asks what elements are. (What pdfium answers in is kept: it takes long to make)."""

    def __init__(self) -> None:
        self._bytes = ctypes.create_string_buffer(2 * MAX_ROLE + 2)
        self._place = ctypes.addressof(self._bytes)

    def of(self, element: Address) -> str:
        """The role of an element, as the file says it; "" if that is long."""
        size = tree_role(element, self._place, len(self._bytes))
        if not 2 <= size <= len(self._bytes):
            return ""
        return self._bytes.raw[: size - 2].decode("utf-16-le", "replace")
