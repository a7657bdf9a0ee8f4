"""How arguments become the path, the query and the body of a request: checked, then spelled as JSON.

An encoder takes a value and the name that errors shall call it, and returns what goes on the wire. It
refuses what the API description does not allow, before anything is sent. Errors name the argument and the
type it has, never its value, which may be a secret.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Protocol, runtime_checkable
from urllib.parse import quote

from openrelay_async.operation import Operation
from openrelay_async.redaction import Secret
from openrelay_async.unset import UNSET

Encoder = Callable[[object, str], object]
Field = tuple[str, Encoder, object]
"""A property or parameter: its wire name, its encoder, and the caller's value or `UNSET`."""


@runtime_checkable
class WireModel(Protocol):
    """A value that knows how it is spelled in JSON: a model."""

    def to_wire(self, reveal: bool = False) -> dict[str, object]: ...


_WORD_END = re.compile(r"([a-z0-9])([A-Z])")
_ACRONYM_END = re.compile(r"([A-Z]+)([A-Z][a-z])")


@functools.cache
def snake_case(wire_name: str) -> str:
    """Return the argument's name for a wire name: `gpuModelId` → `gpu_model_id`."""
    words = _ACRONYM_END.sub(r"\1_\2", _WORD_END.sub(r"\1_\2", wire_name))
    return words.lower().replace("-", "_")


def _refuse(name: str, wanted: str, value: object) -> TypeError:
    hint = "; leave the argument out instead" if value is None else ""
    return TypeError(f"{name} must be {wanted}, not {type(value).__name__}{hint}")


def encode_string(value: object, name: str) -> object:
    if isinstance(value, str):
        return value
    raise _refuse(name, "str", value)


def encode_secret(value: object, name: str) -> object:
    """Keep a secret a `Secret`: it is revealed while the body is written, and nowhere before."""
    if isinstance(value, Secret):
        return value
    if isinstance(value, str):
        return Secret(value)
    raise _refuse(name, "str or Secret", value)


def encode_integer(value: object, name: str) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _refuse(name, "int", value)


def encode_number(value: object, name: str) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise ValueError(f"{name} must be a finite number")
        return value
    raise _refuse(name, "int or float", value)


def encode_boolean(value: object, name: str) -> object:
    if isinstance(value, bool):
        return value
    raise _refuse(name, "bool", value)


def encode_time(value: object, name: str) -> object:
    """Take an aware datetime or RFC 3339 text; write UTC with a `Z`, as the service does."""
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{name} must be an aware datetime: add tzinfo, for example datetime.UTC")
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    raise _refuse(name, "an aware datetime or RFC 3339 text", value)


def encode_date(value: object, name: str) -> object:
    if isinstance(value, str):
        return value
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    raise _refuse(name, "a date or YYYY-MM-DD text", value)


def encode_json(value: object, name: str) -> object:
    """Take any JSON value; what a mapping or list holds is checked too."""
    if value is None or isinstance(value, str | bool | int | Secret):
        return value
    if isinstance(value, float):
        return encode_number(value, name)
    if isinstance(value, WireModel):
        return value.to_wire(reveal=True)
    if isinstance(value, datetime):
        return encode_time(value, name)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {_text_key(key, name): encode_json(item, f"{name}[{key!r}]") for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [encode_json(item, f"{name}[{index}]") for index, item in enumerate(value)]
    raise _refuse(name, "a JSON value", value)


def _text_key(key: object, name: str) -> str:
    if isinstance(key, str):
        return key
    raise TypeError(f"{name} must have str keys, not {type(key).__name__}")


@functools.cache
def array(item: Encoder) -> Encoder:
    """Return the encoder of a list whose items `item` encodes."""

    def encode_array(value: object, name: str) -> object:
        if isinstance(value, str | bytes | bytearray | Mapping | Secret) or not isinstance(value, Iterable):
            raise _refuse(name, "a list", value)
        return [item(element, f"{name}[{index}]") for index, element in enumerate(value)]

    return encode_array


@functools.cache
def mapping(item: Encoder) -> Encoder:
    """Return the encoder of a map from text to what `item` encodes."""

    def encode_mapping(value: object, name: str) -> object:
        if not isinstance(value, Mapping):
            raise _refuse(name, "a mapping", value)
        return {_text_key(key, name): item(element, f"{name}[{key!r}]") for key, element in value.items()}

    return encode_mapping


@functools.cache
def nullable(encoder: Encoder) -> Encoder:
    """Return an encoder that also lets `None` through, as JSON's null."""

    def encode_nullable(value: object, name: str) -> object:
        return None if value is None else encoder(value, name)

    return encode_nullable


@functools.cache
def record(model: type[WireModel]) -> Encoder:
    """Return the encoder of a nested object: the model, or a mapping in wire names."""

    def encode_record(value: object, name: str) -> object:
        if isinstance(value, model):
            return value.to_wire(reveal=True)
        if isinstance(value, Mapping):
            return encode_json(value, name)
        raise _refuse(name, f"{model.__name__} or a mapping in wire names", value)

    return encode_record


def encode_fields(fields: Iterable[Field]) -> dict[str, object]:
    """Return the JSON object of the fields that were given.

    Raises:
        TypeError: a value has a type that the API description does not allow there.
        ValueError: a time without a zone, a number that JSON does not have.
    """
    return {
        wire_name: encode(value, snake_case(wire_name))
        for wire_name, encode, value in fields
        if value is not UNSET
    }


def encode_query(fields: Iterable[Field]) -> tuple[tuple[str, str | Secret], ...]:
    """Return the query parameters that were given, as text: booleans are `true` and `false`."""
    return tuple((name, _query_text(value)) for name, value in encode_fields(fields).items())


def _query_text(value: object) -> str | Secret:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, Secret) else str(value)


# Everything RFC 3986 lets stand unescaped in a path segment, except the sub-delimiters, which servers read
# in more than one way.
_PLAIN_SEGMENT = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*")


def encode_path_id(value: object, name: str) -> str:
    """Return an id as one percent-encoded path segment.

    Raises:
        TypeError: not text.
        ValueError: empty, `.` or `..` (which name another path), or with control characters.
    """
    if not isinstance(value, str):
        raise _refuse(name, "str", value)
    if _PLAIN_SEGMENT.fullmatch(value):
        return value
    if value in {"", ".", ".."}:
        raise ValueError(f"{name} must name a resource; {value!r} does not")
    if any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in value):
        raise ValueError(f"{name} has control characters")
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        raise ValueError(f"{name} is not valid Unicode text") from None


def expand_path(operation: Operation, ids: Sequence[str]) -> str:
    """Return the operation's path with `ids`, in the template's order, percent-encoded."""
    segments = operation.segments
    if len(ids) + 1 != len(segments):
        raise TypeError(f"{operation.id} has {len(segments) - 1} ids in its path, not {len(ids)}")
    path = segments[0]
    for index, value in enumerate(ids):
        path += encode_path_id(value, snake_case(operation.path_names[index])) + segments[index + 1]
    return path


def check_idempotency_key(key: object) -> str:
    """Return an idempotency key that can stand in a header.

    Raises:
        TypeError: not text.
        ValueError: empty, or with spaces or characters that a header cannot have.
    """
    if not isinstance(key, str):
        raise _refuse("idempotency_key", "str", key)
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError("idempotency_key must be printable ASCII without spaces, and not empty")
    return key
