"""Where the tests find things, wherever they stand themselves."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The checkout."""

SAMPLES = ROOT / "examples" / "samples"
"""PDFs made for this project, with questions about them."""

SHARED = ROOT.parent / "shared"
"""Real PDFs, question sets and hard cases beside the checkout, where there are any."""
