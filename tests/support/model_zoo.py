"""Tokenizers and chat templates in the style of well-known model families, trained on the spot.

A family's tokenizer has the family's own way to split text, its special tokens and its chat
template, over a small vocabulary; none of its files is copied.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT

GPT4_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_WORDS = GPT4_WORDS.replace(r"\p{N}{1,3}", r"\p{N}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How a family's models split text, and what their templates put around messages."""

    kind: str  # a key of KINDS
    special: tuple[str, ...]
    template: str = ""  # "" for a base model
    bos: str = ""
    eos: str = ""
    adds_bos: bool = False  # by its post-processor
    stripping: tuple[str, ...] = ()  # special tokens that swallow the whitespace behind them
    plain: tuple[str, ...] = ()  # added tokens that are not special


def _chatml(system: str = "") -> str:
    default = (
        "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\n"
        f"{system}<|im_end|>\\n' }}}}{{% endif %}}"
    )
    default = default if system else ""
    return (
        "{% for message in messages %}{% if loop.first %}" + default + "{% endif %}"
        "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
    )


INST = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'system' %}"
    "{{ raise_exception('no system') }}{% endif %}"
    "{{ '[INST] ' + message['content'] + ' [/INST]' }}{% endfor %}"
)
LLAMA2 = (
    "{% if messages[0]['role'] == 'system' %}"
    "{% set lead = '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' %}"
    "{% set messages = messages[1:] %}{% else %}{% set lead = '' %}{% endif %}"
    "{% for message in messages %}"
    "{{ bos_token + '[INST] ' + lead + message['content'].strip() + ' [/INST]' }}{% endfor %}"
)
LLAMA3 = (
    "{% for message in messages %}{{ (bos_token if loop.first else '') + '<|start_header_id|>'"
    " + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}"
    "{% endfor %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}"
    "{% for message in messages %}{{ '<start_of_turn>' + message['role'] + '\\n'"
    " + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}"
    "{{ '<start_of_turn>model\\n' }}"
)
ROLES = (  # Phi-3, Zephyr, TinyLlama, Granite
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\\n' + message['content']"
    " + '<|end|>\\n' }}{% endfor %}{{ '<|assistant|>\\n' }}"
)
R1 = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{ '<｜User｜>' + message['content'] }}{% else %}{{ message['content'] }}{% endif %}"
    "{% endfor %}{{ '<｜Assistant｜><think>\\n' }}"
)
QWEN3 = _chatml() + (
    "{% if enable_thinking is defined and not enable_thinking %}"
    "{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}"
)
HARMONY = (
    "{{ '<|start|>system<|message|>Reasoning: ' + (reasoning_effort or 'medium') + '<|end|>' }}"
    "{% for message in messages %}{{ '<|start|>' + ('developer' if message['role'] == 'system'"
    " else 'user') + '<|message|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{{ '<|start|>assistant' }}"
)
COMMAND = (
    "{{ bos_token }}{% for message in messages %}{{ '<|START_OF_TURN_TOKEN|>'"
    " + ('<|SYSTEM_TOKEN|>' if message['role'] == 'system' else '<|USER_TOKEN|>')"
    " + message['content'] + '<|END_OF_TURN_TOKEN|>' }}{% endfor %}"
    "{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}"
)
FALCON = (
    "{% for message in messages %}{% if not loop.first %}{{ '\\n' }}{% endif %}"
    "{{ message['role'] | capitalize + ': ' + message['content'] }}{% endfor %}"
    "{{ '\\nAssistant:' }}"
)
_IM = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")
_S = ("<unk>", "<s>", "</s>")
_HEADS = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
_TURNS = ("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>")
_PHI = ("<|user|>", "<|assistant|>", "<|system|>", "<|end|>")

