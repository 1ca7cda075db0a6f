"""Laws of the prefixes kept in memory and on disk: the longest is found, bounded, never wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the hf extra is not installed")

from ragctx.errors import InputError  # noqa: E402
from ragctx.generator.huggingface.kept_prefixes import (  # noqa: E402
    BLOCK_TOKENS,
    KeptPrefixes,
    Layers,
    common_prefix,
)
from ragctx.generator.kept_files import KeptFiles  # noqa: E402

TOKEN_BYTES = 2 * (2 * 3 + 2 * 5) * 4  # two layers; keys 3 wide, values 5, two heads, float32


def layers_of(ids: Sequence[int], seed: int = 0) -> Layers:
    """What a causal model would make of them: each number depends on all ids up to its own."""
    sums = torch.tensor(ids, dtype=torch.float32).cumsum(0) + seed
    places = torch.arange(len(ids)) + 1.0
    one = (sums * places)[None, None, :, None]
    return tuple(
        ((one + i).expand(1, 2, -1, 3).clone(), (one - i).expand(1, 2, -1, 5).clone())
        for i in range(2)
    )


LIKE = layers_of([1])


def length_of(layers: Layers) -> int:
    return layers[0][0].shape[-2] if layers else 0


def equal(found: Layers, ids: Sequence[int]) -> bool:
    expected = layers_of(ids)
    pairs = zip(found, expected, strict=True)
    return all(torch.equal(k, a) and torch.equal(v, b) for (k, v), (a, b) in pairs)


def long_ids(of: Sequence[int]) -> list[int]:
    """Few choices, each repeated: many common beginnings that end in or between blocks."""
    return [token for token in of for _ in range(23)]


RUNS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=9).map(long_ids), max_size=8)


@settings(max_examples=60, deadline=None)
@given(kept=RUNS, asked=st.lists(st.integers(0, 2), min_size=1, max_size=9).map(long_ids))
def test_the_longest_common_beginning_of_all_that_was_kept_is_found(
    kept: list[list[int]], asked: list[int]
) -> None:
    prefixes = KeptPrefixes(10**9)
    for ids in kept:
        prefixes.keep(ids, layers_of(ids), kind="")
    found = prefixes.longest(asked, kind="")
    length = max((common_prefix(ids, asked) for ids in kept), default=0)
    assert length_of(found) == length
    assert length == 0 or equal(found, asked[:length])
    assert prefixes.longest(asked, kind="long") == ()


@settings(max_examples=60, deadline=None)
@given(kept=RUNS, tokens=st.integers(0, 600))
def test_memory_is_bounded_and_what_is_found_is_right(kept: list[list[int]], tokens: int) -> None:
    bound = tokens * TOKEN_BYTES
    prefixes = KeptPrefixes(bound)
    for ids in kept:
        prefixes.keep(ids, layers_of(ids), kind="")
        assert prefixes.stats.held_bytes == prefixes.held_tokens * TOKEN_BYTES <= bound
        found = prefixes.longest(ids, kind="")
        whole = len(ids) if len(ids) <= tokens else tokens // BLOCK_TOKENS * BLOCK_TOKENS
        assert length_of(found) >= whole, "what was used last is what stays"
        assert not found or equal(found, ids[: length_of(found)])


def test_prompts_that_begin_alike_share_their_blocks() -> None:
    prefixes = KeptPrefixes(10**9)
    shared = list(range(4 * BLOCK_TOKENS))
    for i in range(10):
        ids = [*shared, 1000 + i]
        prefixes.keep(ids, layers_of(ids), kind="")
    assert prefixes.held_tokens == len(shared) + 10


def test_what_is_kept_does_not_hold_on_to_the_run() -> None:
    """Views of a long run's tensors counted as little and kept all of them alive."""
    prefixes = KeptPrefixes(BLOCK_TOKENS * TOKEN_BYTES)
    ids = list(range(10 * BLOCK_TOKENS))
    layers = layers_of(ids)
    prefixes.keep(ids, layers, kind="")
    for pair in prefixes.longest(ids, kind=""):
        for tensor in pair:
            assert tensor.untyped_storage().nbytes() == tensor.nbytes


