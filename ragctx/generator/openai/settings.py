"""How a server is asked: how long to wait, how often to try, what else to send."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from ragctx.errors import InputError, ModelError, RagctxError

_FIRST_WAIT_S, _MOST_WAIT_S = 0.5, 8.0  # between tries; chosen by hand
_MOST_ASKED_S = 60.0  # a server that asks for a longer wait is not waited for; chosen by hand
_OWN = frozenset({"model", "messages", "stream"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Seconds, tries, and what goes with each request beside the question."""

    timeout_s: float = 300.0  # without a byte; a long prompt takes its time to read
    limit_s: float = float("inf")  # of one question, tries and waits included
    retries: int = 3  # after a first try that failed for the moment
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Mapping[str, Any] = field(default_factory=dict)  # further fields of the request

    def __post_init__(self) -> None:
        if not self.timeout_s > 0 or not self.limit_s > 0:
            raise InputError("timeout_s and limit_s are seconds; give numbers above 0")
        if self.retries < 0:
            raise InputError(f"retries is {self.retries}; give 0 or more")
        for name, value in self.headers.items():
            if not (name + value).isascii() or not (name + value).isprintable() or ":" in name:
                raise InputError(f"{name!r} cannot be a header with that value; use plain ASCII")

    @classmethod
    def of(cls, options: Mapping[str, object]) -> ServerSettings:
        """The settings that options stand for: timeout_s, limit_s, retries, header.NAME, fields.

        >>> settings = ServerSettings.of({"retries": 0, "header.X-Title": "mine", "seed": 7})
        >>> settings.headers, settings.body
        ({'X-Title': 'mine'}, {'seed': 7})

        Raises InputError for a value of another kind, or a field that is the question's own.
        """
        numbers: dict[str, Any] = {}
        headers: dict[str, str] = {}
        body: dict[str, object] = {}
        for name, value in options.items():
            if name in ("timeout_s", "limit_s", "retries"):
                kinds = (int,) if name == "retries" else (int, float)
                if not isinstance(value, kinds) or isinstance(value, bool):
                    raise InputError(f"--server-option {name}={value} is no number; give one")
                numbers[name] = value
            elif name.startswith("header."):
                headers[name.removeprefix("header.")] = str(value)
            elif name in _OWN:
                raise InputError(f"--server-option {name}: ragctx sets that itself; leave it out")
            else:
                body[name] = value
        return cls(**numbers, headers=headers, body=body)

    def wait_s(self, tries: int, asked_s: float | None) -> float | None:
        """Seconds to wait after that number of tries; None if there is nothing more to try.

        `asked_s` are those that the server asked for.
        """
        if tries > self.retries:
            return None
        if asked_s is not None:
            return asked_s if asked_s <= _MOST_ASKED_S else None
        return min(_MOST_WAIT_S, _FIRST_WAIT_S * 2.0 ** (tries - 1)) * random.uniform(0.75, 1.25)


class PassingError(Exception):
    """What may pass by itself. `lasting` is the error to raise if it does not."""

    def __init__(self, lasting: RagctxError, asked_wait_s: float | None = None) -> None:
        super().__init__(str(lasting))
        self.lasting = lasting
        self.asked_wait_s = asked_wait_s


class UnreachableError(ModelError):
    """There is no server at the address, or no way to it."""


class RefusedError(ModelError):
    """The server does not take the request. `words` tell which of its fields, if they do."""

    def __init__(self, message: str, *, words: str) -> None:
        super().__init__(message)
        self.words = words


def retry_after_s(header: str) -> float | None:
    """The seconds that a Retry-After header asks for: a number, or until a date.

    >>> retry_after_s("7"), retry_after_s("soon")
    (7.0, None)
    """
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(header)
        return max(0.0, (until - datetime.now(timezone.utc)).total_seconds())
    except (ValueError, TypeError):
        return None
