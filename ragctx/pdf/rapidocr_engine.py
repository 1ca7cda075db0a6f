"""OCR by RapidOCR: PP-OCR models on ONNX Runtime, which its package contains (`ragctx[ocr]`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ragctx.errors import require_extra
from ragctx.pdf.ocr import OcrLine

_SETTINGS = {"Global.log_level": "critical"}
_TALL = 1.5
"""A line whose box is this many times taller than wide is turned, and read from its top down."""


class RapidOcr:
    """The engine, with its models loaded: some 60 MB, two seconds.

    Raises:
        MissingExtraError: RapidOCR is not installed.
    """

    def __init__(self) -> None:
        with require_extra("OCR", "rapidocr", "'ragctx[ocr]'"):
            import onnxruntime  # noqa: F401  # RapidOCR looks for it when it is made
            from rapidocr import RapidOCR
        self._model: Any = RapidOCR(params=_SETTINGS)

    def read(self, png: bytes) -> Sequence[OcrLine]:
        """The lines of text in a PNG file, in any order."""
        found = self._model(png)
        if found.boxes is None or found.txts is None or found.scores is None:
            return ()
        return tuple(_lines(found.boxes, found.txts, found.scores))


def _lines(boxes: Any, texts: Sequence[str], scores: Sequence[float]) -> Iterator[OcrLine]:
    for corners, text, score in zip(boxes, texts, scores, strict=True):
        xs, ys = [float(x) for x, _ in corners], [float(y) for _, y in corners]
        box = min(xs), min(ys), max(xs), max(ys)
        is_tall = box[3] - box[1] > _TALL * (box[2] - box[0]) and len(text) > 1
        yield OcrLine(text=text, box=box, confidence=float(score), turn=3 if is_tall else 0)
