"""Any value for any argument: what the description allows arrives, anything else is refused."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openrelay_async import Secret

from .answers import sample_answer
from .description import Schema, all_cases, python_name, reference, schema_of, types_of
from .description import case as find_case
from .sampling import Sampler, only

pytestmark = pytest.mark.asyncio(loop_scope="module")

# One server for all examples, emptied before each; and a busy machine is no failure.
SLOW_OR_SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
ARGUMENTS = {
    (case.id, name): schema
    for case in all_cases()
    for name, schema in case.properties.items()
    if not case.is_multipart
}
ZONES = st.sampled_from((None, UTC, timezone(timedelta(hours=-12)), timezone(timedelta(minutes=1))))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=4)
    | st.dates()
    | st.datetimes(timezones=ZONES)
    | st.sampled_from(
        ("2026-11-23T16:05:09Z", "2026-11-23t16:05:09.1+01:00", "2026-11-23", Secret("s"), object())
    )
)
KEYS = (
    st.text(max_size=4)
    | st.integers()
    | st.sampled_from(("limitNanoUsd", "limit_nano_usd", "period", "name"))
)


ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


@cache
def values(place: tuple[str, str]) -> st.SearchStrategy[object]:
    """Values of any kind, half of them near to what is allowed there."""
    return ANYTHING | near(ARGUMENTS[place])


def near(schema: Schema) -> st.SearchStrategy[object]:
    if "$ref" in schema:
        fields = schema_of(reference(schema))
        required = {name: near(fields["properties"][name]) for name in fields.get("required", ())}
        optional = {name: near(value) for name, value in fields["properties"].items() if name not in required}
        return st.fixed_dictionaries(required, optional=optional)
    kind = next((kind for kind in types_of(schema) if kind != "null"), None)
    if kind == "array":
        return st.lists(near(schema["items"]), max_size=3)
    if kind == "object":
        return st.dictionaries(st.text(max_size=3), near(schema["additionalProperties"]), max_size=2)
    return SCALARS


def is_text(value: object) -> bool:
    return isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value)


def wire(schema: Schema, value: Any, *, secret: bool = False) -> object:
    """The JSON that a value becomes.

    Raises:
        ValueError: the description does not allow it.
    """
    if "$ref" in schema:
        return wire_object(reference(schema), value)
    secret = secret or bool(schema.get("x-secret"))
    kinds = types_of(schema)
    if value is None and ("null" in kinds or not kinds):
        return None
    match next((kind for kind in kinds if kind != "null"), None):
        case "string":
            return wire_text(schema, value, secret=secret)
        case "integer" if isinstance(value, int) and not isinstance(value, bool):
            return wire_json(value)
        case "number" if isinstance(value, int | float) and not isinstance(value, bool):
            return wire_json(value)
        case "boolean" if isinstance(value, bool):
            return value
        case "array" if isinstance(value, list):
            return [wire(schema["items"], item, secret=secret) for item in value]
        case "object" if isinstance(value, Mapping) and all(map(is_text, value)):
            inner = schema["additionalProperties"]
            return {key: wire(inner, item, secret=secret) for key, item in value.items()}
        case None:
            return wire_json(value)
    raise ValueError


def wire_text(schema: Schema, value: object, *, secret: bool) -> object:
    form = schema.get("format")
    if form == "date-time" and isinstance(value, datetime):
        if value.tzinfo is None or not 1 < value.year < 9999:
            raise ValueError
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if secret and isinstance(value, Secret):
        return value.reveal()
    if not isinstance(value, str) or not is_text(value):
        raise ValueError
    if form == "date-time" and value:
        pattern = (
            r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}(:[0-9]{2}){2}(\.[0-9]+)?([zZ]|[+-][0-9]{2}:[0-9]{2})"
        )
        if not re.fullmatch(pattern, value):
            raise ValueError
    return value


def wire_json(value: object) -> object:
    match value:
        case bool() | None:
            return value
        case Secret():
            return value.reveal()
        case str() if is_text(value):
            return value
        case int() if -(2**63) <= value < 2**64:
            return value
        case float() if math.isfinite(value):
            return value
        case datetime():
            return wire_text({"format": "date-time"}, value, secret=False)
        case date():
            return value.isoformat()
        case list():
            return [wire_json(item) for item in value]
        case dict() if all(map(is_text, value)):
            return {key: wire_json(item) for key, item in value.items()}
    raise ValueError


def wire_object(name: str, value: object) -> object:
    schema = schema_of(name)
    known = schema["properties"]
    others = {python_name(each) for each in known} - set(known)
    if not isinstance(value, Mapping) or not all(map(is_text, value)) or others & set(value):
        raise ValueError
    if not set(schema.get("required", ())) <= set(value):
        raise ValueError
    return {key: wire(known[key], item) if key in known else wire_json(item) for key, item in value.items()}


@settings(max_examples=80, deadline=None, suppress_health_check=SLOW_OR_SHARED)
@given(data=st.data())
async def test_what_is_allowed_arrives_and_the_rest_is_refused(data, client, server):
    server.reset()
    place = data.draw(st.sampled_from(sorted(ARGUMENTS)))
    value = data.draw(values(place))
    (operation_id, name), schema = place, ARGUMENTS[place]
    case = find_case(operation_id)
    server.default = sample_answer(case)
    call = Sampler(case.id).call(case, give=only(()))
    method = getattr(getattr(client, case.resource), case.method)
    arguments = {**call.kwargs, python_name(name): value}
    try:
        expected = wire(schema, value)
    except ValueError:
        with pytest.raises((TypeError, ValueError), match=python_name(name)):
            await method(*call.args, **arguments)
        assert server.seen == []
    else:
        await method(*call.args, **arguments)
        assert server.take().json()[name] == expected
