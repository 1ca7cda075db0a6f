"""How documents are read and cut, and what an index remembers of it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ragctx.arguments import require_kind, require_whole
from ragctx.embedding import text_tokens
from ragctx.errors import InputError
from ragctx.pdf.names import HIDDEN_TEXT, OCR_USES, READERS, HiddenText, OcrUse, PdfReader
from ragctx.pdf.process import Limits

if TYPE_CHECKING:
    from ragctx.embedding import Embedder
    from ragctx.index.address import IndexPlace
    from ragctx.pdf.ocr import OcrEngine

CHUNK_TOKENS = 180
"""Default size of a chunk in the embedder's tokens: within what embedder and reader read well."""
MIN_CHUNK_TOKENS = 16
"""Smaller chunks are refused: a sentence would be torn into several. Chosen by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What decides the chunks and vectors of a given file.

    >>> recipe = Recipe(reader="auto", chunk_tokens=180, overlap_tokens=0, embedder="m@1")
    >>> Recipe.parsed(str(recipe)) == recipe
    True
    """

    reader: PdfReader
    chunk_tokens: int
    overlap_tokens: int
    embedder: str  # its id
    hidden: HiddenText = "drop"
    ocr: OcrUse = "never"
    headers: bool | None = None
    """Whether passages are indexed with their `ragctx.headers`; None: before there were any."""

    def __str__(self) -> str:
        # What is the default is not said: so it was in indexes that knew nothing else.
        hidden = "" if self.hidden == "drop" else f"hidden={self.hidden} "
        ocr = "" if self.ocr == "never" else f"ocr={self.ocr} "
        headers = {True: "headers=yes ", False: "headers=no ", None: ""}[self.headers]
        return (
            f"reader={self.reader} chunk_tokens={self.chunk_tokens} "
            f"overlap_tokens={self.overlap_tokens} {hidden}{ocr}{headers}embedder={self.embedder}"
        )

    @classmethod
    def parsed(cls, text: str | None) -> Recipe | None:
        """The recipe of `str(recipe)`; None for anything else."""
        found = _RECIPE.fullmatch(text or "")
        if not found or found["reader"] not in READERS:
            return None
        ocr = found["ocr"] or "never"
        if ocr not in OCR_USES:
            return None
        return cls(
            reader=cast(PdfReader, found["reader"]),
            chunk_tokens=int(found["chunk"]),
            overlap_tokens=int(found["overlap"]),
            embedder=found["embedder"],
            hidden="keep" if found["keeps_hidden"] else "drop",
            headers=None if found["headers"] is None else found["headers"] == "yes",
            ocr=cast(OcrUse, ocr),
        )


_RECIPE = re.compile(
    r"reader=(?P<reader>\w+) chunk_tokens=(?P<chunk>\d{1,9}) overlap_tokens=(?P<overlap>\d{1,9}) "
    r"(?P<keeps_hidden>hidden=keep )?(?:ocr=(?P<ocr>\w+) )?(?:headers=(?P<headers>yes|no) )?"
    r"embedder=(?P<embedder>.+)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestSettings:
    """How documents are read and cut, in tokens of the embedder.

    What is None is as the index remembers it from its first ingest; in a new index the reader is
    "auto", a chunk has `CHUNK_TOKENS` at most, chunks do not overlap and have `headers`, text that
    nobody sees is left out, and no page is read by OCR. `ocr_engine` is what reads those that are;
    None: RapidOCR (`ragctx[ocr]`).
    """

    reader: PdfReader | None = None
    chunk_tokens: int | None = None
    overlap_tokens: int | None = None
    hidden: HiddenText | None = None
    headers: bool | None = None
    ocr: OcrUse | None = None
    ocr_engine: OcrEngine | None = None
    password: str | None = None
    limits: Limits = Limits()

    def recipe(self, embedder: Embedder, remembered: Recipe | None = None) -> Recipe:
        """The whole recipe, with what is not set taken from the one that is remembered.

        Raises:
            InputError: a setting is out of range.
        """
        require_kind("limits", self.limits, Limits, "give Limits(file_timeout_s=…, …)")
        if self.password is not None:
            require_kind("password", self.password, str, "give a text")
        known = remembered or Recipe(
            reader="auto",
            chunk_tokens=CHUNK_TOKENS,
            overlap_tokens=0,
            embedder=embedder.id,
            headers=True,
        )
        recipe = Recipe(
            reader=known.reader if self.reader is None else self.reader,
            chunk_tokens=known.chunk_tokens if self.chunk_tokens is None else self.chunk_tokens,
            overlap_tokens=(
                known.overlap_tokens if self.overlap_tokens is None else self.overlap_tokens
            ),
            embedder=embedder.id,
            hidden=known.hidden if self.hidden is None else self.hidden,
            headers=known.headers if self.headers in (None, bool(known.headers)) else self.headers,
            ocr=known.ocr if self.ocr is None else self.ocr,
        )
        _check(recipe, embedder)
        return recipe


def require_same(
    recipe: Recipe, remembered: Recipe, index: IndexPlace, paths: Iterable[str | Path] = ()
) -> None:
    """Refuse settings that differ from those of the index.

    Raises:
        InputError: with the command that reads every document again.
    """
    options = {
        "--chunk-tokens": (remembered.chunk_tokens, recipe.chunk_tokens),
        "--overlap-tokens": (remembered.overlap_tokens, recipe.overlap_tokens),
        "--reader": (remembered.reader, recipe.reader),
        "--hidden": (remembered.hidden, recipe.hidden),
        "--ocr": (remembered.ocr, recipe.ocr),
    }
    other = {name: pair for name, pair in options.items() if pair[0] != pair[1]}
    facts = [f"{name} {old}, not {new}" for name, (old, new) in other.items()]
    given = [word for name, (_, new) in other.items() for word in (name, str(new))]
    if bool(recipe.headers) != bool(remembered.headers):
        old_flag, new_flag = ("--headers", "--no-headers")[:: 1 if remembered.headers else -1]
        facts.append(f"{old_flag}, not {new_flag}")
        given.append(new_flag)
    if not facts:
        return
    words = [str(path) for path in paths] or ["PATH"]
    words += ["--index", str(index), *given]
    raise InputError(
        f"the index {index} was made with {', '.join(facts)}; leave that out, or read every "
        f"document again: ragctx ingest {shlex.join(words)} --rebuild"
    )


def _check(recipe: Recipe, embedder: Embedder) -> None:
    require_whole("chunk_tokens", recipe.chunk_tokens)
    require_whole("overlap_tokens", recipe.overlap_tokens)
    most = text_tokens(embedder)
    if recipe.reader not in READERS:
        raise InputError(f"reader is {recipe.reader!r}; valid: {', '.join(READERS)}")
    if recipe.hidden not in HIDDEN_TEXT:
        raise InputError(f"hidden is {recipe.hidden!r}; valid: {', '.join(HIDDEN_TEXT)}")
    if recipe.ocr not in OCR_USES:
        raise InputError(f"ocr is {recipe.ocr!r}; valid: {', '.join(OCR_USES)}")
    if not MIN_CHUNK_TOKENS <= recipe.chunk_tokens <= most:
        raise InputError(
            f"chunk_tokens is {recipe.chunk_tokens}; the embedder {embedder.id} reads "
            f"{MIN_CHUNK_TOKENS} to {most} tokens without cutting"
        )
    if not 0 <= recipe.overlap_tokens <= recipe.chunk_tokens // 2:
        raise InputError(
            f"overlap_tokens is {recipe.overlap_tokens}; use 0 to {recipe.chunk_tokens // 2}, "
            "half a chunk"
        )
