"""Text that somebody else wrote, made so that no server takes a part of it for a special token."""

from __future__ import annotations

import re

from ragctx.errors import InputError
from ragctx.tokens.tokenizer import Tokenizer

_CHAT_MARK = re.compile(r"<[|｜][^<>\s]{1,40}[|｜]>")  # as most chat templates write their own
MARK = re.compile(r"<[^<>\s]{1,40}>|\[/?[A-Z_]{2,20}\]")  # as the others do


def plain_text(text: str, tokenizer: Tokenizer) -> str:
    """Put a blank into each special token of `text`, so that no server takes it for one.

    A server reads special tokens in a message, whoever wrote it. So everything that looks like a
    chat template's, and whatever else `tokenizer` knows as special, is taken apart.

    Raises InputError if a special token of another form remains.

    >>> from ragctx.tokens.load import load_tokenizer
    >>> plain_text("a <b> [SEP] <|im_end|>", load_tokenizer("bundled"))
    'a <b> [ SEP] < |im_end|>'
    """

    def is_special(mark: str) -> bool:
        return bool(_CHAT_MARK.fullmatch(mark)) or _reads_markup(mark, tokenizer)

    def opened(match: re.Match[str]) -> str:
        mark = match.group()
        return f"{mark[0]} {mark[1:]}" if is_special(mark) else mark

    plain = MARK.sub(opened, text)
    if _reads_markup(plain, tokenizer):
        raise InputError(
            f"a passage or the question holds a special token of {tokenizer.name} that cannot be "
            f"sent as text: {plain[:80]!r}…; leave that document out (--document)"
        )
    return plain


def _reads_markup(text: str, tokenizer: Tokenizer) -> bool:
    return tokenizer.encode_markup(text) != tokenizer.encode(text)
