"""An application of this program on an address, until Ctrl-C."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from ragctx.cli.exit_codes import say
from ragctx.cli.options import Decorator, gathered
from ragctx.errors import RagctxError, require_extra

if TYPE_CHECKING:
    from starlette.types import ASGIApp

TOKEN_VARIABLE = "RAGCTX_TOKEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to listen, as it was given."""

    host: str
    port: int

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

    def token(self) -> str:
        """What is demanded of those who ask: the user's own, or one that is made up; "": nothing.

        On loopback nothing is demanded unless the user names a token.
        """
        from ragctx.server.guard import is_loopback

        token = os.environ.get(TOKEN_VARIABLE, "")
        return token or ("" if is_loopback(self.host) else secrets.token_urlsafe(24))


@dataclass(frozen=True, slots=True)
class Listening:
    """An address that was taken."""

    host: str
    taken: socket.socket

    @property
    def url(self) -> str:
        """Where programs of this computer reach it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        port = self.taken.getsockname()[1]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def run(self, app: ASGIApp) -> None:
        """Answer requests until Ctrl-C."""
        import uvicorn

        config = uvicorn.Config(
            app, log_config=None, server_header=False, timeout_graceful_shutdown=3
        )
        try:
            uvicorn.Server(config).run(sockets=[self.taken])
        except KeyboardInterrupt:  # it has ended in order by now
            say("ended")


def is_made_up(token: str) -> bool:
    """Whether a token is not the user's own, so that it must be shown."""
    return bool(token) and TOKEN_VARIABLE not in os.environ


def address_options(*, port: int) -> Decorator:
    """--host and --port: given to the command as `address`."""
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
    )
    return gathered("address", Address, options)
