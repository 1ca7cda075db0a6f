"""How the threads of torch and FAISS wait for each other.

Both compute with OpenMP, whose threads spin while they wait at a barrier: they keep a core busy, so
that they can go on at once. On a machine that has other work to do, they keep each other from
running. Seconds of a new process that answers one question, on two cores (Xeon with AVX-512),
with threads that sleep and with threads that spin:

- nothing else running (4 pairs): 2.6 to 3.0, and 2.5 to 3.0; medians 2.76 and 2.57;
- beside two busy processes (3 pairs): 4.1 to 4.5, and 4.6 to 6.5; medians 4.12 and 5.60;
- at a load of about nine (4 pairs, not repeated): 7 to 26, and 34 to 84.
"""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping

PASSIVE = {
    "OMP_WAIT_POLICY": "PASSIVE",  # every OpenMP
    "GOMP_SPINCOUNT": "0",  # GNU's, which comes with torch and FAISS: turns of the waiting loop
    "KMP_BLOCKTIME": "0",  # Intel's and LLVM's: milliseconds to wait before sleeping
}
"""The environment variables that OpenMP reads when it is loaded."""


def wait_passively(environment: MutableMapping[str, str] | None = None) -> bool:
    """Let OpenMP's threads sleep while they wait. Call it before torch or FAISS is imported.

    The command line does so. A variable of `PASSIVE` that is set already keeps its value.

    Args:
        environment: where to set the variables; default `os.environ`.

    Returns:
        Whether this was in time: False if torch or FAISS had been imported before.

    >>> environment = {"GOMP_SPINCOUNT": "1000"}
    >>> _ = wait_passively(environment)
    >>> environment["OMP_WAIT_POLICY"], environment["GOMP_SPINCOUNT"]
    ('PASSIVE', '1000')
    """
    environment = os.environ if environment is None else environment
    for name, value in PASSIVE.items():
        environment.setdefault(name, value)
    return not {"torch", "faiss"} & sys.modules.keys()
