"""What the generator is told beyond the description: `api_description/overrides.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from attrs import evolve, field, frozen

from .forms import Description, Operation, Property, Shape
from .load_waits import Waits, load_waits
from .refuse import DescriptionError, as_object, as_text, as_texts, point, refuse_unknown
from .spell import class_name

_USED_IN_CREATES = frozenset({"wait_for_capacity", "create", "create_when_possible", "has_room", "uuid"})
"""What a create that can wait calls besides, so that no argument may hide it."""


@frozen
class Patience:
    """How a create waits for capacity."""

    room: str
    """The function in `openrelay_async.availability` that says whether there is room."""
    looks_at: tuple[str, ...]
    """The arguments that it is given; those who want the same queue up behind each other."""
    order: str
    """The type of the create's arguments, for leases."""


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
    patience: Mapping[str, Patience] = field(factory=dict)
    """Operations that can wait for capacity."""
    times: Mapping[str, tuple[str, ...]] = field(factory=dict)
    """Arguments that are texts and take times too, by operation."""
    waits: Mapping[str, Waits] = field(factory=dict)
    """What can be waited for, by resource."""

    def class_of(self, resource: str) -> str:
        """Return the class of a resource."""
        return self.classes.get(resource, class_name(resource))


def load_overrides(path: Path, description: Description) -> Overrides:
    """Read the overrides; refuse those that name nothing, do nothing or give no reason."""
    document = tomllib.loads(path.read_text("utf-8"))
    where = path.name
    known = {"capacity", "wait_for_capacity", "times", "waits", "schemas", "resources"}
    refuse_unknown(document, known, where)
    schemas = as_object(document.get("schemas", {}), point(where, "schemas"))
    resources = as_object(document.get("resources", {}), point(where, "resources"))
    patience = as_object(document.get("wait_for_capacity", {}), point(where, "wait_for_capacity"))
    times = as_object(document.get("times", {}), point(where, "times"))
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
        patience={
            name: _read_patience(name, value, description, point(where, "wait_for_capacity", name))
            for name, value in patience.items()
        },
        times={
            name: _read_times(name, value, description, point(where, "times", name))
            for name, value in times.items()
        },
        waits=load_waits(document.get("waits", {}), description, point(where, "waits")),
    )


def accept_times(description: Description, overrides: Overrides) -> Description:
    """Return the description with the arguments that take times besides texts."""

    def widen(each: Property, names: tuple[str, ...]) -> Property:
        return evolve(each, shape=Shape("time_or_text")) if each.name in names else each

    operations = []
    for operation in description.operations:
        names = overrides.times.get(operation.id, ())
        query = tuple(widen(each, names) for each in operation.query)
        operations.append(evolve(operation, query=query) if names else operation)
    return evolve(description, operations=tuple(operations))


def _read_times(name: str, value: object, description: Description, pointer: str) -> tuple[str, ...]:
    entry = as_object(value, pointer)
    refuse_unknown(entry, {"arguments", "reason"}, pointer)
    as_text(entry.get("reason"), point(pointer, "reason"))
    at = point(pointer, "arguments")
    names = as_texts(entry.get("arguments"), at)
    texts = {
        each.name
        for operation in description.operations
        if operation.id == name
        for each in operation.query
        if each.shape == Shape("string")
    }
    for index, argument in enumerate(names):
        if argument not in texts:
            raise DescriptionError(
                point(at, index), f"{name} has no query parameter {argument!r} that is a text"
            )
    return names


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


def _read_patience(name: str, value: object, description: Description, pointer: str) -> Patience:
    entry = as_object(value, pointer)
    refuse_unknown(entry, {"room", "looks_at", "order"}, pointer)
    operation = next((each for each in description.operations if each.id == name), None)
    if operation is None or operation.answer != "model":
        raise DescriptionError(pointer, "there is no such operation that answers with a model")
    arguments = _name_arguments(operation)
    if hidden := sorted(arguments & _USED_IN_CREATES):
        raise DescriptionError(
            pointer, f"its argument {hidden[0]!r} would hide what a create calls that can wait"
        )
    at = point(pointer, "looks_at")
    looks_at = as_texts(entry.get("looks_at"), at)
    for index, argument in enumerate(looks_at):
        if argument not in arguments:
            raise DescriptionError(point(at, index), f"{name} has no argument {argument!r}")
    return Patience(
        as_text(entry.get("room"), point(pointer, "room")),
        looks_at,
        as_text(entry.get("order"), point(pointer, "order")),
    )


def _name_arguments(operation: Operation) -> set[str]:
    return {each.name for each in (*operation.path_ids, *operation.query, *operation.body)}


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
