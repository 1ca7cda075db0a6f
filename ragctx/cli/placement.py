"""`--placement`: one of the names, or a user's own function."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from ragctx.placement.laws import Strategy
from ragctx.placement.strategies import STRATEGIES

if TYPE_CHECKING:
    Order = click.ParamType[str | Strategy]
else:
    Order = click.ParamType  # generic in newer versions of click only


class PlacementName(Order):
    """A name in `STRATEGIES`, or a function: my_module:my_order, path/to/orders.py:my_order."""

    name = "placement"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """What stands for the value in the help text."""
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
                "my_module:my_order for a function of your own.", param, ctx,
            )  # fmt: skip
        from ragctx.placement.loading import load_strategy

        return load_strategy(str(value))

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The names that begin so."""
        return [CompletionItem(name) for name in STRATEGIES if name.startswith(incomplete)]
