"""How fast PDFs are read, one after the other, beside another revision of ragctx.

Each revision reads all files in a program of its own, in turn; what counts is its best round, of
the seconds by the clock and of processor time with that of the processes that read. Where the
revision can fork those, it does, as `ragctx ingest` does; `--processes` may read a long file at
once.

python -m benchmarks.reading                                # all of ../shared/data/pdf
python -m benchmarks.reading folder/ --against fd6e545 --rounds 3
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.common import result, table
from benchmarks.revisions import ROOT, checked_out

COLLECTION = ROOT.parent / "shared" / "data" / "pdf"

READ = """
import inspect, json, resource, sys, time, warnings
from contextlib import ExitStack
from pathlib import Path
warnings.simplefilter("ignore")
from ragctx.errors import RagctxError
from ragctx.pdf import read_pdf
processes, *paths = sys.argv[1:]

def spent():
    own, others = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime

known = inspect.signature(read_pdf).parameters
began, worked, pages, failed = time.perf_counter(), spent(), 0, 0
with ExitStack() as stack:
    options = {"processes": int(processes)} if "processes" in known else {}
    if "readers" in known:
        from ragctx.pdf.readers import ForkedReaders
        options["readers"] = stack.enter_context(ForkedReaders())
    for path in paths:
        try:
            pages += len(read_pdf(Path(path), **options).pages)
        except RagctxError:
            failed += 1
print(json.dumps({"seconds": time.perf_counter() - began, "processor_s": spent() - worked,
                  "pages": pages, "failed": failed}))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=COLLECTION)
    parser.add_argument("--against", metavar="REV", help="let another revision read the same")
    parser.add_argument("--processes", type=int, default=1, help="for one file (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(default %(default)s)")
    asked = parser.parse_args()
    paths = sorted(map(str, asked.folder.rglob("*.pdf")))
    if not paths:
        sys.exit(f"no PDF in {asked.folder}")
    with ExitStack() as stack:
        trees = {"this": ROOT}
        if asked.against:
            trees[asked.against] = stack.enter_context(checked_out(asked.against))
        rounds = [
            {name: _read(tree, asked.processes, paths) for name, tree in trees.items()}
            for _ in range(asked.rounds)
        ]
    best = {
        name: {key: min(one[name][key] for one in rounds) for key in rounds[0][name]}
        for name in trees
    }
    table(
        ("revision", "pages", "failed", "seconds", "pages/s", "processor s"),
        [
            (
                name,
                one["pages"],
                one["failed"],
                f"{one['seconds']:.2f}",
                f"{one['pages'] / one['seconds']:.0f}",
                f"{one['processor_s']:.2f}",
            )
            for name, one in best.items()
        ],
    )
    ratios = {
        key: round(best[asked.against][key] / best["this"][key], 3)
        for key in ("seconds", "processor_s")
        if asked.against
    }
    if ratios:
        print(f"pages a second, of those of {asked.against}: {ratios['seconds']:.2f}")
    result(
        "reading",
        files=len(paths),
        rounds=asked.rounds,
        processes=asked.processes,
        best=best,
        against=asked.against,
        speed=ratios,
    )


def _read(tree: Path, processes: int, paths: list[str]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", READ, str(processes), *paths],
        env={**os.environ, "PYTHONPATH": str(tree)},
        cwd=tree,
        stdout=subprocess.PIPE,
        check=True,
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


if __name__ == "__main__":
    main()