FAMILIES: dict[str, Family] = {
    "gpt2": Family(kind="byte_level", special=("<|endoftext|>",), bos="<|endoftext|>"),
    "smollm": Family(kind="byte_level", special=_IM, template=_chatml("You help.")),
    "starcoder2": Family(kind="byte_level_digits", special=("<|endoftext|>",)),
    "falcon": Family(kind="byte_level_digits", special=("<|endoftext|>",), template=FALCON),
    "byte_level_prefixed": Family(kind="byte_level_prefixed", special=_IM, template=_chatml()),
    "llama3": Family(
        kind="gpt4", special=_HEADS, template=LLAMA3, bos="<|begin_of_text|>", adds_bos=True
    ),
    "llama3-base": Family(kind="gpt4", special=_HEADS, bos="<|begin_of_text|>", adds_bos=True),
    "qwen2": Family(kind="qwen", special=_IM, template=_chatml("You are Q.")),
    "qwen3": Family(kind="qwen", special=_IM, template=QWEN3, plain=("<think>", "</think>")),
    "deepseek-r1": Family(
        kind="qwen",
        special=("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"),
        template=R1,
        bos="<｜begin▁of▁sentence｜>",
        adds_bos=True,
        plain=("<｜User｜>", "<｜Assistant｜>", "<think>", "</think>"),
    ),
    "gpt-oss": Family(
        kind="gpt4",
        special=("<|start|>", "<|message|>", "<|end|>", "<|channel|>", "<|return|>"),
        template=HARMONY,
    ),
    "command-r": Family(
        kind="byte_level_digits",
        special=(
            "<BOS_TOKEN>",
            "<|START_OF_TURN_TOKEN|>",
            "<|END_OF_TURN_TOKEN|>",
            "<|USER_TOKEN|>",
            "<|SYSTEM_TOKEN|>",
            "<|CHATBOT_TOKEN|>",
        ),
        template=COMMAND,
        bos="<BOS_TOKEN>",
        adds_bos=True,
    ),
    "llama2": Family(kind="legacy", special=_S, template=LLAMA2, bos="<s>", adds_bos=True),
    "llama2-base": Family(kind="legacy", special=_S, bos="<s>", adds_bos=True),
    "mistral-v0.1": Family(kind="legacy", special=_S, template=INST, bos="<s>", adds_bos=True),
    "mistral-v0.3": Family(
        kind="metaspace_first",
        special=(*_S, "[INST]", "[/INST]"),
        template=INST,
        bos="<s>",
        adds_bos=True,
    ),
    "metaspace": Family(kind="metaspace", special=_S, template=INST, bos="<s>", adds_bos=True),
    "phi-3": Family(kind="legacy", special=(*_S, *_PHI), template=ROLES, bos="<s>", stripping=_PHI),
    "zephyr": Family(kind="legacy", special=_S, template=ROLES, bos="<s>", adds_bos=True),
    "gemma": Family(kind="gemma", special=_TURNS, template=GEMMA, bos="<bos>", adds_bos=True),
    "gemma-base": Family(kind="gemma", special=_TURNS, bos="<bos>", adds_bos=True),
    "xglm-base": Family(kind="unigram", special=_S, bos="<s>", adds_bos=True),
}


