"""What every benchmark prints: a table for people, and a last line of JSON for machines."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from typing import Any

PACKAGES = (
    "ragctx",
    "onnxruntime",
    "torch",
    "faiss-cpu",
    "pypdfium2",
    "pypdf",
    "tokenizers",
    "numpy",
)

FLAGS = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_bf16",
    "asimd",
)


def environment() -> dict[str, Any]:
    """Hardware and versions, as a benchmark's result must name them."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "absent"
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "cpu_flags": _flags(),
        "python": platform.python_version(),
        "system": platform.system(),
        "versions": versions,
    }


def times_s(call: Callable[[], object], repeats: int) -> list[float]:
    """Wall-clock seconds of each of `repeats` calls, after one that is not counted."""
    call()
    measured = []
    for _ in range(repeats):
        began = perf_counter()
        call()
        measured.append(perf_counter() - began)
    return measured


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and most of some measurements."""
    return {
        "median": round(statistics.median(values), 6),
        "min": round(min(values), 6),
        "max": round(max(values), 6),
        "n": len(values),
    }


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print aligned columns."""
    cells = [list(map(str, header)), *[list(map(str, row)) for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    for first, *others in cells:
        aligned = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        sys.stdout.write("  ".join([first.ljust(widths[0]), *aligned]).rstrip() + "\n")


def result(name: str, **values: Any) -> None:
    """The last line: one JSON object with the environment in it."""
    sys.stdout.write(json.dumps({"benchmark": name, **environment(), **values}) + "\n")


def _flags() -> list[str]:
    """Of the instructions that matrix products use, those that this processor has."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    has = next((line.split() for line in lines if line.startswith(("flags", "Features"))), [])
    return [flag for flag in FLAGS if flag in has]


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()
