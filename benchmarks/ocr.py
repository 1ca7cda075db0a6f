"""How well pages are read by OCR: scans made of digital pages whose text is known.

python -m benchmarks.ocr                    # page 2 of each sample PDF
python -m benchmarks.ocr report.pdf:4 …     # other pages

Each page is drawn, changed as scanners change pages, and put into a PDF as a picture, which is read
as any other file is. Word and character error rate are edit distances to the digital text, order
included and punctuation aside, over its length; "found" is the share of its words that are there
anywhere.
"""

from __future__ import annotations

import io
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image
from pypdf import PdfReader, PdfWriter

from benchmarks.common import result, table
from ragctx.pdf.ocr import Ocr, OcrEngine
from ragctx.pdf.page_image import page_image
from ragctx.pdf.rapidocr_engine import RapidOcr
from ragctx.pdf.read import read_pdf

SAMPLES = Path(__file__).parents[1] / "examples" / "samples"
PAGES = tuple(f"{path}:2" for path in sorted(SAMPLES.glob("*.pdf")))
SEED = 7

Change = Callable[[Image.Image], Image.Image]


def noisy(image: Image.Image) -> Image.Image:
    """With grey paper and noise, as of a bad copy."""
    grey = np.asarray(image.convert("L"), dtype=np.float64)
    noise = np.random.default_rng(SEED).normal(0, 25, grey.shape)
    return Image.fromarray(np.clip(0.85 * grey + noise, 0, 255).astype(np.uint8))


def skewed(image: Image.Image) -> Image.Image:
    """Turned by two degrees, as laid on the glass by hand."""
    return image.rotate(2, expand=True, fillcolor="white", resample=Image.Resampling.BICUBIC)


def on_its_side(image: Image.Image) -> Image.Image:
    """Put in by its long edge: turned clockwise by a quarter."""
    return image.rotate(-90, expand=True)


def upside_down(image: Image.Image) -> Image.Image:
    """Put in the wrong way around."""
    return image.rotate(180)


CONDITIONS: tuple[tuple[str, int, Change], ...] = (
    ("200 dpi", 200, lambda image: image),
    ("150 dpi", 150, lambda image: image),
    ("200 dpi, turned by 2°", 200, skewed),
    ("200 dpi, noise", 200, noisy),
    ("150 dpi, noise", 150, noisy),
    ("200 dpi, on its side", 200, on_its_side),
    ("200 dpi, upside down", 200, upside_down),
)


def distance(a: Sequence[str], b: Sequence[str]) -> int:
    """Levenshtein's: the fewest items to insert, delete or replace to make one of the other.

    >>> distance("kitten", "sitting")
    3
    """
    codes = {item: code for code, item in enumerate({*a, *b})}
    other = np.array([codes[item] for item in b])
    places = np.arange(len(b) + 1)
    row = places.copy()
    for item in a:
        changed = np.concatenate(
            ([row[0] + 1], np.minimum(row[1:] + 1, row[:-1] + (other != codes[item])))
        )
        row = np.minimum.accumulate(changed - places) + places  # insertions, from left to right
    return int(row[-1])


def scores(truth: str, read: str) -> tuple[float, float, float]:
    """Character error rate, word error rate, and the share of the words that are found."""
    words, read_words = re.findall(r"\w+", truth.lower()), re.findall(r"\w+", read.lower())
    found = sum((Counter(words) & Counter(read_words)).values()) / len(words)
    letters, read_letters = " ".join(words), " ".join(read_words)
    return (
        distance(letters, read_letters) / len(letters),
        distance(words, read_words) / len(words),
        found,
    )


def scanned(page: str, dpi: int, change: Change, folder: Path) -> tuple[Path, str]:
    """A PDF of the page's picture, and the page's text."""
    path, _, number = page.rpartition(":")
    alone = PdfWriter()  # running heads are known by other pages, which a scan of one has not
    alone.add_page(PdfReader(path).pages[int(number) - 1])
    alone.write(folder / "page.pdf")
    text = read_pdf(folder / "page.pdf").text
    png = page_image(path, int(number), scale=dpi / 72).png
    changed = change(Image.open(io.BytesIO(png)).convert("RGB"))
    changed.save(folder / "scan.pdf", resolution=dpi)
    return folder / "scan.pdf", text


def measured(pages: Sequence[str], dpi: int, change: Change, engine: OcrEngine) -> list[float]:
    """Means over the pages: the three scores, seconds, and seconds of processor time a page."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for page in pages:
            path, truth = scanned(page, dpi, change, Path(folder))
            began, worked = time.perf_counter(), time.process_time()
            read = read_pdf(path, ocr=Ocr(engine=engine)).text
            spent = time.perf_counter() - began, time.process_time() - worked
            rows.append([*scores(truth, read), *spent])
    return [float(mean) for mean in np.mean(rows, axis=0)]


def main() -> None:
    """Measure and print."""
    pages, engine = sys.argv[1:] or PAGES, RapidOcr()
    kept = {}
    rows = []
    for name, dpi, change in CONDITIONS:
        means = measured(pages, dpi, change, engine)
        kept[name] = dict(zip(("cer", "wer", "found", "s", "cpu_s"), means, strict=True))
        rows.append(
            (name, *(f"{value:.3f}" for value in means[:3]), f"{means[3]:.1f}", f"{means[4]:.1f}")
        )
        print(rows[-1], file=sys.stderr, flush=True)
    table(("scan", "CER", "WER", "words found", "s a page", "CPU s a page"), rows)
    versions = {name: version(name) for name in ("rapidocr", "onnxruntime")}
    result("ocr", pages=len(pages), engine=versions, conditions=kept)


if __name__ == "__main__":
    main()
