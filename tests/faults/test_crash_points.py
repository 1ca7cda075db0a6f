"""The law of crashes: wherever a writer ends, what was committed is there, whole, and goes on.

A C shim, preloaded, ends the process before its n-th call that changes a file (write, rename,
unlink, fsync, ftruncate …), or in the middle of it, or lets the disk be full from there on. What
must hold then is in `crash_points`: after each of several hundred points, an index is sound, holds
one of the states that it went through and none older than what was reported done, finds the
passages of its documents and no others, and the same work done again ends as if nothing had been.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

SHIM = ROOT / "tests" / "support" / "faulty_calls.c"
OPERATIONS = (
    "ingest",
    "replace",
    "remove",
    "compact",
    "migrate",
    "repair",
    "salvage",
    "salvage-log",
    "passages",
    "answers",
)


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("needs Linux and a C compiler, for the calls are taken over by a C library")
    library = tmp_path_factory.mktemp("shim") / "faulty_calls.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", library, SHIM, "-ldl"], check=True, timeout=60
    )
    return library


def tried(shim: Path, folder: Path, how: str, points: int, *operations: str) -> int:
    """How many points were tried; fails if anything was wrong after one of them."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.crash_points", folder, how, str(points), *operations],
        cwd=ROOT,
        env={**os.environ, "LD_PRELOAD": str(shim), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=1000,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["operation"] for line in found] == list(operations)
    for line in found:
        assert line["points"] > 1 and line["wrong"] == {}, line["operation"]
    return sum(line["points"] for line in found)


def test_a_few_points_of_everything_that_writes(shim: Path, tmp_path: Path) -> None:
    assert tried(shim, tmp_path, "KILLED", 2, *OPERATIONS) >= 2 * len(OPERATIONS)


def test_a_full_disk_never_costs_what_a_repair_could_save(shim: Path, tmp_path: Path) -> None:
    # The new database took the place of the old one before its log was written into it: where the
    # disk was full by then, closing it said nothing, and every document was gone.
    assert tried(shim, tmp_path, "FULL", 20, "salvage") >= 20


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_killed_before_any_call_that_changes_a_file(shim: Path, tmp_path: Path) -> None:
    assert tried(shim, tmp_path, "KILLED", 0, *OPERATIONS) > 1000


@pytest.mark.slow
@pytest.mark.parametrize("how", ["TORN", "FULL"])
def test_a_torn_write_or_a_full_disk(shim: Path, tmp_path: Path, how: str) -> None:
    assert tried(shim, tmp_path, how, 25, *OPERATIONS) > 180
