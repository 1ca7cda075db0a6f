"""Laws of the ruler: it counts any stretch of a text as its tokenizer does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragctx.embedding import default_model_directory
from ragctx.tokens import ruler
from ragctx.tokens.load import load_tokenizer
from ragctx.tokens.ruler import Ruler
from ragctx.tokens.tokenizer import reads_words_alone
from tests.support.small_tokenizers import every_adapter

ADAPTERS = {
    "bundled": load_tokenizer(),
    "embedder": load_tokenizer(default_model_directory() / "tokenizer.json"),
    **{n: t for n, (t, _) in every_adapter().items()},
}
pieces = st.sampled_from(
    [
        *("cats", "internationalisation", "don't", "3.14", "[SEP]", "x" * 120, "e\u0301", "\u0301"),
        *("猫。", "한국어", "👩\u200d🔬", "İ", "ﬁne", "\ufffd", "\x00", "\x1c", "\xa0", "\u3000"),
        *(" ", "  ", "\n", "\t", "\r\n", "\v"),
    ]
)
texts = st.lists(pieces | st.text(max_size=4), max_size=20).map("".join)


@pytest.mark.parametrize("name", ADAPTERS)
@settings(max_examples=100, deadline=None)
@given(text=texts, data=st.data())
def test_every_stretch_is_counted_as_the_tokenizer_counts_it(
    name: str, text: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    tokenizer = ADAPTERS[name]
    assert Ruler(text, tokenizer).count(start, end) == tokenizer.count(text[start:end])


@settings(max_examples=100, deadline=None)
@given(text=texts)
def test_words_read_alone_have_the_tokens_they_have_in_the_text(text: str) -> None:
    tokenizer = ADAPTERS["embedder"]
    in_text = sorted(max(end - 1, 0) for _, end in tokenizer.encode_with_offsets(text).offsets)
    measured = Ruler(text, tokenizer)
    assert [measured.index(offset) for offset in range(len(text) + 1)] == [
        sum(last < offset for last in in_text) for offset in range(len(text) + 1)
    ]


def test_a_long_text_is_encoded_in_groups_of_whole_words(monkeypatch: pytest.MonkeyPatch) -> None:
    text = " ".join(f"word{i} {'long' * i}" for i in range(60))
    whole = Ruler(text, ADAPTERS["embedder"])
    monkeypatch.setattr(ruler, "_BLOCK", 50)
    grouped = Ruler(text, ADAPTERS["embedder"])
    assert all(grouped.index(i) == whole.index(i) for i in range(len(text)))


def test_only_a_tokenizer_that_white_space_parts_for_good_reads_words_alone() -> None:
    """Byte-level vocabularies have tokens with the space before a word in them."""
    assert {name for name, tokenizer in ADAPTERS.items() if reads_words_alone(tokenizer)} == {
        "embedder"
    }
