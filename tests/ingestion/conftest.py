"""What the tests of ingesting share."""

from __future__ import annotations

import pytest

import ragctx.ingestion.reading
from tests.support.text_pdfs import TextReader


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> TextReader:
    """Reads text files in the place of PDFs."""
    made = TextReader()
    monkeypatch.setattr(ragctx.ingestion.reading, "read_pdf", made)
    return made
