"""Answers on disk, keyed by everything that decides them, so that an interrupted run can go on."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from array import array
from collections.abc import Iterable, Mapping
from pathlib import Path

from ragctx.errors import StoreError
from ragctx.evaluation.json_records import record_from_json, record_to_json
from ragctx.paths import cache_dir
from ragctx.records import Generation, Prompt

_TABLE = "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT) WITHOUT ROWID"
_TIMEOUT_S = 30.0  # for another run to finish writing; its writes take milliseconds


def answer_key(model_hash: str, decoding: str, prompt: Prompt) -> str:
    """The key of an answer: a hash of the model, its decoding, and all that the prompt holds.

    Ranks and similarities of the passages are part of it: they are not in the token ids, but the
    bundled reader's answer depends on them.
    """
    passages = [
        (segment.token_start, segment.token_end, hit.rank, repr(hit.similarity))
        for segment in prompt.passages
        if (hit := segment.hit) is not None
    ]
    about = json.dumps([model_hash, decoding, prompt.max_new_tokens, prompt.question, passages])
    ids = array("q", prompt.token_ids).tobytes()
    return hashlib.sha256(about.encode("utf-8", "replace") + b"\0" + ids).hexdigest()


class AnswerCache:
    """Answers in one SQLite file, by default in `paths.cache_dir()`; several runs may share it.

    Every method raises StoreError for a file that cannot be read or written.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or cache_dir() / "answers.sqlite3"
        with self._opened() as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute(_TABLE)

    def find(self, keys: Iterable[str]) -> dict[str, Generation]:
        """The stored answers among these keys; a key without one is left out."""
        with self._opened() as database:
            rows = (
                database.execute("SELECT key, answer FROM answers WHERE key = ?", (key,)).fetchone()
                for key in keys
            )
            return {row[0]: record_from_json(Generation, row[1]) for row in rows if row is not None}

    def keep(self, answers: Mapping[str, Generation]) -> None:
        """Store answers, all or none. A key that is stored already keeps its answer."""
        with self._opened() as database:
            rows = [(key, record_to_json(answer)) for key, answer in answers.items()]
            database.executemany("INSERT OR IGNORE INTO answers VALUES (?, ?)", rows)

    def _opened(self) -> _Connection:
        return _Connection(self.path)


class _Connection:
    """A connection for one `with` block: committed at its end unless it failed, and closed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> sqlite3.Connection:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(self._path, timeout=_TIMEOUT_S)
        except (OSError, sqlite3.Error) as error:
            raise self._failure(error) from None
        return self._database

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        try:
            if kind is None:
                self._database.commit()
        finally:
            self._database.close()
        if isinstance(error, sqlite3.Error):
            raise self._failure(error) from None

    def _failure(self, error: Exception) -> StoreError:
        return StoreError(
            f"the answers in {str(self._path)!r} cannot be used ({error}); delete that file, or "
            "run with --no-cache"
        )
