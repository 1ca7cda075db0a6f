"""Whether a tokenizer is the model's own, and gives it prompts like those it was trained on.

Ids of another tokenizer are most often ids of this model too, and then it reads nonsense and says
nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from ragctx.errors import InputError, ModelError, TokenizerError
from ragctx.tokens.huggingface import HuggingFaceTokenizer
from ragctx.tokens.load import load_tokenizer
from ragctx.tokens.tokenizer import JoinsParts, TextPart, Tokenizer

_PROBE = (
    TextPart("Answer from the passages.\n\n[1] (", True),
    TextPart("metals 2.pdf", False),
    TextPart(", p. ", True),
    TextPart("31", False),
    TextPart(")\n", True),
    TextPart("Tin melts at 231.93 °C; naïve words don't. 日本語", False),
    TextPart("\n\nQuestion:\n", True),
    TextPart("At how many °C does it melt?", False),
    TextPart("\n\nAnswer:", True),
)
"""A prompt's parts in small: labels, numbers, line ends, letters beyond ASCII."""


def require_own_tokenizer(
    tokenizer: Tokenizer, directory: Path | None, vocabulary_size: int
) -> None:
    """Refuse a tokenizer that knows too many tokens, or is not the one in the model's directory.

    `directory` is None for the tokenizer that was read there.

    Raises:
        InputError: the directory's tokenizer is another one.
        ModelError: it has ids that the model has not.
    """
    if directory is not None:
        _require_same(tokenizer, directory)
    if isinstance(tokenizer, HuggingFaceTokenizer):
        most = max(tokenizer.vocabulary.values(), default=0)
        if most >= vocabulary_size:
            raise ModelError(
                f"the tokenizer {tokenizer.name} has ids up to {most}, and the model only those up "
                f"to {vocabulary_size - 1}: copy its tokenizer again from where the model came from"
            )


def _require_same(tokenizer: Tokenizer, directory: Path) -> None:
    try:
        own = load_tokenizer(directory)
    except TokenizerError:
        return  # it has none, so that there is nothing to compare with
    differing = _differing_pieces(tokenizer, own)
    text = "".join(part.text for part in _PROBE)
    ids = own.encode(text)
    if differing or tokenizer.encode(text) != ids or tokenizer.decode(ids) != own.decode(ids):
        words = f": {differing} of its tokens have other ids" if differing else ""
        raise InputError(
            f"the tokenizer {tokenizer.name} is not that of the model in {directory}{words}; "
            "leave --tokenizer out"
        )


def _differing_pieces(tokenizer: Tokenizer, own: Tokenizer) -> int:
    """How many tokens only one of the two has, or both with other ids."""
    if not isinstance(tokenizer, HuggingFaceTokenizer) or not isinstance(own, HuggingFaceTokenizer):
        return 0
    return len(set(tokenizer.vocabulary.items()) ^ set(own.vocabulary.items()))


def differing_tokens(
    tokenizer: Tokenizer, directory: Path, options: Mapping[str, object]
) -> int | None:
    """Tokens of a small prompt that differ from those of transformers for the same messages.

    None where transformers cannot read the tokenizer, or ragctx does not join the prompt's parts.
    """
    if not isinstance(tokenizer, JoinsParts) or not tokenizer.joins_parts:
        return None
    before, after = tokenizer.chat_frame or (tokenizer.opening, "")
    around = [TextPart(before, True)] if before else []
    shares = tokenizer.encode_parts([*around, *_PROBE, TextPart(after, True)])
    ours = [token for share in shares for token in share]
    theirs = _theirs(directory, "".join(part.text for part in _PROBE), options)
    if theirs is None:
        return None
    codes = SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes()
    return sum(max(b - a, d - c) for code, a, b, c, d in codes if code != "equal")


def _theirs(directory: Path, text: str, options: Mapping[str, object]) -> list[int] | None:
    from transformers import AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(
            str(directory), local_files_only=True, trust_remote_code=False
        )
        if not tokenizer.chat_template:
            ids = list(tokenizer(text)["input_ids"])
            # some end every text, which is for training: there is nothing to go on with behind it
            return ids[:-1] if ids and ids[-1] == tokenizer.eos_token_id else ids
        given = tokenizer.apply_chat_template(
            [{"role": "user", "content": text}],
            tokenize=True,
            add_generation_prompt=True,
            **options,
        )
    except Exception:  # a dozen kinds; the prompt then is taken as it is
        return None
    return list(given["input_ids"] if hasattr(given, "keys") else given)
