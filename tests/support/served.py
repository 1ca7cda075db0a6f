"""A server that is asked in this process, and a PDF for it."""

from __future__ import annotations

from starlette.testclient import TestClient

from ragctx.server.app import create_app
from ragctx.server.guard import Guard
from ragctx.server.service import Service
from tests.support.pdf_files import document, lines

PUMP = document(
    [
        lines("The pump must be oiled every two weeks.", "The cap is blue."),
        lines("The valve costs 420 euros.", "It is made of brass."),
    ]
)


def client_of(service: Service, guard: Guard | None = None, **limits: int) -> TestClient:
    return TestClient(create_app(service, guard, **limits), base_url="http://127.0.0.1:8400")
