"""The generator refuses what it does not understand, and names the place."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api_description.generator.load import read_description
from api_description.generator.refuse import DescriptionError

SOURCE = Path(__file__).resolve().parents[2] / "api_description" / "openrelay.json"
Document = dict[str, Any]
Change = Callable[[Document], None]

CREATE_VM = "/paths/~1v1~1orgs~1{orgId}~1vms~1create/post"
GET_VM = "/paths/~1v1~1vms~1{id}/get"
LIST_VMS = "/paths/~1v1~1orgs~1{orgId}~1vms/get"
VM = "/components/schemas/VmSummary"


@pytest.fixture(scope="module")
def description() -> Document:
    document: Document = json.loads(SOURCE.read_text("utf-8"))
    return document


def schema(document: Document, name: str) -> Document:
    found: Document = document["components"]["schemas"][name]
    return found


def create_vm(document: Document) -> Document:
    found: Document = document["paths"]["/v1/orgs/{orgId}/vms/create"]["post"]
    return found


def get_vm(document: Document) -> Document:
    found: Document = document["paths"]["/v1/vms/{id}"]["get"]
    return found


def list_vms(document: Document) -> Document:
    found: Document = document["paths"]["/v1/orgs/{orgId}/vms"]["get"]
    return found


def put(where: Callable[[Document], Document], *keys: str | int, value: object) -> Change:
    """Return the change that sets one value deep in the description."""

    def change(document: Document) -> None:
        node: Any = where(document)
        for key in keys[:-1]:
            node = node[key]
        if isinstance(node, list) and keys[-1] == len(node):
            node.append(value)
        else:
            node[keys[-1]] = value

    return change


def whole(document: Document) -> Document:
    return document


def vm(document: Document) -> Document:
    return schema(document, "VmSummary")


def move_operation(document: Document) -> None:
    document["paths"]["/v1/{region}/orgs/{orgId}/vms"] = {"get": list_vms(document)}
    list_vms(document)["parameters"].append(
        {"in": "path", "name": "region", "required": True, "schema": {"type": "string"}}
    )
    del document["paths"]["/v1/orgs/{orgId}/vms"]


def two_media(document: Document) -> None:
    content = get_vm(document)["responses"]["200"]["content"]
    content["text/csv"] = content["application/json"]


REFUSALS: dict[str, tuple[Change, str]] = {
    "a key of the document": (put(whole, "webhooks", value={}), "/webhooks"),
    "another OpenAPI": (put(whole, "openapi", value="3.0.3"), "/openapi"),
    "a keyword of a schema": (put(vm, "allOf", value=[]), f"{VM}/allOf"),
    "anyOf in a property": (
        put(vm, "properties", "name", value={"anyOf": [{"type": "string"}]}),
        f"{VM}/properties/name/anyOf",
    ),
    "a keyword of a text": (
        put(vm, "properties", "name", "pattern", value="a+"),
        f"{VM}/properties/name/pattern",
    ),
    "a keyword of another type": (
        put(vm, "properties", "name", "items", value={}),
        f"{VM}/properties/name/items",
    ),
    "a keyword of a number": (
        put(vm, "properties", "gpuCount", "minimum", value=1),
        f"{VM}/properties/gpuCount/minimum",
    ),
    "a format of a text": (
        put(vm, "properties", "name", "format", value="hostname"),
        f"{VM}/properties/name/format",
    ),
    "a format of an integer": (
        put(vm, "properties", "gpuCount", "format", value="int32"),
        f"{VM}/properties/gpuCount/format",
    ),
    "a type": (put(vm, "properties", "name", "type", value="text"), f"{VM}/properties/name/type"),
    "two types": (
        put(vm, "properties", "name", "type", value=["string", "integer"]),
        f"{VM}/properties/name/type",
    ),
    "a schema that is no object": (put(vm, "type", value="array"), f"{VM}/type"),
    "a required property that is not there": (
        put(vm, "required", 4, value="ghost"),
        f"{VM}/required/4",
    ),
    "a reference to nowhere": (
        put(vm, "properties", "name", value={"$ref": "#/components/schemas/Ghost"}),
        f"{VM}/properties/name/$ref",
    ),
    "a reference to elsewhere": (
        put(vm, "properties", "name", value={"$ref": "other.json#/Vm"}),
        f"{VM}/properties/name/$ref",
    ),
    "two names that become one": (
        put(vm, "properties", "gpu_count", value={"type": "integer"}),
        f"{VM}/properties/gpu_count",
    ),
    "a name that models have": (
        put(vm, "properties", "extra", value={"type": "string"}),
        f"{VM}/properties/extra",
    ),
    "a name that Python cannot have": (
        put(vm, "properties", "gpu count", value={"type": "string"}),
        f"{VM}/properties/gpu count",
    ),
    "a secret that is no text": (
        put(vm, "properties", "gpuCount", "x-secret", value=True),
        f"{VM}/properties/gpuCount/x-secret",
    ),
    "a schema's name": (put(whole, "components", "schemas", "vm-x", value={}), "/components/schemas/vm-x"),
    "a key of an operation": (put(create_vm, "callbacks", value={}), f"{CREATE_VM}/callbacks"),
    "an x-openrelay key": (
        put(create_vm, "x-openrelay", "beta", value=True),
        f"{CREATE_VM}/x-openrelay/beta",
    ),
    "a host": (put(create_vm, "x-openrelay", "host", value="moon"), f"{CREATE_VM}/x-openrelay/host"),
    "an HTTP method": (
        put(whole, "paths", "/v1/vms/{id}", "trace", value={}),
        "/paths/~1v1~1vms~1{id}/trace",
    ),
    "authentication": (put(create_vm, "security", value=[{"oauth": []}]), f"{CREATE_VM}/security"),
    "a header": (
        put(get_vm, "parameters", 1, value={"in": "header", "name": "X-Odd", "schema": {"type": "string"}}),
        f"{GET_VM}/parameters",
    ),
    "a cookie": (
        put(get_vm, "parameters", 1, value={"in": "cookie", "name": "a", "schema": {"type": "string"}}),
        f"{GET_VM}/parameters/1/in",
    ),
    "a list in the query": (
        put(
            get_vm,
            "parameters",
            1,
            value={"in": "query", "name": "ids", "schema": {"type": "array", "items": {"type": "string"}}},
        ),
        f"{GET_VM}/parameters/1/schema",
    ),
    "an argument that methods have": (
        put(get_vm, "parameters", 1, value={"in": "query", "name": "timeout", "schema": {"type": "string"}}),
        f"{GET_VM}/parameters/1",
    ),
    "an argument that would hide what methods call": (
        put(get_vm, "parameters", 1, value={"in": "query", "name": "record", "schema": {"type": "string"}}),
        f"{GET_VM}/parameters/1",
    ),
    "an argument that is there twice": (
        put(create_vm, "parameters", 2, value={"in": "query", "name": "name", "schema": {"type": "string"}}),
        "/components/schemas/CreateVmRequest/properties/name",
    ),
    "a path parameter that is not declared": (put(get_vm, "parameters", value=[]), f"{GET_VM}/parameters"),
    "an organization that is not first": (
        move_operation,
        "/paths/~1v1~1{region}~1orgs~1{orgId}~1vms/get/parameters",
    ),
    "an organization required but not there": (
        put(get_vm, "x-openrelay", "org_required", value=True),
        f"{GET_VM}/x-openrelay/org_required",
    ),
    "a status": (put(get_vm, "responses", "207", value={"description": ""}), f"{GET_VM}/responses/207"),
    "no success": (put(get_vm, "responses", value={}), f"{GET_VM}/responses"),
    "two media types": (two_media, f"{GET_VM}/responses/200/content"),
    "an answer's media type": (
        put(get_vm, "responses", "200", "content", value={"image/png": {"schema": {"type": "string"}}}),
        f"{GET_VM}/responses/200/content/image~1png/schema",
    ),
    "an answer that is a bare text": (
        put(get_vm, "responses", "200", "content", "application/json", "schema", value={"type": "string"}),
        f"{GET_VM}/responses/200/content/application~1json/schema",
    ),
    "a body's media type": (
        put(create_vm, "requestBody", "content", value={"text/xml": {"schema": {"type": "string"}}}),
        f"{CREATE_VM}/requestBody/content",
    ),
    "an optional body with required properties": (
        put(create_vm, "requestBody", "required", value=False),
        f"{CREATE_VM}/requestBody/required",
    ),
    "an idempotency key that is not there": (
        put(create_vm, "x-openrelay", "idempotency_key", value={"header": "X-Once"}),
        f"{CREATE_VM}/x-openrelay/idempotency_key/header",
    ),
    "a style of pages": (
        put(list_vms, "x-openrelay", "pagination", "style", value="page"),
        f"{LIST_VMS}/x-openrelay/pagination/style",
    ),
    "pages without their cursor": (
        put(list_vms, "x-openrelay", "pagination", "request", value="after"),
        f"{LIST_VMS}/x-openrelay/pagination",
    ),
    "pages without their items": (
        put(list_vms, "x-openrelay", "pagination", "items", value="vms"),
        f"{LIST_VMS}/x-openrelay/pagination",
    ),
    "two operations with one public name": (
        put(create_vm, "x-openrelay", "method", value="list"),
        f"{CREATE_VM}/x-openrelay",
    ),
    "two operations with one id": (
        put(create_vm, "operationId", value="listOrgVms"),
        f"{CREATE_VM}/operationId",
    ),
    "a method that is a keyword": (
        put(create_vm, "x-openrelay", "method", value="import"),
        f"{CREATE_VM}/x-openrelay",
    ),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_the_generator_refuses(what: str, description: Document) -> None:
    change, pointer = REFUSALS[what]
    document = copy.deepcopy(description)
    change(document)
    with pytest.raises(DescriptionError) as refusal:
        read_description(document)
    assert refusal.value.pointer == pointer
    assert str(refusal.value).startswith(f"{pointer}: ")


def test_the_description_itself_is_understood(description: Document) -> None:
    loaded = read_description(description)
    assert len(loaded.operations) == sum(len(item) for item in description["paths"].values())
    assert set(loaded.schemas) == set(description["components"]["schemas"])
