"""tiktoken's encodings, read from files that are on this machine already: nothing is downloaded."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ragctx.errors import InputError, TokenizerError, require_extra
from ragctx.paths import sha256_of
from ragctx.text.well_formed import well_formed
from ragctx.tokens.memo import RememberingEncoder
from ragctx.tokens.tokenizer import Encoding

if TYPE_CHECKING:
    import tiktoken


class TiktokenTokenizer:
    """A tiktoken encoding. It has no chat template: OpenAI's servers keep theirs."""

    chat_frame: tuple[str, str] | None = None
    retokenised = True

    def __init__(self, encoding: tiktoken.Encoding) -> None:
        self.name = f"tiktoken:{encoding.name}"
        self._encoding = encoding
        self._text = RememberingEncoder(lambda text: encoding.encode_ordinary(well_formed(text)))

    def __reduce__(self) -> tuple[type[TiktokenTokenizer], tuple[tiktoken.Encoding]]:
        """The encoding alone, without the memory of texts."""
        return type(self), (self._encoding,)

    def encode(self, text: str) -> list[int]:
        return self._text.encode(text)

    def encode_markup(self, text: str) -> list[int]:
        return self._encoding.encode(well_formed(text), allowed_special="all")

    def encode_with_offsets(self, text: str) -> Encoding:
        """The ids with their spans; tokens that share a character both cover it."""
        token_ids = self.encode(text)
        offsets, characters = [], 0
        for piece in self._encoding.decode_tokens_bytes(token_ids):
            continued = 0x80 <= piece[0] < 0xC0  # a UTF-8 continuation byte
            start = characters - continued
            characters += sum(1 for byte in piece if not 0x80 <= byte < 0xC0)
            offsets.append((start, characters))
        return Encoding(tuple(token_ids), tuple(offsets))

    def decode(self, token_ids: Sequence[int]) -> str:
        return self._encoding.decode(list(token_ids))

    def count(self, text: str) -> int:
        return self._text.count(text)


def load_tiktoken(name: str) -> TiktokenTokenizer:
    """The tokenizer of an encoding ("o200k_base") or a model ("gpt-4o"), from files at hand.

    Raises:
        InputError: tiktoken knows no such encoding or model.
        TokenizerError: the encoding's file is not on this machine, or damaged.
        MissingExtraError: tiktoken is not installed.
    """
    with require_extra(f"tiktoken:{name}", "tiktoken"):
        import tiktoken
    if name not in TIKTOKEN_ENCODINGS:
        try:
            name = tiktoken.encoding_name_for_model(name)
        except KeyError:
            raise InputError(
                f"tiktoken knows no encoding or model {name!r}. Encodings: "
                f"{', '.join(TIKTOKEN_ENCODINGS)}; models such as gpt-4o and gpt-4."
            ) from None
    require_cached(name)
    return TiktokenTokenizer(tiktoken.get_encoding(name))


_BLOBS = "https://openaipublic.blob.core.windows.net"
_GPT2_FILES = (
    (
        "gpt-2/encodings/main/vocab.bpe",
        "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
    ),
    (
        "gpt-2/encodings/main/encoder.json",
        "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    ),
)
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
    """Refuse unless every file of `encoding` is, undamaged, where tiktoken looks for it.

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
    found = sha256_of(target)
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
