"""The protocol of OpenAI, as its own client speaks it."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from ragctx.errors import InputError
from ragctx.follow_ups import Turn
from ragctx.server.conversation import question_in
from ragctx.server.service import Service
from tests.support.fakes import HashEmbedder

CHAT = {
    "model": "ragctx",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "How often must the pump be oiled?"},
    ],
}


def test_the_answer_is_a_message_with_its_sources(client: TestClient) -> None:
    answer = client.post("/v1/chat/completions", json=CHAT).json()
    message = answer["choices"][0]["message"]
    assert message["content"].startswith("every two weeks\n\n[1] pump.pdf, page 1")
    (annotation,) = message["annotations"]
    place = annotation["url_citation"]
    assert message["content"][place["start_index"] : place["end_index"]].startswith("[1] pump.pdf")
    assert client.get(place["url"]).headers["content-type"] == "image/png"
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_a_stream_says_the_same_as_the_whole(client: TestClient) -> None:
    whole = client.post("/v1/chat/completions", json=CHAT).json()
    body = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
    lines = client.post("/v1/chat/completions", json=body).text.split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    message = whole["choices"][0]["message"]
    assert "".join(delta.get("content", "") for delta in deltas) == message["content"]
    assert [d["annotations"] for d in deltas if "annotations" in d] == [message["annotations"]]
    assert chunks[-1]["usage"] == whole["usage"]
    assert [c["choices"][0]["finish_reason"] for c in chunks[:-1]][-1] == "stop"


def test_the_client_of_openai_understands_it(client: TestClient, service: Service) -> None:
    openai = pytest.importorskip("openai", reason="needs the package openai")
    asked = openai.OpenAI(
        base_url="http://127.0.0.1:8400/v1", api_key="none", http_client=_through(client)
    )
    assert [model.id for model in asked.models.list()] == ["ragctx"]
    answer = asked.chat.completions.create(model="ragctx", messages=CHAT["messages"])
    assert answer.choices[0].message.content.startswith("every two weeks")
    pieces = asked.chat.completions.create(model="ragctx", messages=CHAT["messages"], stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in pieces)
    assert text == answer.choices[0].message.content
    vectors = asked.embeddings.create(model="any", input=["tin", "iron"]).data
    expected = HashEmbedder().encode(["tin", "iron"])
    assert np.allclose([vector.embedding for vector in vectors], expected)


def _through(client: TestClient) -> object:
    """httpx's client, whose requests are answered in this process."""
    httpx = pytest.importorskip("httpx", reason="needs the package openai")

    def answer(request: Any) -> Any:
        found = client.request(
            request.method, str(request.url), content=request.content, headers=dict(request.headers)
        )
        return httpx.Response(found.status_code, headers=dict(found.headers), content=found.content)

    return httpx.Client(transport=httpx.MockTransport(answer))


def test_embeddings_come_in_both_forms(client: TestClient) -> None:
    plain = client.post("/v1/embeddings", json={"input": "tin"}).json()["data"][0]["embedding"]
    body = {"input": "tin", "encoding_format": "base64"}
    packed = client.post("/v1/embeddings", json=body).json()["data"][0]["embedding"]
    assert np.frombuffer(base64.b64decode(packed), "<f4").tolist() == plain


@pytest.mark.parametrize("given_input", [None, [], [1, 2], 7, ["a"] * 1000])
def test_embeddings_of_what_is_no_text_are_refused(client: TestClient, given_input: object) -> None:
    assert client.post("/v1/embeddings", json={"input": given_input}).status_code == 400


@pytest.mark.parametrize(
    "messages",
    [None, "hello", [], [{"role": "assistant", "content": "hello"}], [7], [{"role": "user"}]],
)
def test_a_conversation_without_a_question_is_refused(client: TestClient, messages: object) -> None:
    response = client.post("/v1/chat/completions", json={"messages": messages})
    assert response.status_code == 400 and response.json()["error"]["message"]


# --- the question of a conversation


def said(*texts: str) -> list[object]:
    return [{"role": "user", "content": text} for text in texts]


