"""Answers on disk, keyed by everything that decides them, so that an interrupted run can go on.

Each answer is kept behind a checksum of its key and its text. One that fails it, or has none, as
those of ragctx 0.1, counts as not kept and is asked for again.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from array import array
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from ragctx.errors import InputError, StoreError
from ragctx.evaluation.json_records import record_from_json, record_to_json
from ragctx.paths import cache_dir, open_regular, private_folder, require_regular
from ragctx.records import Generation, Prompt

MAX_BYTES = 2**28
"""Of the answers; beyond it a tenth of them goes, whichever. 250,000 of usual length; by hand."""
_TABLE = "CREATE TABLE answers (key TEXT PRIMARY KEY, answer TEXT) WITHOUT ROWID"
_TIMEOUT_S = 30.0  # for another run to finish writing; its writes take milliseconds
_READ_ONLY = ("attempt to write a readonly", "unable to open database")
"""How SQLite begins to say that a file or its folder cannot be written."""


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

    Where the file cannot be written, what it holds is used and nothing is kept. Every method raises
    StoreError for a file that is damaged or none of ragctx's.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or answers_path()
        self.is_writable = True
        try:
            if not self.path.parent.exists():
                private_folder(self.path.parent)
            if not path:
                _make_private(self.path)
            with _Connection(self.path) as database:
                database.execute("BEGIN IMMEDIATE")
                if not _holds_answers(database, self.path):
                    database.execute(_TABLE)
                database.execute("COMMIT")
                database.execute("PRAGMA journal_mode=WAL")
        except (OSError, _ReadOnlyError):
            self.is_writable = False

    def find(self, keys: Iterable[str]) -> dict[str, Generation]:
        """The stored answers among these keys; a key without a sound one is left out."""
        try:
            with _Connection(self.path, writable=self.is_writable) as database:
                if not _holds_answers(database, self.path):
                    return {}
                found = {key: _stored(database, key) for key in keys}
        except _ReadOnlyError:
            return {}
        return {key: answer for key, answer in found.items() if answer is not None}

    def keep(self, answers: Mapping[str, Generation]) -> None:
        """Store answers, all or none. A key that has a sound answer keeps it."""
        if not self.is_writable:
            return
        with _Connection(self.path) as database:
            database.execute("BEGIN IMMEDIATE")
            for key, answer in answers.items():
                if _stored(database, key) is None:
                    text = record_to_json(answer)
                    row = (key, f"{_checksum(key, text)} {text}")
                    database.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", row)
            while _used_bytes(database) > MAX_BYTES:
                # Keys are hashes, so that the first ones are a sample of all; pages are used again.
                tenth = database.execute("SELECT (count(*) + 9) / 10 FROM answers").fetchone()
                database.execute(
                    "DELETE FROM answers WHERE key IN (SELECT key FROM answers LIMIT ?)", tenth
                )

    def count(self) -> int:
        """The number of answers kept."""
        try:
            with _Connection(self.path, writable=self.is_writable) as database:
                if not _holds_answers(database, self.path):
                    return 0
                return int(database.execute("SELECT count(*) FROM answers").fetchone()[0])
        except _ReadOnlyError:
            return 0

    def clear(self) -> int:
        """Remove all answers; returns their number. The file stays, for others may have it open."""
        with _Connection(self.path) as database:
            removed = database.execute("DELETE FROM answers").rowcount
            database.execute("VACUUM")
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return removed


def answers_path() -> Path:
    """Where answers are kept unless another file is named."""
    return cache_dir() / "answers.sqlite3"


def _make_private(path: Path) -> None:
    """Make the file, or one of an earlier ragctx, readable to this user alone, if possible."""
    with suppress(OSError):
        os.close(open_regular(path, os.O_RDWR | os.O_CREAT))
        path.chmod(0o600)


def _used_bytes(database: sqlite3.Connection) -> int:
    pages, free, size = (
        database.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _holds_answers(database: sqlite3.Connection, path: Path) -> bool:
    """Whether the table is there yet. Raises StoreError for a file that holds anything else."""
    held = database.execute("SELECT sql FROM sqlite_master").fetchall()
    if held and held != [(_TABLE.encode(),)]:
        raise StoreError(
            f"{str(path)!r} holds something else than answers; delete that file, or run with "
            "--no-cache"
        )
    return bool(held)


def _checksum(key: str, text: str) -> str:
    return hashlib.sha256(f"{key} {text}".encode("utf-8", "surrogatepass")).hexdigest()


def _stored(database: sqlite3.Connection, key: str) -> Generation | None:
    """The answer of a key; None if there is none, or not as it was stored."""
    row = database.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
    if row is None or not isinstance(row[0], bytes):
        return None
    checksum, _, text = row[0].decode("utf-8", "replace").partition(" ")
    if checksum != _checksum(key, text):
        return None
    try:
        return record_from_json(Generation, text)
    except InputError:  # of another version
        return None


class _ReadOnlyError(StoreError):
    """The file cannot be written, or does not exist and cannot be made."""


class _Connection:
    """A connection for one `with` block: committed at its end unless it failed, and closed.

    One that is not `writable` also reads where SQLite cannot make its own files beside this one.
    """

    def __init__(self, path: Path, *, writable: bool = True) -> None:
        self._path = path
        self._mode = "rwc" if writable else "ro&immutable=1"

    def __enter__(self) -> sqlite3.Connection:
        try:
            require_regular(self._path)
            self._database = sqlite3.connect(
                f"{self._path.absolute().as_uri()}?mode={self._mode}",
                uri=True,
                timeout=_TIMEOUT_S,
                isolation_level=None,
            )
        except (OSError, sqlite3.Error) as error:
            raise self._failure(error) from None
        # Bytes, since a damaged text need not be UTF-8, and then could not be read at all.
        self._database.text_factory = bytes
        self._database.execute("PRAGMA trusted_schema=OFF")
        return self._database

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        try:
            if kind is None:
                self._database.commit()
        except sqlite3.Error as failed:  # a full disk, for one
            raise self._failure(failed) from None
        finally:
            self._database.close()
        if isinstance(error, sqlite3.Error):
            raise self._failure(error) from None

    def _failure(self, error: Exception) -> StoreError:
        read_only = isinstance(error, sqlite3.Error) and str(error).startswith(_READ_ONLY)
        return (_ReadOnlyError if read_only else StoreError)(
            f"the answers in {str(self._path)!r} cannot be used ({error}); delete that file, or "
            "run with --no-cache"
        )
