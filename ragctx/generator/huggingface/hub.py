"""Models that the Hugging Face cache on this machine holds, by their names. Nothing is fetched."""

from __future__ import annotations

import os
import re
from pathlib import Path

_NAME = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}")
_FOLDER = "models--"


def is_hub_name(spec: str) -> bool:
    """Whether a name has the form of the hub's, "Qwen/Qwen3-0.6B".

    >>> is_hub_name("Qwen/Qwen3-0.6B"), is_hub_name("./models/qwen"), is_hub_name("qwen")
    (True, False, False)
    """
    return bool(_NAME.fullmatch(spec)) and ".." not in spec and not spec.startswith(".")


def cached_model(name: str) -> Path | None:
    """The folder of a model in the cache, as last fetched; None if it is not there."""
    folder = _cache() / f"{_FOLDER}{name.replace('/', '--')}"
    try:
        revision = (folder / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    snapshot = folder / "snapshots" / revision
    return snapshot if re.fullmatch(r"[0-9a-f]{4,64}", revision) and snapshot.is_dir() else None


def hub_name(directory: Path) -> str:
    """The name of a model by its folder in a cache; "" for any other folder."""
    parts = directory.absolute().parts
    if len(parts) < 3 or parts[-2] != "snapshots" or not parts[-3].startswith(_FOLDER):
        return ""
    return parts[-3].removeprefix(_FOLDER).replace("--", "/", 1)


def _cache() -> Path:
    """Where the hub's own library keeps models: its rule, in its order."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if folder := os.environ.get(variable):
            return Path(folder).expanduser()
    home = os.environ.get("HF_HOME")
    if not home:
        home = os.path.join(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "huggingface")
    return Path(home).expanduser() / "hub"
