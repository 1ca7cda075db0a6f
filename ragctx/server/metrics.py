"""What a server did, in numbers, in the text format that Prometheus reads."""

from __future__ import annotations

import math
import threading
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragctx.records import Answer

BUCKETS_S = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Seconds in which requests are counted: a page from memory to a large model on a processor."""
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"))
_HELP = {
    "ragctx_requests_total": "Requests, by method, route and status.",
    "ragctx_request_seconds": "Seconds from a request to the end of its answer, by route.",
    "ragctx_answers_total": "Questions, by how they ended.",
    "ragctx_prompt_tokens_total": "Tokens of prompts.",
    "ragctx_reused_tokens_total": "Tokens of prompts that were read before and kept.",
    "ragctx_new_tokens_total": "Tokens of answers.",
    "ragctx_busy_total": "Requests that were turned away because others waited.",
    "ragctx_mcp_calls_total": "Calls of tools by agents (MCP), by tool and outcome.",
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

    def add_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        method = method if method in _METHODS else "other"
        self.add("ragctx_requests_total", method=method, route=route, status=str(status))
        for most in (*BUCKETS_S, math.inf):
            if seconds <= most:
                edge = f"{most:g}" if most < math.inf else "+Inf"
                self.add("ragctx_request_seconds_bucket", route=route, le=edge)
        self.add("ragctx_request_seconds_sum", seconds, route=route)
        self.add("ragctx_request_seconds_count", route=route)

    def add_answer(self, answer: Answer) -> None:
        """Count an answer and its tokens."""
        self.add("ragctx_answers_total", outcome=answer.outcome)
        self.add("ragctx_prompt_tokens_total", answer.prompt.token_count)
        self.add("ragctx_reused_tokens_total", answer.generation.reused_tokens)
        self.add("ragctx_new_tokens_total", len(answer.generation.token_ids))

    def add_mcp_call(self, tool: str, outcome: str) -> None:
        """Count a call of a tool: "ok", "error", "busy", or "left" by who called."""
        self.add("ragctx_mcp_calls_total", tool=tool, outcome=outcome)

    def text(self, now: dict[str, float]) -> str:
        """All counts, and what is so at the moment (gauges)."""
        with self._lock:
            counts = sorted(self._counts.items())
        lines = []
        for name, words in _HELP.items():
            kind = "counter" if name.endswith("_total") else "histogram"
            lines += [f"# HELP {name} {words}", f"# TYPE {name} {kind}"]
            parts = (name, f"{name}_bucket", f"{name}_sum", f"{name}_count")
            lines += [f"{key}{labels} {n:.10g}" for (key, labels), n in counts if key in parts]
        for name, value in now.items():
            lines += [f"# TYPE {name} gauge", f"{name} {value:g}"]
        return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
