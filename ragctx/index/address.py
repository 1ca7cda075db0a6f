"""Where an index is: in a folder, or in a PostgreSQL database that an address names."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from ragctx.errors import InputError

SCHEMA = "ragctx"
"""The schema that holds the tables, unless the address names another."""
_SCHEMES = ("postgresql", "postgres")
_SCHEMA_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_SECRETS = ("password", "sslpassword")
_HIDDEN = "…"


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    """A database, and the schema in it that holds one index. Its text never has a password.

    Args:
        url: "postgresql://user@host:5432/database", with what libpq takes after a "?"; the schema
            comes last, after a "#". What it does not say is taken from PGHOST, PGPASSWORD and the
            like, and the password from ~/.pgpass.

    Raises:
        InputError: it is no such address, or the schema's name is no plain one.

    >>> address = PostgresAddress("postgresql://ann:secret@db/library#manuals")
    >>> print(address, address.schema)
    postgresql://ann@db/library#manuals manuals
    >>> address
    PostgresAddress('postgresql://ann@db/library#manuals')
    """

    url: str

    def __post_init__(self) -> None:
        """Raise InputError for what is no address."""
        if self._parts.scheme not in _SCHEMES:
            raise InputError(
                "an address of an index begins with postgresql://, as in "
                "postgresql://user@host/database#schema"
            )
        parts = self._parts
        later = parts.path + parts.fragment + ("" if "@" in parts.netloc else parts.query)
        if "@" in later or "\0" in self.url:  # a password with a sign in it, which is not shown
            raise InputError(
                "the address of the index cannot be read; write special characters of names and "
                "passwords as %XX: / as %2F, # as %23, ? as %3F, @ as %40"
            )
        if not _SCHEMA_NAME.fullmatch(self.schema) or self.schema.startswith("pg_"):
            raise InputError(
                f"the schema is {self.schema!r}; give small letters, digits and underscores after "
                'the "#", not beginning with a digit or pg_'
            )

    @property
    def schema(self) -> str:
        """The schema that holds the tables."""
        return self._parts.fragment or SCHEMA

    @property
    def conninfo(self) -> str:
        """What libpq is given; with the password, if the address has one."""
        return self._parts._replace(fragment="").geturl()

    @property
    def secrets(self) -> tuple[str, ...]:
        """The passwords in it, as they are and as they are written, for no message to show."""
        parts = self._parts
        written = [parts.netloc.rpartition("@")[0].partition(":")[2]]
        for pair in parts.query.split("&"):
            name, _, value = pair.partition("=")
            written += [value] if unquote(name) in _SECRETS else []
        return tuple({text for one in written if one for text in (one, unquote(one))})

    def without_secrets(self, text: str) -> str:
        """A message of libpq or the server without the address's passwords."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, _HIDDEN)
        return text

    def __str__(self) -> str:
        parts = self._parts
        user, at, host = parts.netloc.rpartition("@")
        pairs = [p for p in parts.query.split("&") if unquote(p.partition("=")[0]) not in _SECRETS]
        query = "&".join(pairs)
        shown = parts._replace(netloc=f"{user.partition(':')[0]}{at}{host}", query=query).geturl()
        return shown if "//" in shown else shown.replace(":", "://", 1)

    def __repr__(self) -> str:
        return f"PostgresAddress({str(self)!r})"

    @property
    def _parts(self) -> SplitResult:
        try:
            return urlsplit(self.url)
        except ValueError as error:  # a bracket of an IPv6 address that is not closed
            raise InputError("the address of the index cannot be read; check its host") from error


IndexPlace = Path | PostgresAddress
"""Where an index is."""


def folders(*places: IndexPlace) -> list[Path]:
    """Those that are folders, on this machine."""
    return [place for place in places if isinstance(place, Path)]


def without_password(path: str) -> str:
    """A path, or an address as it may be written into a file."""
    return str(PostgresAddress(path)) if is_address(path) else path


def is_address(text: object) -> bool:
    """Whether a text is an address of a database, or is meant to be."""
    return isinstance(text, str) and text.startswith(tuple(f"{name}://" for name in _SCHEMES))


def as_place(path: object) -> IndexPlace:
    """Where an index is that a text, a path or an address names.

    >>> as_place("indexes/work"), as_place("postgresql://db/library")
    (PosixPath('indexes/work'), PostgresAddress('postgresql://db/library'))

    Raises:
        InputError: it is neither.
    """
    if isinstance(path, PostgresAddress):
        return path
    if is_address(path):
        return PostgresAddress(str(path))
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"the path of an index is a text or a Path, not a {type(path).__name__}")
    folder = Path(path)
    if folder.parts[:1] in [(f"{name}:",) for name in _SCHEMES]:  # Path() leaves one slash of two
        raise InputError(
            "the address of a database is a text, not a Path: Index.open('postgresql://…')"
        )
    return folder
