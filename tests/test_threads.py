"""Laws of threads that wait: they leave the cores to whoever has work to do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import pytest

from ragctx.threads import (
    COUNTS,
    PASSIVE,
    THREADS,
    each,
    limit_threads,
    physical_cores,
    thread_count,
    wait_passively,
)
from tests.support.paths import SAMPLES

SHOW = (
    "import os; from ragctx.cli import program; "
    "program.run = lambda: print(*(os.environ[name] for name in {names!r})); program.main()"
)


def test_the_command_line_lets_threads_sleep_before_torch_is_there() -> None:
    code = SHOW.format(names=[*PASSIVE])
    environment = {name: value for name, value in os.environ.items() if name not in PASSIVE}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.stdout.split() == [*PASSIVE.values()], done.stderr


def test_what_the_user_set_is_kept() -> None:
    environment = {"OMP_WAIT_POLICY": "ACTIVE"}
    wait_passively(environment)
    assert environment == {**PASSIVE, "OMP_WAIT_POLICY": "ACTIVE"}


def test_threads_are_as_many_as_cores_or_as_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(THREADS, raising=False)
    assert thread_count() == physical_cores() and 1 <= physical_cores() <= (os.cpu_count() or 1)
    monkeypatch.setenv(THREADS, "3")
    assert thread_count() == 3
    environment = {"OMP_NUM_THREADS": "1"}
    limit_threads(environment)
    assert environment == {**dict.fromkeys(COUNTS, "3"), "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize("wrong", ["0", "-1", "two", "1.5"])
def test_a_number_of_threads_that_is_none_is_wrong_usage(wrong: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ragctx", "index", "info"],
        env={**os.environ, THREADS: wrong},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr == f"error: {THREADS} is {wrong!r}; set it to 1 or more, or unset it\n"


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_results_come_in_the_order_of_the_items(threads: int) -> None:
    def slow_first(item: int) -> int:
        time.sleep(0.01 * (3 - item))
        return item * item

    assert list(each(slow_first, [0, 1, 2, 3], threads)) == [0, 1, 4, 9]
    with pytest.raises(ZeroDivisionError):
        list(each(lambda item: 1 // item, [1, 0, 1], threads))


@pytest.mark.parametrize(("first", "in_time"), [("", True), ("import faiss; ", False)])
def test_being_late_is_told(first: str, in_time: bool) -> None:
    code = f"{first}from ragctx.threads import wait_passively; print(wait_passively())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(in_time)


@contextmanager
def busy_neighbours(count: int) -> Iterator[None]:
    """As many processes that compute without end."""
    neighbours = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)
    ]
    try:
        yield
    finally:
        for neighbour in neighbours:
            neighbour.kill()
            neighbour.wait()


def ask_s(index: Path, variables: Mapping[str, str]) -> float:
    """Seconds of a new process that answers one question."""
    question = "For how many years should the station's battery last?"
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "ragctx", "ask", question, "--index", str(index)],
        env={**os.environ, **variables},
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - began


@pytest.mark.slow
def test_beside_busy_processes_a_question_takes_no_longer_than_with_threads_that_spin(
    tmp_path: Path,
) -> None:
    # With OpenMP's own defaults it took longer the busier the machine was; see ragctx.threads.
    index = tmp_path / "index"
    pdf = str(SAMPLES / "field-station-manual.pdf")
    subprocess.run(
        [sys.executable, "-m", "ragctx", "ingest", pdf, "--index", str(index)],
        check=True,
        capture_output=True,
    )
    spinning = {"GOMP_SPINCOUNT": "300000", "KMP_BLOCKTIME": "200"}  # the libraries' own defaults
    with busy_neighbours(os.cpu_count() or 2):
        pairs = [(ask_s(index, {}), ask_s(index, spinning)) for _ in range(2)]
    ratio = median(asleep / awake for asleep, awake in pairs)
    assert ratio < 1.2, f"seconds asleep and spinning: {pairs}"
