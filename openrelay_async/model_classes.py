"""What the models' classes are: how they describe their fields, and how they are built.

A class only gets its slots here, and its methods are those of `ApiModel`: attrs takes half a millisecond to
build one, as it makes the class anew and writes and compiles its methods, and there are 176 models, of which
importing one resource needs a dozen. attrs collects the attributes when `attrs.fields`, `attrs.evolve`,
`attrs.asdict` or cattrs first look for them. Type checkers see attrs' own decorator.
"""

from __future__ import annotations

import sys
from typing import Any

import attrs

Kind = str | tuple[str, "Kind"]
"""What a field holds: a scalar's name, or a pair such as `("list", "string")`, `("map", "secret")`,
`("model", "GpuModel")` (see `find_model`) and `("nullable", "number")` for what a list holds."""

WireField = tuple[str, str, Kind, bool, bool]
"""A model's field: attribute, wire name, kind, whether it is required, whether null is a value of its own."""


def find_model(owner: type[object], name: str) -> type[Any]:
    """Return the model that a field of `owner` names: its module has it, defined or imported."""
    for base in owner.__mro__:
        found = vars(sys.modules[base.__module__]).get(name)
        if isinstance(found, type):
            return found
    raise TypeError(f"{owner.__name__} refers to {name}, which its module does not have")


def make_slotted(cls: type[Any]) -> type[Any]:
    """Return a class with its annotated attributes as slots, and their defaults in `field_defaults`."""
    namespace = dict(vars(cls))
    names = [
        name
        for name, annotation in namespace.get("__annotations__", {}).items()
        if "ClassVar" not in str(annotation)
    ]
    namespace["field_defaults"] = {name: namespace.pop(name) for name in names if name in namespace}
    for name in ("__dict__", "__weakref__"):
        namespace.pop(name, None)
    if not any(base.__weakrefoffset__ for base in cls.__bases__):
        names.append("__weakref__")
    namespace["__slots__"] = tuple(names)
    return type(cls.__name__, cls.__bases__, namespace)


class LazyAttributes:
    """Descriptor for `__attrs_attrs__`: what attrs knows of a class, collected when it is first asked for."""

    def __get__(self, instance: object, model: type[Any]) -> tuple[attrs.Attribute[Any], ...]:
        attributes: tuple[attrs.Attribute[Any], ...] | None = vars(model).get("_attributes")
        if attributes is None:
            attributes = model._attributes = _collect_attributes(model)
        return attributes


def _collect_attributes(model: type[Any]) -> tuple[attrs.Attribute[Any], ...]:
    """Have attrs read the annotations and defaults as they stand in the class's source."""
    source = {
        "__module__": model.__module__,
        "__annotations__": vars(model).get("__annotations__", {}),
        **vars(model).get("field_defaults", {}),
    }
    plain = type(model.__name__, model.__bases__, source)
    read: type[attrs.AttrsInstance] = attrs.define(
        plain, slots=False, kw_only=True, init=False, repr=False, eq=False, auto_attribs=True
    )
    attributes: tuple[attrs.Attribute[Any], ...] = attrs.fields(read)
    return attributes
