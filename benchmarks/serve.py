"""How long people wait for `ragctx serve`: one after another, and many at once.

    python -m benchmarks.serve

The sample PDFs and their questions, asked of a server in a process of its own. Every answer is
compared with that of the same question asked alone. At once: as many clients as said, each asking
one question; what is told to come again (503) does so after the second that it is told.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from benchmarks.common import result, table

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "examples" / "samples"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    questions = _questions()
    with tempfile.TemporaryDirectory() as folder, _served(Path(folder)) as address:
        alone, first = _asked(address, questions, clients=1)
        rows = [["one after another", len(alone), 0, *_percentiles(alone)]]
        for _ in range(arguments.repeats):
            crowd = (questions * arguments.clients)[: arguments.clients]
            waits, answers = _asked(address, crowd, clients=arguments.clients)
            wrong = sum(answers[question] != first[question] for question in answers)
            rows.append([f"{arguments.clients} at once", len(waits), wrong, *_percentiles(waits)])
    names = ("asked", "n", "other answers", "p50 ms", "p95 ms", "most ms")
    table(names, rows)
    result("serve", rows=[dict(zip(names, row, strict=True)) for row in rows])


def _questions() -> list[str]:
    lines = (SAMPLES / "questions.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["question"] for line in lines]


def _asked(
    address: str, questions: Sequence[str], *, clients: int
) -> tuple[list[float], dict[str, str]]:
    """Seconds of each question, and the answers."""
    answers: dict[str, str] = {}

    def ask(question: str) -> float:
        began = perf_counter()
        answers[question] = _answer(address, question)
        return perf_counter() - began

    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(ask, questions)), answers


def _answer(address: str, question: str) -> str:
    body = json.dumps({"question": question}).encode()
    while True:
        request = Request(f"{address}/ask", body, {"Content-Type": "application/json"})
        try:
            with urlopen(request) as response:
                return str(json.load(response)["answer"])
        except HTTPError as error:
            with error:
                if error.code != 503:
                    raise
                time.sleep(float(error.headers["Retry-After"]))


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "ragctx", "serve", str(SAMPLES / "*.pdf"), "--port", "0"]
    command += ["--index", str(folder / "index")]
    program = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert program.stderr is not None
        line = next(line for line in program.stderr if "serving on" in line)
        yield re.findall(r"http://\S+", line)[0]
        program.send_signal(signal.SIGINT)
        program.wait(30)
    finally:
        program.kill()
        program.communicate()


def _percentiles(seconds: Sequence[float]) -> list[float]:
    cuts = statistics.quantiles(seconds, n=20, method="inclusive")
    return [round(1000 * value, 1) for value in (cuts[9], cuts[18], max(seconds))]


if __name__ == "__main__":
    main()
