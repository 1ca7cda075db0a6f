"""Tokenizers of every kind, small enough to be made in a test."""

from __future__ import annotations

import json
from typing import Any

from ragctx.tokens.chat_template import ChatTemplate
from ragctx.tokens.huggingface import HuggingFaceTokenizer
from ragctx.tokens.load import load_tokenizer
from ragctx.tokens.tiktoken import TiktokenTokenizer
from ragctx.tokens.tokenizer import Tokenizer

MARKERS = ("[SEP]", "[CLS]", "[MASK]", "<|im_end|>", "<|im_start|>", "<|endoftext|>", "</s>")
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' "
    "+ message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def added(content: str, id: int, *, special: bool = True) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": id, "content": content, "special": special, **flags}


def byte_level() -> dict[str, Any]:
    """A byte-level BPE of no merges, like GPT's and Qwen's: a token a byte."""
    from tokenizers.pre_tokenizers import ByteLevel

    vocabulary = {letter: i for i, letter in enumerate(sorted(ByteLevel.alphabet()))}
    bpe: dict[str, Any] = {"type": "BPE", "vocab": vocabulary, "merges": [], "unk_token": None}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    return {
        "version": "1.0",
        "added_tokens": [
            added("<|endoftext|>", 256),
            added("<|im_start|>", 257),
            added("<|im_end|>", 258),
            added("<tool_call>", 259, special=False),  # Qwen has such: added, not special
            added("    ", 260, special=False),  # and Phi such
        ],
        "normalizer": None,
        "pre_tokenizer": {**level, "use_regex": True},
        "post_processor": level,
        "decoder": level,
        "model": bpe,
    }


def unigram() -> dict[str, Any]:
    """A SentencePiece-like vocabulary in which "</s>" is a piece like any other."""
    pieces: list[list[Any]] = [["<unk>", 0.0], ["</s>", 0.0], ["▁", -3.0]]
    pieces += [[letter, -9.0] for letter in "abcdefghijklmnopqrstuvwxyz</>S"]
    space = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    return {
        "version": "1.0",
        "added_tokens": [added("<unk>", 0), added("</s>", 1)],
        "normalizer": None,
        "pre_tokenizer": space,
        "post_processor": None,
        "decoder": space,
        "model": {"type": "Unigram", "unk_id": 0, "vocab": pieces, "byte_fallback": False},
    }


def word_level() -> dict[str, Any]:
    """Words split at spaces: "[SEP]" is a word of the vocabulary."""
    words = {"[UNK]": 0, "[SEP]": 1, "cats": 2, "sleep": 3}
    return {
        "version": "1.0",
        "added_tokens": [added("[UNK]", 0), added("[SEP]", 1)],
        "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": words, "unk_token": "[UNK]"},
    }


def tiny_tiktoken() -> TiktokenTokenizer:
    import tiktoken

    ranks = {bytes([i]): i for i in range(256)} | {b" c": 256, b"at": 257}
    special = {"<|endoftext|>": 258, "<|im_end|>": 259, "[SEP]": 260}
    pattern = r"\s?\S+|\s+"
    return TiktokenTokenizer(
        tiktoken.Encoding("tiny", pat_str=pattern, mergeable_ranks=ranks, special_tokens=special)
    )


def every_adapter() -> dict[str, tuple[Tokenizer, set[int]]]:
    """Each with the ids that no text may yield."""
    hugging_face = {
        name: HuggingFaceTokenizer(name, json.dumps(definition))
        for name, definition in (
            ("byte_level", byte_level()),
            ("unigram", unigram()),
            ("word_level", word_level()),
        )
    }
    return {
        "bundled": (load_tokenizer("bundled"), {0, 101, 102, 103}),
        "byte_level": (hugging_face["byte_level"], {256, 257, 258, 259}),
        "unigram": (hugging_face["unigram"], {1}),
        "word_level": (hugging_face["word_level"], {1}),
        "tiktoken": (tiny_tiktoken(), {258, 259, 260}),
    }


def chat_model(template: str = CHATML) -> HuggingFaceTokenizer:
    """A model's tokenizer with a chat template, as Qwen's."""
    chat = ChatTemplate(template, {}, "here")
    return HuggingFaceTokenizer("chat", json.dumps(byte_level()), chat)
