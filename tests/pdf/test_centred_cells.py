"""A label of several lines beside a row that is centred on it is one cell of that row."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragctx.pdf.pitches import usual_pitches
from ragctx.pdf.read import read_pdf
from ragctx.pdf.row import Row
from tests.support.pdf_files import lines, write

RATES = (
    (("Carbon monoxide (CO)",), "500", "4.1"),
    (("Chlorine and inorganic", "compounds (as HCl)"), "10", "5.2"),
    (("Halons",), "1", "6.3"),
    (("Non-methane volatile", "organic compounds", "(NMVOC)"), "100", "7.4"),
    (("Sulphur oxides",), "150", "8.5"),
)
READ = [
    "Carbon monoxide (CO)\t500\t4.1",
    "Chlorine and inorganic compounds (as HCl)\t10\t5.2",
    "Halons\t1\t6.3",
    "Non-methane volatile organic compounds (NMVOC)\t100\t7.4",
    "Sulphur oxides\t150\t8.5",
]


def table(step: float, *, label: float, figures: float) -> bytes:
    """The rates, each row's figures halfway down its label; `step` parts a label's lines."""
    content, y = b"", 700.0
    for texts, first, second in RATES:
        middle = y - step * (len(texts) - 1) / 2
        cells = [lines(*texts, x=label, y=y, step=step)]
        for x, text in ((figures, first), (figures + 60, second)):
            cells.append(lines(text, x=x, y=middle))
        content += b"".join(cells)
        y -= step * len(texts) + 4
    return content


@pytest.mark.parametrize("step", [9.2, 11, 12.5])
def test_a_label_of_several_lines_is_in_the_row_beside_it(step: float, tmp_path: Path) -> None:
    path = write(tmp_path / "a.pdf", [table(step, label=72, figures=240)])
    assert read_pdf(path).text.split("\n") == READ


def test_so_is_a_cell_of_several_lines_between_others(tmp_path: Path) -> None:
    page = b""
    for i, (name, said) in enumerate(
        (
            ("bash", ("the GNU Bourne Again", "shell, which is usual")),
            ("sash", ("a shell that stands alone",)),
            ("ksh", ("the real version of the", "Korn shell from AT&T")),
        )
    ):
        y = 700 - 30 * i
        page += lines(name, x=72, y=y) + lines(f"{i}.4", x=140, y=y)
        page += lines(*said, x=200, y=y + 5.5 * (len(said) - 1), step=11)
        page += lines("yes", x=400, y=y)
    assert read_pdf(write(tmp_path / "a.pdf", [page])).text.split("\n") == [
        "bash\t0.4\tthe GNU Bourne Again shell, which is usual\tyes",
        "sash\t1.4\ta shell that stands alone\tyes",
        "ksh\t2.4\tthe real version of the Korn shell from AT&T\tyes",
    ]


def test_what_goes_on_level_with_the_last_line_is_beside_that_line_alone(tmp_path: Path) -> None:
    page = lines("The rent is due on the first", "Total", x=72, step=11)
    page += lines("42", x=300, y=689)
    assert read_pdf(write(tmp_path / "a.pdf", [page])).text.endswith("Total 42")


def test_rows_of_several_lines_tell_how_far_lines_are_apart() -> None:
    def row(top: float, lines: int, *, in_table: bool) -> Row:
        bottom = top + 12 * lines - 2
        return Row(text="x", left=0, top=top, right=50, bottom=bottom, size=10, in_table=in_table)

    table = [row(40 * i, 3, in_table=True) for i in range(4)]
    prose = [row(200 + 20 * i, 1, in_table=False) for i in range(4)]
    assert usual_pitches(prose) == {10: 20}
    assert usual_pitches([*table, *prose])[10] == pytest.approx(12, abs=1)
