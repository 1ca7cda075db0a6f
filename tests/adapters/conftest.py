"""What the frameworks' own suites ask of pytest: coroutines as tests, without their plugins."""

from __future__ import annotations

import asyncio
import inspect
import os
from pathlib import Path

import pytest

from tests.support.index_samples import index_with

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"  # read when it is imported


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


METALS = {
    "tin": ["Tin melts at 232 degrees.", "Tin is soft.", "Tin cans are made of steel."],
    "lead": ["Lead melts at 327 degrees.", "Lead is heavy."],
}


@pytest.fixture(scope="session")
def metals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of two documents, five passages, made with the `HashEmbedder`."""
    folder = tmp_path_factory.mktemp("metals") / "index"
    index_with(folder, METALS)
    return folder
