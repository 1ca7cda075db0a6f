"""Starting a Ray on this machine, or joining one that runs; each in bounded time."""

from __future__ import annotations

import os
import re
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

from ragctx.errors import ClusterError, InputError, require_extra
from ragctx.ingestion.reading import cores

LOCAL = "local"
"""The address for which a Ray of our own is started."""
AUTO = "auto"
"""The address of the cluster that this machine belongs to."""
CLIENT = "ray://"
"""What addresses begin with that are joined from outside of the cluster."""
REACH_S = 5.0
"""Seconds for a connection to be made. Chosen by hand."""
ANSWER_S = 60.0
"""Seconds for a Ray to answer who is connected: a busy machine starts Python slowly."""
STORE_BYTES = 512 * 2**20
"""Memory for the files and results that are on their way within this machine; Ray puts on disk what
has no place there. Chosen by hand."""
_VERSIONS = re.compile(
    r"was started with:\s*Ray: (?P<ray>\S+)\s*Python: (?P<python>\S+)"
    r".*was started with:\s*Ray: (?P<our_ray>\S+)\s*Python: (?P<our_python>\S+)",
    re.DOTALL,
)


def require_address(address: str) -> str:
    """The address, if it is one: "local", "auto", "host:6379" or "ray://host:10001".

    Raises InputError for anything else.
    """
    if address not in (LOCAL, AUTO) and _host_and_port(address) is None:
        raise InputError(
            f"{address!r} is not the address of a Ray; valid: {AUTO} (the cluster of this "
            f"machine), HOST:6379, {CLIENT}HOST:10001, and {LOCAL} to start one here"
        )
    return address


def _host_and_port(address: str) -> tuple[str, int] | None:
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    is_ipv6 = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if is_ipv6 else host
    is_name = host and not set(host) & set(" /[]" if is_ipv6 else " /[]:")
    is_port = port.isascii() and port.isdecimal() and len(port) < 6 and 0 < int(port) < 2**16
    return (host, int(port)) if is_name and is_port else None


@contextmanager
def connected(address: str = LOCAL) -> Iterator[ModuleType]:
    """The module `ray`, connected to a cluster within the block.

    A process that is connected already stays so, if `address` is "local" or "auto". The Ray that is
    started for "local" is reached from this machine alone, with a token that only this process and
    its children know; it has no dashboard, sends no usage statistics, and ends with the block. (A
    program that imported `ray` before has a Ray with a token that listens on all addresses.)

    Raises:
        InputError: that is no address.
        MissingExtraError: Ray is not installed.
        ClusterError: there is no Ray at this address, it is of another version, or does not start.
    """
    require_address(address)
    with _environment(_OWN if address == LOCAL else _QUIET):
        with require_extra("Ray (--ray)", "ray", "'ragctx[ray]'"):
            import ray
        if ray.is_initialized() and address in (LOCAL, AUTO):
            yield ray
            return
        if address != LOCAL:
            _require_reachable(address)
        _forget_token()
        try:
            _connect(ray, address)
            yield ray
        finally:
            ray.shutdown()  # also of what was started before it failed
            _forget_token()


_NEW_TOKEN = ""
_QUIET = {
    # Ray writes what went wrong on standard output, where results are; errors tell it here.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",
    "RAY_SCHEDULER_EVENTS": "0",
}
_OWN = {
    **_QUIET,
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # embedders compute where they would without Ray
    # Named for where it is the default: a Ray that listens on 127.0.0.1 alone.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_TOKEN": _NEW_TOKEN,  # Ray would keep one in the user's home
}
"""What Ray reads when it is imported and when it starts."""


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """These variables within the block; those that a user has set stay."""
    before = dict(os.environ)
    for name, value in values.items():
        os.environ.setdefault(name, secrets.token_hex(32) if value == _NEW_TOKEN else value)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            if name.startswith("RAY_"):  # Ray sets some, too
                del os.environ[name]


def _forget_token() -> None:
    """Let Ray read its token again, which it does only once."""
    loader = getattr(import_module("ray._raylet"), "AuthenticationTokenLoader", None)
    if loader is not None:  # older ones have none
        loader.instance().reset_cache()


def _connect(ray: ModuleType, address: str) -> None:
    ours = {
        "num_cpus": cores(),
        "include_dashboard": False,
        "object_store_memory": STORE_BYTES,
    }
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level="CRITICAL",
            **(ours if address == LOCAL else {}),
        )
    except Exception as error:  # Ray raises whatever came up, and never one of its own
        raise ClusterError(_why_not(error, address, ray.__version__)) from error


def _why_not(error: Exception, address: str, our_version: str) -> str:
    """Why Ray could not be joined or started, with the remedy."""
    text = str(error)
    versions = _VERSIONS.search(text)
    if versions:
        remedy = f"install the cluster's here: pip install ray=={versions['ray']}"
        if versions["python"] != versions["our_python"]:
            remedy = f"run ragctx by Python {versions['python']} with ray {versions['ray']}"
        return (
            f"the Ray at {address} is {versions['ray']} on Python {versions['python']}, and here "
            f"it is {versions['our_ray']} on Python {versions['our_python']}; {remedy}"
        )
    reason = next(filter(None, map(str.strip, text.splitlines())), type(error).__name__)[:300]
    if address == LOCAL:
        return f"no Ray could be started here ({reason}); try it: ray start --head; ray stop"
    if "node" in text and ("IP" in text or "raylet" in text):
        return (
            f"this machine does not belong to the Ray at {address} ({reason}); run ragctx on one "
            f"of its nodes, or give {CLIENT}HOST:10001"
        )
    return f"the Ray at {address} could not be joined ({reason}); ask it: ray status"


def _require_reachable(address: str) -> None:
    """Raise ClusterError unless a Ray answers there: `ray.init` alone would try for minutes."""
    place = _host_and_port(address)
    if place:
        host, port = place
        try:
            socket.create_connection(place, REACH_S).close()
        except OSError as error:
            raise ClusterError(
                f"nothing answers at {host}:{port} ({error.strerror or error}); start a Ray there: "
                "ray start --head, or leave the address out to start one here"
            ) from error
        if address.startswith(CLIENT):
            return  # a client gives up by itself
    words = ["health-check", "--skip-version-check"]
    words += [] if address == AUTO else ["--address", address]
    command = (sys.executable, "-m", "ray.scripts.scripts", *words)
    try:
        answer = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=ANSWER_S, check=False
        )
    except subprocess.TimeoutExpired:
        answer = None
    if answer is None or answer.returncode:
        where = "on this machine" if address == AUTO else f"at {address}"
        raise ClusterError(
            f"no Ray answers {where}, or it wants another token (RAY_AUTH_TOKEN); look for one: "
            "ray status, start one: ray start --head, or leave the address out to have one started "
            "for this run"
        )
