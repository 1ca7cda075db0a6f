"""`ragctx mcp`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragctx.cli.answering import Answering, answering_options
from ragctx.cli.exit_codes import OK, exit_code_of, say
from ragctx.cli.help import Command, examples
from ragctx.cli.listening import Address, address_options, is_made_up
from ragctx.cli.warm import load_service, tell_row
from ragctx.errors import InputError, require_extra
from ragctx.paths import expanded

if TYPE_CHECKING:
    from ragctx.mcp_server.tokenizers import NamedTokenizers
    from ragctx.server.service import Service


@examples(
    "ragctx mcp",
    "ragctx mcp manuals/ --watch",
    "ragctx mcp --allow-tokenizer qwen=~/models/qwen",
    "ragctx mcp --http --port 8401",
)
@click.command("mcp", cls=Command)
@click.argument("pdfs", nargs=-1, metavar="[PDF|FOLDER]...")
@answering_options
@click.option(
    "--allow-tokenizer",
    "allowed",
    multiple=True,
    metavar="[NAME=]DIR",
    help="Let agents count with the tokenizer of this model directory, under its own name or NAME. "
    "tiktoken's and the bundled one are always allowed. May be repeated.",
)
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
    and their pages are resources. PDFs and folders that are named are ingested first, while the
    agent is answered already. Needs the extra ragctx[mcp].
    """
    if watch and not pdfs:
        raise InputError("--watch has nothing to watch; name the folders")
    with require_extra("ragctx mcp", "mcp", "'ragctx[mcp]'"):
        import mcp  # noqa: F401
    from ragctx.index.index import Index
    from ragctx.mcp_server.tokenizers import NamedTokenizers
    from ragctx.server.watching import Watcher

    tokenizers = NamedTokenizers(allowed=dict(map(named_directory, allowed)))
    answering.resolve()
    if not pdfs:
        Index.open(answering.index_path)

    def load() -> Service:
        service = load_service(pdfs, answering)
        if watch:
            Watcher(service, pdfs, tell_row).start()
        return service

    if http:
        _serve_http(load, tokenizers, address)
    else:
        _serve_stdio(load, tokenizers)
    return OK


def _serve_http(load: Callable[[], Service], tokenizers: NamedTokenizers, address: Address) -> None:
    """Load everything, then let many clients in."""
    from ragctx.mcp_server.handlers import create_server
    from ragctx.mcp_server.tools import Toolbox
    from ragctx.mcp_server.transports import PATH, create_mcp_app

    listening, guard = address.listen(), address.guard()
    service = load()
    server = create_server(Toolbox(get_service=lambda: service, tokenizers=tokenizers))
    say(f"MCP at {listening.url}{PATH} (Ctrl-C ends it)")
    if is_made_up(guard):
        say(f"clients send the header: Authorization: Bearer {guard.token}")
    listening.run(create_mcp_app(server, guard))


def _serve_stdio(load: Callable[[], Service], tokenizers: NamedTokenizers) -> None:
    """Speak to the one client at once, and load meanwhile: a client does not wait for minutes.

    Calls wait until all is loaded; why it could not be is told to each of them.
    """
    from ragctx.mcp_server.handlers import create_server
    from ragctx.mcp_server.tools import Toolbox
    from ragctx.mcp_server.transports import serve_stdio

    service: Future[Service] = Future()

    def loading() -> None:
        try:
            service.set_result(load())
        except Exception as error:
            service.set_exception(error)
            exit_code_of(error)  # one line on standard error, for whoever reads the client's log

    server = create_server(Toolbox(get_service=service.result, tokenizers=tokenizers))
    serve_stdio(server, threading.Thread(target=loading, daemon=True).start)


def named_directory(spec: str) -> tuple[str, Path]:
    """What `--allow-tokenizer` says: a name, and a directory or file that exists.

    Raises InputError if it does not.
    """
    name, is_named, path = spec.partition("=")
    directory = expanded(path if is_named else spec)
    if not directory.exists() or not (name or not is_named):
        raise InputError(
            f"--allow-tokenizer {spec}: there is no {directory}; give NAME=DIR, the directory of a "
            "model"
        )
    return name if is_named else directory.resolve().name, directory
