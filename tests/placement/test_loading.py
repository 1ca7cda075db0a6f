"""Laws of strategies of one's own: tried before they are trusted, named without side effects."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.errors import InputError
from ragctx.placement.laws import check_laws
from ragctx.placement.loading import load_strategy
from ragctx.placement.strategies import STRATEGIES, place, register
from ragctx.records import Hit

Order = Callable[[Sequence[Hit]], Sequence[Hit]]


def make_hits(n: int) -> list[Hit]:
    return [Hit.from_text(rank, 1 / rank, f"text {rank}") for rank in range(1, n + 1)]


def second_first(hits: Sequence[Hit]) -> Sequence[Hit]:
    return (*hits[1:2], *hits[:1], *hits[2:])


# ---- Laws --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_of_ours_holds_to_the_laws(name: str) -> None:
    check_laws(name, STRATEGIES[name])


def sorts_in_place(hits: list[Hit]) -> list[Hit]:
    hits.sort(key=lambda hit: -hit.rank)
    return hits


def empties_the_list(hits: list[Hit]) -> list[Hit]:
    return [hits.pop() for _ in list(hits)]


def makes_new_hits(hits: Sequence[Hit]) -> list[Hit]:
    return [Hit.from_text(hit.rank, hit.score, hit.chunk.text) for hit in hits]


def takes_turns() -> Order:
    turn = count()
    return lambda hits: hits if next(turn) % 2 else hits[::-1]


def shuffles(hits: Sequence[Hit]) -> list[Hit]:
    return random.sample(list(hits), len(hits))


def loses_an_odd_one(hits: Sequence[Hit]) -> Sequence[Hit]:
    return hits[:-1] if len(hits) % 2 and len(hits) > 2 else hits


@pytest.mark.parametrize(
    ("strategy", "why"),
    [
        (lambda hits: hits[:1], "no permutation: for ranks 1 2 it gave 1."),
        (lambda hits: [*hits, *hits[:1]], "no permutation: for ranks 1 it gave 1 1."),
        (lambda hits: (), "no permutation: for ranks 1 it gave none."),
        (lambda hits: [hit.rank for hit in hits], "no permutation: for ranks 1 it gave 1."),
        (makes_new_hits, "no permutation: for ranks 1 it gave 1."),
        (loses_an_odd_one, "no permutation: for ranks 1 2 3 it gave 1 2."),
        (sorts_in_place, "changes the list it is given: ranks 1 2 became 2 1."),
        (empties_the_list, "changes the list it is given: ranks 1 became none."),
        (takes_turns(), "not deterministic: for ranks 1 2 it gave"),
        (shuffles, "not deterministic: for ranks"),
        (lambda hits: [hits[0], *hits[1:]], "fails for no hits, given as a list: IndexError"),
        (lambda hits: [hits[1], hits[0]] if hits else [], "fails for ranks 1, given as a list"),
        (lambda hits: None, "fails for no hits, given as a list: TypeError"),
        (lambda hits: hits.copy(), "fails for no hits, given as a tuple: AttributeError"),
        (lambda hits: sorted(hits, key=lambda hit: -hit.score), "scores that are None"),
    ],
)
def test_a_broken_law_is_named_with_the_hits_that_show_it(strategy: Order, why: str) -> None:
    with pytest.raises(InputError) as caught:
        register("mine", strategy)
    assert str(caught.value).startswith("The strategy mine ")
    assert why in str(caught.value)


@given(st.permutations(range(10)))
def test_any_order_of_places_is_lawful_when_it_keeps_every_hit(places: list[int]) -> None:
    def by_places(hits: Sequence[Hit]) -> list[Hit]:
        return [hits[place] for place in places if place < len(hits)]

    mine = register("by_places", by_places)
    placed = place(make_hits(10), "by_places", strategies=mine)
    assert [hit.rank - 1 for hit in placed.hits] == places
    assert placed.strategy == "by_places"


# ---- Names -------------------------------------------------------------------------------------


def test_registering_changes_nothing_that_was_there() -> None:
    before = dict(STRATEGIES)
    mine = register("second_first", second_first)
    both = register("backwards", lambda hits: hits[::-1], mine)
    assert dict(STRATEGIES) == before
    assert list(both) == [*before, "second_first", "backwards"]
    assert "backwards" not in mine
    with pytest.raises(InputError, match="No placement is called 'second_first'"):
        place(make_hits(2), "second_first")
    with pytest.raises(TypeError):
        mine["other"] = second_first  # type: ignore[index]


def test_the_built_in_names_work_beside_one_s_own() -> None:
    mine = register("second_first", second_first)
    assert [h.rank for h in place(make_hits(3), "second_first", strategies=mine).hits] == [2, 1, 3]
    assert place(make_hits(6), "random", seed=3, strategies=mine) == place(
        make_hits(6), "random", seed=3
    )


def test_a_name_that_is_taken_is_refused() -> None:
    mine = register("second_first", second_first)
    with pytest.raises(InputError, match="'edges' already"):
        register("edges", second_first)
    with pytest.raises(InputError, match="'second_first' already"):
        register("second_first", second_first, mine)


@pytest.mark.parametrize("name", ["", "two words", "a:b", "1st"])
def test_a_name_that_could_be_mistaken_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="cannot name a strategy"):
        register(name, second_first)


# ---- From a user's file ------------------------------------------------------------------------

ORDERS = """
import helper
def backwards(hits):
    return hits[::-1]
