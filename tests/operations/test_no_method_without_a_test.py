"""No method without a test, no operation without a method, and every signature as the description has it."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, Literal

import pytest

from openrelay_async import AsyncClient, DownloadCall, PagedCall, Secret, Unset, models, operations
from openrelay_async.resource import Resource

from .description import Case, Schema, all_cases, document, python_name, reference, types_of
from .waits import WAITS

TESTS = Path(__file__).resolve().parents[1]
RESOURCES = sorted({case.resource for case in all_cases()})


@pytest.fixture(scope="module")
def unused_client() -> AsyncClient:
    return AsyncClient("vl_never_sent_anywhere_0123456789", base_url="http://127.0.0.1:1")


def public_methods(kind: type[object]) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def test_the_client_has_the_resources_of_the_description_and_no_others(unused_client):
    names = {name for name in dir(AsyncClient) if not name.startswith("_")}
    found = [name for name in names if isinstance(getattr(unused_client, name), Resource)]
    assert sorted(found) == RESOURCES


def test_every_operation_has_a_method_of_its_own():
    places = [(case.resource, case.method) for case in all_cases()]
    assert len(places) == len(set(places)) == 182


@pytest.mark.parametrize("resource", RESOURCES)
def test_every_public_method_is_tested(resource, unused_client):
    """What the description has, and what waits, is tested for all; what else there is is called in a test."""
    generated = {case.method for case in all_cases() if case.resource == resource}
    methods = public_methods(type(getattr(unused_client, resource)))
    assert generated <= methods
    texts = [path.read_text() for path in TESTS.rglob("test_*.py")] if methods > generated else []
    for method in methods - generated - {name for kind, name in WAITS if kind == resource}:
        called = re.compile(rf"\b{resource}\s*\.{method}\(")
        assert any(called.search(text) for text in texts), f"no test calls {resource}.{method}"


@pytest.mark.parametrize("name", sorted(public_methods(AsyncClient) - set(RESOURCES)))
def test_every_public_method_of_the_client_is_called_in_a_test(name):
    called = re.compile(rf"\.{name}\(")
    assert any(called.search(path.read_text()) for path in TESTS.rglob("test_*.py"))


@pytest.mark.parametrize("case", all_cases(), ids=repr)
def test_operation_stands_in_the_public_table(case):
    row = operations[case.id]
    assert (row.resource, row.method, row.http_method, row.path) == (
        case.resource,
        case.method,
        case.http_method,
        case.path,
    )
    facts = document()["paths"][case.path][case.http_method.lower()]["x-openrelay"]
    assert row.idempotent is facts["idempotent"]
    assert row.generations == case.generations
    assert (row.scope, row.permission) == (facts.get("scope"), facts.get("permission"))
    assert row.session_only is facts.get("session_only", False)
    assert row.org_required is case.org_required
    assert row.host == ("inference" if case.inference else "api")


def method_of(case: Case, client: AsyncClient) -> Any:
    """The generated method: hand-written subclasses may take more."""
    for kind in type(getattr(client, case.resource)).__mro__:
        if kind.__module__.startswith("openrelay_async.generated.resources."):
            return vars(kind)[case.method]
    raise AssertionError(case.id)


PAGING: dict[str, Any] = {
    "page_size": int | None,
    "cursor": str | None,
    "max_items": int | None,
    "prefetch": bool,
}


TIMES = {"listAuditEvents": ("since", "until")}
"""Filters that the description calls texts, and that take times too."""

PATIENT = {"createCluster", "createPod", "createVm"}
"""Creates that can wait until there is room."""


def expected_keywords(case: Case) -> dict[str, Any]:
    """Keyword arguments and their types."""
    keywords: dict[str, Any] = {}
    for name, schema in case.filters.items():
        keywords[python_name(name)] = argument_type(schema, required=name in case.required_query)
        if name in TIMES.get(case.id, ()):
            keywords[python_name(name)] |= datetime
    for name, schema in case.properties.items():
        keywords[python_name(name)] = argument_type(schema, required=name in case.required)
    if case.is_multipart:
        keywords["file"] = str | PathLike[str] | bytes | BinaryIO
        keywords["filename"] = str | None
    if case.takes_org:
        keywords["org_id"] = str if case.org_required else str | None
    if case.key_header:
        keywords["idempotency_key"] = str | None
    if case.key_property:
        keywords["idempotency_key"] = str | Unset
    if case.id in PATIENT:
        keywords["wait_for_capacity"] = float | bool | None
    return {**keywords, **(PAGING if case.pagination else {}), "timeout": float | None}


def argument_type(schema: Schema, *, required: bool) -> Any:
    hint = plain_type(schema)
    if "null" in types_of(schema):
        hint = hint | None
    return hint if required else hint | Unset


def plain_type(schema: Schema, *, secret: bool = False) -> Any:
    if "$ref" in schema:
        return getattr(models, reference(schema)) | Mapping[str, object]
    secret = secret or bool(schema.get("x-secret"))
    match next((kind for kind in types_of(schema) if kind != "null"), None):
        case "string" if schema.get("format") == "date-time":
            return datetime | str
        case "string" if schema.get("format") == "date":
            return date | str
        case "string" if "enum" in schema:
            return Literal[tuple(schema["enum"])] | str
        case "string":
            return str | Secret if secret else str
        case "integer":
            return int
        case "number":
            return float
        case "boolean":
            return bool
        case "array":
            return Sequence[plain_type(schema["items"], secret=secret)]
        case "object":
            return Mapping[str, plain_type(schema["additionalProperties"], secret=secret)]
        case _:
            return object


def expected_result(case: Case) -> Any:
    kind, schema = case.answer
    if schema is None:
        return type(None)
    if case.pagination is not None:
        return PagedCall[getattr(models, reference(case.item))]
    if kind == "text/plain":
        return Secret
    if kind == "application/octet-stream":
        return DownloadCall
    if schema.get("type") == "array":
        return list[getattr(models, reference(schema["items"]))]
    return getattr(models, reference(schema))


@pytest.mark.parametrize("case", all_cases(), ids=repr)
def test_signature_is_what_the_description_asks_for(case, unused_client):
    method = method_of(case, unused_client)
    parameters = list(inspect.signature(method).parameters.values())[1:]
    positional = [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
    keywords = {each.name: each for each in parameters if each.kind is each.KEYWORD_ONLY}
    assert positional == [python_name(name) for name in case.ids]
    assert len(positional) + len(keywords) == len(parameters)
    expected = expected_keywords(case)
    assert sorted(keywords) == sorted(expected)
    needed = {python_name(name) for name in case.required | case.required_query}
    needed |= {"org_id"} if case.org_required else set()
    assert {name for name, each in keywords.items() if each.default is each.empty} == needed
    hints = typing.get_type_hints(method)
    assert hints.pop("return") == expected_result(case)
    assert hints == expected | dict.fromkeys(positional, str)


@pytest.mark.parametrize("case", all_cases(), ids=repr)
def test_docstring_tells_every_argument_and_the_source(case, unused_client):
    text = inspect.getdoc(method_of(case, unused_client))
    assert text is not None
    assert text.splitlines()[0].endswith(".")
    flat = " ".join(text.split())
    assert f"{case.http_method} {case.path}" in flat
    assert f"({case.id})" in flat
    for name in (*map(python_name, case.ids), *expected_keywords(case)):
        assert re.search(rf"^\s+{name}: \S", text, re.MULTILINE), name
