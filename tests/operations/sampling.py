"""Arguments sampled from the description, each with what it must become in JSON."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

from attrs import field, frozen

from openrelay_async import Secret, models

from .description import Case, Schema, python_name, reference, schema_of, types_of

IDS = (
    "vm_0",
    "a/b",
    "what?",
    "#1",
    "50%",
    "100%25",
    "two words",
    "Größe",
    "机器",
    "🚀",
    "a+b&c=d;e",
    "~x-._",
    "...",
    "x@y.example",
)
"""Ids that may stand in a path, with everything that a URL could take for its own."""

TEXTS = (
    "",
    "plain",
    "two words",
    "50% & more = a+b;c#d?e/f",
    "Grüße",
    "🚀",
    'say "hi"\\',
    "line\nline",
    "null",
    "\x00",
    " ",
    "é",
)
NUMBERS = (0, 1, 7, -1, 2**31, 2**53, -(2**63), 2**63 - 1)
TIMES: tuple[tuple[object, str], ...] = (
    (datetime(2026, 11, 23, 16, 5, 9, tzinfo=UTC), "2026-11-23T16:05:09Z"),
    (datetime(2026, 11, 23, 16, 5, 9, 120, tzinfo=UTC), "2026-11-23T16:05:09.000120Z"),
    (datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=1))), "2025-12-31T23:30:00Z"),
    ("2026-11-23T16:05:09.123456789Z", "2026-11-23T16:05:09.123456789Z"),
)
UNKNOWN = "not-yet-known"

Sampled = tuple[object, object]
"""An argument, and the JSON value that it must become."""


@frozen
class Call:
    """Arguments for a method, and the request that they must become."""

    args: tuple[object, ...]
    kwargs: dict[str, object]
    path: str
    query: list[tuple[str, str]] = field(factory=list)
    body: object = None
    """JSON value of the body; `None` where none is sent."""
    form: dict[str, bytes] = field(factory=dict)
    """Parts of a multipart body."""
    key: str | None = None
    """The idempotency key that was given."""


def percent_encode(text: str) -> str:
    """Everything but what RFC 3986 calls unreserved, as UTF-8."""
    plain = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
    return "".join(chr(byte) if byte in plain else f"%{byte:02X}" for byte in text.encode())


class Sampler:
    """Chooses values, the same ones for the same seed."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)

    def call(self, case: Case, *, give: Callable[[str], bool] = lambda name: True) -> Call:
        """Choose a call's arguments: the required ones, and of the optional ones those that `give` takes."""
        path, args, kwargs = self._path(case)
        query: list[tuple[str, str]] = []
        for name, schema in case.filters.items():
            if name in case.required_query or give(name):
                kwargs[python_name(name)], wire = self.argument(schema)
                query.append((name, query_text(wire)))
        if case.is_multipart:
            return self._upload(case, args, kwargs, path)
        body: dict[str, object] = {}
        for name, schema in case.properties.items():
            if name in case.required or give(name):
                kwargs[python_name(name)], body[name] = self.argument(schema)
        key = None
        if (case.key_header or case.key_property) and give("idempotencyKey"):
            key = kwargs["idempotency_key"] = f"key-{self.random.randrange(10**9)}"
            if case.key_property:
                body[case.key_property] = key
        sent = case.body is not None and (case.body_is_required or bool(body))
        return Call(args, kwargs, path, query, body if sent else None, key=key)

    def _path(self, case: Case) -> tuple[str, tuple[object, ...], dict[str, object]]:
        path, args = case.path, []
        kwargs: dict[str, object] = {}
        for name in case.path_names:
            value = self.random.choice(IDS)
            if name != "orgId":
                args.append(value)
            elif case.org_required or self.random.random() < 0.5:
                kwargs["org_id"] = value
            else:
                value = "org_home"
            path = path.replace("{" + name + "}", percent_encode(value))
        return path, tuple(args), kwargs

    def _upload(self, case: Case, args: tuple[object, ...], kwargs: dict[str, object], path: str) -> Call:
        form: dict[str, bytes] = {}
        for name, schema in case.properties.items():
            if schema.get("format") == "binary":
                kwargs[python_name(name)] = form[name] = self.random.randbytes(300)
            else:
                kwargs[python_name(name)], wire = self.argument(schema)
                form[name] = query_text(wire).encode()
        return Call(args, kwargs, path, form=form)

    def argument(self, schema: Schema, *, secret: bool = False) -> Sampled:
        """Choose one value that a schema allows."""
        if "$ref" in schema:
            return self._nested(reference(schema))
        secret = secret or bool(schema.get("x-secret"))
        kinds = types_of(schema)
        if "null" in kinds and self.random.random() < 0.3:
            return None, None
        match next((kind for kind in kinds if kind != "null"), None):
            case "string":
                return self._text(schema, secret=secret)
            case "integer":
                return self._same(self.random.choice(NUMBERS))
            case "number":
                return self._same(self.random.choice((*NUMBERS, 0.5, -1e-9, 1e300)))
            case "boolean":
                return self._same(self.random.random() < 0.5)
            case "array":
                pairs = self._several(lambda: self.argument(schema["items"], secret=secret))
                given = [pair[0] for pair in pairs]
                wire = [pair[1] for pair in pairs]
                return (tuple(given) if self.random.random() < 0.3 else given), wire
            case "object":
                values = self._several(lambda: self.argument(schema["additionalProperties"], secret=secret))
                named = [(self.random.choice(TEXTS) + str(index), pair) for index, pair in enumerate(values)]
                return {key: pair[0] for key, pair in named}, {key: pair[1] for key, pair in named}
            case _:
                value = self.random.choice((None, True, 1.5, "text", [1, None], {"deep": [{"er": "value"}]}))
                return value, value

    def _several(self, make: Callable[[], Sampled]) -> list[Sampled]:
        return [make() for _ in range(self.random.choice((0, 1, 3)))]

    def _same(self, value: object) -> Sampled:
        return value, value

    def _text(self, schema: Schema, *, secret: bool) -> Sampled:
        if schema.get("format") == "date-time":
            return self.random.choice(TIMES)
        if schema.get("format") == "date":
            return self.random.choice(((date(2026, 2, 28), "2026-02-28"), ("2026-03-01", "2026-03-01")))
        text = self.random.choice((*schema["enum"], UNKNOWN) if "enum" in schema else TEXTS)
        return Secret(text) if secret and self.random.random() < 0.5 else text, text

    def _nested(self, name: str) -> Sampled:
        """A nested object: half of the time as a model, else as a mapping in wire names."""
        schema = schema_of(name)
        pairs: dict[str, Sampled] = {
            wire: self.argument(value)
            for wire, value in schema["properties"].items()
            if wire in schema.get("required", ()) or self.random.random() < 0.6
        }
        wire = {each: pair[1] for each, pair in pairs.items()}
        if self.random.random() < 0.5:
            return wire, wire
        kind: Any = getattr(models, name)
        given = {
            python_name(each): list(pair[0]) if isinstance(pair[0], tuple) else pair[0]
            for each, pair in pairs.items()
        }
        return kind(**given), wire


def query_text(value: object) -> str:
    """A value as a query or a form has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def only(names: Iterable[str]) -> Callable[[str], bool]:
    wanted = frozenset(names)
    return lambda name: name in wanted


def rounds(case: Case, count: int = 3) -> list[Call]:
    """Calls with nothing optional, with everything, and with some of it."""
    sampler = Sampler(case.id)
    calls = [sampler.call(case, give=only(())), sampler.call(case)]
    calls += [sampler.call(case, give=lambda name: sampler.random.random() < 0.5) for _ in range(count)]
    return calls
