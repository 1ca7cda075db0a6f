"""Frozen records to JSON and back; what is read is checked against the types of the fields."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, is_dataclass
from math import isfinite
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ragctx.errors import InputError

Record = TypeVar("Record")


def record_to_json(record: Any) -> str:
    """One line of JSON with the fields in order. Raises ValueError for NaN and infinities."""
    return json.dumps(asdict(record), ensure_ascii=False, allow_nan=False)


def record_from_json(kind: type[Record], text: str) -> Record:
    """The record that `record_to_json` wrote.

    Raises InputError for text that is not JSON, and for a field that is missing, unknown or of
    another type; the message names it.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"this is not JSON ({error}); give a file that ragctx wrote") from None
    record: Record = _read(kind, value, kind.__name__)
    return record


def _read(kind: Any, value: Any, where: str) -> Any:
    """`value` as the type `kind`; `where` names it in errors, e.g. "Result.outcomes[3].answer"."""
    origin, parts = get_origin(kind), get_args(kind)
    if is_dataclass(kind) and isinstance(kind, type):
        return _read_record(kind, value, where)
    if origin in (Union, UnionType):
        kinds = [part for part in parts if part is not NoneType]
        return None if value is None and NoneType in parts else _read(kinds[0], value, where)
    if origin is Literal and value in parts:
        return value
    if origin is tuple and isinstance(value, list):
        if parts[-1] is Ellipsis:
            return tuple(_read(parts[0], item, f"{where}[{i}]") for i, item in enumerate(value))
        if len(parts) == len(value):
            pairs = enumerate(zip(parts, value, strict=True))
            return tuple(_read(part, item, f"{where}[{i}]") for i, (part, item) in pairs)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, float) and not isfinite(value):
        raise InputError(f"{where} is {value}, which is no number; give a file that ragctx wrote")
    if isinstance(kind, type) and type(value) is kind:
        return value
    raise InputError(f"{where} is {value!r:.80}, not a {kind}; give a file that ragctx wrote")


def _read_record(kind: type, value: Any, where: str) -> Any:
    names = {field.name for field in fields(kind)}
    if not isinstance(value, dict) or set(value) != names:
        odd = sorted(names ^ set(value)) if isinstance(value, dict) else [type(value).__name__]
        raise InputError(
            f"{where} has missing or unknown fields: {', '.join(odd)}; it was written by another "
            "version of ragctx: run the command that made it again"
        )
    hints = get_type_hints(kind)
    return kind(**{name: _read(hints[name], value[name], f"{where}.{name}") for name in names})
