"""Tokenizers of Hugging Face models, from their tokenizer.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragctx.errors import InputError, TokenizerError, require_extra
from ragctx.text.well_formed import well_formed
from ragctx.tokens.chat_template import ChatTemplate
from ragctx.tokens.joining import opening_of, share_tokens, without_prefix
from ragctx.tokens.memo import RememberingEncoder
from ragctx.tokens.tokenizer import Encoding, TextPart

if TYPE_CHECKING:
    import tokenizers


class HuggingFaceTokenizer:
    """The tokenizer that a tokenizer.json defines.

    Special tokens are read in markup alone. In anybody else's text every added token that shows a
    mark is encoded as ordinary text, also one that is not called special ("<think>"). (Those of
    whitespace alone, and words that a vocabulary was extended by, stay: they structure nothing.)
    """

    def __init__(
        self,
        name: str,
        definition: str,
        chat: ChatTemplate | None = None,
        *,
        joins_parts: bool = False,
    ) -> None:
        """`joins_parts`: it is a model's, which, unless an encoder, reads a prompt as one text."""
        self.name = name
        self._chat = chat
        try:
            parsed: dict[str, Any] = json.loads(definition)
            self.opening = opening_of(parsed)
            parsed.update(truncation=None, padding=None, post_processor=None)
            self._puts_space = without_prefix(parsed) != parsed
            self._markup = _build(parsed)
            added = _shown_tokens(parsed)
            all_show = len(added) == len(parsed.get("added_tokens") or ())
            if all_show:
                self._plain = _without_added_tokens(self._markup)
            else:
                self._plain = _build(_all_special(parsed))
            self.reads_words_alone = all_show and _parts_words(parsed)
        except Exception as error:
            raise TokenizerError(
                f"The tokenizer {name} cannot be read ({type(error).__name__}: {error}). "
                "Restore its tokenizer.json."
            ) from error
        self._plain.encode_special_tokens = True
        unknown = _unknown_id(parsed, self._markup)
        self.joins_parts = joins_parts and (parsed.get("model") or {}).get("type") != "WordPiece"
        self._special_ids = frozenset(token["id"] for token in added) - {unknown}
        self._text = RememberingEncoder(self._encode)
        self._own_text = RememberingEncoder(self._encode_markup)

    retokenised = False

    def __copy__(self) -> HuggingFaceTokenizer:
        made = object.__new__(type(self))
        made.__setstate__(self.__getstate__())
        return made

    def __getstate__(self) -> dict[str, Any]:
        """What a copy needs: all but the memory of texts."""
        forgotten = ("_text", "_own_text", "chat_frame", "system_frame", "_within_text")
        return {name: value for name, value in self.__dict__.items() if name not in forgotten}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._plain.encode_special_tokens = True  # which a pickled tokenizer forgets
        self._text = RememberingEncoder(self._encode)
        self._own_text = RememberingEncoder(self._encode_markup)

    @cached_property
    def chat_frame(self) -> tuple[str, str] | None:
        return self._chat.frame() if self._chat else None

    @cached_property
    def system_frame(self) -> tuple[str, str, str] | None:
        return self._chat.system_frame() if self._chat else None

    def with_template_options(self, options: Mapping[str, object]) -> HuggingFaceTokenizer:
        """This tokenizer, with options for its chat template such as {"enable_thinking": False}.

        Raises InputError if it has no chat template, or one that does not read them.
        """
        if self._chat is None:
            raise InputError(f"{self.name} has no chat template; leave --template-option out")
        changed = copy(self)
        changed._chat = self._chat.with_options(options)
        return changed

    def encode(self, text: str) -> list[int]:
        return self._text.encode(text)

    def _encode(self, text: str) -> list[int]:
        token_ids: list[int] = self._plain.encode(well_formed(text), add_special_tokens=False).ids
        if self._special_ids.isdisjoint(token_ids):
            return token_ids
        return list(self.encode_with_offsets(text).token_ids)

    def encode_markup(self, text: str) -> list[int]:
        return self._own_text.encode(text)

    def _encode_markup(self, text: str) -> list[int]:
        token_ids: list[int] = self._markup.encode(well_formed(text), add_special_tokens=False).ids
        return token_ids

    def encode_with_offsets(self, text: str) -> Encoding:
        found = self._plain.encode(well_formed(text), add_special_tokens=False)
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

    @property
    def vocabulary(self) -> dict[str, int]:
        """Every token with its id, those added included."""
        pieces: dict[str, int] = self._markup.get_vocab(with_added_tokens=True)
        return pieces

    def within_text(self) -> HuggingFaceTokenizer:
        """This tokenizer for what is not the beginning of a text: no space is put before it."""
        return self._within_text if self._puts_space else self

    @cached_property
    def _within_text(self) -> HuggingFaceTokenizer:
        definition = without_prefix(json.loads(self._markup.to_str()))
        inner = copy(self)
        inner._puts_space = False
        inner._markup, inner._plain = _build(definition), _build(_all_special(definition))
        inner._plain.encode_special_tokens = True
        return inner

    def encode_parts(self, parts: Sequence[TextPart]) -> list[list[int]]:
        """The ids of the joined text by parts, as the model's own tokenizer reads it.

        Where a part that is not ours holds a special token, which must stay text, every part is
        encoded on its own.
        """
        if len(parts) > 1 and parts[0].text == self.opening and parts[0].ours:
            return [self.encode_markup(self.opening), *self.encode_parts(parts[1:])]
        if any(self._holds_special(part.text) for part in parts if not part.ours):
            inner = self.within_text()
            return [(inner.encode_markup if ours else inner.encode)(text) for text, ours in parts]
        text = well_formed("".join(part.text for part in parts))
        found = self._markup.encode(text, add_special_tokens=False)
        return share_tokens(text, found.ids, found.offsets, [len(part.text) for part in parts])

    def _holds_special(self, text: str) -> bool:
        return not self._special_ids.isdisjoint(self._own_text.encode(text))

    def decode(self, token_ids: Sequence[int]) -> str:
        text: str = self._markup.decode(list(token_ids), skip_special_tokens=False)
        return text

    def count(self, text: str) -> int:
        return self._text.count(text)


