"""How many threads compute, and how they wait for each other.

The bundled models run one text a thread (`each`): no run waits for another, so nothing spins.
FAISS, and torch where a Hugging Face model runs, compute with OpenMP, whose threads spin while they
wait at a barrier: they keep a core busy, so that they can go on at once. On a machine that has
other work to do, they keep each other from running. Seconds of a new process that answered one
question when torch ran the bundled models, on two cores (Xeon with AVX-512), with threads that
sleep and with threads that spin:

- nothing else running (4 pairs): 2.6 to 3.0, and 2.5 to 3.0; medians 2.76 and 2.57;
- beside two busy processes (3 pairs): 4.1 to 4.5, and 4.6 to 6.5; medians 4.12 and 5.60;
- at a load of about nine (4 pairs, not repeated): 7 to 26, and 34 to 84.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from pathlib import Path
from typing import TypeVar

from ragctx.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")

THREADS = "RAGCTX_THREADS"
"""The environment variable that sets how many threads compute."""

PASSIVE = {
    "OMP_WAIT_POLICY": "PASSIVE",  # every OpenMP
    "GOMP_SPINCOUNT": "0",  # GNU's, which comes with torch and FAISS: turns of the waiting loop
    "KMP_BLOCKTIME": "0",  # Intel's and LLVM's: milliseconds to wait before sleeping
    "OPENBLAS_NUM_THREADS": "1",  # numpy's: they spin whatever is said, for products this small
}
"""The environment variables that OpenMP and OpenBLAS read when they are loaded."""

COUNTS = (
    "OMP_NUM_THREADS",  # FAISS, and torch
    "RAYON_NUM_THREADS",  # tokenizers, which encodes lists of texts in parallel
)
"""The environment variables by which libraries are told how many threads to use."""

_CORES = Path("/sys/devices/system/cpu")


def thread_count() -> int:
    """How many threads compute: `RAGCTX_THREADS`, or the physical cores that may be used.

    Raises InputError if the variable is not a whole number of 1 or more.
    """
    asked = os.environ.get(THREADS, "")
    if not asked:
        return physical_cores()
    if not asked.isdecimal() or int(asked) < 1:
        raise InputError(f"{THREADS} is {asked!r}; set it to 1 or more, or unset it")
    return int(asked)


def physical_cores() -> int:
    """Cores that this process may run on, two threads of one core counted once; at least 1."""
    if not hasattr(os, "sched_getaffinity"):  # not Linux: it cannot be told which are of one core
        return os.cpu_count() or 1
    return len({_siblings(cpu) for cpu in os.sched_getaffinity(0)}) or 1


def _siblings(cpu: int) -> str:
    """The processors that share a core with this one, itself included."""
    try:
        return (_CORES / f"cpu{cpu}" / "topology" / "thread_siblings_list").read_text("ascii")
    except OSError:
        return str(cpu)


def each(work: Callable[[Item], Result], items: Sequence[Item], threads: int) -> Iterator[Result]:
    """What `work` returns for each item, in their order, computed by as many threads.

    >>> list(each(abs, [-1, 2, -3], threads=2))
    [1, 2, 3]
    """
    if threads == 1 or len(items) < 2:
        yield from map(work, items)
        return
    from concurrent.futures import ThreadPoolExecutor  # not on the way to `ragctx --help`

    with ThreadPoolExecutor(min(threads, len(items))) as pool:
        yield from pool.map(work, items)


def wait_passively(environment: MutableMapping[str, str] | None = None) -> bool:
    """Let no library's threads spin. Call it before numpy, torch or FAISS is imported.

    The command line does so, and so should a program that answers questions: on two cores an answer
    from 4,096 cached tokens took twice the processor time where numpy's threads spun. A variable of
    `PASSIVE` that is set already keeps its value.

    Args:
        environment: where to set the variables; default `os.environ`.

    Returns:
        Whether this was in time: False if numpy, torch or FAISS had been imported before.

    >>> environment = {"GOMP_SPINCOUNT": "1000"}
    >>> _ = wait_passively(environment)
    >>> environment["OMP_WAIT_POLICY"], environment["GOMP_SPINCOUNT"]
    ('PASSIVE', '1000')
    """
    environment = os.environ if environment is None else environment
    for name, value in PASSIVE.items():
        environment.setdefault(name, value)
    return not {"numpy", "torch", "faiss"} & sys.modules.keys()


def limit_threads(environment: MutableMapping[str, str] | None = None) -> None:
    """Let other libraries use no more threads than `thread_count`. Call it before their import.

    The command line does so. A variable of `COUNTS` that is set already keeps its value;
    `environment` is as for `wait_passively`.

    Raises InputError if `RAGCTX_THREADS` is not a whole number of 1 or more.
    """
    environment = os.environ if environment is None else environment
    for name in COUNTS:
        environment.setdefault(name, str(thread_count()))
