"""Names that a package hands on from its modules, loaded when they are first used.

`import ragctx.placement` then costs nothing, and `from ragctx.placement import place` works without
knowing which module defines `place`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from importlib import import_module

Getter = Callable[[str], object]


def handed_on(
    package: str, homes: Mapping[str, str], moved: Mapping[str, str] | None = None
) -> tuple[Getter, Callable[[], list[str]], list[str]]:
    """The `__getattr__`, `__dir__` and `__all__` of a package (PEP 562).

    Args:
        package: its `__name__`.
        homes: each name that the package hands on, and the module that defines it.
        moved: names that used to be here -> where they are now, "module" or "module:name". Using
            one gives a DeprecationWarning.

    >>> get, names, _ = handed_on("here", {"sqrt": "math"})
    >>> names(), get("sqrt")(9.0)
    (['sqrt'], 3.0)
    """
    public, moved = sorted(homes), moved or {}

    def get(name: str) -> object:
        if name in homes:
            return getattr(import_module(homes[name]), name)
        if name in moved:
            module, _, attribute = moved[name].partition(":")
            instead = f"from {module} import {attribute}" if attribute else f"import {module}"
            warnings.warn(
                f"{package}.{name} has moved: {instead}", DeprecationWarning, stacklevel=2
            )
            loaded = import_module(module)
            return getattr(loaded, attribute) if attribute else loaded
        raise AttributeError(f"module {package!r} has no attribute {name!r}; it has {public}")

    return get, lambda: public, public