def _build(definition: dict[str, Any]) -> tokenizers.Tokenizer:
    with require_extra("Counting a model's tokens", "tokenizers"):
        import tokenizers
    return tokenizers.Tokenizer.from_str(json.dumps(definition))


def _without_added_tokens(tokenizer: tokenizers.Tokenizer) -> tokenizers.Tokenizer:
    """One that shares the vocabulary: to read the file's again would take 30 ms."""
    import tokenizers

    plain = tokenizers.Tokenizer(tokenizer.model)
    if tokenizer.normalizer is not None:
        plain.normalizer = tokenizer.normalizer
    if tokenizer.pre_tokenizer is not None:
        plain.pre_tokenizer = tokenizer.pre_tokenizer
    return plain


def _parts_words(definition: dict[str, Any]) -> bool:
    """Whether white space parts words for good, as it does for BERT."""
    kinds = {"normalizer": "BertNormalizer", "pre_tokenizer": "BertPreTokenizer"}
    kinds["model"] = "WordPiece"
    return all((definition.get(part) or {}).get("type") == kind for part, kind in kinds.items())


def _shown_tokens(definition: dict[str, Any]) -> list[dict[str, Any]]:
    """The added tokens that show a mark."""
    return [token for token in definition.get("added_tokens") or () if _shows(token)]


def _all_special(definition: dict[str, Any]) -> dict[str, Any]:
    """The definition with each of them special, so that none need be read."""
    added = definition.get("added_tokens") or ()
    return {
        **definition,
        "added_tokens": [{**t, "special": t["special"] or _shows(t)} for t in added],
    }


def _shows(token: dict[str, Any]) -> bool:
    """Whether an added token shows a mark; words that were added later are words.

    "▁" is how SentencePiece writes a space.
    """
    shown = str(token["content"]).replace("▁", " ").strip()
    return bool(shown) and (token["special"] or not shown.replace(" ", "").isalnum())


def _unknown_id(definition: dict[str, Any], tokenizer: tokenizers.Tokenizer) -> int | None:
    """The id of the unknown token, which any text may contain."""
    model = definition.get("model") or {}
    name = model.get("unk_token")
    found: int | None = tokenizer.token_to_id(name) if name else model.get("unk_id")
    return found


def read_definition(file: Path) -> str:
    """The content of a tokenizer.json. Raises TokenizerError where it cannot be read."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TokenizerError(f"{file} cannot be read ({error}). Restore the file.") from error
