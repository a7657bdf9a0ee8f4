"""Decoded JSON values, checked one at a time and never coerced."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Final

from openrelay_async.redaction import Secret


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


def join_path(outer: str, inner: str) -> str:
    """Return a field path in wire names: `items[3]` and `createdAt` are `items[3].createdAt`."""
    return f"{outer}.{inner}" if outer and inner and not inner.startswith("[") else outer + inner


def name_json_type(value: object) -> str:
    """Return what JSON calls the type of a decoded value: `a string`, `null`."""
    return next((name for kind, name in _JSON_TYPES if isinstance(value, kind)), f"a {type(value).__name__}")


_JSON_TYPES: Final[tuple[tuple[type[object], str], ...]] = (
    (bool, "a boolean"),
    (str, "a string"),
    (int, "an integer"),
    (float, "a number"),
    (list, "an array"),
    (dict, "an object"),
    (type(None), "null"),
)


def read_string(value: object) -> str:
    if isinstance(value, str):
        return value
    raise StructureError("", f"must be a string, is {name_json_type(value)}")


def read_secret(value: object) -> Secret:
    if isinstance(value, str | Secret):
        return Secret(value)
    raise StructureError("", f"must be a string, is {name_json_type(value)}")


def read_integer(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise StructureError("", f"must be an integer, is {name_json_type(value)}")


def read_number(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise StructureError("", f"must be a number, is {name_json_type(value)}")


def read_boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise StructureError("", f"must be a boolean, is {name_json_type(value)}")


def read_time(value: object) -> datetime | None:
    """Return an RFC 3339 time. More than six decimals are cut: a `datetime` has microseconds."""
    if not isinstance(value, str):
        raise StructureError("", f"must be an RFC 3339 time, is {name_json_type(value)}")
    if value == "":
        return None
    try:
        # Small letters are allowed, but Python does not know a small z.
        time = datetime.fromisoformat(value if value[-1] != "z" else value.upper())
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise StructureError("", "must be an RFC 3339 time with an offset, is another text")
    return time


def read_date(value: object) -> date | None:
    """Return an ISO 8601 calendar date."""
    if not isinstance(value, str):
        raise StructureError("", f"must be a date, is {name_json_type(value)}")
    if value == "":
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        pass
    raise StructureError("", "must be a date such as 2026-10-31, is another text")


def read_json(value: object) -> object:
    return value


SCALARS: Final[Mapping[str, Callable[[object], object]]] = {
    "string": read_string,
    "secret": read_secret,
    "integer": read_integer,
    "number": read_number,
    "boolean": read_boolean,
    "time": read_time,
    "date": read_date,
    "json": read_json,
}
"""What reads a value of each scalar kind."""
