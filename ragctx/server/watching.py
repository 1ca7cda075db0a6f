"""Documents that change on disk while the server runs are read again."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence

from ragctx.errors import RagctxError
from ragctx.ingest_ledger import IngestRow
from ragctx.ingestion.finding import find_files
from ragctx.server.service import Service

EVERY_S = 2.0
"""Seconds between two looks at the folders."""

State = dict[str, tuple[int, int]]


class Watcher(threading.Thread):
    """Looks at folders again and again, until `stop` is called."""

    def __init__(
        self, service: Service, paths: Sequence[str], on_row: Callable[[IngestRow], None]
    ) -> None:
        super().__init__(name="ragctx-watcher", daemon=True)
        self._service, self._paths, self._on_row = service, paths, on_row
        self._ended = threading.Event()
        self._seen = state_of(paths)

    def run(self) -> None:
        """Look, and read what has changed; what is gone is forgotten."""
        while not self._ended.wait(EVERY_S):
            now = state_of(self._paths)
            if now == self._seen:
                continue
            # A disk that is not there for a while does not empty the index.
            prune = all(os.path.exists(path) for path in self._paths)
            try:
                rows = self._service.update(self._paths, prune=prune)
            except (RagctxError, OSError):  # tried again at the next look
                continue
            self._seen = now
            for row in rows:
                if row.outcome != "unchanged":
                    self._on_row(row)

    def stop(self) -> None:
        """End the thread, after the file that is being read."""
        self._ended.set()


def state_of(paths: Sequence[str]) -> State:
    """Size and time of each file below the paths."""
    found: State = {}
    try:
        files = find_files(paths)
    except RagctxError:
        return found
    for path in files:
        try:
            status = os.stat(path)
        except OSError:
            continue
        found[str(path)] = status.st_size, status.st_mtime_ns
    return found
