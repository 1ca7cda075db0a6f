"""Types of option values: page ranges, relevance floors, placements, settings (NAME=VALUE)."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from click.shell_completion import CompletionItem

from ragctx.errors import InputError
from ragctx.index.address import IndexPlace, PostgresAddress, is_address
from ragctx.placement.laws import Strategy
from ragctx.placement.strategies import STRATEGIES

if TYPE_CHECKING:
    Pages = click.ParamType[tuple[int | None, int | None]]
    Scores = click.ParamType[float | Literal["auto"]]
    Order = click.ParamType[str | Strategy]
    Settings = click.ParamType[tuple[str, object]]
    Texts = click.ParamType[str]
    Places = click.ParamType[IndexPlace]
else:  # generic in newer versions of click only
    Pages = Scores = Order = Settings = Texts = Places = click.ParamType


class IndexName(Places):
    """The folder of an index, or the address of a PostgreSQL database."""

    name = "index"
    _folder = click.Path(path_type=Path, file_okay=False)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """The name of the value in the help text."""
        return "FOLDER|URL"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> IndexPlace:
        """The folder or the address. Raises InputError for an address that is none."""
        if isinstance(value, PostgresAddress):
            return value
        if is_address(value):
            return PostgresAddress(str(value))
        folder: Path = self._folder.convert(str(value), param, ctx)
        return folder

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Folders."""
        return self._folder.shell_complete(ctx, param, incomplete)


_DIGITS = 100
"""A page number has fewer; Python refuses to convert numbers of some thousands."""


class PlacementName(Order):
    """A name in `STRATEGIES`, or a function: my_module:my_order, path/to/orders.py:my_order."""

    name = "placement"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """The name of the value in the help text."""
        return "NAME|MODULE:FUNCTION"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | Strategy:
        """The name, or the function once it was imported and its laws were checked.

        Raises InputError when it cannot be imported or breaks a law.
        """
        if callable(value) or value in STRATEGIES:
            return value  # type: ignore[return-value]
        if ":" not in str(value):
            self.fail(
                f"no placement is called {value!r}; valid: {', '.join(map(repr, STRATEGIES))}, and "
                "my_module:my_order for a function of your own.",
                param,
                ctx,
            )
        from ragctx.placement.loading import load_strategy

        return load_strategy(str(value))

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The names that begin so."""
        return [CompletionItem(name) for name in STRATEGIES if name.startswith(incomplete)]


class PageRange(Pages):
    """Pages, counted from 1: 3, 3-7, 3- or -7."""

    name = "range"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """The name of the value in the help text."""
        return "FIRST-LAST"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int | None, int | None]:
        """First and last page; None where the range is open."""
        if isinstance(value, tuple):
            return value
        first, dash, last = str(value).partition("-")
        last = last if dash else first
        given = [part for part in (first, last) if part]
        if not given or not all(part.isdecimal() and len(part) < _DIGITS for part in given):
            self.fail(f"{value!r:.80} is not a page range such as 3, 3-7, 3- or -7.", param, ctx)
        pages = int(first) if first else None, int(last) if last else None
        if pages[0] == 0 or pages[1] == 0 or (pages[0] or 1) > (pages[1] or pages[0] or 1):
            self.fail(f"{value!r} holds no page; pages count from 1, first to last.", param, ctx)
        return pages


class Setting(Settings):
    """A name and its value: enable_thinking=false. JSON is read, anything else is text."""

    name = "setting"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """The name of the value in the help text."""
        return "NAME=VALUE"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, object]:
        """The name and the value."""
        if isinstance(value, tuple):
            return value
        name, equals, words = str(value).partition("=")
        if not (equals and name.strip()):
            self.fail(f"{value!r} is no NAME=VALUE, such as enable_thinking=false.", param, ctx)
        try:
            return name.strip(), json.loads(words)
        except (ValueError, RecursionError):
            return name.strip(), words


class MinScore(Scores):
    """A score, or auto."""

    name = "score"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """The name of the value in the help text."""
        return "SCORE|auto"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | Literal["auto"]:
        """The score, or "auto"."""
        if value == "auto":
            return "auto"
        try:
            score = float(str(value))
        except ValueError:
            score = math.nan
        if math.isnan(score):
            self.fail(f"{value!r} is neither a number such as 0.3 nor auto.", param, ctx)
        return score


class RayAddress(Texts):
    """auto, HOST:PORT or ray://HOST:PORT; local, where the option stands alone."""

    name = "address"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """The name of the value in the help text."""
        return "[auto|HOST:PORT|ray://HOST:PORT]"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """The address; what follows a --ray that should stand alone is none, and refused."""
        from ragctx.ingestion.on_ray.cluster import require_address

        try:
            return require_address(str(value))
        except InputError as error:
            self.fail(
                f"{error}. Without an address, put --ray at the end of the command.", param, ctx
            )
