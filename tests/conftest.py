"""What every test runs under: no network, no user's cache, repeatable examples.

`pytest --hypothesis-profile thorough` tries many more examples, other ones each time.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from ragctx.threads import wait_passively
from tests.support.paths import ROOT, SAMPLES, SHARED
from tests.support.postgres_server import PostgresServer, postgres_server, schema_of

OFFLINE = ROOT / "tests" / "support" / "offline"

collect_ignore = [str(OFFLINE)]

wait_passively()  # before anything imports torch: a busy machine must not make tests time out

# Set on import: modules collected for their doctests read these before the first fixture runs.
_CACHE = tempfile.TemporaryDirectory(prefix="ragctx-tests-")
os.environ["RAGCTX_CACHE_DIR"] = f"{_CACHE.name}/ragctx"
os.environ["XDG_CACHE_HOME"] = f"{_CACHE.name}/xdg"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"
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


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine, as those that frameworks publish are."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server with pgvector, started when a test first wants one (some seconds)."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def postgres_address(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a database for an index that does not exist yet; it is gone afterwards."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)
    with schema_of(postgres) as address:
        yield address


@pytest.fixture(scope="session")
def metals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an index of two documents, five passages, made with the `HashEmbedder`."""
    from tests.support.index_samples import index_with

    folder = tmp_path_factory.mktemp("metals") / "index"
    metals = {
        "tin": ["Tin melts at 232 degrees.", "Tin is soft.", "Tin cans are made of steel."],
        "lead": ["Lead melts at 327 degrees.", "Lead is heavy."],
    }
    return index_with(folder, metals).path
