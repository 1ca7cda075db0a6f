"""What a server tells about its model: the tokens that it holds.

The protocol has no word for it, so every server has its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from ragctx.generator.openai.http import Server

_NAMES = (
    "max_model_len",  # vLLM, SGLang
    "loaded_context_length",  # LM Studio
    "context_length",  # OpenRouter, Together
    "context_window",  # Groq
    "max_context_length",  # Mistral
)
_OLLAMA_WINDOW = 4096  # what Ollama keeps of any model unless its parameters say another number


def ask_window(server: Server, model: str) -> int | None:
    """Tokens that `model` holds as it is served, prompt and answer together; None if not told.

    Raises ModelError if there is no server.
    """
    return next((window for window in _windows(server, model) if window), None)


def _windows(server: Server, model: str) -> Iterator[int | None]:
    """What each place tells, asked one after another."""
    path = urlsplit(server.url).path
    yield _listed(server.ask(f"{path}/models"), model)
    root = server.root
    props = _table(server.ask(f"{root}/props"))  # llama.cpp
    yield _whole(_table(props.get("default_generation_settings")).get("n_ctx"))
    yield _running_in_ollama(server.ask(f"{root}/api/ps"), model)
    yield _shown_by_ollama(_table(server.ask(f"{root}/api/show", {"model": model})))
    yield _whole(_table(server.ask(f"{root}/info")).get("max_total_tokens"))  # TGI
    yield _listed(server.ask(f"{root}/api/v0/models"), model)  # LM Studio


def _listed(listing: object, model: str) -> int | None:
    """The window in a list of models: that of the model's own row, or of the only one."""
    rows = [row for row in _table(listing).get("data") or () if isinstance(row, dict)]
    named = [row for row in rows if row.get("id") == model] or (rows if len(rows) == 1 else [])
    return next((n for row in named for name in _NAMES if (n := _whole(row.get(name)))), None)


def _running_in_ollama(running: object, model: str) -> int | None:
    """The window that Ollama has loaded a model with, if it has. Its tag may be left out."""
    rows = [row for row in _table(running).get("models") or () if isinstance(row, dict)]
    names = (model, f"{model}:latest")
    return next(
        (_whole(row.get("context_length")) for row in rows if row.get("name") in names), None
    )


def _shown_by_ollama(shown: dict[str, Any]) -> int | None:
    if parameter := re.search(r"(?m)^num_ctx\s+(\d{1,9})\b", str(shown.get("parameters", ""))):
        return int(parameter[1])
    trained = next(
        (n for name, n in _table(shown.get("model_info")).items() if "context_length" in name), None
    )
    return min(_OLLAMA_WINDOW, n) if (n := _whole(trained)) else None


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 1 else None