def test_turns_are_what_was_asked_and_answered() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        *said("What is it?"),
        {"role": "assistant", "content": "A pump."},
        {"role": "tool", "content": "nothing"},
        *said("Why?", "When?"),
    ]
    question, earlier = question_in(messages)
    assert question == "When?"
    assert earlier == (Turn("What is it?", "A pump."), Turn("Why?", ""))


def test_parts_of_a_message_are_one_text() -> None:
    parts = [{"type": "text", "text": "How often"}, {"type": "image_url"}, {"text": "is it oiled?"}]
    assert question_in([{"role": "user", "content": parts}]) == ("How often is it oiled?", ())


@given(st.lists(st.text(max_size=60), max_size=5))
def test_the_last_thing_said_is_the_question(texts: list[str]) -> None:
    spoken = [text.strip() for text in texts if text.strip()]
    if not spoken:
        with pytest.raises(InputError):
            question_in(said(*texts))
        return
    question, earlier = question_in(said(*texts))
    assert [*(turn.question for turn in earlier), question] == spoken


def test_a_follow_up_is_asked_with_what_it_leans_on(client: TestClient) -> None:
    follow_up = said("How often must the pump be oiled?", "Why?")
    answer = client.post("/v1/chat/completions", json={"messages": follow_up}).json()
    assert answer["choices"][0]["message"]["content"].startswith("every two weeks")


def test_what_was_said_before_is_bounded(client: TestClient, service: Service) -> None:
    """A question before was as long as the body, and might not have been text at all."""
    long = "How often must the pump be oiled? " + "\ud800 oil " * 50_000
    body = json.dumps({"messages": said(long, "Why?")})
    headers = {"content-type": "application/json"}
    assert client.post("/v1/chat/completions", content=body, headers=headers).status_code == 200
    (prompt,) = service.generator.prompts  # type: ignore[attr-defined]
    assert len(prompt.question) < 4100 and prompt.question.endswith("Why?")


# --- what chat programs send beside questions

TITLE = """### Task:
Generate a concise, 3-5 word title with an emoji summarizing the chat history.
### Output:
JSON format: { "title": "your concise title here" }
### Examples:
- { "title": "Stock Market Trends" }
### Chat History:
<chat_history>
USER: How often must the pump be oiled?
ASSISTANT: every two weeks
</chat_history>"""
FOLLOW_UPS = """### Task:
Suggest 3-5 relevant follow-up questions.
### Output:
JSON format: { "follow_ups": ["Question 1?", "Question 2?", "Question 3?"] }
### Chat History:
<chat_history>
USER: How often must the pump be oiled?
</chat_history>"""


@pytest.mark.parametrize(
    ("errand", "answer"),
    [
        (TITLE, {"title": "How often must the pump be oiled?"}),
        (FOLLOW_UPS, {"follow_ups": []}),
        (FOLLOW_UPS.replace("follow_ups", "tags"), {"tags": []}),
    ],
)
def test_errands_of_chat_programs_are_no_questions(
    client: TestClient, service: Service, errand: str, answer: object
) -> None:
    """Open WebUI asked for a title, and it was searched for in the documents."""
    body = {"model": "ragctx", "messages": said(errand), "max_tokens": 1000}
    whole = client.post("/v1/chat/completions", json=body).json()
    assert json.loads(whole["choices"][0]["message"]["content"]) == answer
    assert not service.generator.prompts  # type: ignore[attr-defined]
    lines = client.post("/v1/chat/completions", json={**body, "stream": True}).text.split("\n\n")
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    assert (
        json.loads("".join(c["choices"][0]["delta"].get("content", "") for c in chunks)) == answer
    )


def test_what_open_webui_sends_is_understood(client: TestClient) -> None:
    """Fields of its own, and a bound on the answer that is more than the window."""
    body = {
        **CHAT,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.8,
        "top_p": 0.9,
        "max_tokens": 128_000,
        "metadata": {"chat_id": "1"},
        "features": {"web_search": False},
        "session_id": "x",
        "chat_id": "y",
        "tool_ids": [],
        "files": None,
    }
    lines = client.post("/v1/chat/completions", json=body).text.split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""] and "every two weeks" in "".join(lines)
    assert client.get("/v1/models/ragctx").json()["id"] == "ragctx"
    assert client.get("/v1/models/gpt-4").status_code == 404
