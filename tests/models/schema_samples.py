"""Samples of every schema, made by the tests' own reading of `openrelay.json`, not by the generator's."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

from openrelay_async.redaction import Secret

SOURCE = Path(__file__).resolve().parents[2] / "api_description" / "openrelay.json"
DESCRIPTION: dict[str, Any] = json.loads(SOURCE.read_text("utf-8"))
SCHEMAS: dict[str, dict[str, Any]] = DESCRIPTION["components"]["schemas"]
CANARY = "or_canary_0123456789abcdefghijklmnop"


def python_name(wire: str) -> str:
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", wire)
    words = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", words).lower()
    return f"{words}_" if words == "class" else words


def referred(node: Any) -> set[str]:
    """Return the schemas that a piece of the description names, and those that they name."""
    found: set[str] = set()
    waiting = [node]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            name = str(value.get("$ref", "")).rpartition("/")[2]
            if name and name not in found:
                found.add(name)
                waiting.append(SCHEMAS[name])
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return found


@cache
def response_schemas() -> tuple[str, ...]:
    """Return the schemas that answers and events hold, without pages, which have no model."""
    names: set[str] = {name for name in SCHEMAS if "WebhookEvent" in name}
    pages: set[str] = set()
    for item in DESCRIPTION["paths"].values():
        for operation in item.values():
            answers = [answer for status, answer in operation["responses"].items() if status[0] == "2"]
            names |= referred(answers)
            paging = operation["x-openrelay"].get("pagination")
            if paging and "items" in paging:
                pages |= {
                    str(a["content"]["application/json"]["schema"]["$ref"]).rpartition("/")[2]
                    for a in answers
                }
    return tuple(sorted(names - pages))


@cache
def request_only_schemas() -> tuple[str, ...]:
    """Return the schemas that are only sent, inside the bodies of requests."""
    sent: set[str] = set()
    for item in DESCRIPTION["paths"].values():
        for operation in item.values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                body = str(content["schema"]["$ref"]).rpartition("/")[2]
                sent |= referred(SCHEMAS[body]["properties"])
    return tuple(sorted(sent - set(response_schemas())))


def properties(name: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = SCHEMAS[name]["properties"]
    return found


def required(name: str) -> set[str]:
    return set(SCHEMAS[name].get("required", []))


def is_container(schema: dict[str, Any]) -> bool:
    return base(schema) == "array" or "additionalProperties" in schema


def is_nullable(schema: dict[str, Any]) -> bool:
    return isinstance(schema.get("type"), list)


def base(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return "object"
    kind = schema["type"]
    return str(kind if isinstance(kind, str) else next(each for each in kind if each != "null"))


def sample(name: str, *, only_required: bool = False) -> dict[str, Any]:
    """Return an object as a service could send it."""
    needed = required(name)
    return {
        wire: value(schema, wire)
        for wire, schema in properties(name).items()
        if wire in needed or not only_required
    }


def value(schema: dict[str, Any], wire: str = "") -> Any:
    """Return a value of a schema."""
    if "$ref" in schema:
        return sample(str(schema["$ref"]).rpartition("/")[2])
    kind = base(schema)
    if kind == "array":
        item = {**schema["items"], "x-secret": True} if schema.get("x-secret") else schema["items"]
        return [value(item, wire), value(item, wire)]
    if kind == "object":
        item = schema["additionalProperties"] or {"type": "string"}
        return {"a key": value({**item, "x-secret": schema.get("x-secret", False)}, wire)}
    if kind == "string":
        if schema.get("x-secret"):
            return f"{CANARY}_{wire}"
        if "enum" in schema:
            return schema["enum"][0]
        return {"date-time": "2026-10-31T12:34:56.123456789Z", "date": "2026-10-31"}.get(
            schema.get("format", ""), f"text of {wire}"
        )
    return {"integer": 7, "number": 2.5, "boolean": True}[kind]


def expected(schema: dict[str, Any], given: Any) -> Any:
    """Return what a model holds for a value, except models, which stay as they are sent."""
    if "$ref" in schema or given is None:
        return given
    kind = base(schema)
    if kind == "array":
        item = {**schema["items"], "x-secret": schema.get("x-secret", False)}
        return [expected(item, each) for each in given]
    if kind == "object":
        item = {
            **(schema["additionalProperties"] or {"type": "string"}),
            "x-secret": schema.get("x-secret", False),
        }
        return {key: expected(item, each) for key, each in given.items()}
    if schema.get("x-secret"):
        return Secret(given)
    if schema.get("format") == "date-time":
        return datetime(2026, 10, 31, 12, 34, 56, 123456, tzinfo=UTC)
    if schema.get("format") == "date":
        return date(2026, 10, 31)
    return given


def wrong(schema: dict[str, Any]) -> list[tuple[Any, str]]:
    """Return values that a schema does not allow, each with a text that an error must not show."""
    kind = base(schema)
    text, number = "WRONG-TEXT-VALUE", 987654321
    if kind == "string":
        return [(number, str(number)), ([text], text), (True, "True")] + (
            [(text, text)] if schema.get("format") in {"date-time", "date"} else []
        )
    if kind in {"integer", "number", "boolean"}:
        values: list[tuple[Any, str]] = [(text, text), ("5", "'5'"), ([number], str(number))]
        return values + ([(number, str(number))] if kind == "boolean" else [(True, "True")])
    return [(text, text), (number, str(number))] + (
        [([text], text)] if kind == "object" else [({"a": text}, text)]
    )
