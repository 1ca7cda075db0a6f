"""Small stand-ins that need no files: tokenizers one can count in one's head."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ragctx.tokens.tokenizer import Encoding

SPECIAL = ("[CLS]", "[SEP]", "[MASK]", "<|user|>", "<|end|>")
CHAT_FRAME = ("<|user|>\n", "<|end|>\n")


class ByteTokenizer:
    """One token per UTF-8 byte; each of SPECIAL is one token of our own text."""

    name = "bytes"

    retokenised = False

    def __init__(self, chat_frame: tuple[str, str] | None = None) -> None:
        self.chat_frame = chat_frame

    def encode(self, text: str) -> list[int]:
        return list(text.encode("utf-8", "surrogatepass"))

    def encode_markup(self, text: str) -> list[int]:
        pieces = re.split("(" + "|".join(map(re.escape, SPECIAL)) + ")", text)
        ids = ([256 + SPECIAL.index(p)] if p in SPECIAL else self.encode(p) for p in pieces)
        return [token for piece in ids for token in piece]

    def encode_with_offsets(self, text: str) -> Encoding:
        spans = [(i, i + 1) for i, c in enumerate(text) for _ in self.encode(c)]
        return Encoding(tuple(self.encode(text)), tuple(spans))

    def decode(self, token_ids: Sequence[int]) -> str:
        pieces = (SPECIAL[i - 256].encode() if i > 255 else bytes([i]) for i in token_ids)
        return b"".join(pieces).decode("utf-8", "surrogatepass")

    def count(self, text: str) -> int:
        return len(self.encode(text))


class WordTokenizer(ByteTokenizer):
    """One token per word, number or other visible character; whitespace is not kept.

    Ids are dealt out in the order in which words are met, so they differ between instances.
    """

    name = "words"

    def __init__(self, chat_frame: tuple[str, str] | None = None) -> None:
        super().__init__(chat_frame)
        self._words = list(SPECIAL)

    def encode(self, text: str) -> list[int]:
        return list(self.encode_with_offsets(text).token_ids)

    def encode_markup(self, text: str) -> list[int]:
        pieces = re.split("(" + "|".join(map(re.escape, SPECIAL)) + ")", text)
        ids = ([SPECIAL.index(p)] if p in SPECIAL else self.encode(p) for p in pieces)
        return [token for piece in ids for token in piece]

    def encode_with_offsets(self, text: str) -> Encoding:
        found = list(re.finditer(r"\w+|[^\w\s]", text))
        return Encoding(
            tuple(self._id(match.group()) for match in found),
            tuple(match.span() for match in found),
        )

    def decode(self, token_ids: Sequence[int]) -> str:
        return " ".join(self._words[i] for i in token_ids)

    def _id(self, word: str) -> int:
        if word not in self._words[len(SPECIAL) :]:
            self._words.append(word)
        return self._words.index(word, len(SPECIAL))


class HashEmbedder:
    """Unit vectors made of a text's words: each word adds its own direction, whatever the order."""

    def __init__(self, dim: int = 8, id: str = "hash@1") -> None:
        self.id = id
        self.dim = dim
        self.max_seq_length = 256
        self.tokenizer = WordTokenizer()

    def encode(
        self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        rows = np.array([self._row(text) for text in texts]).reshape(len(texts), self.dim)
        if on_progress:
            on_progress(len(texts))
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    def _row(self, text: str) -> NDArray[np.float64]:
        words = sorted(["", *re.findall(r"\w+", text.lower())])  # sums depend on the order
        return np.sum([self._direction(word) for word in words], axis=0)

    def _direction(self, word: str) -> NDArray[np.float64]:
        seed = int.from_bytes(hashlib.sha256(word.encode("utf-8", "replace")).digest()[:8], "big")
        return np.random.default_rng(seed).standard_normal(self.dim)
