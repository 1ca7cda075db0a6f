"""Load a user's own placement function by its name; nothing is imported before one is named."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from ragctx.errors import InputError
from ragctx.placement.laws import Strategy, check_laws


def load_strategy(spec: str) -> Strategy:
    """Load the function that `spec` names, and check it (`check_laws`).

    Args:
        spec: "my_module:my_order", a module that is installed or in the current folder; or
            "path/to/orders.py:my_order", a file.

    Raises:
        InputError: there is no such module, file or function, the module fails, or the function
            breaks a rule of placement.

    >>> load_strategy("ragctx.placement.orders:middle").__name__
    'middle'
    """
    source, _, name = spec.rpartition(":")
    if not source or not name.isidentifier():
        raise InputError(f"{spec!r} names no function. Write my_module:my_order or file.py:order.")
    strategy = getattr(_module(source), name, None)
    if not callable(strategy):
        raise InputError(f"{source} has no function {name!r}. Define it: def {name}(hits): ...")
    check_laws(name, strategy)
    loaded: Strategy = strategy
    return loaded


def _module(source: str) -> ModuleType:
    try:
        return _from_file(Path(source)) if source.endswith(".py") else _from_name(source)
    except (Exception, SystemExit) as error:
        remedy = "Check the path." if source.endswith(".py") else "Install it, or cd to its folder."
        raise InputError(
            f"{source} cannot be imported: {type(error).__name__}: {error}. {remedy}"
        ) from error


def _from_name(name: str) -> ModuleType:
    with _current_folder_importable():
        return import_module(name)


def _from_file(file: Path) -> ModuleType:
    spec = spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None  # as for every name that ends in .py
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def _current_folder_importable() -> Iterator[None]:
    """Add the current folder to the import path: last, so that it never hides installed modules."""
    folder = str(Path.cwd())
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
