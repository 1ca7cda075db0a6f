"""Tagged files are read in the order of their tags, where these are about the page that is seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ragctx.pdf.read import read_pdf
from ragctx.pdf.row import Row
from ragctx.pdf.tagged import in_tagged_order
from tests.support.pdf_files import document, pdf_bytes

Tree = Sequence[tuple[bytes, object]]
"""Elements: their type, and the number of their marked content or the elements below them."""


def shown(number: int, text: bytes, x: float, y: float, size: float = 10) -> bytes:
    drawn = b"BT /F1 %g Tf %g %g Td (%s) Tj ET" % (size, x, y, text)
    return drawn + b"\n" if number < 0 else b"/P <</MCID %d>> BDC %s EMC\n" % (number, drawn)


def tagged(folder: Path, content: bytes, tree: Tree, roles: bytes = b"") -> str:
    """The text of a page with this structure tree."""
    data = document([content], page=b"/StructParents 0")
    objects = [body.split(b"\nendobj")[0] for body in data.split(b" 0 obj\n")[1:]]
    root = len(objects) + 1
    elements: list[bytes] = []
    owners: dict[int, int] = {}

    def add(kind: bytes, below: object, parent: int) -> int:
        at = root + 1 + len(elements)
        elements.append(b"")
        kids = b""
        for child in below if isinstance(below, list) else [below]:
            if isinstance(child, int):
                owners[child] = at
                kids += b" %d" % child
            else:
                kids += b" %d 0 R" % add(*child, at)
        elements[at - root - 1] = b"<</Type/StructElem/S/%s/P %d 0 R/Pg 4 0 R/K[%s]>>" % (
            kind,
            parent,
            kids,
        )
        return at

    top = [add(kind, below, root) for kind, below in tree]
    parents = b" ".join(b"%d 0 R" % owners.get(i, top[0]) for i in range(max(owners) + 1))
    kids = b" ".join(b"%d 0 R" % at for at in top)
    objects[0] = objects[0].replace(
        b">>", b"/MarkInfo<</Marked true>>/StructTreeRoot %d 0 R>>" % root
    )
    objects += [
        b"<</Type/StructTreeRoot/K[%s]/ParentTree<</Nums[0[%s]]>>%s>>" % (kids, parents, roles),
        *elements,
    ]
    path = folder / "tagged.pdf"
    path.write_bytes(pdf_bytes(objects))
    return read_pdf(path, reader="pdfium").text


THREE = (
    shown(0, b"Second paragraph.", 72, 600)
    + shown(1, b"The heading", 72, 700, 16)
    + shown(2, b"First paragraph.", 320, 600)
)


def test_the_tree_says_the_order_where_places_say_nothing(tmp_path: Path) -> None:
    text = tagged(tmp_path, THREE, [(b"H1", 1), (b"P", 2), (b"P", 0)])
    assert text == "The heading\n\nFirst paragraph.\n\nSecond paragraph."


def test_types_of_a_files_own_are_what_it_maps_them_to(tmp_path: Path) -> None:
    own = [(b"Kopf", 1), (b"P", 2), (b"P", 0)]
    assert tagged(tmp_path, THREE, own, b"/RoleMap<</Kopf/H1>>").startswith("The heading\n\nFirst")


@pytest.mark.parametrize(
    "tree",
    [
        [(b"H1", 1), (b"P", 2)],
        [(b"P", [2, 2]), (b"H1", 1), (b"P", 0)],
        [(b"Sect", [(b"P", 2), (b"Sect", [(b"H1", 1)])])],
    ],
    ids=["not all of it", "twice", "nested, not all of it"],
)
def test_a_tree_that_is_not_about_the_page_is_not_believed(tree: Tree, tmp_path: Path) -> None:
    assert tagged(tmp_path, THREE, tree).splitlines()[-1] == "Second paragraph. First paragraph."


def test_a_row_of_a_table_is_one_row_however_many_lines_its_cells_have(tmp_path: Path) -> None:
    cells = (
        shown(0, b"Metal", 72, 700)
        + shown(1, b"Melts at", 200, 700)
        + shown(2, b"Tin, which is", 72, 680)
        + shown(3, b"232", 200, 680)
        + shown(4, b"Lead", 72, 655)
        + shown(5, b"327", 200, 655)
    ).replace(b"which is) Tj", b"which is) Tj 0 -12 Td (soft) Tj")
    rows = [
        (b"TR", [(b"TH", 0), (b"TH", 1)]),
        (b"TR", [(b"TD", 2), (b"TD", 3)]),
        (b"TR", [(b"TD", 5), (b"TD", 4)]),
    ]
    text = tagged(tmp_path, cells, [(b"Table", rows)])
    assert text.splitlines() == ["Metal\tMelts at", "Tin, which is soft\t232", "Lead\t327"]


def test_items_of_a_list_are_lines_with_their_labels(tmp_path: Path) -> None:
    content = b"".join(
        shown(2 * i, b"%d." % (i + 1), 72, 700 - 12 * i)
        + shown(2 * i + 1, b"Item of a list", 90, 700 - 12 * i)
        for i in range(3)
    )
    items = [(b"LI", [(b"Lbl", 2 * i), (b"LBody", [(b"P", 2 * i + 1)])]) for i in range(3)]
    text = tagged(tmp_path, content, [(b"L", items)])
    assert text.splitlines() == [f"{i}. Item of a list" for i in (1, 2, 3)]


def test_artifacts_have_no_place_in_the_order_and_stay(tmp_path: Path) -> None:
    head = b"/Artifact BMC " + shown(-1, b"Invoice 4737", 72, 750) + b"EMC\n"
    text = tagged(tmp_path, head + THREE, [(b"H1", 1), (b"P", 2), (b"P", 0)])
    assert text.startswith("Invoice 4737\n\nThe heading\n\nFirst")


def test_a_tree_of_any_depth_is_left_in_time(tmp_path: Path) -> None:
    deep: Tree = [(b"P", 0)]
    for _ in range(200):
        deep = [(b"Sect", list(deep))]
    assert tagged(tmp_path, THREE, [*deep, (b"H1", 1), (b"P", 2)])


def test_what_is_printed_across_the_page_parts_no_block() -> None:
    def piece(text: str, top: float, block: int, turn: int = 0) -> Row:
        place = {"left": 0, "top": top, "right": 60, "bottom": top + 10, "size": 10}
        return Row(text=text, block=block, role="P", turn=turn, **place)

    pieces = [piece("one", 0, 1), piece("DRAFT", 5, 1, turn=1), piece("two", 12, 1)]
    read = in_tagged_order(pieces, lambda rows: list(rows))
    assert [row.text for row in read] == ["one", "two", "DRAFT"]
