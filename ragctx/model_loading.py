"""Loading models without what other libraries draw, warn and log on the way."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Keep transformers from drawing progress bars and warning; its settings are restored."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers.utils import logging as bars

        bar: Any = bars
        shown = bar.is_progress_bar_enabled()
        bar.disable_progress_bar()
        try:
            yield
        finally:
            if shown:
                bar.enable_progress_bar()


@contextmanager
def unlogged() -> Iterator[None]:
    """Without warnings in logs: of what went wrong an error tells, and of the rest nobody asked."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
