"""The words of the API (`api_description/prose`) agree with its description, and are complete and short."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

DESCRIPTION_DIR = Path(__file__).parents[2] / "api_description"
DESCRIPTION: dict[str, Any] = json.loads((DESCRIPTION_DIR / "openrelay.json").read_text(encoding="utf-8"))
SCHEMAS: dict[str, dict[str, Any]] = DESCRIPTION["components"]["schemas"]

MAX_SUMMARY = 88
MAX_LINE = 110
MAX_NOTES = 320
PART_NAME = {"operations": "arguments", "schemas": "fields"}


def properties_of(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    if "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rsplit("/", 1)[-1]]
    return schema.get("properties", {})


def arguments_of(operation: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The schema of every parameter and body property, by wire name."""
    found = {parameter["name"]: parameter["schema"] for parameter in operation.get("parameters", [])}
    for media_type in operation.get("requestBody", {}).get("content", {}).values():
        found |= properties_of(media_type["schema"])
    return found


OPERATIONS: dict[str, dict[str, Any]] = {
    operation["operationId"]: operation
    for path_item in DESCRIPTION["paths"].values()
    for operation in path_item.values()
}
KNOWN: dict[str, dict[str, dict[str, dict[str, Any]]]] = {
    "operations": {name: arguments_of(operation) for name, operation in OPERATIONS.items()},
    "schemas": {name: properties_of(schema) for name, schema in SCHEMAS.items()},
}
PATH_IDS = {
    operation_id: [p["name"] for p in operation.get("parameters", []) if p["in"] == "path"]
    for operation_id, operation in OPERATIONS.items()
}


def read_prose(kind: str) -> dict[str, dict[str, Any]]:
    return tomllib.loads((DESCRIPTION_DIR / "prose" / f"{kind}.toml").read_text(encoding="utf-8"))


PROSE = {kind: read_prose(kind) for kind in KNOWN}
both_kinds = pytest.mark.parametrize("kind", ["operations", "schemas"])


def unknown_entries(kind: str, prose: dict[str, dict[str, Any]]) -> list[str]:
    """Every entry that names something the description does not have."""
    part = PART_NAME[kind]
    allowed_keys = {"summary", part} | ({"notes"} if kind == "operations" else set())
    found = []
    for name, table in prose.items():
        if name not in KNOWN[kind]:
            found.append(f"[{name}]")
            continue
        found += [f"[{name}] {key}" for key in table if key not in allowed_keys]
        found += [f"[{name}.{part}] {wire}" for wire in table.get(part, {}) if wire not in KNOWN[kind][name]]
    return found


def all_lines(kind: str) -> Iterator[tuple[str, Any, int]]:
    """Every text with the entry that holds it and its longest allowed length."""
    part = PART_NAME[kind]
    for name, table in PROSE[kind].items():
        if "summary" in table:
            yield f"[{name}] summary", table["summary"], MAX_SUMMARY
        if "notes" in table:
            yield f"[{name}] notes", table["notes"], MAX_NOTES
        for wire, text in table.get(part, {}).items():
            yield f"[{name}.{part}] {wire}", text, MAX_LINE


@both_kinds
def test_everything_described_has_a_summary(kind: str) -> None:
    missing = [name for name in KNOWN[kind] if not PROSE[kind].get(name, {}).get("summary")]
    assert not missing, f"{kind}.toml has no summary for: {', '.join(missing)}"


@both_kinds
def test_nothing_is_named_that_the_description_does_not_have(kind: str) -> None:
    unknown = unknown_entries(kind, PROSE[kind])
    assert not unknown, f"{kind}.toml names what openrelay.json does not have: {', '.join(unknown)}"


@pytest.mark.parametrize(
    ("kind", "prose", "entry"),
    [
        ("operations", {"createVmm": {"summary": "x."}}, "[createVmm]"),
        ("operations", {"createVm": {"sumary": "x."}}, "[createVm] sumary"),
        ("operations", {"createVm": {"arguments": {"gpu_count": "x."}}}, "[createVm.arguments] gpu_count"),
        ("schemas", {"VmSummary": {"fields": {"statusReasn": "x."}}}, "[VmSummary.fields] statusReasn"),
        ("schemas", {"VmSummary": {"notes": "x."}}, "[VmSummary] notes"),
    ],
)
def test_a_typo_is_found_and_named(kind: str, prose: dict[str, dict[str, Any]], entry: str) -> None:
    assert unknown_entries(kind, prose) == [entry]


