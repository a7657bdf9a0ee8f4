"""Forms spelled as Python: annotations, encoders, kinds, names, docstrings."""

from __future__ import annotations

import textwrap
from typing import Literal

from .forms import Property, Shape

WIDTH = 104

_ANSWER_TYPES = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "time": "datetime",
    "date": "date",
    "json": "object",
}
_ARGUMENT_TYPES = _ANSWER_TYPES | {
    "time": "datetime | str",
    "time_or_text": "datetime | str",
    "date": "date | str",
}
_ENCODERS = {
    "string": "encode_string",
    "integer": "encode_integer",
    "number": "encode_number",
    "boolean": "encode_boolean",
    "time": "encode_time",
    "time_or_text": "encode_time_or_text",
    "date": "encode_date",
    "json": "encode_json",
}


def class_name(resource: str) -> str:
    """Return the class of a resource: `api_keys` → `ApiKeys`."""
    return "".join(word.capitalize() for word in resource.split("_"))


def annotate(shape: Shape, use: Literal["answer", "argument"]) -> str:
    """Return the type of what a user gets (`answer`) or may give (`argument`)."""
    text = _annotate_value(shape, use)
    return f"{text} | None" if shape.nullable and shape.kind != "json" else text


def _annotate_value(shape: Shape, use: Literal["answer", "argument"]) -> str:
    argument = use == "argument"
    if shape.item is not None:
        item = annotate(shape.item, use)
        if shape.kind == "list":
            return f"Sequence[{item}]" if argument else f"list[{item}]"
        return f"Mapping[str, {item}]" if argument else f"dict[str, {item}]"
    if shape.model is not None:
        return f"{shape.model} | Mapping[str, object]" if argument else shape.model
    if shape.secret:
        return "str | Secret" if argument else "Secret"
    if shape.enum:
        return f"Literal[{', '.join(quote(value) for value in shape.enum)}] | str"
    return (_ARGUMENT_TYPES if argument else _ANSWER_TYPES)[shape.kind]


def spell_encoder(shape: Shape) -> str:
    """Return the expression of the encoder in `openrelay_async.wire` for a shape."""
    if shape.item is not None:
        text = f"{'array' if shape.kind == 'list' else 'mapping'}({spell_encoder(shape.item)})"
    elif shape.model is not None:
        text = f"record({shape.model})"
    else:
        text = "encode_secret" if shape.secret else _ENCODERS[shape.kind]
    return f"nullable({text})" if shape.nullable and shape.kind != "json" else text


def spell_kind(shape: Shape) -> str:
    """Return a shape in the language of `openrelay_async.model_classes.Kind`, without its own nullability."""
    if shape.item is not None:
        inner = spell_kind(shape.item)
        if shape.item.nullable and shape.item.kind != "json":
            inner = f'("nullable", {inner})'
        return f'("{shape.kind}", {inner})'
    if shape.model is not None:
        return f'("model", "{shape.model}")'
    return '"secret"' if shape.secret else f'"{shape.kind}"'


def quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def with_unit(text: str | None, unit: str | None) -> str | None:
    """Return what is said of a value, with its unit in the first sentence."""
    if unit is None:
        return text
    if text is None:
        return f"In {unit}."
    first, dot, rest = text.partition(". ")
    if not dot:
        first, rest = text.removesuffix("."), ""
    return f"{first} ({unit}).{' ' + rest if rest else ''}"


def describe_value(each: Property) -> str | None:
    return with_unit(each.text, each.unit)


def wrap(text: str, indent: int, hanging: int = 0) -> str:
    """Return a paragraph wrapped for a docstring at `indent`; the first line comes without indentation."""
    return textwrap.fill(
        " ".join(text.split()),
        width=WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hanging),
        break_long_words=False,
        break_on_hyphens=False,
    ).lstrip()


def spell_paragraph(text: str, indent: int, hanging: int = 0) -> str:
    """Return a paragraph of a docstring, for templates: with its indentation and the end of its last line."""
    return f"{' ' * indent}{wrap(text, indent, hanging)}\n"
