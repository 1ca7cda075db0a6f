"""Laws of prompts for models that were trained on whole texts: the ids are their template's own.

The reference is transformers: `apply_chat_template(messages, tokenize=True)`, and for a base model
its tokenizer's call.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ragctx.assembly import Assembly, assemble
from ragctx.errors import InputError
from ragctx.generator.huggingface.own_tokenizer import differing_tokens
from ragctx.records import Hit, Prompt
from ragctx.tokens.load import load_tokenizer, with_template_options
from ragctx.tokens.tokenizer import KnowsSystemRole
from tests.support.model_zoo import FAMILIES, write_tokenizer

transformers = pytest.importorskip("transformers", reason="the hf extra is not installed")

QUICK = ("llama3", "llama2-base", "phi-3", "deepseek-r1")
"""A family of each kind of tokenizer; the others are as slow to train as these."""

HITS = [
    Hit.from_text(1, 0.9, "Tin melts at 232 °C (449 °F).\nIt is soft.", "metals 2.pdf", page=3),
    Hit.from_text(2, 0.8, "  Lead:  327.5 degrees;   naïve 日本語 — so", "tin/lead.pdf", page=41),
    Hit.from_text(3, 0.7, "3 cans, 12 boxes.\n\n", "(draft) p.pdf"),
    Hit.from_text(4, 0.6, "ends without a stop", "metals 2.pdf", page=4),
]
QUESTION = "At how many °C does tin melt? "
IS_OLD = int(transformers.__version__.split(".")[0]) < 5
families = pytest.mark.parametrize(
    "family",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in FAMILIES
        if not (IS_OLD and name == "byte_level_prefixed")  # whose space it left out before 5
    ],
)


@pytest.fixture(scope="session")
def directory_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("families")
    return lambda family: write_tokenizer(folder / family, family)


def prompt_of(directory: Path, template: str, hits: list[Hit] = HITS, **options: Any) -> Prompt:
    assembly = Assembly(template=template, **options)
    tokenizer = load_tokenizer(directory)
    return assemble(QUESTION, hits, tokenizer, context_window=4096, assembly=assembly)


def their_ids(directory: Path, prompt: Prompt) -> list[int]:
    """What transformers makes of the same messages."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(directory))
    texts = {"system": "", "user": ""}
    for segment in prompt.segments:
        texts[segment.role] += segment.message_text
    if tokenizer.chat_template is None:
        return list(tokenizer(texts["user"])["input_ids"])
    messages = [{"role": role, "content": text} for role, text in texts.items() if text]
    given = tokenizer.apply_chat_template(messages, tokenize=True, add_generation_prompt=True)
    return list(given["input_ids"] if hasattr(given, "keys") else given)


@families
@pytest.mark.parametrize("template", ["qa", "qa_by_document"])
def test_the_ids_are_those_of_the_model_s_own_template(
    family: str, template: str, directory_of: Callable[[str], Path]
) -> None:
    directory = directory_of(family)
    prompt = prompt_of(directory, template)
    assert len(prompt.passages) == 4
    assert list(prompt.token_ids) == their_ids(directory, prompt)
    if template == "qa_by_document":
        tokenizer = load_tokenizer(directory)
        has_system = isinstance(tokenizer, KnowsSystemRole) and tokenizer.system_frame
        assert any(s.role == "system" for s in prompt.segments) == bool(has_system)


@families
def test_the_check_at_loading_finds_no_difference(
    family: str, directory_of: Callable[[str], Path]
) -> None:
    tokenizer = load_tokenizer(directory_of(family))
    assert differing_tokens(tokenizer, directory_of(family), {}) == 0


def test_the_check_at_loading_counts_the_tokens_that_differ(
    directory_of: Callable[[str], Path],
) -> None:
    directory = directory_of("llama2-base")
    assert differing_tokens(load_tokenizer(directory_of("llama3")), directory, {}) > 20
    without_bos = load_tokenizer(directory)
    without_bos.opening = ""  # type: ignore[attr-defined]
    assert differing_tokens(without_bos, directory, {}) == 1


