"""`ragctx serve`."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import webbrowser
from typing import TYPE_CHECKING

import click

from ragctx.cli import options
from ragctx.cli.exit_codes import OK, say
from ragctx.cli.help import Command, examples
from ragctx.cli.model_options import Model, model_options, with_profile
from ragctx.cli.output import failure_lines
from ragctx.cli.progress import ingest_progress, loading
from ragctx.errors import InputError, RagctxError, require_extra

if TYPE_CHECKING:
    from ragctx.index.address import IndexPlace
    from ragctx.ingest_ledger import IngestRow
    from ragctx.server.service import Service


@examples(
    "ragctx serve",
    "ragctx serve manuals/ --watch --open",
    "ragctx serve --model ~/models/qwen --port 9000",
    "ragctx serve --host 0.0.0.0",
)
@click.command("serve", cls=Command)
@click.argument("pdfs", nargs=-1, metavar="[PDF|FOLDER]...")
@options.index_option
@options.embedder_option
@options.password_option
@model_options
@options.retrieval_options(k=5)
@options.assembly_options
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Address to listen on. Reached from other computers (0.0.0.0), a token is demanded: "
    "RAGCTX_TOKEN, or one that is made up and printed.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8400,
    show_default=True,
    metavar="N",
    help="Port to listen on; 0: any that is free.",
)
@click.option("--open", "opens", is_flag=True, help="Open the page in the browser.")
@click.option("--watch", is_flag=True, help="Read documents again when their files change.")
def serve_command(
    pdfs: tuple[str, ...],
    index_path: IndexPlace,
    embedder_spec: str,
    password: str | None,
    model: Model,
    retrieval: options.RetrievalOptions,
    assembly: options.AssemblyOptions,
    host: str,
    port: int,
    opens: bool,
    watch: bool,
) -> int:
    """Serve a page to ask on, and an API, from warm models.

    PDFs and folders that are named are ingested first. The page shows each answer beside the page
    of the document that it is from, with the quote marked. Programs ask by JSON (see /docs) or by
    the protocol of OpenAI (/v1). Ctrl-C ends it. Needs the extra ragctx[serve].
    """
    if watch and not pdfs:
        raise InputError("--watch has nothing to watch; name the folders")
    with require_extra("ragctx serve", "uvicorn", "ragctx[serve]"):
        import uvicorn
    from ragctx.server.app import create_app
    from ragctx.server.guard import Guard, is_loopback
    from ragctx.server.watching import Watcher

    service = _service(
        pdfs=pdfs,
        index_path=index_path,
        embedder_spec=embedder_spec,
        password=password,
        model=model,
        retrieval=retrieval,
        assembly=assembly,
    )
    token = os.environ.get("RAGCTX_TOKEN", "")
    if not token and not is_loopback(host):
        token = secrets.token_urlsafe(24)
    app = create_app(service, Guard(token=token))
    listener = _listener(host, port)
    address = _address(host, listener.getsockname()[1])
    say(f"serving on {address} (Ctrl-C ends it)")
    with_token = f"{address}/?token={token}" if token else address
    if token and "RAGCTX_TOKEN" not in os.environ:
        say(f"open it with the token: {with_token}")
    if opens:
        threading.Timer(OPENED_AFTER_S, webbrowser.open, [with_token]).start()
    watcher = Watcher(service, pdfs, _tell_row) if watch else None
    if watcher is not None:
        watcher.start()
    config = uvicorn.Config(app, log_config=None, server_header=False, timeout_graceful_shutdown=3)
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:  # it has ended in order by now
        say("ended")
    finally:
        if watcher is not None:
            watcher.stop()
    return OK


OPENED_AFTER_S = 0.5
"""Seconds until the browser is called: the server answers by then."""


def _listener(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises RagctxError if there can be none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise RagctxError(
            f"cannot listen on {host}, port {port}: {error}; name another --host or --port"
        ) from error


def _address(host: str, port: int) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _tell_row(row: IngestRow) -> None:
    say(f"{row.path}: {row.outcome}")


def _service(
    *,
    pdfs: tuple[str, ...],
    index_path: IndexPlace,
    embedder_spec: str,
    password: str | None,
    model: Model,
    retrieval: options.RetrievalOptions,
    assembly: options.AssemblyOptions,
) -> Service:
    from ragctx.index.index import Index
    from ragctx.index.made_with import embedder_of
    from ragctx.ingestion.run import ingest
    from ragctx.ingestion.settings import IngestSettings
    from ragctx.server.service import Service

    how = assembly.resolve(retrieval.scale)
    with loading("the embedder"):
        embedder = embedder_of(index_path, embedder_spec)
    index = Index.open_or_create(index_path, embedder=embedder)
    if pdfs:
        with ingest_progress() as progress:
            settings = IngestSettings(password=password)
            rows = ingest(pdfs, index, embedder, settings=settings, progress=progress)
        for line in failure_lines(rows):
            say(line)
    with loading("the model"):
        generator = model.load(how.context_window)
    return Service(
        index=index,
        embedder=embedder,
        generator=generator,
        retrieval=retrieval.resolve(),
        assembly=with_profile(how, model, generator),
    )
