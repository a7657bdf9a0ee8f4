"""`generate.py diff` says what a newer description would change for users."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api_description.generator.compare import compare, spell_changes
from api_description.generator.load import read_description

SOURCE = Path(__file__).resolve().parents[2] / "api_description" / "openrelay.json"
OLD: dict[str, Any] = json.loads(SOURCE.read_text("utf-8"))
Change = Callable[[dict[str, Any]], object]


def operation(document: dict[str, Any], path: str, method: str) -> dict[str, Any]:
    found: dict[str, Any] = document["paths"][path][method]
    return found


def facts(document: dict[str, Any], path: str, method: str) -> dict[str, Any]:
    found: dict[str, Any] = operation(document, path, method)["x-openrelay"]
    return found


def schema(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["schemas"][name]
    return found


CREATE = "/v1/orgs/{orgId}/vms/create"
CHANGES: dict[str, tuple[Change, str, str]] = {
    "operation removed": (
        lambda d: d["paths"].pop("/v1/vms/{id}/reboot"),
        "client.vms.reboot",
        "! the method is removed (rebootVm)",
    ),
    "operation added": (
        lambda d: d["paths"].update(
            {"/v2/health": {"get": _renamed(operation(d, "/health", "get"), "getHealth2", "get_deep")}}
        ),
        "client.health.get_deep",
        "+ new method: GET /v2/health (getHealth2)",
    ),
    "method renamed": (
        lambda d: facts(d, CREATE, "post").update(method="launch"),
        "client.vms.create",
        "! is now client.vms.launch",
    ),
    "argument added": (
        lambda d: schema(d, "CreateVmRequest")["properties"].update(spot={"type": "boolean"}),
        "client.vms.create",
        "+ new argument spot: bool",
    ),
    "argument removed": (
        lambda d: schema(d, "CreateVmRequest")["properties"].pop("tier"),
        "client.vms.create",
        "! argument tier is removed",
    ),
    "argument made required": (
        lambda d: schema(d, "CreateVmRequest")["required"].append("gpuModelId"),
        "client.vms.create",
        "! argument gpu_model_id is now required",
    ),
    "argument's type": (
        lambda d: schema(d, "CreateVmRequest")["properties"]["gpuCount"].update(type="string"),
        "client.vms.create",
        "! argument gpu_count: int → str",
    ),
    "query added": (
        lambda d: operation(d, "/v1/vms/{id}", "get")["parameters"].append(
            {"in": "query", "name": "expand", "required": True, "schema": {"type": "boolean"}}
        ),
        "client.vms.get",
        "! new argument expand: bool, required",
    ),
    "field added": (
        lambda d: schema(d, "VmSummary")["properties"].update(rack={"type": "string"}),
        "models.VmSummary",
        "+ new field rack: str",
    ),
    "field removed": (
        lambda d: schema(d, "VmSummary")["properties"].pop("tier"),
        "models.VmSummary",
        "! field tier is removed",
    ),
    "field made optional": (
        lambda d: schema(d, "VmSummary")["required"].remove("status"),
        "models.VmSummary",
        "! field status is now optional",
    ),
    "field's unit": (
        lambda d: schema(d, "VmSummary")["properties"]["diskSizeGb"].update({"x-unit": "GiB"}),
        "models.VmSummary",
        "! field disk_size_gb: unit GB → GiB",
    ),
    "enum's values": (
        lambda d: schema(d, "Whoami")["properties"]["principalType"]["enum"].append("robot"),
        "models.Whoami",
        "~ field principal_type may also be `robot`",
    ),
    "scope": (
        lambda d: facts(d, CREATE, "post").update(scope="vms:create"),
        "client.vms.create",
        "~ scope: vms:write → vms:create",
    ),
    "idempotency": (
        lambda d: facts(d, CREATE, "post").update(idempotent=True),
        "client.vms.create",
        "~ may be resent: False → True",
    ),
    "pages": (
        lambda d: facts(d, "/v1/orgs/{orgId}/vms", "get").pop("pagination"),
        "client.vms.list",
        "! paging: cursor by `cursor` → none",
    ),
    "answer": (
        lambda d: operation(d, "/v1/vms/{id}", "get")["responses"]["200"]["content"]["application/json"][
            "schema"
        ].update({"$ref": "#/components/schemas/VmDetail"}),
        "client.vms.get",
        "! answer: model of VmSummary → model of VmDetail",
    ),
}


def _renamed(original: dict[str, Any], operation_id: str, method: str) -> dict[str, Any]:
    renamed = copy.deepcopy(original)
    renamed["operationId"] = operation_id
    renamed["x-openrelay"]["method"] = method
    return renamed


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_told_under_the_public_name(what: str) -> None:
    change, subject, line = CHANGES[what]
    new = copy.deepcopy(OLD)
    change(new)
    text = spell_changes(compare(read_description(OLD), read_description(new)))
    paragraphs = {part.splitlines()[0]: part.splitlines()[1:] for part in text.split("\n\n")}
    assert f"  {line}" in paragraphs[subject]


def test_the_same_description_changes_nothing() -> None:
    assert spell_changes(compare(read_description(OLD), read_description(OLD))) == "nothing changes for users"


def test_what_breaks_code_comes_first() -> None:
    new = copy.deepcopy(OLD)
    schema(new, "CreateVmRequest")["properties"].update(aaa={"type": "boolean"})
    schema(new, "CreateVmRequest")["properties"].pop("tier")
    lines = spell_changes(compare(read_description(OLD), read_description(new))).splitlines()
    assert [line[2] for line in lines[1:]] == ["!", "+"]
