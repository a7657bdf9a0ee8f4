"""How decoded JSON becomes models: strictly, and naming the place where it does not.

Nothing is coerced: `"5"` is no integer and `true` is no number, but an integer may stand for a float. What the
service may leave out becomes `None`, or an empty list or map; so does `null` there. A time is an aware
`datetime`; an empty text where a time is meant is `None`, also where the description calls the time required, because Go
services write an unset time so. A required field that is absent is an error, and so is `null` there unless
it is a list or a map.

There are two readers with one result. Every generated model that answers hold has a hook, made at build time
(`_read_rows`, in the model's own module), which is quick and only knows that something is wrong. The reader in this
module goes by the model's `wire_fields`: it is slow, and says what is wrong and where. `structure` tries the first
and falls back on the second, so the second alone decides what is refused.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, ClassVar, Final, Protocol, TypeVar, runtime_checkable

from openrelay_async.redaction import Secret

T = TypeVar("T")

Kind = str | tuple[str, "Kind"]
"""What a field holds: a scalar's name, or a pair such as `("list", "string")`, `("map", "secret")`, `("model",
"GpuModel")` (a class in the same module) and `("nullable", "number")` for what a list holds."""

WireField = tuple[str, str, Kind, bool, bool]
"""A model's field: attribute, wire name, kind, whether it is required, whether null is a value of its own."""


class StructureError(ValueError):
    """JSON that is not what the API description says. It names the place and the types, never a value."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        """Where, in wire names: `items[3].createdAt`. Empty for the whole."""
        self.problem = problem
        """What is wrong there: `missing`, or `must be an integer, is a string`."""

    def __str__(self) -> str:
        return f"{self.path or 'the answer'}: {self.problem}"


@runtime_checkable
class Structured(Protocol):
    """A model's class, as far as reading it goes."""

    wire_fields: ClassVar[tuple[WireField, ...]]


def structure(raw: object, model: type[T]) -> T:
    """Return decoded JSON as a model.

    Args:
        raw: what the JSON decoder gave.
        model: one of the SDK's models.

    Raises:
        StructureError: `raw` is not what the API description says.
    """
    return _structure_rows([raw], model, lambda index: "")[0]


def structure_list(raw: object, item: type[T], *, at: str = "") -> list[T]:
    """Return a decoded JSON list as models; `null` is an empty list.

    Args:
        raw: what the JSON decoder gave.
        item: the model of an item.
        at: the list's own place, for errors: `items` makes them read `items[3].createdAt`.

    Raises:
        StructureError: `raw` is not a list, or an item is not what the API description says.
    """
    if raw is None:
        return []
    if not isinstance(raw, list):
        kind = name_json_type(raw)
        del raw
        raise StructureError(at, f"must be an array, is {kind}")
    return _structure_rows(raw, item, lambda index: f"{at}[{index}]")


def structure_empty(model: type[T]) -> T:
    """Return the model of a success without a body (204): every list and map empty.

    Raises:
        StructureError: the model requires more than lists and maps.
    """
    fields: tuple[WireField, ...] = getattr(model, "wire_fields", ())
    return structure(
        {wire: None for _, wire, kind, required, _ in fields if required and _is_container(kind)}, model
    )


def _structure_rows(rows: list[object], model: type[T], place: Callable[[int], str]) -> list[T]:
    read_rows: Callable[[list[object]], list[T]] | None = vars(model).get("_read_rows")
    if read_rows is not None:
        try:
            return read_rows(rows)
        except Exception:  # noqa: S110 - whatever the quick reader met, the other one says it better
            pass
    try:
        return [_read_model(row, model, place(index)) for index, row in enumerate(rows)]
    except StructureError as error:
        path, problem = error.path, error.problem
    # Raised anew, without what was read: neither the traceback's frames nor a chained error may show it.
    del rows
    raise StructureError(path, problem)


def _read_model(raw: object, model: type[T], path: str) -> T:
    if not isinstance(raw, dict):
        raise StructureError(path, f"must be an object, is {name_json_type(raw)}")
    if not isinstance(model, Structured):
        raise TypeError(f"{model.__name__} is not one of the SDK's models")
    values: dict[str, object] = {}
    known: set[str] = set()
    for attribute, wire, kind, required, nullable in model.wire_fields:
        known.add(wire)
        place = f"{path}.{wire}" if path else wire
        if wire not in raw:
            if required:
                raise StructureError(place, "missing")
        elif raw[wire] is not None or _is_container(kind):
            values[attribute] = _read_value(raw[wire], kind, place, model)
        elif nullable:
            values[attribute] = None
        elif required:
            raise StructureError(place, f"must be {_KIND_NAMES.get(str(kind), 'an object')}, is null")
    values["extra"] = {wire: value for wire, value in raw.items() if wire not in known}
    return model(**values)


def _is_container(kind: Kind) -> bool:
    return isinstance(kind, tuple) and kind[0] in ("list", "map")


def _read_value(value: object, kind: Kind, path: str, owner: type[object]) -> object:
    if isinstance(kind, str):
        if kind in _SCALARS:
            return _SCALARS[kind](value, path)
        raise TypeError(f"unknown kind {kind}")
    shape, inner = kind
    if shape == "nullable":
        return None if value is None else _read_value(value, inner, path, owner)
    if shape == "model":
        return _read_model(value, find_model(owner, str(inner)), path)
    if shape == "list":
        if value is None:
            return []
        if not isinstance(value, list):
            raise StructureError(path, f"must be an array, is {name_json_type(value)}")
        return [_read_value(item, inner, f"{path}[{index}]", owner) for index, item in enumerate(value)]
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise StructureError(path, f"must be an object, is {name_json_type(value)}")
    # A map's keys are data, which may be private: errors name none.
    return {key: _read_value(item, inner, f"{path}[…]", owner) for key, item in value.items()}


def find_model(owner: type[object], name: str) -> type[object]:
    """Return the model that a field of `owner` names: it stands in the module of `owner`, or is imported there."""
    for base in owner.__mro__:
        found = vars(sys.modules[base.__module__]).get(name)
        if isinstance(found, type):
            return found
    raise TypeError(f"{owner.__name__} refers to {name}, which its module does not have")


def name_json_type(value: object) -> str:
    """Return what JSON calls the type of a decoded value: `a string`, `null`."""
    return next((name for kind, name in _JSON_TYPES if isinstance(value, kind)), f"a {type(value).__name__}")


_JSON_TYPES: Final[tuple[tuple[type[object] | tuple[type[object], ...], str], ...]] = (
    (bool, "a boolean"),
    (str, "a string"),
    (int, "an integer"),
    (float, "a number"),
    ((list, tuple), "an array"),
    (Mapping, "an object"),
    (type(None), "null"),
)


def read_string(value: object, path: str = "") -> str:
    if isinstance(value, str):
        return value
    raise StructureError(path, f"must be a string, is {name_json_type(value)}")


def read_secret(value: object, path: str = "") -> Secret:
    if isinstance(value, str | Secret):
        return Secret(value)
    raise StructureError(path, f"must be a string, is {name_json_type(value)}")


def read_integer(value: object, path: str = "") -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise StructureError(path, f"must be an integer, is {name_json_type(value)}")


def read_number(value: object, path: str = "") -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise StructureError(path, f"must be a number, is {name_json_type(value)}")


def read_boolean(value: object, path: str = "") -> bool:
    if isinstance(value, bool):
        return value
    raise StructureError(path, f"must be a boolean, is {name_json_type(value)}")


def read_time(value: object, path: str = "") -> datetime | None:
    """Return an RFC 3339 time. More than six decimals are cut: a `datetime` has microseconds."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value
    if not isinstance(value, str):
        raise StructureError(path, f"must be an RFC 3339 time, is {name_json_type(value)}")
    if value == "":
        return None
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise StructureError(path, "must be an RFC 3339 time with an offset, is another text")
    return time


def read_date(value: object, path: str = "") -> date | None:
    """Return an ISO 8601 calendar date."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise StructureError(path, f"must be a date, is {name_json_type(value)}")
    if value == "":
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        pass
    raise StructureError(path, "must be a date such as 2026-10-31, is another text")


def read_json(value: object, path: str = "") -> object:
    return value


_SCALARS: Final[Mapping[str, Callable[[object, str], object]]] = {
    "string": read_string,
    "secret": read_secret,
    "integer": read_integer,
    "number": read_number,
    "boolean": read_boolean,
    "time": read_time,
    "date": read_date,
    "json": read_json,
}
_KIND_NAMES: Final[Mapping[str, str]] = {
    "string": "a string",
    "secret": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "a boolean",
    "time": "an RFC 3339 time",
    "date": "a date",
}


def check_items(items: list[T], kind: type[T]) -> list[T]:
    """Return a list all of whose items are exactly of a type; for hooks."""
    for item in items:
        if type(item) is not kind:
            raise TypeError
    return items


def read_plain(value: object, kind: Kind) -> Any:
    """Return a value without models in it as its kind; for hooks."""
    return _read_value(value, kind, "", object)


def keep_unknown(raw: Mapping[str, object], known: frozenset[str]) -> dict[str, object]:
    """Return the fields that a model does not know; for hooks."""
    return {wire: value for wire, value in raw.items() if wire not in known}
