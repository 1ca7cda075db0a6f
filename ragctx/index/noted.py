"""A list, in the cache, of indexes on this machine whose vectors can be used again.

It is only a hint. What is not in it is computed, and what is in it may be gone.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from ragctx.errors import InputError
from ragctx.paths import cache_dir, open_regular, private_folder, write_whole

_MOST, _MOST_BYTES = 50, 2**20  # indexes, and bytes of their list; chosen by hand


def note_index(folder: Path) -> None:
    """Note where an index is, so that its vectors can be used when its PDFs are asked.

    What cannot be written is not noted.
    """
    path = str(folder.absolute())
    noted = [path, *(other for other in map(str, noted_indexes()) if other != path)]
    with suppress(OSError, InputError, ValueError):
        private_folder(_list().parent)
        write_whole(_list(), json.dumps(noted[:_MOST]))


def noted_indexes() -> list[Path]:
    """The folders of `note_index`, the one noted last first; some may be gone."""
    with suppress(OSError, InputError, ValueError, RecursionError):
        with open(open_regular(_list()), "rb") as stream:
            noted = json.loads(stream.read(_MOST_BYTES))
        if isinstance(noted, list) and all(isinstance(path, str) for path in noted):
            return [Path(path) for path in noted[:_MOST] if "\0" not in path]
    return []


def forget_indexes() -> None:
    """Remove the notes of `note_index`; the indexes stay."""
    with suppress(OSError, InputError):
        _list().unlink()


def _list() -> Path:
    return cache_dir() / "ingested.json"
