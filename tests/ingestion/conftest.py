"""What the tests of ingesting share."""

from __future__ import annotations

import pytest

import ragctx.ingestion.run
from tests.support.text_pdfs import TextReader


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> TextReader:
    """Reads text files in the place of PDFs."""
    made = TextReader()
    monkeypatch.setattr(ragctx.ingestion.run, "read_pdf", made)
    return made
