"""The files behind tiktoken's encodings: which ones it would download, and where they belong.

tiktoken fetches a missing file over HTTP when an encoding is first used. ragctx never goes to the
network, so it looks first, by tiktoken's own rule, and otherwise says which file to put where.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from ragctx.errors import TokenizerError

_BLOBS = "https://openaipublic.blob.core.windows.net"
_GPT2_FILES = (
    ("gpt-2/encodings/main/vocab.bpe",
     "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5"),
    ("gpt-2/encodings/main/encoder.json",
     "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783"),
)  # fmt: skip
_HASHES = {
    "r50k_base": "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930",
    "p50k_base": "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
}
_SAME_FILE = {"p50k_edit": "p50k_base", "o200k_harmony": "o200k_base"}
TIKTOKEN_ENCODINGS = ("gpt2", *_HASHES, *_SAME_FILE)


def tiktoken_files(encoding: str) -> tuple[tuple[str, str], ...]:
    """The (URL, SHA-256) of every file that tiktoken would download for an encoding.

    >>> tiktoken_files("o200k_base")[0][0]
    'https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken'
    """
    if encoding == "gpt2":
        return tuple((f"{_BLOBS}/{path}", digest) for path, digest in _GPT2_FILES)
    name = _SAME_FILE.get(encoding, encoding)
    return ((f"{_BLOBS}/encodings/{name}.tiktoken", _HASHES[name]),)


def require_cached(encoding: str) -> None:
    """Refuse unless every file of `encoding` lies, undamaged, where tiktoken looks for it.

    Raises:
        TokenizerError: a file is missing or damaged; the message names its URL, its SHA-256 and
            the path it belongs to.
    """
    folder = _cache_folder()
    for url, digest in tiktoken_files(encoding):
        _require_file(encoding, url, digest, folder)


def _require_file(encoding: str, url: str, digest: str, folder: Path) -> None:
    target = folder / hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()
    advice = f"Where there is a network, fetch {url} (SHA-256 {digest}) and save it as {target}"
    if not target.is_file():
        raise TokenizerError(
            f"tiktoken:{encoding} needs a file that is not on this machine, and ragctx does not "
            f"download. {advice} ; or set TIKTOKEN_CACHE_DIR to a folder that holds "
            f"{target.name}."
        )
    found = hashlib.sha256(target.read_bytes()).hexdigest()
    if found != digest:
        raise TokenizerError(
            f"{target} is damaged: its SHA-256 is {found}. tiktoken:{encoding} cannot use it. "
            f"{advice}."
        )


def _cache_folder() -> Path:
    """Where tiktoken caches: its own rule, in its own order."""
    for variable in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        folder = os.environ.get(variable)
        if folder:
            return Path(folder)
        if folder is not None:  # set but empty tells tiktoken to download every time
            raise TokenizerError(
                f"{variable} is empty, so tiktoken keeps no files and would download each time. "
                f"Set {variable} to a folder, or unset it."
            )
    return Path(tempfile.gettempdir()) / "data-gym-cache"
