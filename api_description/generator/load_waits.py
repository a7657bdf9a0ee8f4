"""What can be waited for: `[waits.…]` in `api_description/overrides.toml`, with the lifecycles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import frozen

from openrelay_async import lifecycles
from openrelay_async.lifecycles import Goal, Lifecycle

from .forms import Description, Operation
from .refuse import DescriptionError, as_object, as_text, optional_text, point, refuse_unknown

_LISTS = ("page", "list")
_READS = ("model",)


@frozen
class Waits:
    """What is waited for in a resource, and how it is read."""

    resource: str
    constant: str
    """The name of its lifecycle in `openrelay_async.lifecycles`."""
    lifecycle: Lifecycle
    listed: Operation
    """Reads all of them."""
    read: Operation | None = None
    """Reads one, as lists show it."""
    read_full: Operation | None = None
    """Reads one with everything."""
    read_reason: Operation | None = None
    """Reads one with the reason of its state, where what waits give does not have it."""
    either: str | None = None
    """What a resource is called that is as lists show it, or in full."""
    largest_page: int | None = None

    @property
    def goals(self) -> tuple[Goal, ...]:
        return tuple(self.lifecycle.goals.values())

    @property
    def item(self) -> str:
        """The type of what is read."""
        return self.either or _model(self.listed)

    def result(self, goal: Goal) -> str | None:
        """Return the type of what a wait for the goal gives; `None` where nothing is left."""
        if goal.returns == "nothing":
            return None
        return _model(self.read_full or self.listed) if goal.returns == "read" else _model(self.listed)


def load_waits(value: object, description: Description, pointer: str) -> dict[str, Waits]:
    """Return what can be waited for; refuse what fits neither the description nor the lifecycles."""
    waits = {
        name: _read_entry(name, entry, description, point(pointer, name))
        for name, entry in as_object(value, pointer).items()
    }
    for name, each in waits.items():
        home = alias_home(each)
        if home is not None and (home not in waits or waits[home].either != each.either):
            problem = f"{each.either} is made where {home} is waited for, and is not there"
            raise DescriptionError(point(pointer, name, "either"), problem)
    return waits


def alias_home(waits: Waits) -> str | None:
    """Return the resource in whose module the name `either` is made: that which reads it in full."""
    return waits.read_full.resource if waits.either is not None and waits.read_full is not None else None


def _read_entry(name: str, value: object, description: Description, pointer: str) -> Waits:
    entry = as_object(value, pointer)
    refuse_unknown(
        entry, {"lifecycle", "list", "read", "read_full", "read_reason", "either", "largest_page"}, pointer
    )
    if name not in description.resources:
        raise DescriptionError(pointer, "there is no such resource")
    constant = as_text(entry.get("lifecycle"), point(pointer, "lifecycle"))
    lifecycle = getattr(lifecycles, constant, None)
    if not isinstance(lifecycle, Lifecycle) or lifecycle.kind != name:
        problem = f"openrelay_async.lifecycles has no {constant} of {name}"
        raise DescriptionError(point(pointer, "lifecycle"), problem)
    operations = {each.id: each for each in description.operations}
    waits = Waits(
        resource=name,
        constant=constant,
        lifecycle=lifecycle,
        listed=_find(entry, "list", operations, pointer, _LISTS),
        **{
            key: _find(entry, key, operations, pointer, _READS)
            for key in ("read", "read_full", "read_reason")
            if key in entry
        },
        either=optional_text(entry, "either", pointer),
        largest_page=_read_size(entry, pointer),
    )
    _check_types(waits, pointer)
    _check_reason(waits, description, pointer)
    return waits


def _find(
    entry: Mapping[str, object],
    key: str,
    operations: Mapping[str, Operation],
    pointer: str,
    answers: Iterable[str],
) -> Operation:
    at = point(pointer, key)
    operation = operations.get(as_text(entry.get(key), at))
    if operation is None or operation.answer not in answers:
        raise DescriptionError(at, f"there is no such operation that answers with a {' or '.join(answers)}")
    ids = 0 if key == "list" else 1
    if len(operation.path_ids) != ids or operation.org_required or (ids and operation.takes_org):
        raise DescriptionError(at, "must need nothing but the resource's id" if ids else "must need no id")
    return operation


def _read_size(entry: Mapping[str, object], pointer: str) -> int | None:
    size = entry.get("largest_page")
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
        raise DescriptionError(point(pointer, "largest_page"), "must be a positive integer")
    return size


def _check_types(waits: Waits, pointer: str) -> None:
    listed = _model(waits.listed)
    if waits.read is not None and _model(waits.read) != listed:
        raise DescriptionError(point(pointer, "read"), f"must give a {listed}, as the list does")
    differs = waits.read_full is not None and _model(waits.read_full) != listed
    if differs and waits.either is None:
        raise DescriptionError(point(pointer, "either"), "a list shows less than a full reading: name both")
    if waits.either is not None and not differs:
        raise DescriptionError(point(pointer, "either"), "there is only one type to be read")
    if waits.read_full is None and any(goal.flag or goal.returns == "read" for goal in waits.goals):
        raise DescriptionError(point(pointer, "read_full"), "is missing: a goal needs the full reading")


def _check_reason(waits: Waits, description: Description, pointer: str) -> None:
    if waits.read_reason is None:
        return
    field, at = waits.lifecycle.reason, point(pointer, "read_reason")
    if not _has_field(waits.read_reason, field, description):
        raise DescriptionError(at, f"must give a model that has {field}")
    for each in (waits.listed, waits.read_full):
        if each is not None and _has_field(each, field, description):
            raise DescriptionError(at, f"what a wait gives has {field} already")


def _has_field(operation: Operation, name: str, description: Description) -> bool:
    return any(each.name == name for each in description.schemas[_model(operation)].properties)


def _model(operation: Operation) -> str:
    return "" if operation.returns is None else str(operation.returns.model)
