"""Where ragctx keeps what it can make again."""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT_INDEX = Path("indexes/default")
"""Where an index lies unless another place is named, seen from the working directory."""


def cache_dir() -> Path:
    """The folder for caches: $RAGCTX_CACHE_DIR, else $XDG_CACHE_HOME/ragctx, else ~/.cache/ragctx.

    It need not exist. A relative $XDG_CACHE_HOME counts as unset, as the XDG base directory
    specification asks.
    """
    own = os.environ.get("RAGCTX_CACHE_DIR")
    if own:
        return Path(own).expanduser().absolute()
    shared = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    if not shared.is_absolute():
        shared = Path("~/.cache")
    return shared.expanduser() / "ragctx"
