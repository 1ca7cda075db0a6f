"""`ragctx mcp`."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, TimeoutError
from typing import TYPE_CHECKING

import click

from ragctx.cli.agents import allow_tokenizer_option, toolbox_of
from ragctx.cli.answering import Answering, answering_options
from ragctx.cli.exit_codes import OK, exit_code_of, say
from ragctx.cli.help import Command, examples
from ragctx.cli.listening import Address, address_options, is_made_up
from ragctx.cli.warm import load_service, watcher
from ragctx.errors import InputError, RagctxError, require_extra

if TYPE_CHECKING:
    from ragctx.mcp_server.tools import Toolbox
    from ragctx.server.service import Service

WAIT_S = 45.0
"""Seconds that a call waits for what is being loaded. Many clients give up after a minute."""


@examples(
    "ragctx mcp",
    "ragctx mcp manuals/ --watch",
    "ragctx mcp --allow-tokenizer qwen=~/models/qwen",
    "ragctx mcp --http --port 8401",
)
@click.command("mcp", cls=Command)
@click.argument("pdfs", nargs=-1, metavar="[FILE|FOLDER]...")
@answering_options
@allow_tokenizer_option
@click.option(
    "--http",
    is_flag=True,
    help="Serve many clients by streamable HTTP, at /mcp, instead of one at standard input and "
    "output.",
)
@address_options(port=8401)
@click.option("--watch", is_flag=True, help="Read documents again when their files change.")
def mcp_command(
    pdfs: tuple[str, ...],
    answering: Answering,
    allowed: tuple[str, ...],
    http: bool,
    address: Address,
    watch: bool,
) -> int:
    """Give agents the documents: tools to search, ask and assemble, by MCP.

    An agent's program starts it and speaks the Model Context Protocol at its standard input and
    output; messages go to standard error. The tools are search, ask, assemble (a context that fits
    a budget of tokens exactly, for the agent's own model), read_page and list_documents; documents
    and their pages are resources. Files and folders that are named are ingested first, while the
    agent is answered already. Needs the extra ragctx[mcp].
    """
    if watch and not pdfs:
        raise InputError("--watch has nothing to watch; name the folders")
    with require_extra("ragctx mcp", "mcp", "'ragctx[mcp]'"):
        import mcp  # noqa: F401
    from ragctx.index.index import Index
    from ragctx.server.metrics import Metrics

    # what is quick to check is an error here, before an agent is told that all is well
    answering.assembly.resolve(answering.retrieval.scale)
    if not pdfs:
        Index.open(answering.index_path)
    service: Future[Service] = Future()
    toolbox = toolbox_of(lambda: loaded(service), allowed, Metrics())

    def load() -> Service:
        made = load_service(pdfs, answering)
        if watch:
            watcher(made, pdfs).start()
        return made

    if http:
        _serve_http(load, service, toolbox, address)
    else:
        _serve_stdio(load, service, toolbox)
    return OK


def loaded(service: Future[Service]) -> Service:
    """The service once it is there.

    Raises RagctxError if that takes longer than `WAIT_S`, and what loading raised.
    """
    try:
        return service.result(timeout=WAIT_S)
    except TimeoutError:
        raise RagctxError(
            "documents or models are still being loaded; try again in a minute"
        ) from None


def _serve_http(
    load: Callable[[], Service], service: Future[Service], toolbox: Toolbox, address: Address
) -> None:
    """Load everything, then let many clients in."""
    from ragctx.mcp_server.handlers import create_server
    from ragctx.mcp_server.transports import PATH, create_mcp_app

    listening, guard = address.listen(), address.guard()
    service.set_result(load())
    say(f"MCP at {listening.url}{PATH} (Ctrl-C ends it)")
    if is_made_up(guard):
        say(f"clients send the header: Authorization: Bearer {guard.token}")
    listening.run(create_mcp_app(create_server(toolbox), guard))


def _serve_stdio(load: Callable[[], Service], service: Future[Service], toolbox: Toolbox) -> None:
    """Speak to the one client at once, and load meanwhile: a client does not wait for minutes.

    Calls wait for it, see `loaded`; why it could not be loaded is told to each of them.
    """
    from ragctx.mcp_server.handlers import create_server
    from ragctx.mcp_server.transports import serve_stdio

    def loading() -> None:
        try:
            made = load()
        except Exception as error:
            exit_code_of(error)  # one line on standard error, for whoever reads the client's log
            if not service.cancelled():
                service.set_exception(error)
        else:
            if not service.cancelled():
                service.set_result(made)

    # Ctrl-C is for a person who tries it: the thread that reads the input would never see it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    serve_stdio(create_server(toolbox), threading.Thread(target=loading, daemon=True).start)
    service.cancel()  # calls that still wait for it end, and so does the program
