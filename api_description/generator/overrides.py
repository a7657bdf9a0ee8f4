"""What the generator is told beyond the description: `api_description/overrides.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from .forms import Description
from .refuse import DescriptionError, as_object, as_text, as_texts, point, refuse_unknown


@frozen
class Overrides:
    capacity: frozenset[str] = frozenset()
    """Operations whose 503 means that there is no room now."""
    omitted: frozenset[str] = frozenset()
    """Schemas that get no class."""
    classes: Mapping[str, str] = field(factory=dict)
    """Resources' classes that are not called like the resource."""
    mixins: Mapping[str, str] = field(factory=dict)
    """Classes with methods written by hand that models inherit: `module:Class`."""


def load_overrides(path: Path, description: Description) -> Overrides:
    """Read the overrides; refuse those that name nothing, do nothing or give no reason."""
    document = tomllib.loads(path.read_text("utf-8"))
    where = path.name
    refuse_unknown(document, {"capacity", "schemas", "resources"}, where)
    schemas = as_object(document.get("schemas", {}), point(where, "schemas"))
    resources = as_object(document.get("resources", {}), point(where, "resources"))
    entries = {
        name: _read_schema(name, value, description, point(where, "schemas", name))
        for name, value in schemas.items()
    }
    return Overrides(
        capacity=_read_capacity(document.get("capacity", {}), description, point(where, "capacity")),
        omitted=frozenset(name for name, mixin in entries.items() if mixin is None),
        classes={
            name: _read_resource(name, value, description, point(where, "resources", name))
            for name, value in resources.items()
        },
        mixins={name: mixin for name, mixin in entries.items() if mixin is not None},
    )


def _read_capacity(value: object, description: Description, pointer: str) -> frozenset[str]:
    entry = as_object(value, pointer)
    refuse_unknown(entry, {"operations"}, pointer)
    at = point(pointer, "operations")
    operations = as_texts(entry.get("operations", []), at)
    answers_503 = {each.id for each in description.operations if "503" in each.failures}
    for index, name in enumerate(operations):
        if name not in answers_503:
            raise DescriptionError(point(at, index), f"no operation {name!r} answers 503")
    return frozenset(operations)


def _read_schema(name: str, value: object, description: Description, pointer: str) -> str | None:
    """Return the class that a schema's model inherits, or `None` where the schema gets no class."""
    entry = as_object(value, pointer)
    schema = description.schemas.get(name)
    if schema is None:
        raise DescriptionError(pointer, "there is no such schema")
    if "mixin" in entry:
        refuse_unknown(entry, {"mixin", "reason"}, pointer)
        as_text(entry.get("reason"), point(pointer, "reason"))
        return as_text(entry["mixin"], point(pointer, "mixin"))
    refuse_unknown(entry, {"omit"}, pointer)
    as_text(entry.get("omit"), point(pointer, "omit"))
    if schema.sent or schema.received:
        raise DescriptionError(pointer, "a request or an answer holds this schema, so it needs a class")
    return None


def _read_resource(name: str, value: object, description: Description, pointer: str) -> str:
    """Return what a resource's class is called."""
    entry = as_object(value, pointer)
    refuse_unknown(entry, {"class", "reason"}, pointer)
    as_text(entry.get("reason"), point(pointer, "reason"))
    if name not in description.resources:
        raise DescriptionError(pointer, "there is no such resource")
    return as_text(entry.get("class"), point(pointer, "class"))
