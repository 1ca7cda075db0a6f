"""How a tokenizer.json begins a text, and to which part each token of a joined text belongs. Pure.

Most SentencePiece-like definitions put a space before every text, so that its first word is the
same token as anywhere else. In the middle of a prompt there must be none.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

Json = Mapping[str, Any]


def without_prefix(definition: Json) -> dict[str, Any]:
    """The definition of the same tokenizer, but for the space that it puts before a text.

    >>> without_prefix({"pre_tokenizer": {"type": "Metaspace", "prepend_scheme": "always"}})
    {'pre_tokenizer': {'type': 'Metaspace', 'prepend_scheme': 'never'}, 'normalizer': None}
    """
    normalizer = _mapped(definition.get("normalizer"), "normalizers", _normalizer_without)
    splitter = _mapped(definition.get("pre_tokenizer"), "pretokenizers", _splitter_without)
    return {**definition, "pre_tokenizer": splitter, "normalizer": normalizer}


def _mapped(step: Any, members: str, change: Any) -> Any:
    """A step of a definition, changed; of a sequence each member, without those changed to None."""
    if not isinstance(step, dict):
        return step
    if step.get("type") != "Sequence":
        return change(step)
    kept = [changed for member in step.get(members) or () if (changed := change(member))]
    return {**step, members: kept}


def _normalizer_without(step: Json) -> Json | None:
    return None if step.get("type") == "Prepend" else step


def _splitter_without(step: Json) -> Json:
    if step.get("type") == "ByteLevel" and step.get("add_prefix_space"):
        return {**step, "add_prefix_space": False}
    if step.get("type") == "Metaspace":
        changed = {**step, "prepend_scheme": "never"}
        return changed if "add_prefix_space" not in step else {**changed, "add_prefix_space": False}
    return step


def opening_of(definition: Json) -> str:
    """The special tokens that the definition's post-processor puts before a text; "" if none.

    >>> bos, text = {"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}
    >>> opening_of({"post_processor": {"type": "TemplateProcessing", "single": [bos, text]}})
    '<s>'
    """
    return "".join(_before_text(definition.get("post_processor")))


def _before_text(step: Any) -> Iterator[str]:
    if not isinstance(step, dict):
        return
    if step.get("type") == "Sequence":
        for member in step.get("processors") or ():
            yield from _before_text(member)
    elif step.get("type") == "TemplateProcessing":
        for piece in step.get("single") or ():
            if "SpecialToken" not in piece:
                return
            yield str(piece["SpecialToken"].get("id", ""))


def share_tokens(
    text: str,
    token_ids: Sequence[int],
    offsets: Sequence[tuple[int, int]],
    lengths: Sequence[int],
) -> list[list[int]]:
    """The ids of a text by its parts, whose `lengths` in characters add up to the text's.

    A token belongs to the part that holds its first character which is no space, so that "▁Tin" is
    the word's and not the label's before it.

    >>> share_tokens("[1] Tin.\\n", [7, 8, 9], [(0, 3), (3, 7), (7, 9)], [4, 4, 1])
    [[7], [8, 9], []]
    """
    ends = list(accumulate(lengths))
    shares: list[list[int]] = [[] for _ in lengths]
    part = 0
    for token, (start, end) in zip(token_ids, offsets, strict=True):
        blanks = len(text[start:end]) - len(text[start:end].lstrip())
        first = start + blanks if start + blanks < end else start
        # never back: offsets of bytes that share a character may not rise
        part = max(part, min(bisect_right(ends, first), len(ends) - 1))
        shares[part].append(token)
    return shares
