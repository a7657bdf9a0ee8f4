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
    """Read the overrides; refuse those that name nothing."""
    document = tomllib.loads(path.read_text("utf-8"))
    where = path.name
    refuse_unknown(document, {"capacity", "schemas", "resources"}, where)
    capacity = as_object(document.get("capacity", {}), point(where, "capacity"))
    refuse_unknown(capacity, {"operations"}, point(where, "capacity"))
    at = point(where, "capacity", "operations")
    operations = as_texts(capacity.get("operations", []), at)
    answers_503 = {each.id for each in description.operations if "503" in each.failures}
    for index, name in enumerate(operations):
        if name not in answers_503:
            raise DescriptionError(point(at, index), f"no operation {name!r} answers 503")
    omitted: set[str] = set()
    mixins: dict[str, str] = {}
    for name, value in as_object(document.get("schemas", {}), point(where, "schemas")).items():
        here = point(where, "schemas", name)
        entry = as_object(value, here)
        refuse_unknown(entry, {"omit"} if "omit" in entry else {"mixin", "reason"}, here)
        as_text(entry.get("omit", entry.get("reason")), here)
        schema = description.schemas.get(name)
        if schema is None:
            raise DescriptionError(here, "there is no such schema")
        if "mixin" in entry:
            mixins[name] = as_text(entry["mixin"], point(here, "mixin"))
            continue
        if schema.sent or schema.received:
            raise DescriptionError(here, "a request or an answer holds this schema, so it needs a class")
        omitted.add(name)
    classes: dict[str, str] = {}
    for name, value in as_object(document.get("resources", {}), point(where, "resources")).items():
        here = point(where, "resources", name)
        entry = as_object(value, here)
        refuse_unknown(entry, {"class", "reason"}, here)
        as_text(entry.get("reason"), point(here, "reason"))
        if name not in description.resources:
            raise DescriptionError(here, "there is no such resource")
        classes[name] = as_text(entry.get("class"), point(here, "class"))
    return Overrides(frozenset(operations), frozenset(omitted), classes, mixins)
