"""What a newer description would change for users, by the names that they know."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal

from attrs import frozen

from .forms import Description, Operation, Property, Schema, Shape
from .spell import annotate

Weight = Literal["breaks", "adds", "changes"]
_SIGNS: Mapping[Weight, str] = {"breaks": "!", "adds": "+", "changes": "~"}


@frozen
class Change:
    """One thing that users of the SDK would notice."""

    subject: str
    """The public name: `client.vms.create`, `models.VmSummary`."""
    weight: Weight
    """`breaks`: code that works today may stop working."""
    text: str


def compare(old: Description, new: Description) -> tuple[Change, ...]:
    """Return what changes from one description to the other, sorted by public name."""
    changes = [*_compare_operations(old, new), *_compare_schemas(_seen(old), _seen(new))]
    return tuple(sorted(changes, key=lambda each: (each.subject, list(_SIGNS).index(each.weight), each.text)))


def spell_changes(changes: Iterable[Change]) -> str:
    """Return the changes for people: a paragraph for each public name, `!` before what breaks code."""
    lines: list[str] = []
    subject = None
    for change in changes:
        if change.subject != subject:
            subject = change.subject
            lines += ["", subject]
        lines.append(f"  {_SIGNS[change.weight]} {change.text}")
    return "\n".join(lines).strip() or "nothing changes for users"


def _compare_operations(old: Description, new: Description) -> Iterator[Change]:
    before = {each.id: each for each in old.operations}
    after = {each.id: each for each in new.operations}
    for name in before.keys() - after.keys():
        yield Change(before[name].public_name, "breaks", f"the method is removed ({name})")
    for name in after.keys() - before.keys():
        each = after[name]
        yield Change(each.public_name, "adds", f"new method: {each.http_method} {each.path} ({name})")
    for name in before.keys() & after.keys():
        yield from _compare_operation(before[name], after[name])


def _compare_operation(old: Operation, new: Operation) -> Iterator[Change]:
    subject = new.public_name
    if old.public_name != subject:
        yield Change(old.public_name, "breaks", f"is now {subject}")
    if [each.name for each in old.path_ids] != [each.name for each in new.path_ids]:
        yield Change(subject, "breaks", f"takes the ids {_spell_names(new.path_ids)}")
    yield from _compare_properties(
        subject, "argument", (*old.query, *old.body), (*new.query, *new.body), sent=True
    )
    for label, read, weight in _OPERATION_FACTS:
        before, after = read(old), read(new)
        if before != after:
            yield Change(subject, weight, f"{label}: {before} → {after}")
    for status in sorted(set(new.failures) - set(old.failures)):
        yield Change(subject, "changes", f"may also answer {status}")


def _spell_names(properties: Iterable[Property]) -> str:
    return ", ".join(each.name for each in properties) or "none"


def _spell_answer(operation: Operation) -> str:
    item = operation.returns.model if operation.returns is not None else None
    text = operation.answer if item is None else f"{operation.answer} of {item}"
    return f"{text}, or nothing" if operation.may_be_empty else text


def _spell_pagination(operation: Operation) -> str:
    pagination = operation.pagination
    return "none" if pagination is None else f"{pagination.style} by `{pagination.request}`"


def _spell_key(operation: Operation) -> str:
    key = operation.idempotency_key
    return "none" if key is None else f"{key.place} {key.name}"


_OPERATION_FACTS: tuple[tuple[str, Callable[[Operation], object], Weight], ...] = (
    ("request", lambda each: f"{each.http_method} {each.path}", "changes"),
    ("answer", _spell_answer, "breaks"),
    ("paging", _spell_pagination, "breaks"),
    ("organization is required", lambda each: each.org_required, "breaks"),
    ("takes an organization", lambda each: each.takes_org, "breaks"),
    ("body", lambda each: each.body_kind or "none", "changes"),
    ("idempotency key", _spell_key, "changes"),
    ("may be resent", lambda each: each.idempotent, "changes"),
    ("scope", lambda each: each.scope or "none", "changes"),
    ("permission", lambda each: each.permission or "none", "changes"),
    ("needs a dashboard session", lambda each: each.session_only, "changes"),
    ("authentication", lambda each: each.authentication, "changes"),
    ("host", lambda each: each.host, "changes"),
    ("generations", lambda each: ", ".join(each.generations), "changes"),
)


def _seen(description: Description) -> dict[str, Schema]:
    unseen = _find_unseen(description)
    return {name: schema for name, schema in description.schemas.items() if name not in unseen}


def _find_unseen(description: Description) -> set[str]:
    """Return the schemas whose changes are told elsewhere: bodies are arguments, pages are lists."""
    parts = (part for each in description.schemas.values() for part in each.properties)
    named = {model for part in parts for model in part.shape.models}
    pages = {each.page_model for each in description.operations}
    bodies = {
        each.body_model
        for each in description.operations
        if each.body_model and not description.schemas[each.body_model].received
    }
    return {name for name in description.schemas if name in pages | bodies and name not in named}


def _compare_schemas(old: Mapping[str, Schema], new: Mapping[str, Schema]) -> Iterator[Change]:
    for name in old.keys() - new.keys():
        yield Change(f"models.{name}", "breaks", "the model is removed")
    for name in new.keys() - old.keys():
        yield Change(f"models.{name}", "adds", "new model")
    for name in old.keys() & new.keys():
        before, after = old[name], new[name]
        yield from _compare_properties(
            f"models.{name}", "field", before.properties, after.properties, sent=after.sent
        )
        if before.generations != after.generations:
            text = f"generations: {', '.join(before.generations)} → {', '.join(after.generations)}"
            yield Change(f"models.{name}", "changes", text)


def _compare_properties(
    subject: str, noun: str, old: Iterable[Property], new: Iterable[Property], *, sent: bool
) -> Iterator[Change]:
    before = {each.wire: each for each in old}
    after = {each.wire: each for each in new}
    for wire in before.keys() - after.keys():
        yield Change(subject, "breaks", f"{noun} {before[wire].name} is removed")
    for wire in after.keys() - before.keys():
        each = after[wire]
        needed = each.required and sent
        text = f"new {noun} {each.name}: {_spell_shape(each.shape)}{', required' if each.required else ''}"
        yield Change(subject, "breaks" if needed else "adds", text)
    for wire in before.keys() & after.keys():
        yield from _compare_property(subject, noun, before[wire], after[wire], sent=sent)


def _compare_property(
    subject: str, noun: str, old: Property, new: Property, *, sent: bool
) -> Iterator[Change]:
    name = f"{noun} {new.name}"
    if new.required and not old.required:
        yield Change(subject, "breaks" if sent else "changes", f"{name} is now required")
    if old.required and not new.required:
        # What an answer need not have is None in the model, which code may not expect.
        yield Change(
            subject, "changes" if sent and noun == "argument" else "breaks", f"{name} is now optional"
        )
    before, after = _spell_shape(old.shape), _spell_shape(new.shape)
    if before != after:
        yield Change(subject, "breaks", f"{name}: {before} → {after}")
    gained, lost = set(new.shape.enum) - set(old.shape.enum), set(old.shape.enum) - set(new.shape.enum)
    if gained:
        yield Change(subject, "changes", f"{name} may also be {_spell_values(gained)}")
    if lost:
        yield Change(subject, "breaks" if sent else "changes", f"{name} is no longer {_spell_values(lost)}")
    if old.unit != new.unit:
        yield Change(subject, "breaks", f"{name}: unit {old.unit or 'none'} → {new.unit or 'none'}")


def _spell_shape(shape: Shape) -> str:
    """Return a shape as its type, without the enum's values, which are compared one by one."""
    plain = Shape(
        kind=shape.kind, nullable=shape.nullable, secret=shape.secret, item=shape.item, model=shape.model
    )
    return annotate(plain, "answer")


def _spell_values(values: Iterable[str]) -> str:
    return ", ".join(f"`{value}`" for value in sorted(values))
