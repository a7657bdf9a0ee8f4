"""How arguments become the path, the query and the body of a request: checked, then spelled as JSON.

An encoder takes a value and the name that errors shall call it, and returns what goes on the wire. It
refuses what the API description does not allow, before anything is sent. Errors name the argument and the
type it has, never its value, which may be a secret.
"""

from __future__ import annotations

import functools
import keyword
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import ClassVar, Protocol, runtime_checkable

import attrs

from openrelay_async.model_classes import Kind, WireField, find_model
from openrelay_async.redaction import Secret
from openrelay_async.unset import UNSET, is_absent

Encoder = Callable[[object, str], object]
Field = tuple[str, Encoder, object]
"""A property or parameter: its wire name, its encoder, and the caller's value or `UNSET`."""

# What every JSON reader of the service keeps exactly.
_LEAST_INTEGER, _GREATEST_INTEGER = -(2**63), 2**64 - 1
_DEEPEST = 100
# Compiled when they are first needed: most calls send no time.
_RFC_3339 = r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)"
_DATE = r"\d{4}-\d\d-\d\d"


@runtime_checkable
class WireModel(attrs.AttrsInstance, Protocol):
    """A value that knows how it is spelled in JSON: a model."""

    wire_fields: ClassVar[tuple[WireField, ...]]
    """Attribute, wire name, kind, whether it is required, whether null is a value of its own."""


_WORD_END = r"([a-z0-9])([A-Z])"
_ACRONYM_END = r"([A-Z]+)([A-Z][a-z])"


@functools.cache
def snake_case(wire_name: str) -> str:
    """Return the argument's name for a wire name: `gpuModelId` → `gpu_model_id`."""
    words = re.sub(_ACRONYM_END, r"\1_\2", re.sub(_WORD_END, r"\1_\2", wire_name))
    return words.lower().replace("-", "_")


@functools.cache
def argument_name(wire_name: str) -> str:
    """Return what callers know a field by: `class` is `class_` in Python."""
    name = snake_case(wire_name)
    return f"{name}_" if keyword.iskeyword(name) else name


def refuse_type(name: str, wanted: str, value: object) -> TypeError:
    hint = "; leave the argument out instead" if value is None else ""
    return TypeError(f"{name} must be {wanted}, not {type(value).__name__}{hint}")


def encode_string(value: object, name: str) -> object:
    if isinstance(value, str):
        return _checked_text(value, name)
    raise refuse_type(name, "str", value)


def _checked_text(text: str, name: str) -> str:
    if text.isascii() or is_unicode(text):
        return text
    raise ValueError(f"{name} is not valid Unicode text")


