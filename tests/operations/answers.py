"""Answers sampled from the description, and the comparison of models with them."""

from __future__ import annotations

import random
import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, Literal, cast

import attrs
import orjson

from openrelay_async import Secret

from .description import Case, Schema, python_name, reference, schema_of, types_of
from .recording_server import Answer, answer_json

Form = Literal["full", "bare", "nulls", "mixed", "newer"]
"""All fields; what a generation must send; the others as `null`; some of them; what is not known yet."""

FORMS: tuple[Form, ...] = ("full", "bare", "nulls", "mixed", "newer")
TEXTS = ("", "plain", "Grüße 🚀", "null", "2026", " ")
TIMES = (
    "2026-11-23T16:05:09Z",
    "2026-11-23T16:05:09.123456789Z",
    "2026-11-23T16:05:09.5+02:00",
    "0001-01-01T00:00:00Z",
    "",
)
KEY_TEXT = "vl_live_AbCdEf0123456789AbCdEf0123456789"


class AnswerSampler:
    """Chooses JSON values that the service may send, the same ones for the same seed."""

    def __init__(self, seed: str, form: Form, generation: str | None = None) -> None:
        self.random = random.Random(f"{seed} {form} {generation}")
        self.form = form
        self.generation = generation

    def value(self, schema: Schema, *, secret: bool = False) -> object:
        if "$ref" in schema:
            return self.object(schema_of(reference(schema)))
        secret = secret or bool(schema.get("x-secret"))
        kinds = types_of(schema)
        if "null" in kinds and self.form in ("nulls", "mixed") and self.random.random() < 0.7:
            return None
        match next((kind for kind in kinds if kind != "null"), None):
            case "string":
                return self._text(schema, secret=secret)
            case "integer":
                return self.random.choice((0, 1, -1, 250_000, 2**53 + 1))
            case "number":
                return self.random.choice((0, 1, 0.1, -2.5, 1e300))
            case "boolean":
                return self.random.random() < 0.5
            case "array":
                if self.form == "nulls":
                    return None
                count = 2 if self.form == "full" else self.random.choice((0, 1, 3))
                return [self.value(schema["items"], secret=secret) for _ in range(count)]
            case "object":
                if self.form == "nulls":
                    return None
                inner = schema["additionalProperties"]
                return {f"key {index}": self.value(inner, secret=secret) for index in range(2)}
            case _:
                return {"any": [1, None]}

    def _text(self, schema: Schema, *, secret: bool) -> str:
        if schema.get("format") == "date-time":
            return self.random.choice(TIMES[:4] if self.form == "full" else TIMES)
        if schema.get("format") == "date":
            return self.random.choice(("2026-02-28", "1970-01-01"))
        if secret:
            return KEY_TEXT + str(self.random.randrange(10**6))
        if "enum" in schema:
            return "not-yet-known" if self.form == "newer" else str(self.random.choice(schema["enum"]))
        return self.random.choice(TEXTS)

    def object(self, schema: Schema) -> dict[str, object]:
        demanded = set(schema.get("required", ()))
        if self.generation is not None:
            demanded |= set(schema.get("x-required-in", {}).get(self.generation, ()))
        made: dict[str, object] = {}
        for name, value in schema["properties"].items():
            if name in demanded:
                made[name] = self.value(value)
            elif self.form == "nulls":
                made[name] = None
            elif self.form in ("full", "newer") or (self.form == "mixed" and self.random.random() < 0.5):
                made[name] = self.value(value)
        if self.form == "newer":
            made["fieldOfTomorrow"] = {"deep": [1, "two", None]}
        return made


def sample_json(case: Case, form: Form = "full", generation: str | None = None) -> Any:
    """A success's JSON value. A list in pages is its only page."""
    schema = case.answer[1]
    assert schema is not None
    value: Any = AnswerSampler(case.id, form, generation).value(schema)
    if case.pagination is not None and isinstance(value, dict):
        for name in (case.pagination.get("response"), case.pagination.get("more")):
            value.pop(name, None)
        if case.pagination["style"] == "after":
            value |= {case.pagination["more"]: False, case.pagination["response"]: None}
    return value


