"""The schemas of the description, read into forms."""

from __future__ import annotations

from collections.abc import Mapping

from openrelay_async.wire import argument_name

from .forms import Kind, Property, Schema, Shape
from .refuse import DescriptionError, as_array, as_flag, as_object, as_text, as_texts, point, refuse_unknown

REFERENCE = "#/components/schemas/"
_TEXT_FORMATS: dict[str, Kind] = {"date-time": "time", "date": "date", "uuid": "string", "binary": "binary"}
_ANNOTATIONS = frozenset({"x-unit", "x-secret"})
_KEYWORDS: dict[str, frozenset[str]] = {
    "string": frozenset({"type", "format", "enum"}) | _ANNOTATIONS,
    "integer": frozenset({"type", "format"}) | _ANNOTATIONS,
    "number": frozenset({"type"}) | _ANNOTATIONS,
    "boolean": frozenset({"type"}),
    "array": frozenset({"type", "items"}) | _ANNOTATIONS,
    "object": frozenset({"type", "additionalProperties"}) | _ANNOTATIONS,
}
_ANY_KEYWORDS = frozenset().union(*_KEYWORDS.values())
RESERVED_ATTRIBUTES = frozenset({"extra", "to_wire", "from_wire", "wire_fields", "reader", "fill"})
"""Names that every model has."""


def load_schemas(section: object, pointer: str) -> dict[str, Schema]:
    schemas = as_object(section, pointer)
    return {name: _load_schema(name, schemas, point(pointer, name)) for name in schemas}


def _load_schema(name: str, schemas: Mapping[str, object], pointer: str) -> Schema:
    schema = as_object(schemas[name], pointer)
    refuse_unknown(schema, {"type", "properties", "required", "x-generations", "x-required-in"}, pointer)
    if not name.isidentifier() or not name[0].isupper():
        raise DescriptionError(pointer, f"{name!r} cannot be a class name")
    if schema.get("type") != "object":
        raise DescriptionError(point(pointer, "type"), "a schema must be an object")
    at = point(pointer, "properties")
    properties = as_object(schema.get("properties"), at)
    required = as_texts(schema.get("required", []), point(pointer, "required"))
    required_in = {
        generation: as_texts(names, point(pointer, "x-required-in", generation))
        for generation, names in as_object(
            schema.get("x-required-in", {}), point(pointer, "x-required-in")
        ).items()
    }
    for index, wire in enumerate((*required, *(n for names in required_in.values() for n in names))):
        if wire not in properties:
            raise DescriptionError(point(pointer, "required", index), f"{wire!r} is no property")
    loaded = tuple(
        Property(
            wire=wire,
            name=argument_name(wire),
            shape=load_shape(value, schemas, point(at, wire)),
            required=wire in required,
            unit=_unit(value, point(at, wire)),
            pointer=point(at, wire),
        )
        for wire, value in properties.items()
    )
    refuse_collisions(loaded, RESERVED_ATTRIBUTES)
    return Schema(
        name=name,
        properties=loaded,
        generations=as_texts(schema.get("x-generations"), point(pointer, "x-generations")),
        required_in=required_in,
        pointer=pointer,
    )


def load_shape(value: object, schemas: Mapping[str, object], pointer: str) -> Shape:
    """Return the shape that a schema in a property, parameter or list describes."""
    schema = as_object(value, pointer)
    if "$ref" in schema:
        refuse_unknown(schema, {"$ref"}, pointer)
        return Shape(kind="model", model=referred(schema["$ref"], schemas, point(pointer, "$ref")))
    refuse_unknown(schema, _ANY_KEYWORDS, pointer)
    base, nullable = _type(schema.get("type"), pointer)
    refuse_unknown(schema, _KEYWORDS[base], pointer)
    secret = as_flag(schema.get("x-secret", False), point(pointer, "x-secret"))
    if base == "array":
        item = load_shape(schema.get("items"), schemas, point(pointer, "items"))
        return Shape(kind="list", nullable=nullable, item=_concealed(item, secret, pointer))
    if base == "object":
        at = point(pointer, "additionalProperties")
        values = as_object(schema.get("additionalProperties"), at)
        held = load_shape(values, schemas, at) if values else Shape(kind="json", nullable=True)
        return Shape(kind="map", nullable=nullable, item=_concealed(held, secret, pointer))
    if secret and base != "string":
        raise DescriptionError(point(pointer, "x-secret"), f"a secret must be a text, not {base}")
    return Shape(
        kind=_scalar(base, schema, pointer),
        nullable=nullable,
        secret=secret,
        enum=as_texts(schema.get("enum", []), point(pointer, "enum")),
    )


def referred(reference: object, schemas: Mapping[str, object], pointer: str) -> str:
    """Return the name of the schema that a `$ref` names."""
    text = as_text(reference, pointer)
    name = text.removeprefix(REFERENCE)
    if name == text or name not in schemas:
        raise DescriptionError(pointer, f"{text} leads nowhere")
    return name


def refuse_collisions(properties: tuple[Property, ...], reserved: frozenset[str]) -> None:
    """Refuse two wire names with one Python name, and names that are already taken."""
    seen: dict[str, str] = {}
    for each in properties:
        if each.name in reserved:
            raise DescriptionError(each.pointer, f"the name {each.name!r} is taken")
        if each.name in seen:
            raise DescriptionError(
                each.pointer, f"the name {each.name!r} is also that of {seen[each.name]!r}"
            )
        if not each.name.isidentifier() or each.name.startswith("_"):
            raise DescriptionError(each.pointer, f"{each.name!r} cannot be a Python name")
        seen[each.name] = each.wire


def _type(value: object, pointer: str) -> tuple[str, bool]:
    at = point(pointer, "type")
    types = [value] if isinstance(value, str) else as_array(value, at)
    names = [name for name in types if name != "null"]
    if len(names) != 1 or names[0] not in _KEYWORDS:
        raise DescriptionError(at, "must be one known type, which may be nullable")
    return str(names[0]), len(names) < len(types)


def _scalar(base: str, schema: dict[str, object], pointer: str) -> Kind:
    text_format = schema.get("format")
    if base == "string" and text_format is not None:
        if text_format in _TEXT_FORMATS:
            return _TEXT_FORMATS[str(text_format)]
        raise DescriptionError(point(pointer, "format"), f"unknown format {text_format!r}")
    if base == "integer" and text_format not in (None, "int64"):
        raise DescriptionError(point(pointer, "format"), f"unknown format {text_format!r}")
    scalars: dict[str, Kind] = {
        "string": "string",
        "integer": "integer",
        "number": "number",
        "boolean": "boolean",
    }
    return scalars[base]


def _concealed(item: Shape, secret: bool, pointer: str) -> Shape:
    if not secret:
        return item
    if item.kind != "string":
        raise DescriptionError(point(pointer, "x-secret"), "a secret list or map must hold texts")
    return Shape(kind="string", secret=True, nullable=item.nullable)


def _unit(value: object, pointer: str) -> str | None:
    unit = as_object(value, pointer).get("x-unit")
    return None if unit is None else as_text(unit, point(pointer, "x-unit"))