def only_best(hits):
    return hits[:1]
twelve = 12
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "helper.py").write_text("")
    (tmp_path / "our_orders.py").write_text(ORDERS)
    (tmp_path / "lone_order.py").write_text(ORDERS.replace("import helper", ""))
    (tmp_path / "json.py").write_text("raise RuntimeError('not the one that was meant')")
    (tmp_path / "failing.py").write_text("raise RuntimeError('no data')")
    (tmp_path / "leaving.py").write_text("raise SystemExit")
    monkeypatch.chdir(tmp_path)
    for name in ("helper", "our_orders", "failing", "leaving"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


@pytest.mark.parametrize("spec", ["our_orders:backwards", "lone_order.py:backwards"])
def test_a_function_is_found_in_the_current_folder(folder: Path, spec: str) -> None:
    search_path = list(sys.path)
    strategy = load_strategy(spec)
    assert [hit.rank for hit in place(make_hits(3), strategy).hits] == [3, 2, 1]
    assert place(make_hits(1), strategy).strategy == "backwards"
    assert sys.path == search_path


def test_a_file_elsewhere_is_named_by_its_path(folder: Path) -> None:
    strategy = load_strategy(f"{folder}/lone_order.py:backwards")
    assert [hit.rank for hit in place(make_hits(2), strategy).hits] == [2, 1]


def test_a_file_lying_about_takes_no_installed_module_s_place(folder: Path) -> None:
    with pytest.raises(InputError, match="json has no function 'backwards'"):
        load_strategy("json:backwards")


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("edges", "names no function"),
        ("our_orders:", "names no function"),
        (":backwards", "names no function"),
        ("our_orders:sideways", "our_orders has no function 'sideways'"),
        ("our_orders:twelve", "our_orders has no function 'twelve'"),
        ("our_orders:only_best", "The strategy only_best is no permutation"),
        ("no_such_module:order", "No module named 'no_such_module'. Install it"),
        ("no_such_file.py:order", "No such file or directory.* Check the path"),
        ("failing:order", "failing cannot be imported: RuntimeError: no data"),
        ("leaving:order", "leaving cannot be imported: SystemExit"),
        ("..:order", "cannot be imported"),
    ],
)
def test_what_cannot_be_loaded_is_said(folder: Path, spec: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        load_strategy(spec)


def test_no_code_is_imported_by_a_name_without_a_colon(folder: Path) -> None:
    (folder / "edges.py").write_text("raise RuntimeError('imported')")
    code = "from ragctx.placement.strategies import place; place([], 'edges')"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=folder)
