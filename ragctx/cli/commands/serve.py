"""`ragctx serve`."""

from __future__ import annotations

import threading
import webbrowser
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from ragctx.cli.agents import allow_tokenizer_option, toolbox_of
from ragctx.cli.answering import Answering, answering_options
from ragctx.cli.exit_codes import OK, say
from ragctx.cli.help import Command, examples
from ragctx.cli.listening import ANYWHERE, Address, address_options, is_made_up
from ragctx.cli.warm import load_service, watcher
from ragctx.errors import InputError, require_extra

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from ragctx.mcp_server.tools import Toolbox
    from ragctx.server.guard import Guard


@examples(
    "ragctx serve",
    "ragctx serve manuals/ --watch --open",
    "ragctx serve --model ~/models/qwen --port 9000",
    "ragctx serve --host 0.0.0.0",
    "ragctx serve --allow-host docs.example.org",
)
@click.command("serve", cls=Command)
@click.argument("pdfs", nargs=-1, metavar="[FILE|FOLDER]...")
@answering_options
@address_options(port=8400)
@allow_tokenizer_option
@click.option("--open", "opens", is_flag=True, help="Open the page in the browser.")
@click.option("--watch", is_flag=True, help="Read documents again when their files change.")
def serve_command(
    pdfs: tuple[str, ...],
    answering: Answering,
    address: Address,
    allowed: tuple[str, ...],
    opens: bool,
    watch: bool,
) -> int:
    """Serve a page to ask on, and an API, from warm models.

    Files and folders that are named are ingested first. The page shows each answer beside the page
    of the document that it is from, with the quote marked. Programs ask by JSON (see /docs) or by
    the protocol of OpenAI (/v1); agents by MCP (/mcp), if ragctx[mcp] is installed. Ctrl-C ends it.
    Needs the extra ragctx[serve].
    """
    if watch and not pdfs:
        raise InputError("--watch has nothing to watch; name the folders")
    with require_extra("ragctx serve", "uvicorn and starlette", "'ragctx[serve]'"):
        from ragctx.server.app import create_app
        from ragctx.server.metrics import Metrics
    from ragctx.server.uploads import folder_for, tidy

    listening, guard = address.listen(), address.guard()
    # A server that was killed may have left a PDF that it had received and not read.
    left = tuple(map(str, tidy(folder_for(answering.index_path))))
    service = load_service((*pdfs, *left), answering)
    metrics = Metrics()
    toolbox = toolbox_of(lambda: service, allowed, metrics)
    app = _with_mcp(create_app(service, guard, metrics=metrics), guard, toolbox)
    say(f"serving on {listening.url} (Ctrl-C ends it)")
    with_token = f"{listening.url}/?token={guard.token}" if guard.token else listening.url
    if is_made_up(guard):
        say(f"open it with the token: {with_token}")
    if address.host in ANYWHERE:
        say(f"from other computers, with this one's address in place of {ANYWHERE[address.host]}")
    if not service.sources():
        say("no documents yet: add them on the page, or name them: ragctx serve manuals/")
    if opens:
        threading.Timer(OPENED_AFTER_S, webbrowser.open, [with_token]).start()
    watching = watcher(service, pdfs) if watch else None
    if watching is not None:
        watching.start()
    try:
        listening.run(app)
    finally:
        if watching is not None:
            watching.stop()
    return OK


def _with_mcp(app: ASGIApp, guard: Guard, toolbox: Toolbox) -> ASGIApp:
    """The application, and agents served at /mcp; without the extra ragctx[mcp], as it is."""
    if find_spec("mcp") is None:
        return app
    from ragctx.mcp_server.handlers import create_server
    from ragctx.mcp_server.transports import create_mcp_app

    return create_mcp_app(create_server(toolbox), guard, beside=app)


OPENED_AFTER_S = 0.5
"""Seconds until the browser is called: the server answers by then."""