def sample_answer(case: Case, form: Form = "full", generation: str | None = None) -> Answer:
    """A success as the service sends it."""
    kind, schema = case.answer
    if schema is None:
        return Answer(case.status, b"", {})
    if kind != "application/json":
        assert kind is not None
        return Answer(case.status, SCRIPT if kind == "text/plain" else BYTES, {"Content-Type": kind})
    return answer_json(sample_json(case, form, generation), case.status)


SCRIPT = "#!/bin/sh\nexport TOKEN=vlp_0123456789abcdefghij ü\n".encode()
BYTES = bytes(range(256))


def compare_result(case: Case, result: object, answer: Answer) -> None:
    """Check that a method's result holds what the service sent."""
    kind, schema = case.answer
    if schema is None:
        assert result is None
    elif kind == "text/plain":
        assert isinstance(result, Secret)
        assert result.reveal() == SCRIPT.decode()
    elif kind == "application/octet-stream":
        assert result == BYTES
    else:
        wire = orjson.loads(answer.body)
        if case.pagination is not None:
            name = case.pagination.get("items")
            wire = wire if name is None else wire[name]
            schema = {"type": "array", "items": case.item}
        compare(schema, result, wire, case.id)


def compare(schema: Schema, value: object, wire: object, at: str, *, secret: bool = False) -> None:
    """Check a decoded value against the JSON value that it was made from."""
    if "$ref" in schema:
        if wire is None:
            assert value is None, at
        else:
            compare_model(reference(schema), value, cast("dict[str, object]", wire), at)
        return
    secret = secret or bool(schema.get("x-secret"))
    match next((kind for kind in types_of(schema) if kind != "null"), None):
        case "array":
            rows = cast("list[object]", wire or [])
            assert isinstance(value, list), at
            assert len(value) == len(rows), at
            for index, row in enumerate(rows):
                compare(schema["items"], value[index], row, f"{at}[{index}]", secret=secret)
        case "object":
            fields = cast("dict[str, object]", wire or {})
            assert isinstance(value, dict), at
            assert value.keys() == fields.keys(), at
            for name, inner in fields.items():
                compare(schema["additionalProperties"], value[name], inner, f"{at}.{name}", secret=secret)
        case "string" if wire is not None and secret:
            assert isinstance(value, Secret), at
            assert value.reveal() == wire, at
            assert str(wire) not in repr(value), at
        case "string" if schema.get("format") == "date-time":
            assert value == (read_time(str(wire)) if wire else None), at
            assert value is None or cast("datetime", value).tzinfo is not None, at
        case "string" if schema.get("format") == "date":
            assert value == (date(*map(int, str(wire).split("-"))) if wire else None), at
        case _:
            assert value == wire, at
            assert type(value) is type(wire), at


def compare_model(name: str, model: object, wire: dict[str, object], at: str) -> None:
    schema = schema_of(name)
    assert type(model).__name__ == name, at
    attributes = {python_name(each): each for each in schema["properties"]}
    assert {each.name for each in attrs.fields(type(model))} == {*attributes, "extra"}, at  # type: ignore[arg-type]
    for attribute, each in attributes.items():
        value = getattr(model, attribute)
        compare(schema["properties"][each], value, wire.get(each), f"{at}.{each}")
    assert model.extra == {k: v for k, v in wire.items() if k not in schema["properties"]}, at  # type: ignore[attr-defined]


def read_time(text: str) -> datetime:
    """RFC 3339, cut to microseconds."""
    found = re.fullmatch(r"(\d+)-(\d+)-(\d+)T(\d+):(\d+):(\d+)(?:\.(\d+))?(?:Z|([+-])(\d\d):(\d\d))", text)
    assert found is not None
    *numbers, fraction, sign, hours, minutes = found.groups()
    zone = UTC
    if sign:
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        zone = timezone(offset if sign == "+" else -offset)
    return datetime(*map(int, numbers), int((fraction or "0")[:6].ljust(6, "0")), tzinfo=zone)  # type: ignore[arg-type, misc]
