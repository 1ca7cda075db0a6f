"""Tokenizers behind one protocol: bundled or Hugging Face files, model directories, tiktoken.

The rule of this room: `encode` is for text that somebody else wrote (documents, questions) and
never yields a special token, whatever the text says; `encode_markup` is for text we wrote
(templates, chat frames) and does. Nothing here touches the network.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ragctx.errors import InputError, MissingExtraError, TokenizerError
from ragctx.tokens.chat_template import ChatTemplate, read_chat_template
from ragctx.tokens.memo import RememberingEncoder
from ragctx.tokens.tiktoken_files import TIKTOKEN_ENCODINGS, require_cached

if TYPE_CHECKING:
    import tiktoken
    import tokenizers

BUNDLED_TOKENIZER = (
    Path(__file__).parents[1] / "generator" / "reader" / "weights" / "tokenizer.json"
)
"""BERT's uncased WordPiece, 30,522 pieces: what all-MiniLM-L6-v2 and the bundled reader read."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """Token ids and, for each, the half-open span of characters it covers.

    Spans never run backwards. They may leave gaps (whitespace), begin with whitespace (byte-level
    tokenizers), or cover the same character twice (a character of several byte tokens).
    """

    token_ids: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]


class Tokenizer(Protocol):
    """What every room that counts tokens needs. Adapters are deterministic and hold no state."""

    @property
    def name(self) -> str:
        """What the tokenizer is called, e.g. "bundled" or "tiktoken:o200k_base"."""
        ...

    @property
    def chat_frame(self) -> tuple[str, str] | None:
        """Text before and after one user message in the model's chat template; None without one.

        Both are for `encode_markup`. Raises TokenizerError where the template is broken.
        """
        ...

    def encode(self, text: str) -> list[int]:
        """Ids of somebody else's text: never a special token, none added."""
        ...

    def encode_markup(self, text: str) -> list[int]:
        """Ids of our own text: special tokens such as [SEP] are recognised, none added."""
        ...

    def encode_with_offsets(self, text: str) -> Encoding:
        """The ids `encode` gives, with the characters each covers."""
        ...

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of some ids, special tokens shown; lossy where the tokenizer is (lowercase)."""
        ...

    def count(self, text: str) -> int:
        """`len(encode(text))`."""
        ...


@runtime_checkable
class KnowsSystemRole(Protocol):
    """A tokenizer whose chat template may have a place for a system message."""

    @property
    def system_frame(self) -> tuple[str, str, str] | None:
        """Text before the system message, between it and the user's, and after that one.

        For `encode_markup`. None where the template has no such place.
        """
        ...


def is_reached_by_text(tokenizer: Tokenizer) -> bool:
    """Whether the model lies behind an API, which tokenises a prompt's text again.

    >>> is_reached_by_text(load_tokenizer("bundled"))
    False
    """
    return isinstance(tokenizer, TiktokenTokenizer)


def load_tokenizer(spec: str = "bundled") -> Tokenizer:
    """The tokenizer called `spec`, from local files only.

    Args:
        spec: "bundled"; a Hugging Face model directory or `tokenizer.json`; or "tiktoken:" with an
            encoding ("tiktoken:o200k_base") or model ("tiktoken:gpt-4o").

    Raises:
        InputError: `spec` is none of these.
        TokenizerError: a file is missing or damaged; the message says which one and what to do.
        MissingExtraError: tiktoken or transformers is needed and not installed.

    >>> load_tokenizer("bundled").encode("Hello [SEP]")
    [7592, 1031, 19802, 1033]
    >>> load_tokenizer("bundled").encode_markup("Hello [SEP]")
    [7592, 102]
    """
    if spec == "bundled":
        return HuggingFaceTokenizer("bundled", _read_definition(BUNDLED_TOKENIZER))
    if spec.startswith("tiktoken:"):
        return _load_tiktoken(spec.removeprefix("tiktoken:"))
    path = Path(spec).expanduser()
    if path.is_dir():
        return _load_directory(path)
    if path.is_file():
        parent = path.resolve().parent
        return HuggingFaceTokenizer(parent.name, _read_definition(path), read_chat_template(parent))
    raise InputError(
        f"There is no tokenizer {spec!r}. Valid: bundled; a Hugging Face model directory or "
        "tokenizer.json file that exists here; tiktoken:ENCODING (tiktoken:o200k_base) or "
        "tiktoken:MODEL (tiktoken:gpt-4o)."
    )


def require_round_trip(tokenizer: Tokenizer, text: str) -> None:
    """Raise TokenizerError unless the ids of `text` decode to text of the same ids.

    Ids are compared, not text, so a tokenizer may lowercase; but it may lose nothing it can see.

    >>> require_round_trip(load_tokenizer("bundled"), "Budgets are exact.")
    """
    token_ids = tokenizer.encode(text)
    decoded = tokenizer.decode(token_ids)
    if tokenizer.encode(decoded) != token_ids:
        raise TokenizerError(
            f"Tokenizer {tokenizer.name} does not give back {text[:80]!r} but {decoded[:80]!r}. "
            "Use the tokenizer that belongs to the model."
        )


_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def _encodable(text: str) -> str:
    """`text` with each lone surrogate (broken PDFs have them) as U+FFFD, so offsets stay."""
    return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)


class HuggingFaceTokenizer:
    """A `tokenizers` definition (the content of a tokenizer.json), read twice.

    `_markup` reads special tokens. `_plain` does not: there, every added token that shows a
    character is declared special and then encoded as ordinary text. (Added tokens of whitespace
    alone, which some models have, stay: they structure nothing.)
    """

    def __init__(self, name: str, definition: str, chat: ChatTemplate | None = None) -> None:
        self.name = name
        self._chat = chat
        try:
            parsed: dict[str, Any] = json.loads(definition)
            parsed.update(truncation=None, padding=None, post_processor=None)
            self._markup = _build(parsed)
            added = [token for token in parsed.get("added_tokens") or () if _shows(token)]
            for token in added:
                token["special"] = True
            self._plain = _build(parsed)
        except Exception as error:
            raise TokenizerError(
                f"The tokenizer {name} cannot be read ({type(error).__name__}: {error}). "
                "Restore its tokenizer.json."
            ) from error
        self._plain.encode_special_tokens = True
        unknown = _unknown_id(parsed, self._markup)
        self._special_ids = frozenset(token["id"] for token in added) - {unknown}
        self._text = RememberingEncoder(self._encode)
        self._own_text = RememberingEncoder(self._encode_markup)

    @cached_property
    def chat_frame(self) -> tuple[str, str] | None:
        """See `Tokenizer.chat_frame`."""
        return self._chat.frame() if self._chat else None

    @cached_property
    def system_frame(self) -> tuple[str, str, str] | None:
        """See `KnowsSystemRole.system_frame`."""
        return self._chat.system_frame() if self._chat else None

    def encode(self, text: str) -> list[int]:
        """See `Tokenizer.encode`."""
        return self._text.encode(text)

    def _encode(self, text: str) -> list[int]:
        token_ids: list[int] = self._plain.encode(_encodable(text), add_special_tokens=False).ids
        if self._special_ids.isdisjoint(token_ids):
            return token_ids
        return list(self.encode_with_offsets(text).token_ids)

    def encode_markup(self, text: str) -> list[int]:
        """See `Tokenizer.encode_markup`."""
        return self._own_text.encode(text)

    def _encode_markup(self, text: str) -> list[int]:
        token_ids: list[int] = self._markup.encode(_encodable(text), add_special_tokens=False).ids
        return token_ids

    def encode_with_offsets(self, text: str) -> Encoding:
        """See `Tokenizer.encode_with_offsets`."""
        found = self._plain.encode(_encodable(text), add_special_tokens=False)
        if self._special_ids.isdisjoint(found.ids):
            return Encoding(tuple(found.ids), tuple(found.offsets))
        return self._encode_around(text, list(zip(found.ids, found.offsets, strict=True)))

    def _encode_around(self, text: str, pairs: list[tuple[int, tuple[int, int]]]) -> Encoding:
        """Encode `text`, in which the model itself (not an added token) found a special id.

        Unigram and word-level vocabularies hold "</s>" like any other piece. Cutting before its
        last character breaks it; a special token of one character cannot be broken and is left out.
        """
        cuts = sorted({span[1] - 1 for token, span in pairs if token in self._special_ids})
        cuts = [cut for cut in cuts if 0 < cut < len(text)]
        if not cuts:
            kept = [pair for pair in pairs if pair[0] not in self._special_ids]
            return Encoding(tuple(i for i, _ in kept), tuple(span for _, span in kept))
        token_ids: list[int] = []
        offsets: list[tuple[int, int]] = []
        for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
            part = self.encode_with_offsets(text[start:end])
            token_ids += part.token_ids
            offsets += [(start + a, start + b) for a, b in part.offsets]
        return Encoding(tuple(token_ids), tuple(offsets))

    def decode(self, token_ids: Sequence[int]) -> str:
        """See `Tokenizer.decode`."""
        text: str = self._markup.decode(list(token_ids), skip_special_tokens=False)
        return text

    def count(self, text: str) -> int:
        """See `Tokenizer.count`."""
        return self._text.count(text)


def _build(definition: dict[str, Any]) -> tokenizers.Tokenizer:
    try:
        import tokenizers
    except ImportError as error:
        raise MissingExtraError(
            "The package tokenizers is missing. Install it: pip install tokenizers"
        ) from error
    return tokenizers.Tokenizer.from_str(json.dumps(definition))


def _shows(token: dict[str, Any]) -> bool:
    """Whether an added token has a visible character ("▁" is how SentencePiece writes a space)."""
    return bool(str(token["content"]).replace("▁", " ").strip())


def _unknown_id(definition: dict[str, Any], tokenizer: tokenizers.Tokenizer) -> int | None:
    """The id that stands for what the model does not know: any text may yield it."""
    model = definition.get("model") or {}
    name = model.get("unk_token")
    found: int | None = tokenizer.token_to_id(name) if name else model.get("unk_id")
    return found


def _read_definition(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TokenizerError(f"{file} cannot be read ({error}). Restore the file.") from error


_OTHER_VOCABULARIES = (
    "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.txt", "vocab.json",
    "tekken.json", "tiktoken.model",
)  # fmt: skip


def _load_directory(directory: Path) -> Tokenizer:
    file = directory / "tokenizer.json"
    if file.is_file():
        definition = _read_definition(file)
    elif any((directory / name).is_file() for name in _OTHER_VOCABULARIES):
        definition = _convert(directory)
    else:
        raise TokenizerError(
            f"{directory} holds no tokenizer: neither tokenizer.json nor any of "
            f"{', '.join(_OTHER_VOCABULARIES)}. Copy the model's tokenizer files there."
        )
    name = directory.resolve().name
    return HuggingFaceTokenizer(name, definition, read_chat_template(directory))


def _convert(directory: Path) -> str:
    """The definition that transformers makes of an older vocabulary file."""
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise MissingExtraError(
            f"{directory} has no tokenizer.json, and reading its older vocabulary needs "
            "transformers. Install it: pip install transformers sentencepiece"
        ) from error
    remedy = "Save a tokenizer.json beside it (save_pretrained of a fast tokenizer writes one)."
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = AutoTokenizer.from_pretrained(
                str(directory), local_files_only=True, trust_remote_code=False
            )
    except Exception as error:
        raise TokenizerError(
            f"transformers cannot read the tokenizer in {directory} ({error}). {remedy}"
        ) from error
    backend = getattr(loaded, "backend_tokenizer", None)
    if backend is None:
        raise TokenizerError(f"The tokenizer in {directory} is a slow one. {remedy}")
    return str(backend.to_str())


class TiktokenTokenizer:
    """A tiktoken encoding. It has no chat template: OpenAI's servers keep theirs."""

    chat_frame: tuple[str, str] | None = None

    def __init__(self, encoding: tiktoken.Encoding) -> None:
        self.name = f"tiktoken:{encoding.name}"
        self._encoding = encoding
        self._text = RememberingEncoder(lambda text: encoding.encode_ordinary(_encodable(text)))

    def encode(self, text: str) -> list[int]:
        """See `Tokenizer.encode`."""
        return self._text.encode(text)

    def encode_markup(self, text: str) -> list[int]:
        """See `Tokenizer.encode_markup`."""
        return self._encoding.encode(_encodable(text), allowed_special="all")

    def encode_with_offsets(self, text: str) -> Encoding:
        """See `Tokenizer.encode_with_offsets`. Tokens that share a character both cover it."""
        token_ids = self.encode(text)
        offsets, characters = [], 0
        for piece in self._encoding.decode_tokens_bytes(token_ids):
            continued = 0x80 <= piece[0] < 0xC0  # a UTF-8 continuation byte
            start = characters - continued
            characters += sum(1 for byte in piece if not 0x80 <= byte < 0xC0)
            offsets.append((start, characters))
        return Encoding(tuple(token_ids), tuple(offsets))

    def decode(self, token_ids: Sequence[int]) -> str:
        """See `Tokenizer.decode`."""
        return self._encoding.decode(list(token_ids))

    def count(self, text: str) -> int:
        """See `Tokenizer.count`."""
        return self._text.count(text)


def _load_tiktoken(name: str) -> TiktokenTokenizer:
    try:
        import tiktoken
    except ImportError as error:
        raise MissingExtraError(
            f"tiktoken:{name} needs the package tiktoken. Install it: pip install tiktoken"
        ) from error
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
