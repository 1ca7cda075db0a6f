"""What an ingest on Ray costs the process that drives it, beside the same ingest without Ray.

    python -m benchmarks.on_ray [PATH…] [--repeats 3]

Both run in turns on this machine, on the same processors, so Ray cannot be quicker here: the ratio
of the times is what it costs. The processor time of the driving process alone tells how many
machines one of them can keep busy: it reads and hashes files, sends them, and writes the index.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import ray

from benchmarks.common import result, table
from ragctx.embedding import Embedder, load_embedder
from ragctx.ingestion.on_ray.workers import on_ray
from ragctx.ingestion.run import ingest
from ragctx.ingestion.workers import Workers
from tests.support.paths import SAMPLES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", default=[str(SAMPLES)])
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    embedder = load_embedder()
    began = perf_counter()
    with on_ray(embedder) as workers:
        start_s = perf_counter() - began
        runs = [
            (measured(given.paths, embedder, None), measured(given.paths, embedder, workers))
            for _ in range(given.repeats)
        ]
        began = perf_counter()
    end_s = perf_counter() - began
    here, there = ([run[side] for run in runs] for side in (0, 1))
    about = {name: here[0][name] for name in ("files", "pages", "chunks")}
    driver_s = median(run["driver_cpu_s"] for run in there)
    table(
        ["", *about, "wall s", "CPU s of the driver"],
        [
            [name, *about.values(), median(run["s"] for run in side), side_cpu(side)]
            for name, side in (("here", here), ("on Ray", there))
        ],
    )
    result(
        "on_ray",
        **about,
        n=given.repeats,
        ray=ray.__version__,
        start_s=round(start_s, 2),
        end_s=round(end_s, 2),
        here=here,
        on_ray=there,
        time_ratio=round(median(b["s"] / a["s"] for a, b in runs), 3),
        driver_ms_per_file=round(1e3 * driver_s / about["files"], 2),
        driver_ms_per_chunk=round(1e3 * driver_s / about["chunks"], 3),
        cpu_ratio=round(median(a["driver_cpu_s"] / b["driver_cpu_s"] for a, b in runs), 1),
    )


def side_cpu(side: list[dict[str, Any]]) -> float:
    """Processor seconds of the driving process: the median of its runs."""
    return round(float(median(run["driver_cpu_s"] for run in side)), 3)


def measured(paths: list[str], embedder: Embedder, workers: Workers | None) -> dict[str, Any]:
    """One ingest into an empty index."""
    with tempfile.TemporaryDirectory() as folder:
        began, cpu_began = perf_counter(), process_time()
        rows = ingest(paths, Path(folder) / "index", embedder, workers=workers)
        s, driver_cpu_s = perf_counter() - began, process_time() - cpu_began
    return {
        "s": round(s, 3),
        "driver_cpu_s": round(driver_cpu_s, 3),
        "files": len(rows),
        "pages": sum(row.pages for row in rows),
        "chunks": sum(row.chunks for row in rows),
    }


if __name__ == "__main__":
    main()
