"""What every test runs under: no network, no user's cache, repeatable examples.

`pytest --hypothesis-profile thorough` tries many more examples, other ones each time.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from ragctx.threads import wait_passively
from tests.support.paths import ROOT, SAMPLES, SHARED

OFFLINE = ROOT / "tests" / "support" / "offline"

collect_ignore = [str(OFFLINE)]

wait_passively()  # before anything imports torch: a busy machine must not make tests time out

# Set on import: modules collected for their doctests read these before the first fixture runs.
_CACHE = tempfile.TemporaryDirectory(prefix="ragctx-tests-")
os.environ["RAGCTX_CACHE_DIR"] = f"{_CACHE.name}/ragctx"
os.environ["XDG_CACHE_HOME"] = f"{_CACHE.name}/xdg"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, (str(OFFLINE), os.environ.get("PYTHONPATH")))
)

settings.register_profile("quick", derandomize=True, deadline=None, max_examples=60)
settings.register_profile(
    "thorough",
    deadline=None,
    max_examples=2000,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("quick")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real PDFs and question sets beside the checkout; without it the test skips."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("needs the real PDFs and question sets in ../shared/data, which are not here")
    return folder


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of sample PDFs made for this project."""
    return SAMPLES
