"""OCR by RapidOCR: PP-OCR models on ONNX Runtime, which its package contains (`ragctx[ocr]`)."""

from __future__ import annotations

import io
import math
import statistics
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from importlib.util import find_spec
from typing import Any

from ragctx.errors import missing_extra, require_extra
from ragctx.pdf.ocr import OcrLine

_SETTINGS = {"Global.log_level": "critical"}
_TALL = 1.5
"""A line whose box is this many times taller than wide is turned, and read from its top down."""
_SURE = 0.8
"""Two clean pages were read with a certainty of .99 upright, and of .6 upside down."""
_LONG = 200
"""Pixels: of a shorter line the slant is not measured."""
_MOST_SLANT = math.radians(10)


class RapidOcr:
    """The engine; the first picture loads its models: some 60 MB, two seconds.

    Raises:
        MissingExtraError: RapidOCR is not installed.
    """

    def __init__(self) -> None:
        if not (find_spec("onnxruntime") and find_spec("rapidocr")):
            raise missing_extra("OCR", "rapidocr", "'ragctx[ocr]'")
        self._one_at_a_time = threading.Lock()  # one picture keeps all cores busy

    @cached_property
    def _model(self) -> Any:
        with require_extra("OCR", "rapidocr", "'ragctx[ocr]'"):
            from rapidocr import RapidOCR
        return RapidOCR(params=_SETTINGS)

    def read(self, png: bytes) -> Sequence[OcrLine]:
        """The lines of text in a PNG file, in any order.

        A picture that makes little sense is read upside down as well. (RapidOCR would decide it for
        each line alone, and now and then turns one that is upright.) One in which nothing is found
        is read at half its size: a few words on a large empty page are overlooked.
        """
        lines = self._read(png)
        if not lines:
            return [_twice_as_large(line) for line in self._read(_half_as_large(png))]
        if _certainty(lines) >= _SURE:
            return lines
        width, height, upside_down = _upside_down(png)
        turned = [_turned(line, width, height) for line in self._read(upside_down)]
        return max(lines, turned, key=_certainty)

    def _read(self, png: bytes) -> Sequence[OcrLine]:
        with self._one_at_a_time:
            found = self._model(png, use_cls=False)
        if found.boxes is None or found.txts is None or found.scores is None:
            return ()
        return tuple(_lines(found.boxes, found.txts, found.scores))


def _certainty(lines: Sequence[OcrLine]) -> float:
    """How sure the engine is of a letter, in the mean; 1 of a picture without text."""
    letters = sum(len(line.text) for line in lines)
    return sum(line.confidence * len(line.text) for line in lines) / letters if letters else 1.0


def _upside_down(png: bytes) -> tuple[int, int, bytes]:
    """Width, height, and a picture turned by half."""
    from PIL import Image  # RapidOCR needs it itself

    stream = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        picture.transpose(Image.Transpose.ROTATE_180).save(stream, "PNG")
        return *picture.size, stream.getvalue()


def _half_as_large(png: bytes) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        width, height = picture.size
        size = max(1, width // 2), max(1, height // 2)
        picture.convert("RGB").resize(size, Image.Resampling.BOX).save(stream, "PNG")
    return stream.getvalue()


def _twice_as_large(line: OcrLine) -> OcrLine:
    left, top, right, bottom = line.box
    return replace(line, box=(2 * left, 2 * top, 2 * right, 2 * bottom))


def _turned(line: OcrLine, width: float, height: float) -> OcrLine:
    """The line where it is in the picture whose upside-down copy it was read in."""
    left, top, right, bottom = line.box
    box = width - right, height - bottom, width - left, height - top
    return replace(line, box=box, turn=(line.turn + 2) % 4)


def _lines(boxes: Any, texts: Sequence[str], scores: Sequence[float]) -> Iterator[OcrLine]:
    slant = _slant(boxes)
    cosine, sine = math.cos(slant), math.sin(slant)
    for corners, text, score in zip(boxes, texts, scores, strict=True):
        xs = [cosine * float(x) + sine * float(y) for x, y in corners]
        ys = [cosine * float(y) - sine * float(x) for x, y in corners]
        box = min(xs), min(ys), max(xs), max(ys)
        is_tall = box[3] - box[1] > _TALL * (box[2] - box[0]) and len(text) > 1
        yield OcrLine(text=text, box=box, confidence=float(score), turn=3 if is_tall else 0)


def _slant(boxes: Any) -> float:
    """Radians by which lines run downwards, in a page that was scanned askew: that of the median.

    The lines are turned back by it, or columns of a slanted page would overlap.
    """
    angles = [math.atan2(y1 - y0, x1 - x0) for (x0, y0), (x1, y1), *_ in boxes if x1 - x0 > _LONG]
    slant = statistics.median(angles) if angles else 0.0
    return slant if abs(slant) < _MOST_SLANT else 0.0
