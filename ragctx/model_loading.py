"""Loading models of sentence-transformers without what it draws and warns on the way."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Keep transformers from drawing progress bars and warning; its settings are restored."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers.utils import logging

        bar: Any = logging
        shown = bar.is_progress_bar_enabled()
        bar.disable_progress_bar()
        try:
            yield
        finally:
            if shown:
                bar.enable_progress_bar()
