"""Checking what was sent against the description: wrong types, unknown values and missing fields are 400.

Strict about what the description says: no text is taken for a number, no 0 for a boolean, no unknown
enumeration value. A property that the description does not have is ignored, because it allows them (no
`additionalProperties: false`) and the service of the other generation has more of them.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import partial
from urllib.parse import parse_qsl

import orjson

from openrelay_async.emulator.answers import Refusal, bad_request
from openrelay_async.emulator.operations import Operation, Shape

Check = Callable[[object, str], None]

# SQLite's and Go's integers; JSON has no limit of its own.
_INTEGERS = range(-(2**63), 2**63)
# orjson writes 254 levels and reads 1024: what could not be written again is refused on the way in.
_DEEPEST = 100
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


class Validator:
    """Checks of every type of a schema table, made when they are first needed."""

    def __init__(self, shapes: Mapping[str, Shape], generation: str) -> None:
        self._shapes = shapes
        self._generation = generation
        self._checks: dict[str, Check] = {}

    def body(self, operation: Operation, raw: bytes, content_type: str) -> object:
        """The JSON body of a request, checked.

        Raises:
            Refusal: 400 naming the field.
        """
        if not raw.strip():
            if operation.body_required:
                raise bad_request("body", "a JSON object is required")
            return {}
        if content_type and not re.match(
            r"application/([\w.+-]+\+)?json\s*(;|$)", content_type, re.IGNORECASE
        ):
            raise bad_request("Content-Type", "must be application/json")
        try:
            value: object = orjson.loads(raw)
        except orjson.JSONDecodeError:
            raise bad_request("body", "is not valid JSON") from None
        _check_depth(value)
        if operation.body is not None:
            self.check(operation.body, value, "")
        return value

    def query(self, operation: Operation, raw: str) -> dict[str, object]:
        """The query parameters that the operation knows, each in its own type."""
        try:
            sent = parse_qsl(raw, keep_blank_values=True, errors="strict", max_num_fields=1000)
        except ValueError:
            raise bad_request("query", "is not valid") from None
        given: dict[str, str] = {}
        known = {name for name, _, _ in operation.query}
        for name, text in sent:
            if name in known and name in given:
                raise bad_request(name, "is given twice")
            given[name] = text
        values: dict[str, object] = {}
        for name, kind, required in operation.query:
            if name in given:
                values[name] = _from_text(given[name], kind, name)
                self.check(kind, values[name], name)
            elif required:
                raise bad_request(name, "is required")
        return values

    def check(self, kind: str, value: object, field: str) -> None:
        """Raise a `Refusal` unless `value` is a `kind`."""
        check = self._checks.get(kind)
        if check is None:
            check = self._checks[kind] = self._compile(kind)
        check(value, field)

    def _compile(self, kind: str) -> Check:
        if kind.endswith("?"):
            return partial(_check_nullable, self._compile(kind[:-1]))
        if kind.startswith("["):
            return partial(_check_list, self._compile(kind[1:-1]))
        if kind.startswith("{"):
            return partial(_check_map, self._compile(kind[1:-1]))
        if kind.startswith("="):
            return partial(_check_enumeration, tuple(kind[1:].split("|")))
        if kind.startswith("#"):
            shape = self._shapes[kind[1:]]
            required = (*shape.required, *shape.required_in.get(self._generation, ()))
            # Properties are compiled when they are met: an object may contain itself.
            return partial(self._check_object, shape.properties, required)
        return _CHECKS[kind]

    def _check_object(
        self, properties: Mapping[str, str], required: tuple[str, ...], value: object, field: str
    ) -> None:
        if not isinstance(value, dict):
            raise bad_request(field or "body", "must be an object")
        for name in required:
            if name not in value:
                raise bad_request(_join(field, name), "is required")
        for name, item in value.items():
            kind = properties.get(name)
            if kind is not None:
                self.check(kind, item, _join(field, name))


def _join(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name


def _check_nullable(check: Check, value: object, field: str) -> None:
    if value is not None:
        check(value, field)


def _check_list(check: Check, value: object, field: str) -> None:
    if not isinstance(value, list):
        raise bad_request(field, "must be a list")
    for index, item in enumerate(value):
        check(item, f"{field}[{index}]")


def _check_map(check: Check, value: object, field: str) -> None:
    if not isinstance(value, dict):
        raise bad_request(field, "must be an object")
    for item in value.values():
        check(item, f"{field}.*")  # the caller's own names may be secrets


def _check_enumeration(allowed: tuple[str, ...], value: object, field: str) -> None:
    if value not in allowed:
        raise bad_request(field, f"must be one of {', '.join(allowed)}")


def _check_string(value: object, field: str) -> None:
    if not isinstance(value, str):
        raise bad_request(field, "must be a string")


def _check_integer(value: object, field: str) -> None:
    if type(value) is not int or value not in _INTEGERS:
        raise bad_request(field, "must be an integer of 64 bits")


def _check_number(value: object, field: str) -> None:
    if type(value) is not int and type(value) is not float:
        raise bad_request(field, "must be a number")


def _check_boolean(value: object, field: str) -> None:
    if not isinstance(value, bool):
        raise bad_request(field, "must be true or false")


def _check_time(value: object, field: str) -> None:
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise bad_request(field, "must be a time as in RFC 3339")
    parse_time(value, field)


def _check_date(value: object, field: str) -> None:
    try:
        date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise bad_request(field, "must be a date as in 2026-11-01") from None


def _check_uuid(value: object, field: str) -> None:
    try:
        uuid.UUID(value if isinstance(value, str) else "")
    except ValueError:
        raise bad_request(field, "must be a UUID") from None


def _check_anything(value: object, field: str) -> None:
    pass


_CHECKS: Mapping[str, Check] = {
    "string": _check_string,
    "integer": _check_integer,
    "number": _check_number,
    "boolean": _check_boolean,
    "date-time": _check_time,
    "date": _check_date,
    "uuid": _check_uuid,
    "binary": _check_anything,
    "any": _check_anything,
}


def parse_time(text: str, field: str) -> float:
    """Seconds since 1970 of an RFC 3339 time.

    Raises:
        Refusal: 400 naming `field`.
    """
    try:
        # Python reads six decimals, the service writes up to nine.
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.upper())).timestamp()
    except (ValueError, OverflowError, OSError):
        raise bad_request(field, "must be a time as in RFC 3339") from None


def _from_text(text: str, kind: str, field: str) -> object:
    if kind == "integer":
        if not re.fullmatch(r"-?\d{1,19}", text, re.ASCII):
            raise bad_request(field, "must be an integer")
        return int(text)
    if kind == "boolean":
        if text not in ("true", "false"):
            raise bad_request(field, "must be true or false")
        return text == "true"
    return text


def _check_depth(value: object) -> None:
    level: list[object] = [value]
    for _ in range(_DEEPEST):
        level = [
            child
            for node in level
            if isinstance(node, (dict, list))
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return
    raise Refusal(400, "body: is nested too deeply", "INVALID_REQUEST", field="body")
