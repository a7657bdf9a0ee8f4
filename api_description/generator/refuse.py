"""Refusing a description, with the place that is to blame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class DescriptionError(Exception):
    """The description has something that the generator does not understand."""

    def __init__(self, pointer: str, problem: str) -> None:
        super().__init__(f"{pointer or '/'}: {problem}")
        self.pointer = pointer
        self.problem = problem


def point(pointer: str, *keys: str | int) -> str:
    """Return the JSON pointer (RFC 6901) of what is under `pointer` by `keys`."""
    return pointer + "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)


def refuse_unknown(value: Mapping[str, object], known: Iterable[str], pointer: str) -> None:
    """Refuse keys that are not `known`: what is not read might change what the others mean."""
    for key in value:
        if key not in known:
            raise DescriptionError(point(pointer, key), f"unknown key {key!r}")


def as_object(value: object, pointer: str) -> dict[str, object]:
    if isinstance(value, dict):
        return value
    raise DescriptionError(pointer, "must be an object")


def as_array(value: object, pointer: str) -> list[object]:
    if isinstance(value, list):
        return value
    raise DescriptionError(pointer, "must be an array")


def as_text(value: object, pointer: str) -> str:
    if isinstance(value, str) and value:
        return value
    raise DescriptionError(pointer, "must be a text that is not empty")


def optional_text(value: Mapping[str, object], key: str, pointer: str) -> str | None:
    return as_text(value[key], point(pointer, key)) if key in value else None


def as_flag(value: object, pointer: str) -> bool:
    if isinstance(value, bool):
        return value
    raise DescriptionError(pointer, "must be true or false")


def as_texts(value: object, pointer: str) -> tuple[str, ...]:
    return tuple(as_text(item, point(pointer, index)) for index, item in enumerate(as_array(value, pointer)))


def one_of(value: object, allowed: Iterable[str], pointer: str) -> str:
    choices = tuple(allowed)
    if value in choices:
        return str(value)
    raise DescriptionError(pointer, f"must be one of {', '.join(choices)}")
