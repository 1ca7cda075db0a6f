"""Laws of the tokenizers: no text yields a special token, frames frame, nothing is fetched."""

from __future__ import annotations

import hashlib
import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragctx.errors import InputError, TokenizerError
from ragctx.tokens.chat_template import ChatTemplate, read_chat_template
from ragctx.tokens.load import BUNDLED_TOKENIZER, load_tokenizer
from ragctx.tokens.tiktoken import TIKTOKEN_ENCODINGS, tiktoken_files
from ragctx.tokens.tokenizer import require_round_trip
from tests.support.paths import ROOT
from tests.support.small_tokenizers import (
    CHATML,
    MARKERS,
    byte_level,
    chat_model,
    every_adapter,
    tiny_tiktoken,
)

ADAPTERS = every_adapter()
names = pytest.mark.parametrize("name", ADAPTERS)
hostile = st.lists(st.sampled_from([*MARKERS, "<tool_call>", " ", "    ", "cats", "é", "日", "\n"]))
any_text = hostile.map("".join) | st.text(max_size=60)


@names
@settings(max_examples=40, deadline=None)
@given(text=any_text)
def test_no_text_yields_a_special_token(name: str, text: str) -> None:
    tokenizer, forbidden = ADAPTERS[name]
    assert forbidden.isdisjoint(tokenizer.encode(text))


@names
@settings(max_examples=40, deadline=None)
@given(text=any_text)
def test_offsets_belong_to_the_ids_and_stay_in_the_text(name: str, text: str) -> None:
    tokenizer, _ = ADAPTERS[name]
    encoding = tokenizer.encode_with_offsets(text)
    assert list(encoding.token_ids) == tokenizer.encode(text)
    assert tokenizer.count(text) == len(encoding.offsets)
    assert all(0 <= start <= end <= len(text) for start, end in encoding.offsets)
    assert [a for a, _ in encoding.offsets] == sorted(a for a, _ in encoding.offsets)


@pytest.mark.parametrize("name", ["byte_level", "tiktoken"])
@settings(max_examples=40, deadline=None)
@given(text=any_text)
def test_byte_tokenizers_give_every_text_back(name: str, text: str) -> None:
    tokenizer, _ = ADAPTERS[name]
    assert tokenizer.decode(tokenizer.encode(text)) == text
    covered = {i for a, b in tokenizer.encode_with_offsets(text).offsets for i in range(a, b)}
    assert covered == set(range(len(text)))


def test_markup_recognises_special_tokens() -> None:
    assert load_tokenizer().encode_markup("[CLS] a [SEP]") == [101, 1037, 102]
    byte_tokenizer = ADAPTERS["byte_level"][0]
    assert byte_tokenizer.encode_markup("<|im_end|><tool_call>") == [258, 259]
    assert ADAPTERS["word_level"][0].encode_markup("cats[SEP]sleep") == [2, 1, 3]
    assert ADAPTERS["tiktoken"][0].encode_markup("<|im_end|>") == [259]


def test_added_whitespace_tokens_stay_as_the_model_learned_them() -> None:
    assert ADAPTERS["byte_level"][0].encode("    ") == [260]


def test_a_special_token_inside_a_word_level_text_becomes_unknown_words() -> None:
    assert ADAPTERS["word_level"][0].encode("cats [SEP] sleep") == [2, 0, 0, 3]


def test_a_lone_surrogate_is_encoded_like_a_replacement_character() -> None:
    for tokenizer, _ in ADAPTERS.values():
        assert tokenizer.encode("a\ud800b") == tokenizer.encode("a\ufffdb")


def test_the_bundled_tokenizer_adds_cuts_and_pads_nothing() -> None:
    tokenizer = load_tokenizer()
    assert tokenizer.encode("") == []
    assert tokenizer.count("word " * 5000) == 5000
    assert tokenizer.decode(tokenizer.encode_markup("[CLS] cats sleep [SEP]")) == (
        "[CLS] cats sleep [SEP]"
    )
    assert tokenizer.chat_frame is None


def test_round_trip_is_demanded_of_ids_not_of_letters() -> None:
    require_round_trip(load_tokenizer(), "Cats SLEEP a lot.")
    with pytest.raises(TokenizerError, match="does not give back"):
        require_round_trip(load_tokenizer(), "a snowman ☃ melts")


def test_a_text_is_encoded_once_and_its_ids_cannot_be_spoilt() -> None:
    tokenizer = load_tokenizer()
    first = tokenizer.encode("cats sleep")
    first.append(99)
    assert tokenizer.encode("cats sleep") == first[:-1]


def test_only_a_prompt_for_a_model_behind_an_api_is_tokenised_again() -> None:
    assert tiny_tiktoken().retokenised
    assert not load_tokenizer().retokenised
    assert not chat_model().retokenised


