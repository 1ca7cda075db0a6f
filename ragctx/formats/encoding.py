r"""Bytes to text, whatever they were written in.

A byte-order mark tells the encoding, or what the file declares; else it is UTF-8 if it can be.
Anything else is guessed by charset-normalizer, and the ledger says so.
"""

from __future__ import annotations

from collections.abc import Sequence

from ragctx.errors import DocumentError, require_extra
from ragctx.paths import encoding_of
from ragctx.pdf.characters import garbled_share

EXTRA = "'ragctx[text]'"
SAMPLE_BYTES = 2**16
"""Bytes that an encoding is guessed from: it takes time in pure Python."""
MAX_NONSENSE = 0.02
"""With a larger share of controls and of what cannot be decoded it is no text. Chosen by hand …"""
FEW = 8
"""… unless there are no more of them than this."""
_MANY = 10  # characters beyond ASCII for each broken one, for a text to be UTF-8 after all
_LIKELY = tuple(
    "cp1252 cp932 euc_jp gb18030 big5 euc_kr cp1251 koi8_r cp1250 cp1253 cp1254 cp1255 "
    "cp1256".split()
)


def decoded(data: bytes, name: str, declared: str | None = None) -> tuple[str, tuple[str, ...]]:
    r"""The text, its byte-order mark removed, and what is to be told of how it was decoded.

    Args:
        data: the whole file, or its beginning up to a line's end.
        name: the file's, for messages.
        declared: the name of an encoding, as Python knows it, that the file says it has.

    Raises:
        DocumentError: ("corrupt") it is no text.
        MissingExtraError: it is no UTF-8, and charset-normalizer is not installed.

    >>> decoded("Café".encode(), "a.txt"), decoded("Tin.".encode("utf-16"), "a.txt")
    (('Café', ()), ('Tin.', ()))
    >>> decoded("Café".encode("latin-1"), "a.txt")
    ('Café', ('not in UTF-8: read as cp1252, which is a guess',))
    """
    text, notes = _decoded(data, name, declared)
    text = text.removeprefix("\ufeff").rstrip("\0")
    nonsense = round(garbled_share(text) * len(text))
    if nonsense > max(FEW, MAX_NONSENSE * len(text)):
        raise DocumentError(
            f"{name} is not text: {nonsense} of its {len(text)} characters are none that people "
            "write; give it the ending of what it is",
            status="corrupt",
        )
    return text, notes


def _decoded(data: bytes, name: str, declared: str | None) -> tuple[str, tuple[str, ...]]:
    marked = encoding_of(data)
    if marked not in ("utf-8", "utf-8-sig"):
        return data.decode(marked, "replace"), ()
    try:
        return data.decode(), ()
    except UnicodeDecodeError:
        pass
    if declared is not None:
        return data.decode(declared, "replace"), ()
    text = data.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    if sum(not character.isascii() for character in text) > _MANY * broken:
        return text, (f"not all in UTF-8: places that cannot be decoded: {broken}",)
    guess = _guessed(data, name)
    return data.decode(guess, "replace"), (f"not in UTF-8: read as {guess}, which is a guess",)


def _guessed(data: bytes, name: str) -> str:
    with require_extra(f"{name} is not in UTF-8: to read it, ragctx", "charset-normalizer", EXTRA):
        from charset_normalizer import from_bytes

    matches = from_bytes(_sample(data), cp_isolation=list(_LIKELY))
    best = matches.best()
    if best is None:
        return "cp1252"
    # Where several fit, that of Western Europe is by far the commonest.
    fits = [match for match in matches if match.chaos <= best.chaos]
    names = {name for match in fits for name in (match.encoding, *match.could_be_from_charset)}
    beaten = best.encoding != "cp1252" and "cp1252" not in best.could_be_from_charset
    coherent = beaten and best.coherence > 0
    return "cp1252" if "cp1252" in names and not coherent else str(best.encoding)


def _sample(data: bytes) -> bytes:
    """Lines with bytes beyond ASCII, for the others tell nothing; of many, the first."""
    if len(data) <= SAMPLE_BYTES:
        return data
    telling: Sequence[bytes] = [line for line in data.split(b"\n") if not line.isascii()]
    return b"\n".join(telling)[:SAMPLE_BYTES]
