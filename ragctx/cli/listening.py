"""An application of this program on an address, until Ctrl-C."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from ragctx.cli.exit_codes import exit_code_of, say
from ragctx.cli.options import Decorator, gathered
from ragctx.errors import InputError, RagctxError, require_extra

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from ragctx.server.guard import Guard

TOKEN_VARIABLE = "RAGCTX_TOKEN"
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Addresses that stand for all of this computer's, and what reaches them from here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to listen, as it was given."""

    host: str
    port: int
    hosts: tuple[str, ...]

    def listen(self) -> Listening:
        """Take the address. Requests wait until `Listening.run`.

        Raises RagctxError if it cannot be taken, MissingExtraError without uvicorn.
        """
        with require_extra("listening on an address", "uvicorn", "'ragctx[serve]'"):
            import uvicorn  # noqa: F401
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            taken = socket.create_server((self.host, self.port), family=family)
        except (OSError, OverflowError) as error:
            raise RagctxError(
                f"cannot listen on {self.host}, port {self.port}: {error}; name another --host or "
                "--port"
            ) from error
        return Listening(self.host, taken)

    def guard(self) -> Guard:
        """Who may ask: on loopback anybody, elsewhere whoever knows the token.

        The token is the user's own, or one that is made up; see `is_made_up`. Raises InputError for
        one that no client could send.
        """
        from ragctx.server.guard import Guard, is_loopback

        token = _own_token()
        if not token and (self.hosts or not is_loopback(self.host)):
            token = secrets.token_urlsafe(24)
        own_name = {socket.gethostname().lower()} if token else set()
        return Guard(token=token, hosts=frozenset(map(str.lower, self.hosts)) | own_name)


@dataclass(frozen=True, slots=True)
class Listening:
    """An address that was taken."""

    host: str
    taken: socket.socket

    @property
    def url(self) -> str:
        """Where programs of this computer reach it."""
        host = ANYWHERE.get(self.host, self.host)
        port = self.taken.getsockname()[1]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def run(self, app: ASGIApp) -> None:
        """Answer requests until Ctrl-C."""
        import uvicorn

        logging.getLogger("uvicorn.error").addHandler(_OneLine(logging.ERROR))
        config = uvicorn.Config(
            app, log_config=None, server_header=False, timeout_graceful_shutdown=3
        )
        try:
            uvicorn.Server(config).run(sockets=[self.taken])
        except KeyboardInterrupt:  # it has ended in order by now
            say("ended")


class _OneLine(logging.Handler):
    """Tells what went wrong in a request in one line; RAGCTX_DEBUG tells where."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, Exception):
            exit_code_of(error)


def is_made_up(guard: Guard) -> bool:
    """Whether a guard's token is not the user's own, so that it must be shown."""
    return bool(guard.token) and not _own_token()


def _own_token() -> str:
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if token and not (token.isascii() and token.isprintable() and set(token).isdisjoint(' ;,"\\')):
        raise InputError(f"{TOKEN_VARIABLE} has characters that no header may have; use letters")
    return token


def address_options(*, port: int) -> Decorator:
    """--host, --port and --allow-host: given to the command as `address`."""
    options = (
        click.option(
            "--host",
            default="127.0.0.1",
            show_default=True,
            metavar="ADDRESS",
            help="Address to listen on. Reached from other computers (0.0.0.0), a token is "
            f"demanded: {TOKEN_VARIABLE}, or one that is made up and printed.",
        ),
        click.option(
            "--port",
            type=click.IntRange(0, 65535),
            default=port,
            show_default=True,
            metavar="N",
            help="Port to listen on; 0: any that is free.",
        ),
        click.option(
            "--allow-host",
            "hosts",
            multiple=True,
            metavar="NAME",
            help="Another name of this server, such as that of a proxy in front of it. May be "
            "repeated; a token is demanded then, too.",
        ),
    )
    return gathered("address", Address, options)
