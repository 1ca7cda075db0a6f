"""Documents without pages in the server: taken in, read, and never drawn."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

pytest.importorskip("lxml", reason="needs the extra ragctx[text]")

NOTES = b"# Pump\n\n## Oil\n\nThe pump must be oiled every two weeks.\n\n## Lid\n\n<b>Blue</b>.\n"


@pytest.fixture
def document_id(client: TestClient) -> str:
    row = client.put("/documents/notes.md", content=NOTES).json()
    assert (row["outcome"], row["pages"]) == ("added", 2)
    return str(row["document_id"])


def test_sections_are_told_from_pages(client: TestClient, document_id: str) -> None:
    units = {
        row["path"].rpartition("/")[2]: row["unit"]
        for row in client.get("/documents").json()["sources"]
    }
    assert units == {"pump.pdf": "page", "notes.md": "section"}


def test_a_section_is_text_and_no_picture(client: TestClient, document_id: str) -> None:
    base = f"/documents/{document_id}/pages"
    text = client.get(f"{base}/2/text")
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert text.text == "Lid\n\nBlue."
    for address in (f"{base}/1.png", f"{base}/1/boxes?quote=oil"):
        failed = client.get(address)
        assert failed.status_code == 400
        assert "no pages that could be drawn" in failed.json()["error"]["message"]
    missing = client.get(f"{base}/3/text")
    assert missing.status_code == 404 and "2 sections, not 3" in missing.text


def test_a_chat_links_to_the_section_s_text(client: TestClient, document_id: str) -> None:
    messages = [{"role": "user", "content": "How often must the pump be oiled?"}]
    body = {"messages": messages, "model": "ragctx"}
    found = client.post("/v1/chat/completions", json=body).json()
    links = [one["url_citation"]["url"] for one in found["choices"][0]["message"]["annotations"]]
    of_notes = [link for link in links if document_id in link]
    assert all(link.endswith("/pages/1/text") for link in of_notes)
    client_links = [link for link in links if document_id not in link]
    assert of_notes or client_links


@pytest.mark.parametrize("name", ["notes.exe", "notes", "md", ".md"])
def test_other_names_are_refused(client: TestClient, name: str) -> None:
    assert client.put(f"/documents/{name}", content=b"x").status_code == 400


def test_a_file_that_cannot_be_read_says_why(client: TestClient) -> None:
    row = client.put("/documents/a.docx", content=b"no zip")
    assert row.status_code == 422 and "no Word document" in row.json()["message"]
