"""The API as an OpenAPI 3.1 document: what can be sent, and what comes back."""

from __future__ import annotations

from collections.abc import Sequence

from ragctx.server.bodies import FIELDS
from ragctx.views import View

_INTEGERS = (
    "k",
    "first_page",
    "last_page",
    "budget_tokens",
    "max_new_tokens",
    "max_chunks",
    "expand",
    "seed",
)
_NUMBERS = ("mmr_lambda", "min_confidence")
_FLAGS = ("trim", "strict")


def openapi(version: str) -> View:
    """The document.

    >>> sorted(openapi("1.0")["paths"]["/documents/{id}"])
    ['delete']
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ragctx",
            "version": version,
            "description": "Ask documents; JSON is that of the command line's --json.",
        },
        "paths": {
            "/ask": _asking("Answer a question, with checked sources.", "ragctx ask --json", True),
            "/search": _asking("Find passages.", "ragctx search --json"),
            "/prompt": _asking("Build a prompt that fits.", "ragctx prompt --json"),
            "/explain": _asking("Tell why each passage is in it.", "ragctx explain --json"),
            "/documents": {"get": _operation("What is in the index.", "a list of documents")},
            "/documents/{name}": {
                "put": _operation(
                    "Take in a PDF, or a text, Markdown, HTML or Word file.",
                    "its row of the ingest ledger, or events page, embedded, row",
                    path=["name"],
                )
                | {"requestBody": {"content": {"*/*": {"schema": {"type": "string"}}}}}
            },
            "/documents/{id}": {
                "delete": _operation("Take a document out.", "how many files", path=["id"])
            },
            "/documents/{id}/pages/{page}.png": {
                "get": _operation(
                    "A page as it looks, with a quote marked.",
                    "a picture (image/png)",
                    path=["id", "page"],
                    query=["quote", "scale"],
                )
            },
            "/documents/{id}/pages/{page}/boxes": {
                "get": _operation(
                    "Where a quote is, in shares of the page's width and height.",
                    "width, height, quote_boxes",
                    path=["id", "page"],
                    query=["quote", "scale"],
                )
            },
            "/documents/{id}/pages/{page}/text": {
                "get": _operation("A page as it was read.", "text", path=["id", "page"])
            },
            "/v1/chat/completions": {"post": _operation("As OpenAI's, also streamed.", "as there")},
            "/v1/models": {"get": _operation("As OpenAI's.", "as there")},
            "/v1/embeddings": {"post": _operation("As OpenAI's.", "as there")},
            "/healthz": {"get": _operation("Whether the server is there.", "status, version")},
            "/metrics": {"get": _operation("What was done, for Prometheus.", "text")},
        },
    }


def _asking(summary: str, answer: str, as_events: bool = False) -> View:
    told = " or, with Accept: text/event-stream, events text and answer" if as_events else ""
    operation = _operation(summary, f"the JSON of {answer}{told}")
    schema = {
        "type": "object",
        "required": ["question"],
        "additionalProperties": False,
        "properties": {name: _type(name) | {"description": d} for name, d in FIELDS.items()},
    }
    operation["requestBody"] = {
        "required": True,
        "content": {"application/json": {"schema": schema}},
    }
    return {"post": operation}


def _type(name: str) -> View:
    if name in _INTEGERS:
        return {"type": "integer"}
    if name in _NUMBERS:
        return {"type": "number", "minimum": 0, "maximum": 1}
    if name in _FLAGS:
        return {"type": "boolean"}
    if name == "documents":
        return {"type": "array", "items": {"type": "string"}}
    return {"type": "string"}


def _operation(
    summary: str, answer: str, *, path: Sequence[str] = (), query: Sequence[str] = ()
) -> View:
    def parameter(name: str, place: str) -> View:
        return {
            "name": name,
            "in": place,
            "required": place == "path",
            "schema": {"type": "string"},
        }

    return {
        "summary": summary,
        "parameters": [
            *(parameter(name, "path") for name in path),
            *(parameter(name, "query") for name in query),
        ],
        "responses": {
            "200": {"description": answer},
            "400": {"description": 'wrong request: {"error": {"message": …}}'},
            "503": {"description": "busy; Retry-After tells when to come again"},
        },
    }