@both_kinds
def test_every_text_is_one_short_line_that_ends_with_a_period(kind: str) -> None:
    faults = []
    for entry, text, longest in all_lines(kind):
        if not isinstance(text, str) or text != " ".join(text.split()):
            faults.append(f"{entry}: not one line of plain text")
        elif not text.endswith("."):
            faults.append(f"{entry}: does not end with a period")
        elif len(text) > longest:
            faults.append(f"{entry}: {len(text)} characters, {longest} are allowed")
        elif text.count("`") % 2:
            faults.append(f"{entry}: a backtick is not closed")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("kind", "name", "wire"),
    [
        pytest.param(kind, name, wire, id=f"{name}.{wire}")
        for kind, tables in KNOWN.items()
        for name, members in tables.items()
        for wire, schema in members.items()
        if schema.get("x-secret")
    ],
)
def test_secrets_are_documented(kind: str, name: str, wire: str) -> None:
    text = PROSE[kind].get(name, {}).get(PART_NAME[kind], {}).get(wire, "")
    assert "secret" in text.lower(), f"[{name}.{PART_NAME[kind]}] {wire} does not say that it is a secret"


def test_every_path_id_is_documented() -> None:
    missing = [
        f"[{name}.arguments] {wire}"
        for name, ids in PATH_IDS.items()
        for wire in ids
        if wire not in PROSE["operations"].get(name, {}).get("arguments", {})
    ]
    assert not missing, f"no line for: {', '.join(missing)}"


def test_session_only_operations_say_so() -> None:
    silent = [
        name
        for name, operation in OPERATIONS.items()
        if operation["x-openrelay"].get("session_only")
        and "session token" not in PROSE["operations"].get(name, {}).get("notes", "")
    ]
    assert not silent, f"the notes do not mention the session token: {', '.join(silent)}"


def test_other_operations_do_not_claim_to_need_a_session() -> None:
    wrong = [
        name
        for name, table in PROSE["operations"].items()
        if "Needs a dashboard session token" in table.get("notes", "")
        and not OPERATIONS[name]["x-openrelay"].get("session_only")
    ]
    assert not wrong, f"not session-only: {', '.join(wrong)}"


@both_kinds
def test_methods_that_texts_refer_to_exist(kind: str) -> None:
    facts = [operation["x-openrelay"] for operation in OPERATIONS.values()]
    resources = {fact["resource"] for fact in facts}
    methods = {f"{fact['resource']}.{fact['method']}" for fact in facts}
    unknown = [
        f"{entry}: `{reference[0]}.{reference[1]}`"
        for entry, text, _ in all_lines(kind)
        for reference in re.findall(r"`([a-z_]+)\.([a-z_]+)`", text)
        if reference[0] in resources and ".".join(reference) not in methods
    ]
    assert not unknown, f"no such method: {', '.join(unknown)}"


@both_kinds
def test_no_two_summaries_are_the_same(kind: str) -> None:
    first_use: dict[str, str] = {}
    repeated = [
        f"{first_use[summary]} and {name}"
        for name, table in PROSE[kind].items()
        if (summary := table.get("summary")) and first_use.setdefault(summary, name) != name
    ]
    assert not repeated, f"same summary: {', '.join(repeated)}"


def test_operations_are_sorted_by_resource_and_method() -> None:
    def public_name(operation_id: str) -> tuple[str, str]:
        facts = OPERATIONS[operation_id]["x-openrelay"]
        return facts["resource"], facts["method"]

    names = [name for name in PROSE["operations"] if name in OPERATIONS]
    assert names == sorted(names, key=public_name)


def test_schemas_are_sorted_by_name() -> None:
    assert list(PROSE["schemas"]) == sorted(PROSE["schemas"])
