"""Whether this checkout gives the same output as another revision, on the sample PDFs.

    python -m benchmarks.same_output REVISION      # minutes; exit code 1 if anything differs

Both read the samples into an index of their own; then every `--json` output is compared key by key,
the vectors bit by bit, and the files of a comparison's report byte by byte, made from one result.
Times are left out. Run it after a change that should change nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "examples" / "samples"
TIMES = ("seconds", "timing", "prefill_s", "decode_s", "latency", "per_s")
"""A key that holds one of these is a time."""
REPORT = """
import sys
from pathlib import Path
from ragctx.evaluation.results import Result
try:
    from ragctx.evaluation.report.write import write_report
except ImportError:
    from ragctx.evaluation.report import write_report
write_report(Result.from_json(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
"""


def questions() -> list[str]:
    """The questions about the samples."""
    lines = (SAMPLES / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["question"] for line in lines]


class Revision:
    """A checkout of ragctx with a folder for what it writes."""

    def __init__(self, tree: Path, folder: Path) -> None:
        self.tree, self.folder = tree, folder
        self.folder.mkdir()
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(tree),
            "RAGCTX_CACHE_DIR": str(folder / "cache"),
            "COLUMNS": "100",
            "OMP_WAIT_POLICY": "PASSIVE",
            "GOMP_SPINCOUNT": "0",
        }

    def python(self, *arguments: str) -> str:
        """What a Python with this checkout's ragctx prints."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        if done.returncode not in (0, 3):
            return json.dumps({"failed": done.stderr})
        return done.stdout

    def ragctx(self, *arguments: str) -> object:
        """The objects that a command prints."""
        printed = self.python("-m", "ragctx", *arguments)
        try:
            return json.loads(printed)
        except ValueError:
            return [json.loads(line) for line in printed.splitlines()]

    def outputs(self, asked: int) -> Iterator[tuple[str, object]]:
        """Each output by its name, one after another."""
        pdfs = sorted(str(path) for path in SAMPLES.glob("*.pdf"))
        index = ("--index", "index")
        yield "ingest", self.ragctx("ingest", *pdfs, *index, "--json")
        yield "vectors", self.vectors()
        batch = self.folder / "questions.txt"
        batch.write_text("\n".join(questions()), encoding="utf-8")
        yield "ask --batch", self.ragctx("ask", "--batch", str(batch), *index, "--json")
        for question in questions()[:asked]:
            for retriever in ("hybrid", "lexical"):
                chosen = (question, *index, "--retriever", retriever, "--json")
                yield f"search {retriever}: {question}", self.ragctx("search", *chosen)
            for template in ("qa", "reader", "qa_by_document"):
                options = (question, *index, "--template", template, "--budget-tokens", "900")
                yield f"prompt {template}: {question}", self.ragctx("prompt", *options, "--json")
            yield f"explain: {question}", self.ragctx("explain", question, *index, "--json")
            attributed = self.ragctx("ask", question, *index, "--attribute", "--json")
            yield f"ask --attribute: {question}", attributed

    def vectors(self) -> str:
        """A hash of all vectors of the index, in the order of their chunks' ids."""
        with closing(sqlite3.connect(self.folder / "index" / "ragctx.sqlite3")) as connection:
            rows = connection.execute(
                "SELECT c.id, v.vector FROM vectors v JOIN chunks c ON c.row = v.row ORDER BY c.id"
            ).fetchall()
        return hashlib.sha256(repr(rows).encode()).hexdigest()

    def compare(self, rows: int) -> Path:
        """The folder of a report."""
        file = str(SAMPLES / "questions.jsonl")
        self.python(
            "-m",
            "ragctx",
            "compare",
            file,
            "--index",
            "index",
            "-n",
            str(rows),
            "--budgets",
            "256,512",
            "-o",
            "report",
        )
        return self.folder / "report"

    def report(self, result: Path, name: str) -> dict[str, bytes]:
        """The files of the report of a result, made by this checkout."""
        folder = self.folder / name
        self.python("-c", REPORT, str(result), str(folder))
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def without_times(value: object) -> object:
    """A JSON value without keys that hold times."""
    if isinstance(value, dict):
        return {
            key: without_times(inner)
            for key, inner in value.items()
            if not any(word in key for word in TIMES)
        }
    return [without_times(inner) for inner in value] if isinstance(value, list) else value


def differences(
    before: object, after: object, path: str = "", *, within: float = 0.0
) -> Iterator[str]:
    """Where two JSON values differ; numbers by more than `within`."""
    if isinstance(before, float) and isinstance(after, float) and abs(before - after) <= within:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before.keys() | after.keys():
            yield from differences(before.get(key), after.get(key), f"{path}.{key}", within=within)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for i, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from differences(one, other, f"{path}[{i}]", within=within)
    elif before != after:
        yield f"{path}: {str(before)[:80]!r} -> {str(after)[:80]!r}"


def main() -> None:
    """Compare and print; exit code 1 when something differs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("revision", help="a commit, as git names it")
    parser.add_argument(
        "--asked", type=int, default=5, help="questions for search, prompt, explain"
    )
    parser.add_argument("--compared", type=int, default=12, help="questions for compare")
    parser.add_argument(
        "--within", type=float, default=0.0, help="numbers that differ by no more count as equal"
    )
    given = parser.parse_args()
    found: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tree = folder / "tree"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", "-q", str(tree), given.revision], check=True)
        try:
            old, new = Revision(tree, folder / "old"), Revision(ROOT, folder / "new")
            outputs = 0
            for (what, before), (_, after) in zip(
                old.outputs(given.asked), new.outputs(given.asked), strict=True
            ):
                outputs += 1
                changed = differences(
                    without_times(before), without_times(after), within=given.within
                )
                found += [f"{what}: {line}" for line in changed]
            results = [revision.compare(given.compared) / "result.json" for revision in (old, new)]
            before, after = (without_times(json.loads(r.read_text())) for r in results)
            found += [
                f"compare: {line}" for line in differences(before, after, within=given.within)
            ]
            pages = [revision.report(results[0], "again") for revision in (old, new)]
            found += [f"report: {file}" for file in pages[0] if pages[0][file] != pages[1][file]]
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)
    for line in found:
        print(line)
    print(f"{outputs} outputs, a comparison and its report: {len(found)} differences")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