def write_tokenizer(folder: Path, family: str) -> Path:
    """A directory with the family's tokenizer.json and tokenizer_config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    style = FAMILIES[family]
    (folder / "tokenizer.json").write_text(_definition(family), encoding="utf-8")
    config: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast"}
    config |= {"bos_token": style.bos} if style.bos else {}
    config |= {"eos_token": style.eos or style.special[-1]}
    config |= {"chat_template": style.template} if style.template else {}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


@cache
def _definition(family: str) -> str:
    from tokenizers import AddedToken
    from tokenizers.processors import TemplateProcessing

    style = FAMILIES[family]
    trained = _trained(style.kind, style.special)
    trained.add_special_tokens(
        [AddedToken(t, rstrip=t in style.stripping, normalized=False) for t in style.special]
    )
    trained.add_tokens([AddedToken(t, normalized=False) for t in style.plain])
    if style.adds_bos:
        bos = (style.bos, trained.token_to_id(style.bos))
        trained.post_processor = TemplateProcessing(
            single=f"{style.bos} $A", pair=f"{style.bos} $A $B", special_tokens=[bos]
        )
    made: str = trained.to_str()
    return made


def _trained(kind: str, special: tuple[str, ...]) -> Any:
    from tokenizers import models, trainers

    tokenizer = KINDS[kind]()
    if isinstance(tokenizer.model, models.Unigram):
        options: dict[str, Any] = {"special_tokens": list(special), "unk_token": "<unk>"}
        trainer: Any = trainers.UnigramTrainer(vocab_size=900, show_progress=False, **options)
    else:
        alphabet = _byte_alphabet() if kind in _BYTES else []
        pieces = [f"<0x{byte:02X}>" for byte in range(256)] if kind in _FALLBACK else []
        trainer = trainers.BpeTrainer(
            vocab_size=1400,
            special_tokens=[*special, *pieces],
            initial_alphabet=alphabet,
            show_progress=False,
        )
    if kind in _FALLBACK:
        return _trained_by_words(tokenizer, trainer, _corpus(kind))
    tokenizer.train_from_iterator(_corpus(kind), trainer)
    return tokenizer


def _trained_by_words(tokenizer: Any, trainer: Any, corpus: Iterator[str]) -> Any:
    """Such models learn words with the space before them, and then read texts as one long word."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    words.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    words.train_from_iterator(corpus, trainer)
    made = json.loads(tokenizer.to_str())
    learnt = json.loads(words.to_str())
    made["model"] = learnt["model"]
    # the byte pieces are part of the model, not of the tokens added to it
    made["added_tokens"] = [t for t in learnt["added_tokens"] if t["content"][:3] != "<0x"]
    return Tokenizer.from_str(json.dumps(made))


def _corpus(kind: str) -> Iterator[str]:
    """This project's own words; line by line where words do not hold line ends."""
    text = "\n\n".join(p.read_text(encoding="utf-8") for p in sorted((ROOT / "docs").glob("*.md")))
    text = text[:120_000]
    return iter(text.split("\n") if kind in _FALLBACK else [text])


def _byte_alphabet() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())


def _byte_level(*before: Any, add_prefix_space: bool = False, use_regex: bool = True) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.BPE())
    level = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space, use_regex=use_regex)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*before, level]) if before else level
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def _split(words: str) -> Any:
    from tokenizers import Regex, pre_tokenizers

    split = pre_tokenizers.Split(Regex(words), behavior="isolated", invert=False)
    return _byte_level(split, use_regex=False)


def _digits() -> Any:
    from tokenizers import pre_tokenizers

    return _byte_level(pre_tokenizers.Digits(individual_digits=True))


def _metaspace(prepend_scheme: str) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    space = pre_tokenizers.Metaspace(prepend_scheme=prepend_scheme, split=False)
    tokenizer.pre_tokenizer = space
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return tokenizer


def _normalized(*, prepends: bool) -> Any:
    """Llama 2's and Mistral's older form, or, without a space before the text, Gemma's."""
    from tokenizers import decoders, normalizers

    tokenizer = _metaspace("always")
    tokenizer.pre_tokenizer = None
    spaces = normalizers.Replace(" ", "▁")
    begins = normalizers.Prepend("▁")
    tokenizer.normalizer = normalizers.Sequence([begins, spaces]) if prepends else spaces
    if not prepends:
        tokenizer.decoder = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
        )
    return tokenizer


def _unigram() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    return tokenizer


KINDS: dict[str, Callable[[], Any]] = {
    "byte_level": _byte_level,
    "byte_level_prefixed": lambda: _byte_level(add_prefix_space=True),
    "byte_level_digits": _digits,
    "gpt4": lambda: _split(GPT4_WORDS),
    "qwen": lambda: _split(QWEN_WORDS),
    "legacy": lambda: _normalized(prepends=True),
    "gemma": lambda: _normalized(prepends=False),
    "metaspace": lambda: _metaspace("always"),
    "metaspace_first": lambda: _metaspace("first"),
    "unigram": _unigram,
}
_BYTES = ("byte_level", "byte_level_prefixed", "byte_level_digits", "gpt4", "qwen")
_FALLBACK = ("legacy", "gemma", "metaspace", "metaspace_first")
