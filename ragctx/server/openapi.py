"""The API as an OpenAPI 3.1 document: what can be sent, and what comes back."""

from __future__ import annotations

from collections.abc import Sequence

from ragctx.placement.strategies import STRATEGIES
from ragctx.retrieval import RETRIEVERS
from ragctx.selection.selectors import SELECTORS
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
_MESSAGE: View = {"type": "object", "properties": {"message": {"type": "string"}}}
_ERROR: View = {
    "application/json": {"schema": {"type": "object", "properties": {"error": _MESSAGE}}}
}
_EVENTS = ("application/json", "text/event-stream")
_NAMES = {"retriever": RETRIEVERS, "placement": STRATEGIES, "select": SELECTORS}


def openapi(version: str) -> View:
    """The document.

    >>> sorted(openapi("1.0")["paths"]["/documents/{document}"])
    ['delete', 'put']
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
            "/documents": {
                "get": _operation("What is in the index.", "the JSON of ragctx index list")
            },
            "/documents/{document}": {
                "put": _operation(
                    "Take in a PDF, text, Markdown, HTML or Word file; its name is in the address.",
                    "its row of the ingest ledger, or events page, embedded, row",
                    path=["document"],
                    kinds=_EVENTS,
                )
                | {"requestBody": {"content": {"*/*": {"schema": {"type": "string"}}}}},
                "delete": _operation(
                    "Take a document out, by its id.",
                    "the files that it had, as ragctx index remove --json",
                    path=["document"],
                ),
            },
            "/documents/{document}/pages/{page}.png": {
                "get": _operation(
                    "A page as it looks, with a quote marked.",
                    "a picture",
                    path=["document", "page"],
                    query=["quote", "scale"],
                    kinds=["image/png"],
                )
            },
            "/documents/{document}/pages/{page}/boxes": {
                "get": _operation(
                    "Where a quote is, in shares of the page's width and height.",
                    "width, height, quote_boxes",
                    path=["document", "page"],
                    query=["quote", "scale"],
                )
            },
            "/documents/{document}/pages/{page}/text": {
                "get": _operation(
                    "A page as it was read.",
                    "text",
                    path=["document", "page"],
                    kinds=["text/plain"],
                )
            },
            "/v1/chat/completions": {
                "post": _operation("As OpenAI's, also streamed.", "as there", kinds=_EVENTS)
            },
            "/v1/models": {"get": _operation("As OpenAI's.", "as there")},
            "/v1/models/{model}": {"get": _operation("As OpenAI's.", "as there", path=["model"])},
            "/v1/embeddings": {"post": _operation("As OpenAI's.", "as there")},
            "/healthz": {"get": _operation("Whether the server is there.", "status, version")},
            "/metrics": {
                "get": _operation("What was done, for Prometheus.", "text", kinds=["text/plain"])
            },
        },
    }


def _asking(summary: str, answer: str, as_events: bool = False) -> View:
    told = " or, with Accept: text/event-stream, events text and answer" if as_events else ""
    kinds = _EVENTS if as_events else _EVENTS[:1]
    operation = _operation(summary, f"the JSON of {answer}{told}", kinds=kinds)
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
    if name == "earlier":
        turn = {"question": {"type": "string"}, "answer": {"type": "string"}}
        items = {"type": "object", "properties": turn, "required": ["question"]}
        return {"type": "array", "items": items}
    if name == "documents":
        return {"type": "array", "items": {"type": "string"}}
    if name in _NAMES:
        return {"type": "string", "enum": list(_NAMES[name])}
    return {"type": "string"}


def _operation(
    summary: str,
    answer: str,
    *,
    path: Sequence[str] = (),
    query: Sequence[str] = (),
    kinds: Sequence[str] = ("application/json",),
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
            "200": {"description": answer, "content": {kind: {} for kind in kinds}},
            "400": {"description": "wrong request", "content": _ERROR},
            "503": {"description": "busy; Retry-After tells when to come again", "content": _ERROR},
        },
    }
