"""The words of the SDK's docstrings: `api_description/prose/*.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import evolve

from .forms import Description, Operation, Property, Schema
from .refuse import DescriptionError, as_object, as_text, optional_text, point

FILES = ("operations.toml", "schemas.toml", "resources.toml", "waits.toml")


def load_prose(folder: Path) -> dict[str, dict[str, object]]:
    """Return the prose files' contents by file name; a file that is not there is empty."""
    paths = {name: folder / name for name in FILES}
    return {
        name: tomllib.loads(path.read_text("utf-8")) if path.exists() else {} for name, path in paths.items()
    }


def find_gaps(
    description: Description, waited: Iterable[str], prose: Mapping[str, Mapping[str, object]]
) -> list[str]:
    """Return what the prose does not describe, and what it describes that does not exist.

    Args:
        waited: the resources that can be waited for.
    """
    wanted = {
        "operations.toml": {operation.id for operation in description.operations},
        "schemas.toml": set(description.schemas),
        "resources.toml": set(description.resources),
        "waits.toml": set(waited),
    }
    gaps = []
    for name, entries in wanted.items():
        gaps += [f"{name}: {entry} is missing" for entry in sorted(entries - set(prose[name]))]
        gaps += [f"{name}: {entry} is not in the description" for entry in sorted(set(prose[name]) - entries)]
    return gaps


def add_prose(description: Description, prose: Mapping[str, Mapping[str, object]]) -> Description:
    """Return the description with its words."""
    schemas = {
        name: _describe_schema(schema, prose["schemas.toml"]) for name, schema in description.schemas.items()
    }
    operations = tuple(
        _describe_operation(each, prose["operations.toml"], schemas) for each in description.operations
    )
    return evolve(description, schemas=schemas, operations=operations)


def _describe_schema(schema: Schema, prose: Mapping[str, object]) -> Schema:
    entry = as_object(prose.get(schema.name, {}), point("schemas.toml", schema.name))
    texts = _texts(entry.get("fields", {}), point("schemas.toml", schema.name, "fields"))
    _refuse_strangers(texts, schema.properties, point("schemas.toml", schema.name, "fields"))
    return evolve(
        schema,
        summary=optional_text(entry, "summary", point("schemas.toml", schema.name)),
        properties=tuple(evolve(each, text=texts.get(each.wire)) for each in schema.properties),
    )


def _describe_operation(
    operation: Operation, prose: Mapping[str, object], schemas: Mapping[str, Schema]
) -> Operation:
    at = point("operations.toml", operation.id)
    entry = as_object(prose.get(operation.id, {}), at)
    texts = _texts(entry.get("arguments", {}), point(at, "arguments"))
    body = schemas[operation.body_model].properties if operation.body_model else ()
    fallback = {each.wire: each.text for each in body}

    def describe(properties: tuple[Property, ...]) -> tuple[Property, ...]:
        return tuple(evolve(each, text=texts.get(each.wire, fallback.get(each.wire))) for each in properties)

    return evolve(
        operation,
        summary=optional_text(entry, "summary", at) or operation.summary,
        notes=optional_text(entry, "notes", at),
        returned=schemas[operation.returns.model].summary
        if operation.returns is not None and operation.returns.model
        else None,
        path_ids=describe(operation.path_ids),
        query=describe(operation.query),
        body=describe(operation.body),
    )


def _texts(value: object, pointer: str) -> dict[str, str]:
    return {wire: as_text(text, point(pointer, wire)) for wire, text in as_object(value, pointer).items()}


def _refuse_strangers(texts: Mapping[str, str], properties: tuple[Property, ...], pointer: str) -> None:
    for wire in texts:
        if wire not in {each.wire for each in properties}:
            raise DescriptionError(point(pointer, wire), "describes no field")
