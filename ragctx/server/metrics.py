"""What a server did, in numbers, in the text format that Prometheus reads."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragctx.records import Answer

_HELP = {
    "ragctx_requests_total": "Requests, by route and status.",
    "ragctx_request_seconds_total": "Seconds spent on requests, by route.",
    "ragctx_answers_total": "Questions, by how they ended.",
    "ragctx_prompt_tokens_total": "Tokens of prompts.",
    "ragctx_reused_tokens_total": "Tokens of prompts that were read before and kept.",
    "ragctx_new_tokens_total": "Tokens of answers.",
    "ragctx_busy_total": "Requests that were turned away because others waited.",
}


class Metrics:
    """Counts; any thread may add to them.

    >>> metrics = Metrics()
    >>> metrics.add("ragctx_busy_total")
    >>> print(metrics.text({"ragctx_waiting": 2.0}).splitlines()[-1])
    ragctx_waiting 2
    """

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def add(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a count."""
        shown = ",".join(f'{key}="{_escaped(value)}"' for key, value in sorted(labels.items()))
        with self._lock:
            self._counts[name, f"{{{shown}}}" if shown else ""] += amount  # type: ignore[assignment]

    def add_answer(self, answer: Answer) -> None:
        """Count an answer and its tokens."""
        self.add("ragctx_answers_total", outcome=answer.outcome)
        self.add("ragctx_prompt_tokens_total", answer.prompt.token_count)
        self.add("ragctx_reused_tokens_total", answer.generation.reused_tokens)
        self.add("ragctx_new_tokens_total", len(answer.generation.token_ids))

    def text(self, now: dict[str, float]) -> str:
        """All counts, and what is so at the moment (gauges)."""
        with self._lock:
            counts = sorted(self._counts.items())
        lines = []
        for name, words in _HELP.items():
            lines += [f"# HELP {name} {words}", f"# TYPE {name} counter"]
            lines += [f"{key}{labels} {n:g}" for (key, labels), n in counts if key == name]
        for name, value in now.items():
            lines += [f"# TYPE {name} gauge", f"{name} {value:g}"]
        return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
