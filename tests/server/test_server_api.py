"""The API gives what the library and the command line give, and tells errors as such."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from queue import Queue
from typing import Any

import anyio
import pytest
from starlette.testclient import TestClient

from ragctx.errors import IndexLockedError
from ragctx.explanation.view import explanation_view
from ragctx.index.index import Index
from ragctx.ingest_ledger import IngestRow
from ragctx.ingestion.run import ingest
from ragctx.ingestion.settings import IngestSettings
from ragctx.pdf.png import SIGNATURE
from ragctx.records import Generation, Prompt
from ragctx.server.app import create_app
from ragctx.server.bodies import asked
from ragctx.server.pages import RememberingEngine
from ragctx.server.service import Service
from ragctx.server.uploads import folder_for, tidy
from ragctx.server.watching import Watcher
from ragctx.views import answer_view, prompt_view, search_view
from tests.support.fakes import HashEmbedder
from tests.support.generators import CopyingGenerator
from tests.support.pdf_files import document, lines
from tests.support.scans import FakeEngine, found, scan
from tests.support.served import PUMP, client_of

QUESTION = {"question": "How often must the pump be oiled?"}


def events(text: str) -> list[tuple[str, dict[str, object]]]:
    found = []
    for block in text.split("\n\n"):
        if block:
            name, data = block.split("\n")
            found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def without_times(view: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in view.items() if name != "timing"}


# --- asking


def test_answers_are_those_of_the_library(client: TestClient, service: Service) -> None:
    asking = asked(QUESTION, service.retrieval, service.assembly)
    expected = json.loads(json.dumps(answer_view(service.ask(asking))))
    answer = client.post("/ask", json=QUESTION).json()
    assert without_times(answer) == without_times(expected)
    assert answer["answer"] == "every two weeks"
    assert answer["citations"][0]["first_page"] == 1


def test_events_say_the_same_as_the_whole_answer(client: TestClient) -> None:
    whole = client.post("/ask", json=QUESTION).json()
    streamed = client.post("/ask", json=QUESTION, headers={"accept": "text/event-stream"})
    told = events(streamed.text)
    assert [name for name, _ in told] == ["text", "answer"]
    assert "".join(str(data["text"]) for name, data in told if name == "text") == whole["answer"]
    assert without_times(told[-1][1]) == without_times(whole)


def test_search_prompt_and_explain_are_those_of_the_library(
    client: TestClient, service: Service
) -> None:
    body = {**QUESTION, "k": 3, "budget_tokens": 60, "placement": "best_last"}
    asking = asked(body, service.retrieval, service.assembly)
    for path, expected in (
        ("/search", search_view(asking.question, service.search(asking))),
        ("/prompt", prompt_view(service.prompt(asking))),
        ("/explain", explanation_view(service.explain(asking))),
    ):
        assert client.post(path, json=body).json() == json.loads(json.dumps(expected))
    assert client.post("/prompt", json=body).json()["token_count"] <= 60


def test_a_follow_up_is_asked_with_what_it_leans_on(client: TestClient) -> None:
    """By every request alike, and the answer says how."""
    body = {"question": "And why?", "earlier": [{**QUESTION, "answer": "every two weeks"}]}
    asked_as = f"{QUESTION['question']} And why?"
    for path in ("/ask", "/search", "/prompt", "/explain"):
        assert client.post(path, json=body).json()["question"] == asked_as


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "question"),
        (b'{"question": "  "}', "empty"),
        (b'{"question": 7}', "question"),
        (b'{"question": "a", "kk": 1}', "kk"),
        (b'{"question": "a", "k": 0}', "k is 0"),
        (b'{"question": "a", "k": true}', "k is True"),
        (b'{"question": "a", "placement": "upside"}', "upside"),
        (b'{"question": "a", "documents": [1]}', "documents"),
        (b'{"question": "a", "budget_tokens": 1}', "budget"),
        (b'{"question": "a", "min_confidence": 7}', "min_confidence"),
        (b'{"question": "a", "trim": 1}', "trim"),
        (b'{"question": "a", "earlier": "b"}', "earlier"),
        (b'{"question": "a", "earlier": [7]}', "a turn is 7"),
        (b'{"question": "a", "earlier": [{"question": "b", "answer": 7}]}', "a turn is"),
        (b'{"question": "a", "earlier": [%s{}]}' % (b"{}," * 20), "20 turns at most"),
        (b'{"question": "%s"}' % (b"a" * 5000), "5000 characters"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_a_wrong_request_says_what_is_wrong(client: TestClient, body: bytes, named: str) -> None:
    response = client.post("/ask", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert named in response.json()["error"]["message"]


def test_an_error_in_a_stream_is_an_event(client: TestClient) -> None:
    body = {**QUESTION, "budget_tokens": 1}
    response = client.post("/ask", json=body, headers={"accept": "text/event-stream"})
    ((name, data),) = events(response.text)
    assert name == "error" and "token" in str(data["message"])


def test_one_more_than_can_wait_is_told_to_come_again(service: Service) -> None:
    class Slow(CopyingGenerator):
        begun, goes_on = threading.Event(), threading.Event()

        def generate(
            self, prompt: Prompt, *, on_text: Callable[[str], None] | None = None
        ) -> Generation:
            self.begun.set()
            assert self.goes_on.wait(60)
            return super().generate(prompt, on_text=on_text)

    slow = Slow("every two weeks")
    with (
        client_of(replace(service, generator=slow), max_at_once=1) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        first = pool.submit(client.post, "/ask", json=QUESTION)
        assert slow.begun.wait(60)
        busy = client.post("/search", json=QUESTION)
        slow.goes_on.set()
        assert first.result().json()["answer"] == "every two weeks"
        assert busy.status_code == 503 and busy.headers["retry-after"] == "1"
        assert client.post("/search", json=QUESTION).status_code == 200


def test_fifty_questions_at_once_are_answered_or_told_to_come_again(service: Service) -> None:
    """Each its own question, with its own answer; 20 may be there at once."""
    asked = [{"question": f"How often must pump {i} be oiled?"} for i in range(50)]
    with client_of(service, max_at_once=20) as client, ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda body: client.post("/ask", json=body), asked))
        counted = client.get("/metrics").text
    for body, answer in zip(asked, answers, strict=True):
        if answer.status_code == 503:
            assert answer.headers["retry-after"] == "1"
        else:
            assert answer.json()["question"] == body["question"]
            assert answer.json()["answer"] == "every two weeks"
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) <= {200, 503} and statuses.count(200) >= 20
    assert f'route="/ask",status="200"}} {statuses.count(200)}\n' in counted


# --- documents


def document_id(client: TestClient) -> str:
    (found,) = client.get("/documents").json()["sources"]
    return str(found["document_id"])


def test_a_page_is_shown_with_the_quote_marked(client: TestClient) -> None:
    page = f"/documents/{document_id(client)}/pages/1"
    quote = {"quote": "every two weeks"}
    plain, marked = client.get(f"{page}.png"), client.get(f"{page}.png", params=quote)
    assert plain.headers["content-type"] == "image/png"
    assert plain.content.startswith(SIGNATURE) and marked.content.startswith(SIGNATURE)
    assert plain.content != marked.content
    boxes = client.get(f"{page}/boxes", params=quote).json()
    (box,) = boxes["quote_boxes"]
    assert 0 < box["left"] < box["right"] < 1 and 0 < box["top"] < box["bottom"] < 1
    assert client.get(f"{page}/boxes", params={"quote": "nowhere"}).json()["quote_boxes"] == []
    assert "every two weeks" in client.get(f"{page}/text").text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/documents/{id}/pages/9.png", 400),
        ("/documents/{id}/pages/0.png", 400),
        ("/documents/{id}/pages/x.png", 400),
        ("/documents/{id}/pages/1.png?scale=9999", 400),
        ("/documents/{id}/pages/9/text", 404),
        ("/documents/nobody/pages/1.png", 404),
        ("/documents/nobody/pages/1/text", 404),
        ("/documents/..%2f..%2fetc%2fpasswd/pages/1/text", 404),
        ("/app.py", 404),
        ("/../app.py", 404),
    ],
)
def test_what_is_not_there_is_not_shown(client: TestClient, path: str, status: int) -> None:
    response = client.get(path.replace("{id}", document_id(client)))
    assert response.status_code == status and response.json()["error"]["message"]


def test_an_uploaded_pdf_is_found_and_can_be_taken_out(
    client: TestClient, service: Service
) -> None:
    valve = PUMP.replace(b"420 euros", b"999 euros")
    response = client.put("/documents/valve.pdf", content=valve)
    assert response.json()["outcome"] == "added"
    kept = folder_for(service.index.path) / "valve.pdf"
    assert kept.read_bytes() == valve
    documents = client.get("/documents").json()["sources"]
    (found,) = [one for one in documents if one["path"] == str(kept)]
    removed = client.delete(f"/documents/{found['document_id']}").json()["removed"]
    assert removed == [found]
    assert not kept.exists() and len(client.get("/documents").json()["sources"]) == 1
    assert client.delete(f"/documents/{found['document_id']}").status_code == 404


def test_taking_out_a_document_leaves_files_that_were_not_uploaded(
    client: TestClient, pump: Path
) -> None:
    client.delete(f"/documents/{document_id(client)}")
    assert pump.exists() and not client.get("/documents").json()["sources"]


def test_an_upload_tells_how_far_it_is(client: TestClient) -> None:
    new = PUMP.replace(b"420 euros", b"777 euros")
    response = client.put(
        "/documents/new.pdf", content=new, headers={"accept": "text/event-stream"}
    )
    told = events(response.text)
    assert ("page", {"done": 2, "pages": 2}) in told
    assert told[-1][0] == "row" and told[-1][1]["outcome"] == "added"


@pytest.mark.parametrize(
    "name", ["..%2fevil.pdf", "%2e%2e%2fevil.pdf", "a%5cb.pdf", "evil.exe", ".pdf", "a%00b.pdf"]
)
def test_an_upload_has_a_name_and_no_path(client: TestClient, service: Service, name: str) -> None:
    response = client.put(f"/documents/{name}", content=PUMP)
    assert response.status_code in (400, 404)
    folder = folder_for(service.index.path)
    assert not folder.exists() or not list(folder.iterdir())


def test_an_upload_that_is_no_pdf_leaves_nothing(client: TestClient, service: Service) -> None:
    for content in (b"", b"GIF89a" + bytes(5000)):
        response = client.put("/documents/new.pdf", content=content)
        assert response.status_code == 400
        assert "not a PDF" in response.json()["error"]["message"]
    assert not list(folder_for(service.index.path).iterdir())


BROKEN = b"%PDF-1.7\n" + bytes(5000)


def test_an_upload_that_cannot_be_read_does_not_stay(client: TestClient, service: Service) -> None:
    response = client.put("/documents/new.pdf", content=BROKEN)
    assert response.status_code == 422 and response.json()["outcome"] == "failed"
    assert not list(folder_for(service.index.path).iterdir())


@pytest.mark.parametrize("headers", [{}, {"accept": "text/event-stream"}])
def test_an_upload_that_cannot_be_read_replaces_nothing(
    client: TestClient, service: Service, headers: dict[str, str]
) -> None:
    """The good file of that name was overwritten before the new one was looked at."""
    valve = PUMP.replace(b"420 euros", b"999 euros")
    client.put("/documents/valve.pdf", content=valve)
    response = client.put("/documents/valve.pdf", content=BROKEN, headers=headers)
    assert "cannot be read (corrupt); the one that was here stays" in response.text
    assert response.status_code == (200 if headers else 400)  # of a stream, the last event tells
    assert [one.read_bytes() for one in folder_for(service.index.path).iterdir()] == [valve]
    newer = PUMP.replace(b"420 euros", b"111 euros")
    assert client.put("/documents/valve.pdf", content=newer).json()["outcome"] == "replaced"
    assert [one.read_bytes() for one in folder_for(service.index.path).iterdir()] == [newer]


def test_of_uploads_of_one_name_at_once_one_is_there_whole(
    client: TestClient, service: Service
) -> None:
    """Good ones and bad ones, in any order: what is on disk is what is in the index."""
    goods = [PUMP.replace(b"420 euros", b"%d euros" % i) for i in range(100, 106)]
    contents = [one for good in goods for one in (BROKEN, good)]
    with ThreadPoolExecutor(12) as pool:
        done = pool.map(lambda one: client.put("/documents/same.pdf", content=one), contents)
        statuses = [response.status_code for response in done]
    assert set(statuses) <= {200, 400, 422} and statuses[1::2] == [200] * len(goods)
    assert 200 not in statuses[::2]
    (kept,) = folder_for(service.index.path).iterdir()
    (source,) = [one for one in service.sources() if one.path == str(kept)]
    assert kept.read_bytes() in goods
    price = kept.read_bytes().partition(b" euros")[0][-3:].decode()
    assert f"{price} euros" in service.document(source.document_id).text


def test_what_was_left_half_written_is_removed_unless_it_is_being_written(tmp_path: Path) -> None:
    (tmp_path / "whole.PDF").write_bytes(PUMP)
    dead, own, alive = (f".a.pdf.{process}-7-ab.part" for process in (2**22 + 1, os.getpid(), 1))
    for name in (dead, own, alive):
        (tmp_path / name).write_bytes(PUMP)
    assert tidy(tmp_path) == (tmp_path / "whole.PDF",)
    assert {path.name for path in tmp_path.iterdir()} == {"whole.PDF", alive}
    assert tidy(tmp_path / "nowhere") == ()


def test_a_quote_that_runs_over_two_pages_is_marked_on_both(tmp_path: Path) -> None:
    path = tmp_path / "two.pdf"
    path.write_bytes(document([lines("The pump must be"), lines("oiled every week.")]))
    embedder = HashEmbedder()
    index = Index.create(tmp_path / "index", embedder=embedder)
    ingest(path, index, embedder)
    service = Service(index=index, embedder=embedder, generator=CopyingGenerator())
    with client_of(service) as client:
        for page in (1, 2):
            where = f"/documents/{document_id(client)}/pages/{page}/boxes"
            found = client.get(where, params={"quote": "must be\noiled every"}).json()
            assert len(found["quote_boxes"]) == 1


def test_a_quote_on_a_page_that_ocr_read_is_marked(tmp_path: Path) -> None:
    path = scan(tmp_path / "scan.pdf", pages=2, text=(2,))
    engine = FakeEngine(found("Tin melts at 232 degrees.", (100, 200, 800, 240)))
    embedder = HashEmbedder()
    index = Index.create(tmp_path / "index", embedder=embedder)
    ingest(path, index, embedder, settings=IngestSettings(ocr="auto", ocr_engine=engine))
    read = len(engine.seen)
    service = Service(
        index=index,
        embedder=embedder,
        generator=CopyingGenerator(),
        ocr_engine=RememberingEngine(engine),
    )
    with client_of(service) as client:
        pages = f"/documents/{document_id(client)}/pages"
        boxes = [
            client.get(f"{pages}/{page}/boxes", params={"quote": quote}).json()["quote_boxes"]
            for page, quote in ((1, "melts at"), (1, "232 degrees"), (1, "lead"), (2, "lead"))
        ]
        assert [len(found) for found in boxes] == [1, 1, 0, 0]
        assert boxes[0][0]["right"] < boxes[1][0]["left"]
        assert 100 / 1700 < boxes[0][0]["left"] and boxes[1][0]["right"] <= 0.48
    assert len(engine.seen) == read + 1  # once for three quotes; never for a page that has text


def test_an_upload_that_ends_in_the_middle_leaves_nothing(service: Service) -> None:
    """The client hangs up: no part of the file stays, and no exception comes out."""
    parts: list[dict[str, object]] = [
        {"type": "http.request", "body": PUMP[:200], "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return parts.pop(0)

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "PUT",
        "path": "/documents/cut.pdf",
        "raw_path": b"/documents/cut.pdf",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1:8400")],
    }
    anyio.run(create_app(service), scope, receive, send)
    assert sent[0]["status"] == 499
    assert not list(folder_for(service.index.path).iterdir())


def test_a_full_disk_is_one_line(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ragctx.server.uploads.unfinished_beside", fails)
    response = client.put("/documents/new.pdf", content=PUMP)
    assert response.status_code == 500
    assert "No space left" in response.json()["error"]["message"]


def test_documents_that_change_on_disk_are_read_again(
    service: Service, pump: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New ones, changed ones, and those that are gone; also after a look that failed."""
    monkeypatch.setattr("ragctx.server.watching.EVERY_S", 0.02)
    told: Queue[IngestRow] = Queue()
    update, failures = service.update, iter((True, True))

    def fails_twice(*arguments: Any, **options: Any) -> tuple[IngestRow, ...]:
        if next(failures, False):
            raise IndexLockedError("another process is writing")
        return update(*arguments, **options)

    monkeypatch.setattr(Service, "update", lambda self, *a, **o: fails_twice(*a, **o))
    watcher = Watcher(service, [str(pump.parent)], told.put)
    watcher.start()
    try:
        new = pump.with_name("new.pdf")
        new.write_bytes(PUMP.replace(b"420 euros", b"777 euros"))
        assert told.get(timeout=30).outcome == "added"
        new.write_bytes(PUMP.replace(b"420 euros", b"55 euros"))
        assert told.get(timeout=30).outcome == "replaced"
        new.unlink()
        assert told.get(timeout=30).outcome == "removed"
        assert [source.path for source in service.sources()] == [str(pump)]
    finally:
        watcher.stop()
        watcher.join(30)


