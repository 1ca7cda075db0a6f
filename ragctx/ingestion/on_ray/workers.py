"""Readers and embedders on a Ray cluster, for `ingest(…, workers=…)`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ragctx import __version__
from ragctx.embedding import load_embedder
from ragctx.errors import ClusterError, PdfError, RagctxError
from ragctx.ingestion.on_ray.cluster import LOCAL, connected
from ragctx.ingestion.on_ray.remote import ReadOrder, RemoteEmbedder, read_file
from ragctx.ingestion.reading import FileFound, FileRead, FileReader
from ragctx.ingestion.workers import Embedded

if TYPE_CHECKING:
    from ragctx.embedding import Embedder, OnProgress

TRIES = 3
"""How often a file, or a group of chunks, may cost the worker that has it its life."""
START_S = 180.0
"""Seconds for the first embedder to be loaded on the cluster: Ray starts a Python for it."""
_SHARE = 0.5
"""Of a processor, for each reader and each embedder: there is one of each for every processor, and
whichever has work uses it."""
_QUEUED = 2
"""Groups that each embedder may have: the one it works on, and the next."""
_POLL_S = 0.2


@contextmanager
def on_ray(
    embedder: Embedder,
    *,
    load: Callable[[], Embedder] | None = None,
    address: str = LOCAL,
) -> Iterator[RayWorkers]:
    """Workers on a Ray cluster, for `ingest`, within the block.

    Files are read by tasks and embedded by actors that stay loaded. The bytes of the files are sent
    to them, with the password, if there is one: the machines need no folder in common. They need
    the same ragctx, with the extra `ragctx[ray]`. Ray sends Python objects as pickles and checks
    nobody's rights: join only clusters whose every machine you trust.

    Args:
        embedder: the one of the index.
        load: a function that loads the same embedder there; by default `load_embedder` with its
            id, which knows those that ragctx brings.
        address: "local", "auto", "host:6379" or "ray://host:10001"; see `cluster.connected`.

    Raises:
        InputError, MissingExtraError: as for `cluster.connected`.
        ClusterError: as for that; or the machines lack ragctx, have another version of it, another
            embedder or no processor to spare.

    >>> with on_ray(embedder, address="auto") as workers:  # doctest: +SKIP
    ...     rows = ingest("manuals/", "indexes/manuals", embedder, workers=workers)
    """
    load = load or partial(load_embedder, embedder.id)
    with connected(address) as ray:
        try:
            workers = RayWorkers(ray, embedder, load)
        except Exception as error:  # what cannot be sent, or is not known there
            raise _told(error, "sending the embedder's tokenizer") from error
        try:
            workers.require_embedder()
            yield workers
        finally:
            workers.close()


class RayWorkers:
    """The `Workers` that `on_ray` gives; of a connected `ray`.

    A worker that dies costs a retry of what it had, `TRIES` in all. A file that kills its reader
    each time is a file that cannot be read; a group that kills its embedder each time ends the run.
    """

    def __init__(self, ray: ModuleType, embedder: Embedder, load: Callable[[], Embedder]) -> None:
        self._ray: Any = ray
        processors = max(1, int(ray.cluster_resources().get("CPU", 1)))
        options = {"num_cpus": _SHARE, "scheduling_strategy": "SPREAD"}
        self._task = ray.remote(max_retries=0, **options)(read_file)
        actor = ray.remote(max_restarts=0, max_task_retries=0, **options)(RemoteEmbedder)
        make = partial(actor.remote, load, embedder.id, __version__)
        self._tokenizer = ray.put(embedder.tokenizer)
        self._embedders = [_Embedder(ray, make) for _ in range(processors)]
        self._one_at_a_time = threading.Lock()
        self._inside = threading.Condition()
        self._calls = 0  # threads that are using Ray
        self._closed = False
        self.readers = processors

    @property
    def groups(self) -> int:
        return _QUEUED * max(1, sum(embedder.is_ready() for embedder in self._embedders))

    # --- reading, by several threads

    def read(self, reader: FileReader, found: FileFound) -> FileRead:
        if found.error is not None or not found.is_new:
            return reader.read(found)
        began = time.perf_counter()
        try:
            with self._using_ray():
                return self._read(reader, found)
        except (PdfError, OSError) as error:
            seconds = time.perf_counter() - began
            return FileRead(path=found.path, error=error, seconds=seconds)

    def _read(self, reader: FileReader, found: FileFound) -> FileRead:
        order = ReadOrder(
            path=str(found.path),
            document_id=found.document_id,
            settings=reader.settings,
            recipe=reader.recipe,
            version=__version__,
        )
        with self._one_at_a_time:  # one file at most is in this process's own memory
            content = self._ray.put(_content(found.path, reader.settings.limits.max_file_bytes))
        for _ in range(TRIES):
            task = self._task.remote(order, content, self._tokenizer)
            while not self._ray.wait([task], timeout=_POLL_S)[0]:
                if reader.stopped.is_set():
                    self._ray.cancel(task, force=True)
                    return FileRead(path=found.path)
            try:
                read: FileRead = self._ray.get(task)
            except self._ray.exceptions.RayTaskError as error:
                raise _told(error, f"reading {found.path.name}") from None
            except self._ray.exceptions.RayError:
                continue  # its process was killed, or the machine is gone
            _tell_pages(reader, read)
            return read
        raise PdfError(
            f"{found.path.name} ended the process that reads it {TRIES} times, perhaps for its "
            "memory; read it by itself, without --ray",
            status="corrupt",
        )

    # --- embedding, by the thread that writes

    def require_embedder(self) -> None:
        """Wait until an embedder is loaded; raises ClusterError if none can be."""
        self._least_busy()

    def embed(self, texts: Sequence[str], on_progress: OnProgress) -> _OnItsWay:
        return _OnItsWay(self._ray, self._least_busy, texts)

    def _least_busy(self) -> _Embedder:
        """Of the embedders that are loaded, the one with the fewest groups; waits for the first."""
        until = time.monotonic() + START_S
        while True:
            ready = [embedder for embedder in self._embedders if embedder.is_ready()]
            if ready:
                return min(ready, key=lambda embedder: embedder.groups)
            if time.monotonic() > until:
                raise ClusterError(
                    f"no embedder was loaded on the Ray cluster within {START_S:g} s; its "
                    "processors may all be taken: look with ray status, and run the command again "
                    "when some are free"
                )
            loading = [embedder.loading for embedder in self._embedders]
            self._ray.wait(loading, timeout=_POLL_S)

    # --- the end

    @contextmanager
    def _using_ray(self) -> Iterator[None]:
        with self._inside:
            if self._closed:
                raise ClusterError("the Ray cluster was left; ingest within the block of on_ray")
            self._calls += 1
        try:
            yield
        finally:
            with self._inside:
                self._calls -= 1
                self._inside.notify_all()

    def close(self) -> None:
        """End the embedders; returns when no thread of ours uses Ray any more, in some seconds."""
        with self._inside:
            self._closed = True
            self._inside.wait_for(lambda: not self._calls, timeout=10)
        for embedder in self._embedders:
            with suppress(Exception):  # it is gone already, with its machine perhaps
                self._ray.kill(embedder.actor)


class _Embedder:
    """An actor that embeds, and another in its place once it has died."""

    def __init__(self, ray: Any, make: Callable[[], Any]) -> None:
        self._ray, self._make = ray, make
        self._failed_starts = 0
        self._start()

    def _start(self) -> None:
        self.actor = self._make()
        self.loading = self.actor.prepare.remote()
        self.groups = 0  # that it has
        self._is_ready = False

    def is_ready(self) -> bool:
        """Whether it is loaded.

        Raises ClusterError if it never will be.
        """
        if not self._is_ready and self._ray.wait([self.loading], timeout=0)[0]:
            try:
                self._ray.get(self.loading)
                self._is_ready, self._failed_starts = True, 0
            except self._ray.exceptions.RayTaskError as error:
                raise _told(error, "loading the embedder") from None
            except self._ray.exceptions.RayError as error:
                self._failed_starts += 1
                if self._failed_starts == TRIES:
                    raise _told(error, "starting an embedder") from None
                self._start()
        return self._is_ready

    def died(self, actor: Any) -> None:
        """Start another in the place of this actor, unless that was done."""
        if actor is self.actor:
            self._start()


class _OnItsWay:
    """Texts that an embedder has: the `Embedding` of RayWorkers."""

    def __init__(self, ray: Any, pick: Callable[[], _Embedder], texts: Sequence[str]) -> None:
        self._ray, self._pick, self._texts = ray, pick, list(texts)
        self._send()

    def _send(self) -> None:
        self._embedder = self._pick()
        self._actor = self._embedder.actor
        self._embedder.groups += 1
        self._answer = self._actor.encode.remote(self._texts)

    def is_ready(self) -> bool:
        return bool(self._ray.wait([self._answer], timeout=0)[0])

    def result(self) -> Embedded:
        for attempt in range(1, TRIES + 1):
            try:
                embedded: Embedded = self._ray.get(self._answer)
            except self._ray.exceptions.RayTaskError as error:
                raise _told(error, "embedding") from None
            except self._ray.exceptions.RayError as error:
                if attempt == TRIES:
                    raise _told(error, f"embedding, {TRIES} times,") from None
                self._embedder.died(self._actor)
                self._send()
                continue
            self._embedder.groups -= 1
            return embedded
        raise AssertionError


def _content(path: Path, limit: int) -> NDArray[np.uint8]:
    """The bytes of a file, one more than `limit` at most: what is too large will be told there."""
    with path.open("rb") as stream:
        return np.frombuffer(stream.read(limit + 1), np.uint8)


def _tell_pages(reader: FileReader, read: FileRead) -> None:
    pages = 0 if read.document is None else len(read.document.pages)
    for page in range(pages):
        reader.tell_page(read.path, page + 1, pages)


def _told(error: Exception, doing: str) -> RagctxError:
    """What went wrong on the cluster, as an error of ours."""
    cause = getattr(error, "cause", None) or error
    if isinstance(cause, RagctxError):
        return cause
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    reason = (lines[-1] if lines else type(cause).__name__)[:300]
    is_missing = isinstance(cause, ImportError) or "ModuleNotFoundError" in str(error)
    text = f"{doing} failed on the Ray cluster ({reason}); "
    if is_missing:
        return ClusterError(
            f"{text}install the same there, on every machine: pip install "
            f"'ragctx[ray]=={__version__}'"
        )
    return ClusterError(f"{text}what is stored stays: run the same command again")
