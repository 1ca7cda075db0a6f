"""Write the table of orders in docs/placement.md and its picture, from the strategies themselves.

`python -m docs.build` calls it; a test fails where the code places otherwise than the page says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ragctx.placement.orders import PositionProfile
from ragctx.placement.strategies import STRATEGIES, place
from ragctx.records import Chunk, Hit

PAGE = Path(__file__).with_name("placement.md")
PICTURE = Path(__file__).parent / "images" / "placements.svg"
BEGIN, END = "<!-- orders: begin -->\n", "<!-- orders: end -->\n"

PROFILE = PositionProfile("an example", (0.5, 0.6, 0.8, 0.7, 0.6), significant=True)
"""An invented model that reads best in the middle, and better after it than before it."""

_DOCUMENTS = "ABABBA"
"""The document of rank 1, 2, …; in each, a better rank stands later in the text."""


def hits(count: int) -> list[Hit]:
    """Hits of ranks 1 to `count` from two documents."""
    return [_hit(rank, _DOCUMENTS[rank - 1]) for rank in range(1, count + 1)]


def _hit(rank: int, document: str) -> Hit:
    chunk = Chunk(
        id=f"{document}{rank}",
        document_id=document,
        start=10 - rank,
        end=11 - rank,
        first_page=1,
        last_page=1,
        text=str(rank),
        token_count=1,
    )
    return Hit(rank=rank, score=1 / rank, chunk=chunk, document=document)


def order(strategy: str, count: int) -> list[int]:
    """The ranks in prompt order."""
    placed = place(hits(count), strategy, profile=PROFILE)
    return [hit.rank for hit in placed.hits]


def table() -> str:
    """Each strategy with what it makes of five and of six ranks."""
    rows = "".join(
        f"| `{name}` | {' '.join(map(str, order(name, 5)))} | {' '.join(map(str, order(name, 6)))} "
        f"|\n"
        for name in STRATEGIES
    )
    return f"| strategy | ranks 1…5 become | ranks 1…6 become |\n|---|---|---|\n{rows}"


def files() -> dict[Path, str]:
    """What is to be written: the page with its table, and the picture."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return {PAGE: f"{before}{BEGIN}\n{table()}\n{END}{after}", PICTURE: picture()}


# ---- The picture -----------------------------------------------------------------------------

_ROW, _CELL, _LEFT = 30, 34, 150  # pixels: height of a row, width of a cell, room for names


def picture() -> str:
    """The orders of five and of six passages, drawn: the better the rank, the darker."""
    width, height = _LEFT + 13 * _CELL + 20, _ROW * (len(STRATEGIES) + 1) + 20
    body = "\n".join(_body())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'font-family="sans-serif" font-size="14">\n'
        "<title>Each placement strategy's order of five and of six passages</title>\n"
        f'<rect width="{width}" height="{height}" rx="6" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def _body() -> Iterator[str]:
    second = _LEFT + 6 * _CELL
    yield _text(_LEFT, 24, "five passages", "#555")
    yield _text(second, 24, "six passages", "#555")
    for row, name in enumerate(STRATEGIES, 1):
        top = row * _ROW + 6
        yield _text(12, top + 18, name, "#222")
        yield from _cells(_LEFT, top, order(name, 5))
        yield from _cells(second, top, order(name, 6))


def _cells(left: int, top: int, ranks: Sequence[int]) -> Iterator[str]:
    for slot, rank in enumerate(ranks):
        light = 28 + 11 * (rank - 1)  # per cent
        x = left + slot * _CELL
        yield (
            f'<rect x="{x}" y="{top}" width="{_CELL - 3}" height="{_ROW - 4}" rx="3" '
            f'fill="hsl(210,60%,{light}%)"/>'
        )
        ink = "#fff" if light < 60 else "#222"
        yield _text(x + _CELL / 2 - 6, top + 18, str(rank), ink)


def _text(x: float, y: int, words: str, ink: str) -> str:
    return f'<text x="{x:g}" y="{y}" fill="{ink}">{words}</text>'