# --- the server itself


def test_numbers_tell_what_was_done(client: TestClient) -> None:
    client.post("/ask", json=QUESTION)
    client.post("/ask", json={})
    text = client.get("/metrics").text
    assert 'ragctx_requests_total{method="POST",route="/ask",status="200"} 1\n' in text
    assert 'ragctx_requests_total{method="POST",route="/ask",status="400"} 1\n' in text
    assert 'ragctx_request_seconds_bucket{le="+Inf",route="/ask"} 2\n' in text
    assert 'ragctx_request_seconds_count{route="/ask"} 2\n' in text
    assert 'ragctx_answers_total{outcome="sure"} 1\n' in text
    assert client.get("/healthz").json()["status"] == "ok"


def test_every_address_is_documented(client: TestClient) -> None:
    api = client.get("/openapi.json").json()
    documented = {(method.upper(), path) for path, ways in api["paths"].items() for method in ways}
    pages = ("/", "/app.css", "/app.js", "/icon.svg", "/docs", "/docs.js", "/openapi.json")
    app = client.app.app._app  # type: ignore[attr-defined]
    there = {
        (method, route.path)
        for route in app.routes
        for method in route.methods - {"HEAD"}
        if route.path not in pages
    }
    assert there == documented
    for path in pages:
        assert client.get(path).status_code == 200