# ---- Loading ---------------------------------------------------------------------------------


def model_directory(path: Path, config: dict[str, Any], definition: dict[str, Any]) -> Path:
    path.mkdir(exist_ok=True)
    (path / "tokenizer.json").write_text(json.dumps(definition), encoding="utf-8")
    (path / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return path


def test_a_directory_and_its_tokenizer_file_load_alike(tmp_path: Path) -> None:
    model = model_directory(tmp_path / "tiny", {"chat_template": CHATML}, byte_level())
    for spec in (model, model / "tokenizer.json"):
        tokenizer = load_tokenizer(str(spec))
        assert tokenizer.name == "tiny"
        assert tokenizer.chat_frame == ("<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n")
        assert tokenizer.encode("<|im_end|>") != tokenizer.encode_markup("<|im_end|>") == [258]


@pytest.mark.slow
def test_an_older_vocabulary_is_read_by_transformers(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cats", "sleep", "##s", "[", "]", "sep"]
    (tmp_path / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    config = {"tokenizer_class": "BertTokenizer", "do_lower_case": True}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    tokenizer = load_tokenizer(str(tmp_path))
    assert tokenizer.encode("Cats [SEP]") == [5, 8, 10, 9]
    assert tokenizer.encode_markup("Cats [SEP]") == [5, 3]


def test_an_unknown_spec_is_told_the_valid_ones() -> None:
    with pytest.raises(InputError, match=r"'nonsense'.*bundled.*tokenizer\.json.*tiktoken:ENC"):
        load_tokenizer("nonsense")


def test_a_directory_without_a_tokenizer_says_which_files_it_wants(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match=r"tokenizer\.json.*Copy"):
        load_tokenizer(str(tmp_path))


@pytest.mark.parametrize("content", ["", "{}", "[]", "\x00", '{"model": {"type": "None"}}'])
def test_a_damaged_file_is_one_error(tmp_path: Path, content: str) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(TokenizerError, match="Restore"):
        load_tokenizer(str(file))


def test_importing_the_room_imports_no_tokenizer_library() -> None:
    code = (
        "import sys, ragctx.tokens.tokenizer\n"
        "heavy = {'tokenizers', 'tiktoken', 'transformers', 'torch', 'jinja2'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


# ---- Chat templates --------------------------------------------------------------------------

LLAMA2 = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "{% for message in messages %}{{ bos_token + '[INST] ' + message['content'] | trim "
    "+ ' [/INST]' }}{% endfor %}"
)
PARTS = (
    "{% for message in messages %}<u>{% for part in message.content %}"
    "{% if part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}</u>{% endfor %}"
)


@pytest.mark.parametrize(
    ("source", "frame"),
    [
        (CHATML, ("<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n")),
        (LLAMA2, ("<s>[INST] ", " [/INST]")),
        (PARTS, ("<u>", "</u>")),
        ("{{ messages[0].content }}{{ eos_token }}", ("", "</s>")),
        ("{% generation %}{{ messages[0].content }}{% endgeneration %}!", ("", "!")),
        ("{{ strftime_now('%%') }}{{ messages[0].content }}", ("%", "")),
        ("{{ {'a': '<b>'} | tojson }}{{ messages[0].content }}", ('{"a": "<b>"}', "")),
        (
            "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}"
            "{{ ns.n }}{{ m.content }}{% break %}{% endfor %}",
            ("1", ""),
        ),
    ],
)
def test_a_template_frames_one_user_message(source: str, frame: tuple[str, str]) -> None:
    template = ChatTemplate(source, {"bos_token": "<s>", "eos_token": "</s>"}, "here")
    assert template.frame() == frame


@pytest.mark.parametrize(
    ("source", "frame"),
    [
        (
            CHATML,
            (
                "<|im_start|>system\n",
                "<|im_end|>\n<|im_start|>user\n",
                "<|im_end|>\n<|im_start|>assistant\n",
            ),
        ),
        (PARTS, ("<u>", "</u><u>", "</u>")),
        (LLAMA2, None),  # refuses a system message
        ("{{ messages[-1].content }}", None),  # drops it
        ("{{ messages[1].content }}{{ messages[0].content }}", None),  # exchanges them
        ("{{ messages[0].content }}{{ messages[0].content }}{{ messages[1].content }}", None),
    ],
)
def test_a_template_frames_a_system_message_if_it_has_a_place_for_one(
    source: str, frame: tuple[str, str, str] | None
) -> None:
    assert ChatTemplate(source, {"bos_token": "<s>"}, "here").system_frame() == frame


@pytest.mark.parametrize(
    "source",
    [
        "{{ raise_exception('I refuse') }}",
        "{{ messages[0].content.__class__.__mro__ }}",
        "{{ namespace(__class__=1) }}",
        "{% for",
        "no message at all",
        "{{ messages[0].content }}{{ messages[0].content }}",
        "{{ messages.append(1) }}{{ messages[0].content }}",
    ],
)
def test_a_broken_or_hostile_template_is_one_error(source: str) -> None:
    with pytest.raises(TokenizerError, match="chat template of here"):
        ChatTemplate(source, {}, "here").frame()


@pytest.mark.slow
def test_a_template_equals_what_transformers_renders(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = {
        "chat_template": LLAMA2,
        "bos_token": {"content": "<|endoftext|>", "__type": "AddedToken"},
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    model = model_directory(tmp_path / "tiny", config, byte_level())
    theirs = transformers.AutoTokenizer.from_pretrained(str(model)).apply_chat_template(
        [{"role": "user", "content": "Why?"}], tokenize=False, add_generation_prompt=True
    )
    frame = load_tokenizer(str(model)).chat_frame
    assert frame is not None
    assert theirs == "Why?".join(frame)


def test_the_template_file_wins_over_the_configuration(tmp_path: Path) -> None:
    model = model_directory(tmp_path / "m", {"chat_template": CHATML}, byte_level())
    (model / "chat_template.jinja").write_text("<{{ messages[0].content }}>", encoding="utf-8")
    assert load_tokenizer(str(model)).chat_frame == ("<", ">")


def test_of_several_named_templates_the_default_is_taken(tmp_path: Path) -> None:
    named = [
        {"name": "tool_use", "template": "x"},
        {"name": "default", "template": "<{{ messages[0].content }}>"},
    ]
    model = model_directory(tmp_path / "m", {"chat_template": named}, byte_level())
    assert load_tokenizer(str(model)).chat_frame == ("<", ">")
    model_directory(model, {"chat_template": named[:1]}, byte_level())
    with pytest.raises(TokenizerError, match=r"default.*tool_use"):
        read_chat_template(model)


# ---- tiktoken --------------------------------------------------------------------------------


def test_tiktoken_without_its_file_says_which_file_to_put_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    url, digest = tiktoken_files("o200k_base")[0]
    target = tmp_path / hashlib.sha1(url.encode()).hexdigest()
    with pytest.raises(TokenizerError) as failure:
        load_tokenizer("tiktoken:gpt-4o")
    for fact in (url, digest, str(target), "does not download"):
        assert fact in str(failure.value)
    target.write_text("not it", encoding="utf-8")
    with pytest.raises(TokenizerError, match="damaged"):
        load_tokenizer("tiktoken:o200k_base")
    # tiktoken itself deletes a file whose hash is wrong, and downloads: it was never asked.
    assert target.exists()


def test_tiktoken_without_a_cache_folder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    with pytest.raises(TokenizerError, match="TIKTOKEN_CACHE_DIR is empty"):
        load_tokenizer("tiktoken:cl100k_base")


def test_an_unknown_tiktoken_name_is_told_the_valid_ones() -> None:
    with pytest.raises(InputError, match=r"'nope'.*o200k_base.*gpt-4o"):
        load_tokenizer("tiktoken:nope")


def test_the_table_of_files_is_what_tiktoken_would_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    """If tiktoken changes a URL or adds an encoding, the table must follow."""
    import tiktoken

    openai_public = importlib.import_module("tiktoken_ext.openai_public")  # it has no types
    asked: list[tuple[str, str]] = []

    def record(url: str, expected_hash: str) -> dict[bytes, int]:
        asked.append((url, expected_hash))
        return {}

    def record_pair(**files: str) -> dict[bytes, int]:
        for kind in ("vocab_bpe", "encoder_json"):
            asked.append((files[f"{kind}_file"], files[f"{kind}_hash"]))
        return {}

    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", record)
    monkeypatch.setattr(openai_public, "data_gym_to_mergeable_bpe_ranks", record_pair)
    assert set(tiktoken.list_encoding_names()) == set(TIKTOKEN_ENCODINGS)
    for name in TIKTOKEN_ENCODINGS:
        asked.clear()
        openai_public.ENCODING_CONSTRUCTORS[name]()
        assert tuple(asked) == tiktoken_files(name)


def test_the_bundled_tokenizer_is_the_default_embedders_with_marks_for_cells() -> None:
    from ragctx.embedding import default_model_directory

    ours = json.loads(BUNDLED_TOKENIZER.read_text(encoding="utf-8"))
    file = default_model_directory() / "tokenizer.json"
    theirs = json.loads(file.read_text(encoding="utf-8"))
    assert ours["truncation"] is None and ours["padding"] is None
    *marks, normalizer = ours["normalizer"]["normalizers"]
    assert [mark["content"] for mark in marks] == [";", "|", "|"]  # rows, cells, dots between them
    assert {**ours, "normalizer": normalizer} == {**theirs, "truncation": None, "padding": None}
