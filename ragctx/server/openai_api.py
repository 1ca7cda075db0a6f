"""The protocol of OpenAI's API, as far as its clients need it to ask documents.

The answer is the message; its sources stand below it as footnotes and in `annotations`, with the
address of the page. Token counts are those of the prompt's certificate.
"""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

import numpy as np

from ragctx.embedding import Embedder
from ragctx.errors import InputError
from ragctx.records import Answer, Citation
from ragctx.refusals import NOT_ANSWERED
from ragctx.server.bodies import Body
from ragctx.text.display import one_line
from ragctx.views import View, alternative_words, confidence_words, place_words

MODEL = "ragctx"
"""The one model that is served: what answers behind it is the server's matter."""
END = "data: [DONE]\n\n"
"""What ends a stream."""
MAX_INPUTS = 256
_QUOTED = 300  # characters of a quote in a footnote


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One answer of a conversation. `pages` is where the pages of documents are: id by path."""

    base_url: str
    pages: Mapping[str, str]
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, answer: Answer) -> View:
        """The answer as one object."""
        said = self._message(content_of(answer), self.annotations(answer), _finish_reason(answer))
        return said | {"usage": usage_of(answer)}

    def errand(self, text: str) -> View:
        """The answer to what was no question, as one object."""
        return self._message(text, [], "stop") | {"usage": _usage(0, 0, 0)}

    def errand_pieces(self, text: str, *, with_usage: bool) -> Iterator[View]:
        """The answer to what was no question, as a stream."""
        yield self.first()
        yield self.piece(text)
        yield self._chunk({}, "stop")
        if with_usage:
            yield self._about("chat.completion.chunk", []) | {"usage": _usage(0, 0, 0)}

    def _message(self, content: str, annotations: Sequence[View], finish_reason: str) -> View:
        message = {
            "role": "assistant",
            "content": content,
            "refusal": None,
            "annotations": list(annotations),
        }
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": finish_reason,
        }
        return self._about("chat.completion", [choice])

    def first(self) -> View:
        """What opens a stream."""
        return self._chunk({"role": "assistant", "content": ""})

    def piece(self, text: str) -> View:
        """A piece of the answer's text."""
        return self._chunk({"content": text})

    def last(self, answer: Answer, written: str, *, with_usage: bool) -> Iterator[View]:
        """What ends a stream in which `written` was sent: the rest of the text, sources, usage."""
        content = content_of(answer)
        rest = content[len(written) :] if content.startswith(written) else f"\n\n{content}"
        delta: View = {"content": rest} if rest else {}
        if annotations := self.annotations(answer):
            delta["annotations"] = annotations
        if delta:
            yield self._chunk(delta)
        yield self._chunk({}, _finish_reason(answer))
        if with_usage:
            yield self._about("chat.completion.chunk", []) | {"usage": usage_of(answer)}

    def annotations(self, answer: Answer) -> list[View]:
        """Where each source is, with the place of its mark in the text."""
        content = content_of(answer)
        found: list[View] = []
        for citation in answer.citations:
            footnote = _footnote(citation)
            start = content.find(footnote)
            url = self._url(citation)
            if start >= 0 and url:
                found.append(
                    {
                        "type": "url_citation",
                        "url_citation": {
                            "start_index": start,
                            "end_index": start + len(footnote),
                            "title": one_line(citation.document),
                            "url": url,
                        },
                    }
                )
        return found

    def _url(self, citation: Citation) -> str:
        document_id = self.pages.get(citation.path)
        if document_id is None or citation.first_page is None:
            return ""
        page = f"{self.base_url}documents/{document_id}/pages/{citation.first_page}"
        if citation.unit == "section":
            return f"{page}/text"
        return f"{page}.png?quote={quote(citation.quote)}"

    def _chunk(self, delta: View, finish_reason: str | None = None) -> View:
        choice = {
            "index": 0,
            "delta": delta,
            "logprobs": None,
            "finish_reason": finish_reason,
        }
        return self._about("chat.completion.chunk", [choice])

    def _about(self, kind: str, choices: Sequence[View]) -> View:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": MODEL,
            "choices": list(choices),
        }


def content_of(answer: Answer) -> str:
    """The message: the answer, how sure it is if it is a guess, and its sources as footnotes."""
    if answer.abstained:
        lines = [answer.refusal.message if answer.refusal else NOT_ANSWERED]
        if answer.alternatives:
            lines += ["", *(f"- {alternative_words(other)}" for other in answer.alternatives)]
        if answer.nearest:
            lines += ["", "Nearest passages:"]
        lines += [f"- {place_words(hit)}" for hit in answer.nearest]
        return "\n".join(lines)
    text = f"{answer.text} ({answer.scale})" if answer.scale else answer.text
    lines = [text]
    if answer.outcome == "unsure" and answer.confidence is not None:
        lines += ["", confidence_words(answer.confidence, is_sure=False)]
    if answer.citations:
        lines += ["", *map(_footnote, answer.citations)]
    return "\n".join(lines)


def _footnote(citation: Citation) -> str:
    heading, _ = citation.as_item()
    return f"{heading}: “{one_line(citation.quote, _QUOTED)}”" if citation.quote else heading


def _finish_reason(answer: Answer) -> str:
    return "length" if answer.generation.finish_reason == "length" else "stop"


def usage_of(answer: Answer) -> View:
    """The tokens of an answer: those of its prompt's certificate."""
    generation = answer.generation
    new, reused = len(generation.token_ids), generation.reused_tokens
    return _usage(answer.prompt.token_count, new, reused)


def _usage(prompt: int, new: int, reused: int) -> View:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": new,
        "total_tokens": prompt + new,
        "prompt_tokens_details": {"cached_tokens": reused},
    }


def model_view(created: int) -> View:
    """What `GET /v1/models/ragctx` says."""
    return {"id": MODEL, "object": "model", "created": created, "owned_by": "ragctx"}


def models_view(created: int) -> View:
    """What `GET /v1/models` says."""
    return {"object": "list", "data": [model_view(created)]}


def embeddings_view(body: Body, embedder: Embedder) -> View:
    """What `POST /v1/embeddings` says: the index's own embedder, unit vectors.

    Raises InputError for input that is not text, or is too long for the embedder.
    """
    texts = body.get("input")
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise InputError("input is not a text or a list of texts; token ids are not taken")
    if not 0 < len(texts) <= MAX_INPUTS:
        raise InputError(f"input has {len(texts)} texts; give 1 to {MAX_INPUTS}")
    kind = body.get("encoding_format", "float")
    if kind not in ("float", "base64"):
        raise InputError(f"encoding_format is {kind!r}; valid: float, base64")
    vectors = np.asarray(embedder.encode(texts), dtype="<f4")
    tokens = sum(len(embedder.tokenizer.encode(text)) for text in texts)
    data = [
        {
            "object": "embedding",
            "index": i,
            "embedding": base64.b64encode(vector.tobytes()).decode()
            if kind == "base64"
            else vector.tolist(),
        }
        for i, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": embedder.id, "usage": usage}
