"""Fill docs/compare.md with results: every number there comes from the commands shown with it.

    python -m benchmarks.compare_docs             # needs ../shared/data; minutes on two cores
    python -m benchmarks.compare_docs --quick     # few questions: only to see that it runs

Each command runs as a user would run it, with an empty cache, and its output goes between the
markers of the document as it is. The tiny Llama is trained on the way (`benchmarks.tiny_llama`).
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from benchmarks.common import environment

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "compare.md"
BEGIN, END = "<!-- results: begin -->\n", "<!-- results: end -->\n"
QA = "../shared/data/qa"


def sections(n: int, steps: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Title and commands. `$W` is a scratch folder; `ragctx` and `python` are those of this run."""
    yield (
        "The bundled reader, passages mined as hard negatives",
        (
            f"ragctx compare {QA}/squadshifts_newwiki.dev.jsonl.gz -n {n} --strategies all "
            "--positions 10,20 --budgets auto",
        ),
    )
    yield (
        "The bundled reader, real retrieval from the sample PDFs",
        (
            "ragctx ingest examples/samples/*.pdf --index $W/index",
            f"ragctx compare examples/samples/questions.jsonl --index $W/index -n {n} "
            "--budgets auto",
        ),
    )
    yield (
        "The bundled reader's position profile, by synthetic probes",
        (f"ragctx probe -n {n}",),
    )
    tiny = "--model $W/tiny --template $W/tiny/pairs.prompt --max-new-tokens 1"
    yield (
        "A second generator: a tiny Llama trained from scratch",
        (
            f"python -m benchmarks.tiny_llama --out $W/tiny --steps {steps}",
            f"ragctx probe {tiny} --questions $W/tiny/probes.jsonl -n {n}",
            f"ragctx compare $W/tiny/questions.jsonl {tiny} -n {n} --positions 10,20",
        ),
    )


def run(command: str, scratch: Path) -> str:
    """What a command prints on standard output; a command that fails ends the program."""
    began = perf_counter()
    programs = {"ragctx": f"{sys.executable} -m ragctx", "python": sys.executable}
    name, _, rest = command.partition(" ")
    place = {
        **os.environ,
        "W": str(scratch),
        "RAGCTX_CACHE_DIR": str(scratch / "cache"),
        "COLUMNS": "120",
        "NO_COLOR": "1",
    }
    line = f"{programs[name]} {rest}"
    shell = ["bash", "-c", line]  # which expands *.pdf and $W
    done = subprocess.run(shell, env=place, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command}\n{done.stderr}")
    print(f"{perf_counter() - began:6.1f} s  {shlex.join(command.split())}", file=sys.stderr)
    return done.stdout.replace(str(scratch), "$W")


def results(n: int, steps: int) -> str:
    about = environment()
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    parts = [f"Measured on {about['cpu']}, {about['cores']} cores; {versions}.\n"]
    with tempfile.TemporaryDirectory() as folder:
        for title, commands in sections(n, steps):
            parts.append(f"### {title}\n")
            for command in commands:
                output = "\n".join(line.rstrip() for line in run(command, Path(folder)).split("\n"))
                parts.append(f"```\n$ {command}\n{output.strip(chr(10))}".rstrip() + "\n```\n")
    return "\n".join(parts)


def main() -> None:
    """Run everything, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("-n", type=int, default=150)
    parser.add_argument("--steps", type=int, default=600)
    options = parser.parse_args()
    n, steps = (8, 20) if options.quick else (options.n, options.steps)
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{results(n, steps)}\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