def test_what_was_used_longest_ago_goes_first() -> None:
    prefixes = KeptPrefixes(2 * BLOCK_TOKENS * TOKEN_BYTES)
    one, two, three = ([i] * BLOCK_TOKENS for i in (1, 2, 3))
    for ids in (one, two, one, three):
        prefixes.keep(ids, layers_of(ids), kind="")
    assert prefixes.longest(one, kind="") and prefixes.longest(three, kind="")
    assert prefixes.longest(two, kind="") == ()
    assert (prefixes.stats.held, prefixes.stats.evictions) == (2, 1)
    assert (prefixes.stats.hits, prefixes.stats.misses) == (2, 1)
    prefixes.clear()
    assert prefixes.longest(one, kind="") == () and prefixes.stats.held_bytes == 0


def test_no_bound_below_nothing() -> None:
    with pytest.raises(InputError, match="-1"):
        KeptPrefixes(-1)


# ---- on disk -------------------------------------------------------------------------------------

IDS = list(range(5, 5 + 2 * BLOCK_TOKENS + 9))


def on_disk(folder: Path, *, model: str = "m", max_bytes: int = 10**7) -> KeptPrefixes:
    files = KeptFiles(folder, max_bytes, suffix=".prefix")
    return KeptPrefixes(10**9, model=model, files=files)


def test_another_process_finds_the_whole_blocks(tmp_path: Path) -> None:
    on_disk(tmp_path).keep(IDS, layers_of(IDS), kind="")
    found = on_disk(tmp_path).longest(IDS, kind="", like=LIKE)
    assert length_of(found) == 2 * BLOCK_TOKENS and equal(found, IDS[: 2 * BLOCK_TOKENS])
    assert on_disk(tmp_path, model="other").longest(IDS, kind="", like=LIKE) == ()
    assert on_disk(tmp_path).longest(IDS, kind="long", like=LIKE) == ()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: b"",
        lambda content: content[:-5] + bytes([content[-5] ^ 1]) + content[-4:],
    ],
    ids=["cut", "empty", "one bit"],
)
def test_a_damaged_file_is_deleted_and_not_used(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    on_disk(tmp_path).keep(IDS, layers_of(IDS), kind="")
    for path in tmp_path.iterdir():
        path.write_bytes(damage(path.read_bytes()))
    prefixes = on_disk(tmp_path)
    assert prefixes.longest(IDS, kind="", like=LIKE) == ()
    assert prefixes.files is not None and prefixes.files.stats.damaged == 1
    prefixes.keep(IDS, layers_of(IDS), kind="")
    assert length_of(on_disk(tmp_path).longest(IDS, kind="", like=LIKE)) == BLOCK_TOKENS


@pytest.mark.parametrize("changed", ["ids", "width", "dtype", "layers", "none"])
def test_a_forged_file_with_a_right_checksum_is_not_used(tmp_path: Path, changed: str) -> None:
    from safetensors.torch import save

    ids = IDS[:BLOCK_TOKENS]
    on_disk(tmp_path).keep(ids, layers_of(ids), kind="")
    [name] = [path.stem for path in tmp_path.iterdir()]
    tensors = {"token_ids": torch.tensor(ids)}
    for i, (keys, values) in enumerate(layers_of(ids)):
        tensors |= {f"{i}.keys": keys, f"{i}.values": values}
    if changed == "ids":
        tensors["token_ids"] = tensors["token_ids"] + 1
    if changed == "width":
        tensors["1.keys"] = tensors["1.keys"][..., :2].contiguous()
    if changed == "dtype":
        tensors["0.values"] = tensors["0.values"].half()
    if changed == "layers":
        del tensors["1.values"]
    prefixes = on_disk(tmp_path)
    assert prefixes.files is not None
    prefixes.files.keep(name, save(tensors))
    found = prefixes.longest(ids, kind="", like=LIKE)
    assert length_of(found) == (len(ids) if changed == "none" else 0)


def test_the_folder_is_bounded_and_keeps_beginnings(tmp_path: Path) -> None:
    """Without its beginning a chain is of no use: ends go first."""
    on_disk(tmp_path / "all").keep(IDS, layers_of(IDS), kind="")
    one = max(path.stat().st_size for path in (tmp_path / "all").iterdir())
    small = on_disk(tmp_path / "small", max_bytes=one + 100)
    small.keep(IDS, layers_of(IDS), kind="")
    assert sum(path.stat().st_size for path in (tmp_path / "small").iterdir()) <= one + 100
    found = on_disk(tmp_path / "small").longest(IDS, kind="", like=LIKE)
    assert length_of(found) == BLOCK_TOKENS
