"""Strangers, their pages and their names are kept out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from ragctx.server.guard import Guard, is_loopback
from ragctx.server.service import Service
from tests.support.served import PUMP, client_of

QUESTION = {"question": "How often must the pump be oiled?"}


def test_a_name_that_is_rebound_to_this_computer_is_refused(client: TestClient) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", "evil.example:8400", "", "[::1"):
        assert client.get("/documents", headers={"host": host}).status_code == 421
    for host in ("localhost:8400", "127.0.0.1", "[::1]:8400"):
        assert client.get("/documents", headers={"host": host}).status_code == 200


def test_pages_of_others_may_not_ask(client: TestClient) -> None:
    for headers in (
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        assert client.post("/ask", json=QUESTION, headers=headers).status_code == 403
        assert client.put("/documents/a.pdf", content=PUMP, headers=headers).status_code == 403
    for mode, status in (("no-cors", 403), ("cors", 403), ("navigate", 200)):  # pictures, links
        headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": mode}
        assert client.get("/documents", headers=headers).status_code == status
    own = {"origin": "http://127.0.0.1:8400", "sec-fetch-site": "same-origin"}
    assert client.post("/ask", json=QUESTION, headers=own).status_code == 200


def test_forms_of_others_are_no_json(client: TestClient) -> None:
    """A page of anybody's may send a form, of three kinds, without being asked."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        response = client.post("/ask", content=b'{"question": "a"}', headers={"content-type": kind})
        assert response.status_code == 415


def test_a_token_is_demanded_everywhere_but_for_health(service: Service) -> None:
    guard = Guard(token="secret", hosts=frozenset(("ragctx.example",)))
    with client_of(service, guard) as client:
        for path in ("/", "/documents", "/metrics", "/openapi.json", "/v1/models"):
            assert client.get(path).status_code == 401
            right = {"authorization": "Bearer secret"}
            for host in ("ragctx.example", "ragctx.example:443", "192.168.1.5:8400", "localhost"):
                assert client.get(path, headers={**right, "host": host}).status_code == 200
            assert client.get(path, headers={**right, "host": "evil.example"}).status_code == 421
        for wrong in ("Bearer other", "Bearer ", "Basic secret", "secret"):
            assert client.get("/documents", headers={"authorization": wrong}).status_code == 401
        assert client.get("/healthz").status_code == 200


def test_the_address_with_the_token_becomes_a_cookie(service: Service) -> None:
    with client_of(service, Guard(token="secret")) as client:
        opened = client.get("/", params={"token": "secret"}, follow_redirects=False)
        assert opened.status_code == 303 and opened.headers["location"] == "/"
        cookie = opened.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=strict" in cookie
        assert client.get("/").status_code == 200  # the client keeps cookies, as browsers do
        assert client.get("/documents").status_code == 200


@pytest.mark.parametrize("told", [True, False])
def test_too_large_a_body_is_refused_as_soon_as_it_is_too_large(
    service: Service, told: bool
) -> None:
    sent = 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 1
            yield b"%PDF-" + bytes(1000)

    with client_of(service, Guard(max_upload_bytes=5000)) as client:
        headers = {"content-length": "2000000000"} if told else {}
        response = client.put("/documents/large.pdf", content=body(), headers=headers)
        assert response.status_code == 413
        assert len(client.get("/documents").json()["sources"]) == 1
        large = client.post("/ask", json={"question": "a" * 2_000_000})
        assert large.status_code == 413


def test_browsers_are_told_to_run_nothing_of_others(client: TestClient) -> None:
    for path in ("/", "/documents", "/nowhere"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"


def test_loopback_is_told_from_all_else() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.1.2.3", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.5", "example.org", "")))
