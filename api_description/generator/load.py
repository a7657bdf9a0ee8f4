"""The description's JSON, read into forms. What is not understood is refused, naming its JSON pointer."""

from __future__ import annotations

import json
import keyword
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import evolve

from .forms import Description, Operation, Schema
from .load_operations import load_operation
from .load_schemas import load_schemas
from .refuse import DescriptionError, as_object, as_text, point, refuse_unknown

_METHODS = ("get", "post", "put", "patch", "delete")


def load_description(path: Path) -> Description:
    """Read the description in a file."""
    return read_description(json.loads(path.read_text("utf-8")))


def read_description(document: object) -> Description:
    """Return the description's form.

    Raises:
        DescriptionError: it has something that the generator does not understand.
    """
    root = as_object(document, "")
    refuse_unknown(root, {"openapi", "info", "servers", "x-inference-servers", "paths", "components"}, "")
    if not as_text(root.get("openapi"), "/openapi").startswith("3.1."):
        raise DescriptionError("/openapi", "must be OpenAPI 3.1")
    components = as_object(root.get("components"), "/components")
    refuse_unknown(components, {"schemas", "securitySchemes"}, "/components")
    raw_schemas = as_object(components.get("schemas"), "/components/schemas")
    schemas = load_schemas(raw_schemas, "/components/schemas")
    raw_operations = list(_walk_operations(as_object(root.get("paths"), "/paths")))
    operations = tuple(
        load_operation(path, method, value, schemas, raw_schemas, pointer)
        for path, method, value, pointer in raw_operations
    )
    _refuse_twins(operations)
    info = as_object(root.get("info"), "/info")
    return Description(
        version=as_text(info.get("version"), "/info/version"),
        operations=operations,
        schemas=_mark_arguments(
            _mark_uses(
                schemas,
                ((o.resource, value) for o, (_, _, value, _) in zip(operations, raw_operations, strict=True)),
            ),
            operations,
        ),
    )


def _walk_operations(paths: Mapping[str, object]) -> Iterable[tuple[str, str, dict[str, object], str]]:
    for path, value in paths.items():
        pointer = point("/paths", path)
        item = as_object(value, pointer)
        refuse_unknown(item, _METHODS, pointer)
        for method, operation in item.items():
            at = point(pointer, method)
            yield path, method.upper(), as_object(operation, at), at


def _refuse_twins(operations: Iterable[Operation]) -> None:
    ids: set[str] = set()
    methods: set[str] = set()
    for operation in operations:
        at = point(operation.pointer, "x-openrelay")
        for name in (operation.resource, operation.method):
            if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
                raise DescriptionError(at, f"{name!r} cannot be a Python name")
        if operation.public_name in methods:
            raise DescriptionError(at, f"{operation.public_name} is also another operation")
        if operation.id in ids:
            raise DescriptionError(
                point(operation.pointer, "operationId"), f"{operation.id!r} is also another operation"
            )
        methods.add(operation.public_name)
        ids.add(operation.id)


def _mark_uses(
    schemas: Mapping[str, Schema], operations: Iterable[tuple[str, dict[str, object]]]
) -> dict[str, Schema]:
    """Return the schemas knowing which resources use them, and which way they travel."""
    sent: set[str] = set()
    received: set[str] = set()
    resources: dict[str, set[str]] = defaultdict(set)
    for resource, value in operations:
        asked = _closure(_named(value.get("requestBody")), schemas)
        answered = _closure(
            {
                name
                for status, answer in as_object(value.get("responses"), "").items()
                if status.startswith("2")
                for name in _named(answer)
            },
            schemas,
        )
        sent |= asked
        received |= answered
        for name in asked | answered:
            resources[name].add(resource)
    return {
        name: evolve(
            schema, sent=name in sent, received=name in received, resources=frozenset(resources[name])
        )
        for name, schema in schemas.items()
    }


def _mark_arguments(schemas: Mapping[str, Schema], operations: Iterable[Operation]) -> dict[str, Schema]:
    """Return the schemas knowing which of them callers make: a body's properties are arguments already."""
    given = {model for operation in operations for each in operation.body for model in each.shape.models}
    arguments = _closure(given, schemas)
    return {name: evolve(schema, is_argument=name in arguments) for name, schema in schemas.items()}


def _closure(names: set[str], schemas: Mapping[str, Schema]) -> set[str]:
    found: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= {model for each in schemas[name].properties for model in each.shape.models} - found
    return found


def _named(value: object) -> set[str]:
    """Return the schemas that a piece of the description refers to."""
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str):
            return {reference.rpartition("/")[2]}
        return {name for item in value.values() for name in _named(item)}
    if isinstance(value, list):
        return {name for item in value for name in _named(item)}
    return set()
