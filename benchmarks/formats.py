"""How long reading takes: the same texts as plain text, Markdown, HTML and Word, beside PDFs.

Every file but plain text is read by a process of its own, whose start is part of the time;
`start` is that of an empty file.

python -m benchmarks.formats
"""

from __future__ import annotations

import argparse
import io
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import docx
from markdown_it import MarkdownIt

from benchmarks.common import result, table
from ragctx.formats.read import read_document
from ragctx.pdf.read import read_pdf
from ragctx.records import Document

SAMPLES = Path(__file__).parents[1] / "examples" / "samples"


def in_word(text: str) -> bytes:
    """A Word document with a paragraph for each of the text's, headings as such."""
    word, made = docx.Document(), io.BytesIO()
    for paragraph in text.split("\n\n"):
        marks, _, title = paragraph.partition(" ")
        if marks and set(marks) == {"#"} and len(marks) < 7:
            word.add_heading(title, len(marks))
        else:
            word.add_paragraph(paragraph)
    word.save(made)
    return made.getvalue()


def written(folder: Path) -> dict[str, list[Path]]:
    """The texts of the sample documents in each format."""
    parser = MarkdownIt("commonmark").enable("table")
    forms: dict[str, Callable[[str], bytes]] = {
        ".txt": str.encode,
        ".md": str.encode,
        ".html": lambda text: parser.render(text).encode(),
        ".docx": in_word,
    }
    files: dict[str, list[Path]] = {}
    for source in sorted((SAMPLES / "src").glob("*.md")):
        text = source.read_text(encoding="utf-8")
        for suffix, form in forms.items():
            path = folder / f"{source.stem}{suffix}"
            path.write_bytes(form(text))
            files.setdefault(suffix, []).append(path)
    (folder / "empty.html").touch()
    return {**files, ".pdf": sorted(SAMPLES.glob("*.pdf")), "start": [folder / "empty.html"]}


def seconds(read: Callable[[Path], Document], paths: list[Path], runs: int) -> tuple[float, int]:
    """Seconds for all files, the median of the runs, and the characters that they hold."""
    took = []
    for _ in range(runs):
        began = perf_counter()
        characters = sum(len(read(path).text) for path in paths)
        took.append(perf_counter() - began)
    return statistics.median(took), characters


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    measured = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, paths in written(Path(folder)).items():
            read = read_pdf if kind == ".pdf" else read_document
            measured[kind] = (*seconds(read, paths, runs), len(paths))
    table(
        ("format", "files", "characters", "seconds a file", "of a PDF's"),
        [
            (
                kind,
                str(files),
                str(characters),
                f"{took / files:.3f}",
                f"{took / files / (measured['.pdf'][0] / measured['.pdf'][2]):.3f}",
            )
            for kind, (took, characters, files) in measured.items()
        ],
    )
    result(
        "formats",
        seconds_a_file={kind: round(took / n, 4) for kind, (took, _, n) in measured.items()},
        characters={kind: characters for kind, (_, characters, _) in measured.items()},
        n=runs,
    )


if __name__ == "__main__":
    main()