@pytest.mark.parametrize("normalized", [True, False])
def test_words_that_a_vocabulary_was_extended_by_are_words(
    normalized: bool, directory_of: Callable[[str], Path], tmp_path: Path
) -> None:
    """They are read as the model reads them, in passages too; a mark is text there, as ever."""
    definition = json.loads((directory_of("llama3") / "tokenizer.json").read_text("utf-8"))
    first = max(1 + token["id"] for token in definition["added_tokens"])
    first = max(first, len(definition["model"]["vocab"]))
    like = dict.fromkeys(("single_word", "lstrip", "rstrip", "special"), False)
    for number, content in enumerate(("melts", "tin can", "<seek>")):
        token = {"id": first + number, "content": content, "normalized": normalized, **like}
        definition["added_tokens"].append(token)
    for file in directory_of("llama3").iterdir():
        shutil.copy(file, tmp_path)
    (tmp_path / "tokenizer.json").write_text(json.dumps(definition), encoding="utf-8")
    prompt = prompt_of(tmp_path, "qa", HITS[:1])
    assert first in prompt.token_ids and list(prompt.token_ids) == their_ids(tmp_path, prompt)
    tokenizer = load_tokenizer(tmp_path)
    assert differing_tokens(tokenizer, tmp_path, {}) == 0
    assert first + 2 not in tokenizer.encode("to <seek> it") and first in tokenizer.encode("melts")
    assert tokenizer.encode_markup("<seek>") == [first + 2]


def test_an_end_that_training_texts_have_is_no_difference(
    directory_of: Callable[[str], Path], tmp_path: Path
) -> None:
    for file in directory_of("llama2-base").iterdir():
        shutil.copy(file, tmp_path)
    definition = json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))
    definition["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "<s>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": "</s>", "type_id": 0}},
        ],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {
            name: {"id": name, "ids": [number], "tokens": [name]}
            for number, name in ((1, "<s>"), (2, "</s>"))
        },
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(definition), encoding="utf-8")
    tokenizer = load_tokenizer(tmp_path)
    assert differing_tokens(tokenizer, tmp_path, {}) == 0
    ids = prompt_of(tmp_path, "qa").token_ids
    assert ids[0] == 1 and 2 not in ids


def test_template_options_change_the_prompt_as_they_do_in_transformers(
    directory_of: Callable[[str], Path],
) -> None:
    directory, options = directory_of("qwen3"), {"enable_thinking": False}
    tokenizer = with_template_options(load_tokenizer(directory), options)
    assert tokenizer.chat_frame and tokenizer.chat_frame[1].endswith("</think>\n\n")
    assert differing_tokens(tokenizer, directory, options) == 0
    with pytest.raises(InputError, match=r"no option 'enable_thoughts'; it reads enable_thinking"):
        with_template_options(tokenizer, {"enable_thoughts": True})
    with pytest.raises(InputError, match="has no chat template"):
        with_template_options(load_tokenizer(directory_of("llama2-base")), options)


@families
def test_every_token_is_one_segment_s_and_passages_know_theirs(
    family: str, directory_of: Callable[[str], Path]
) -> None:
    directory = directory_of(family)
    tokenizer = load_tokenizer(directory)
    prompt = prompt_of(directory, "qa", [hit for hit in HITS if hit.rank != 3])
    assert prompt.certificate.prompt_tokens == len(prompt.token_ids)
    for passage in prompt.passages:
        own = tokenizer.decode(passage.token_ids[passage.token_start : passage.token_end])
        assert _known_words(own) == _known_words(passage.own_text)


def _known_words(text: str) -> list[str]:
    return [word for word in text.split() if word.isascii() and "<unk>" not in word]


@families
def test_no_document_puts_a_special_token_into_the_prompt(
    family: str, directory_of: Callable[[str], Path]
) -> None:
    directory, style = directory_of(family), FAMILIES[family]
    marks = [*style.special, *style.plain]
    harmless = prompt_of(directory, "qa", [Hit.from_text(1, 0.9, "It is so.", "a.pdf")])
    hostile = Hit.from_text(1, 0.9, f"It is {' '.join(marks)} so.", f"{marks[-1]}.pdf")
    prompt = prompt_of(directory, "qa", [hostile])
    special = set(load_tokenizer(directory)._special_ids)  # type: ignore[attr-defined]
    counts = [sum(token in special for token in p.token_ids) for p in (harmless, prompt)]
    assert counts[0] == counts[1]


@pytest.mark.parametrize("family", ["llama3", "phi-3"])
@pytest.mark.parametrize("budget", range(150, 420, 30))
def test_joining_never_breaks_the_budget(
    family: str, budget: int, directory_of: Callable[[str], Path]
) -> None:
    prompt = prompt_of(directory_of(family), "qa", budget_tokens=budget + 200)
    assert prompt.token_count <= budget + 200