def is_unicode(text: str) -> bool:
    """Return whether a text has a UTF-8 form: half of a surrogate pair has none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def encode_secret(value: object, name: str) -> object:
    """Keep a secret a `Secret`: it is revealed while the body is written, and nowhere before."""
    if isinstance(value, str):
        value = Secret(value)
    if not isinstance(value, Secret):
        raise refuse_type(name, "str or Secret", value)
    if not is_unicode(value.reveal()):
        raise ValueError(f"{name} is not valid Unicode text")
    return value


def encode_integer(value: object, name: str) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return _checked_integer(value, name)
    raise refuse_type(name, "int", value)


def _checked_integer(value: int, name: str) -> int:
    if _LEAST_INTEGER <= value <= _GREATEST_INTEGER:
        return value
    raise ValueError(f"{name} does not fit in 64 bits")


def encode_number(value: object, name: str) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if isinstance(value, int):
            return _checked_integer(value, name)
        if not math.isfinite(value):
            raise ValueError(f"{name} must be a finite number")
        return value
    raise refuse_type(name, "int or float", value)


def encode_boolean(value: object, name: str) -> object:
    if isinstance(value, bool):
        return value
    raise refuse_type(name, "bool", value)


def encode_time(value: object, name: str) -> object:
    """Take an aware datetime or RFC 3339 text; write UTC with a `Z`, as the service does.

    An empty text is how a time is cleared.
    """
    if isinstance(value, str):
        if value and not re.fullmatch(_RFC_3339, value, re.ASCII):
            raise ValueError(f"{name} must be an RFC 3339 time with an offset: 2026-11-23T16:05:09Z")
        return value
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise ValueError(f"{name} must be an aware datetime: add tzinfo, for example datetime.UTC")
        try:
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        except OverflowError:
            raise ValueError(f"{name} is outside of the years 1 to 9999 in UTC") from None
    raise refuse_type(name, "an aware datetime or RFC 3339 text", value)


def encode_time_or_text(value: object, name: str) -> object:
    """Take an aware datetime, or any text where the API description does not say which times it knows."""
    if isinstance(value, datetime):
        return encode_time(value, name)
    if isinstance(value, str):
        return encode_string(value, name)
    raise refuse_type(name, "an aware datetime or text", value)


def encode_date(value: object, name: str) -> object:
    if isinstance(value, str):
        if value and not re.fullmatch(_DATE, value, re.ASCII):
            raise ValueError(f"{name} must be a date such as 2026-11-23")
        return value
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    raise refuse_type(name, "a date or YYYY-MM-DD text", value)


def encode_json(value: object, name: str) -> object:
    """Take any JSON value; what a mapping or list holds is checked too."""
    return _encode_json(value, name, _DEEPEST)


def _encode_json(value: object, name: str, depth: int) -> object:
    if isinstance(value, str):
        return _checked_text(value, name)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Secret):
        return encode_secret(value, name)
    if isinstance(value, int | float):
        return encode_number(value, name)
    if isinstance(value, datetime):
        return encode_time(value, name)
    if isinstance(value, date):
        return value.isoformat()
    if depth == 0:
        # Deeper than any JSON decoder goes; most likely it holds itself.
        raise ValueError(f"{name.partition('[')[0]} is nested too deeply")
    if isinstance(value, Mapping):
        return {
            _text_key(key, name): _encode_json(item, f"{name}[{key!r}]", depth - 1)
            for key, item in value.items()
        }
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [_encode_json(item, f"{name}[{index}]", depth - 1) for index, item in enumerate(value)]
    if isinstance(value, WireModel):
        return record(type(value))(value, name)
    raise refuse_type(name, "a JSON value", value)


def _text_key(key: object, name: str) -> str:
    if isinstance(key, str):
        return _checked_text(key, f"a key of {name}")
    raise TypeError(f"{name} must have str keys, not {type(key).__name__}")


@functools.cache
def array(item: Encoder) -> Encoder:
    """Return the encoder of a list whose items `item` encodes."""

    def encode_array(value: object, name: str) -> object:
        if isinstance(value, str | bytes | bytearray | Mapping | Secret) or not isinstance(value, Iterable):
            raise refuse_type(name, "a list", value)
        return [item(element, f"{name}[{index}]") for index, element in enumerate(value)]

    return encode_array


@functools.cache
def mapping(item: Encoder) -> Encoder:
    """Return the encoder of a map from text to what `item` encodes."""

    def encode_mapping(value: object, name: str) -> object:
        if not isinstance(value, Mapping):
            raise refuse_type(name, "a mapping", value)
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
    """Return the encoder of a nested object: the model, or a mapping in wire names.

    What the description knows of it is checked as an argument is. A mapping may have more: properties that
    this version of the SDK does not know yet.
    """

    def encode_record(value: object, name: str) -> object:
        if isinstance(value, model):
            return _encode_model(value, name)
        if isinstance(value, Mapping):
            return _encode_mapping(model, value, name)
        raise refuse_type(name, f"{model.__name__} or a mapping in wire names", value)

    return encode_record


def _encode_model(model: WireModel, name: str) -> dict[str, object]:
    defaults = {attribute.name: attribute.default for attribute in attrs.fields(type(model))}
    encoded: dict[str, object] = {}
    for attribute, wire_name, kind, required, _ in model.wire_fields:
        value = getattr(model, attribute)
        # In a model that answers have too, what they leave out is `None`, or an absent list.
        is_left_out = is_absent(value) or (value is None and defaults[attribute] is None)
        if is_left_out and not required:
            continue
        encoded[wire_name] = _encoder_of(kind, type(model))(value, f"{name}.{attribute}")
    extra = getattr(model, "extra", {})
    return encoded | {key: encode_json(value, f"{name}.extra[{key!r}]") for key, value in extra.items()}


def _encode_mapping(model: type[WireModel], given: Mapping[object, object], name: str) -> dict[str, object]:
    kinds = {wire_name: kind for _, wire_name, kind, _, _ in model.wire_fields}
    wire_names = {attribute: wire_name for attribute, wire_name, _, _, _ in model.wire_fields}
    encoded: dict[str, object] = {}
    for key, value in given.items():
        text = _text_key(key, name)
        if text not in kinds and text in wire_names:
            raise TypeError(f"{name} is a mapping in wire names: {wire_names[text]!r}, not {text!r}")
        encode = _encoder_of(kinds[text], model) if text in kinds else encode_json
        encoded[text] = encode(value, f"{name}[{text!r}]")
    missing = [wire for _, wire, _, required, _ in model.wire_fields if required and wire not in encoded]
    if missing:
        raise TypeError(f"{name} must have {', '.join(map(repr, missing))}")
    return encoded


def _encoder_of(kind: Kind, owner: type[WireModel]) -> Encoder:
    """Return the encoder of a model's field."""
    if isinstance(kind, str):
        return _OF_SCALAR[kind]
    shape, inner = kind
    if shape == "model":
        model: type[WireModel] = find_model(owner, str(inner))
        return record(model)
    return _OF_SHAPE[shape](_encoder_of(inner, owner))


_OF_SCALAR: Mapping[str, Encoder] = {
    "string": encode_string,
    "secret": encode_secret,
    "integer": encode_integer,
    "number": encode_number,
    "boolean": encode_boolean,
    "time": encode_time,
    "date": encode_date,
    "json": encode_json,
}
_OF_SHAPE: Mapping[str, Callable[[Encoder], Encoder]] = {"list": array, "map": mapping, "nullable": nullable}


def encode_fields(fields: Iterable[Field]) -> dict[str, object]:
    """Return the JSON object of the fields that were given.

    Raises:
        TypeError: a value has a type that the API description does not allow there.
        ValueError: a time without a zone, a number that JSON does not have.
    """
    return {
        wire_name: encode(value, argument_name(wire_name))
        for wire_name, encode, value in fields
        if value is not UNSET
    }


def encode_query(fields: Iterable[Field]) -> tuple[tuple[str, str | Secret], ...]:
    """Return the query parameters that were given, as text: booleans are `true` and `false`."""
    return tuple((name, query_text(value)) for name, value in encode_fields(fields).items())


def query_text(value: object) -> str | Secret:
    """Return a JSON scalar as it stands in a query."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, Secret) else str(value)


def check_idempotency_key(key: object) -> str:
    """Return an idempotency key that can stand in a header.

    Raises:
        TypeError: not text.
        ValueError: empty, or with spaces or characters that a header cannot have.
    """
    if not isinstance(key, str):
        raise refuse_type("idempotency_key", "str", key)
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError("idempotency_key must be printable ASCII without spaces, and not empty")
    return key
