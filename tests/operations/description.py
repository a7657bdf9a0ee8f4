"""The tests' own reading of `api_description/openrelay.json`, by the naming rules of the public surface.

It shares no code with the generator, the generated operations table or the wire encoders: where they
disagree with it, one of them has misread the description.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

from attrs import frozen

Schema = Mapping[str, Any]
ROOT = Path(__file__).resolve().parents[2]


@frozen(eq=False)
class Case:
    """One operation, as the description has it."""

    id: str
    http_method: str
    path: str
    resource: str
    method: str
    generations: tuple[str, ...]
    needs_key: bool
    path_names: tuple[str, ...]
    """Path parameters in the template's order, the organization included."""
    query: Mapping[str, Schema]
    required_query: frozenset[str]
    body: str | None
    """The body's schema by name."""
    body_is_required: bool
    is_multipart: bool
    key_header: str | None
    key_property: str | None
    pagination: Mapping[str, Any] | None
    inference: bool
    org_required: bool
    answers: Mapping[int, tuple[str | None, Schema | None]]
    """Successes: status → content type and schema."""

    def __repr__(self) -> str:
        return self.id

    @property
    def ids(self) -> tuple[str, ...]:
        """Path parameters that callers give by position."""
        return tuple(name for name in self.path_names if name != "orgId")

    @property
    def takes_org(self) -> bool:
        return "orgId" in self.path_names

    @property
    def filters(self) -> dict[str, Schema]:
        """Query parameters without those that only turn pages."""
        turning = {self.pagination["request"], "limit"} if self.pagination else set()
        return {name: schema for name, schema in self.query.items() if name not in turning}

    @property
    def properties(self) -> dict[str, Schema]:
        """Properties of the body, without the idempotency key."""
        if self.body is None:
            return {}
        properties = schema_of(self.body)["properties"]
        return {name: schema for name, schema in properties.items() if name != self.key_property}

    @property
    def required(self) -> frozenset[str]:
        """Properties that the body must have."""
        return frozenset() if self.body is None else frozenset(schema_of(self.body).get("required", ()))

    @property
    def status(self) -> int:
        """The success that a test answers with: one with a body, if there are several."""
        return min(self.answers)

    @property
    def answer(self) -> tuple[str | None, Schema | None]:
        return self.answers[self.status]

    @property
    def paging(self) -> Mapping[str, Any]:
        assert self.pagination is not None
        return self.pagination

    @property
    def item(self) -> Schema:
        """The schema of a paged list's items."""
        schema = self.answer[1]
        assert schema is not None
        if "$ref" in schema:
            schema = cast("Schema", schema_of(reference(schema))["properties"][self.paging["items"]])
        return cast("Schema", schema["items"])


@cache
def document() -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads((ROOT / "api_description/openrelay.json").read_text()))


def schema_of(name: str) -> Schema:
    return cast("Schema", document()["components"]["schemas"][name])


def reference(schema: Schema) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def types_of(schema: Schema) -> list[str]:
    kinds = schema.get("type", [])
    return [kinds] if isinstance(kinds, str) else list(kinds)


def python_name(wire: str) -> str:
    """`gpuModelId` → `gpu_model_id`, `class` → `class_`."""
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", wire)
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name).lower().replace("-", "_")
    return f"{name}_" if keyword.iskeyword(name) else name


@cache
def all_cases() -> tuple[Case, ...]:
    return tuple(
        _read(path, verb, node)
        for path, item in document()["paths"].items()
        for verb, node in item.items()
        if verb in {"get", "post", "put", "patch", "delete"}
    )


@cache
def schemas_in_answers() -> frozenset[str]:
    """Schemas that answers hold: their models have `None` where others have `UNSET`."""
    found: set[str] = set()
    ahead = [schema for each in all_cases() for _, schema in each.answers.values()]
    while ahead:
        schema = ahead.pop()
        if schema is None or not isinstance(schema, dict):
            continue
        if "$ref" in schema and reference(schema) not in found:
            found.add(reference(schema))
            ahead.extend(schema_of(reference(schema))["properties"].values())
        ahead += [schema.get("items"), schema.get("additionalProperties")]
    return frozenset(found)


@cache
def case(operation_id: str) -> Case:
    return next(each for each in all_cases() if each.id == operation_id)


def _read(path: str, verb: str, node: Schema) -> Case:
    facts = node["x-openrelay"]
    query = {each["name"]: each for each in node["parameters"] if each["in"] == "query"}
    content = node.get("requestBody", {}).get("content", {})
    place = facts.get("idempotency_key", {})
    return Case(
        id=node["operationId"],
        http_method=verb.upper(),
        path=path,
        resource=facts["resource"],
        method=facts["method"],
        generations=tuple(facts["generations"]),
        needs_key=node["security"] == [{"apiKey": []}],
        path_names=tuple(re.findall(r"{(\w+)}", path)),
        query={name: each["schema"] for name, each in query.items()},
        required_query=frozenset(name for name, each in query.items() if each.get("required")),
        body=next((reference(each["schema"]) for each in content.values()), None),
        body_is_required=bool(node.get("requestBody", {}).get("required")),
        is_multipart="multipart/form-data" in content,
        key_header=place.get("header"),
        key_property=place.get("body"),
        pagination=facts.get("pagination"),
        inference=facts.get("host") == "inference",
        org_required=bool(facts.get("org_required")),
        answers={
            int(status): next(
                ((kind, each["schema"]) for kind, each in answer.get("content", {}).items()), (None, None)
            )
            for status, answer in node["responses"].items()
            if status.startswith("2")
        },
    )
