"""The generated models: a module per resource, one for what several share, one for webhook events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from attrs import frozen
from jinja2 import Environment

from openrelay_async.wire import snake_case

from .forms import Property, Schema, Shape
from .imports import STANDARD, list_words, place_models, spell_imports
from .layout import PACKAGE, Layout
from .spell import annotate, describe_value, quote, spell_kind, wrap

FOLDER = "openrelay_async/generated/models"
_TITLES = {"shared": "several resources", "webhook_events": "the events that webhooks deliver"}


@frozen
class ModelField:
    name: str
    annotation: str
    default: str
    doc: str | None
    spec: str


@frozen
class ModelClass:
    name: str
    doc: str
    fields: tuple[ModelField, ...]
    bases: str
    is_argument: bool
    """Whether callers make it although answers hold it too."""


@frozen
class ModelModule:
    title: str
    imports: str
    models: tuple[ModelClass, ...]
    hooks: tuple[str, ...]


def render_models(layout: Layout, templates: Environment, banner: str) -> dict[str, str]:
    """Return the models' modules: path → source."""
    files = {
        f"{FOLDER}/{name}.py": templates.get_template("models.py.jinja").render(
            module=_describe_module(name, schemas, layout, templates), banner=banner
        )
        for name, schemas in layout.modules.items()
    }
    places = {name: f"{PACKAGE}.{module}" for name, module in layout.places.items()}
    places["ApiModel"] = "openrelay_async.model"
    files[f"{FOLDER}/__init__.py"] = render_index(
        "Every model of the API, each loaded when it is first used.", places, templates, banner
    )
    return files


def render_index(title: str, places: Mapping[str, str], templates: Environment, banner: str) -> str:
    """Return a package's `__init__.py` that loads each name from its module when it is first used."""
    modules: dict[str, list[str]] = defaultdict(list)
    for name, module in sorted(places.items()):
        modules[module].append(name)
    return templates.get_template("lazy_index.py.jinja").render(
        title=title, modules=sorted(modules.items()), index=sorted(places.items()), banner=banner
    )


def _describe_module(
    name: str, schemas: tuple[Schema, ...], layout: Layout, templates: Environment
) -> ModelModule:
    models = tuple(_describe_class(each, layout) for each in schemas)
    hooks = tuple(_render_hook(each, templates) for each in schemas if is_read(each))
    return ModelModule(
        title=_TITLES.get(name, f"`client.{name}`"),
        imports="\n".join(_list_imports(name, schemas, layout, models, hooks)),
        models=models,
        hooks=hooks,
    )


def is_read(schema: Schema) -> bool:
    """Whether the service sends it: in an answer, or as an event."""
    return schema.received or not schema.sent


def _describe_class(schema: Schema, layout: Layout) -> ModelClass:
    summary = schema.summary or f"{schema.name} of the API."
    notes = []
    if len(schema.generations) == 1:
        notes.append(f"Only generation {schema.generations[0]} has it.")
    text = wrap(summary, 4)
    if notes:
        text += f"\n\n    {wrap(' '.join(notes), 4)}\n    "
    mixin = layout.mixins.get(schema.name, "").partition(":")[2]
    fields = tuple(_describe_field(each, schema) for each in schema.properties)
    return ModelClass(
        schema.name,
        text,
        fields,
        bases=f"{mixin}, ApiModel" if mixin else "ApiModel",
        is_argument=schema.is_argument and is_read(schema),
    )


def _describe_field(each: Property, schema: Schema) -> ModelField:
    received = is_read(schema)
    shape = each.shape
    container = shape.kind in ("list", "map")
    annotation = annotate(shape, "answer" if received else "argument")
    default = ""
    if received:
        if container or shape.kind in ("time", "date"):
            annotation = annotation.removesuffix(" | None")
        if not container and (shape.kind in ("time", "date") or not (each.required or shape.nullable)):
            annotation += " | None"
        if not each.required:
            default = f" = field(factory={_factory(shape)})" if container else " = None"
    elif not each.required:
        annotation, default = f"{annotation} | Unset", " = UNSET"
    text = describe_value(each)
    return ModelField(
        name=each.name,
        annotation=annotation,
        default=default,
        doc=wrap(text, 4) if text else None,
        spec=", ".join(
            (
                quote(each.name),
                quote(each.wire),
                spell_kind(shape),
                str(each.required),
                str(shape.nullable and not container),
            )
        ),
    )


def _factory(shape: Shape) -> str:
    """Return the factory of an empty list or map, with its type where building the class knows it."""
    if shape.models:
        return "list" if shape.kind == "list" else "dict"
    return annotate(Shape(kind=shape.kind, item=shape.item), "answer")


def _render_hook(schema: Schema, templates: Environment) -> str:
    return templates.get_template("hook.jinja").render(
        model=schema.name, name=snake_case(schema.name), attributes=[each.name for each in schema.properties]
    )


def _list_imports(
    name: str,
    schemas: Iterable[Schema],
    layout: Layout,
    models: Iterable[ModelClass],
    hooks: Iterable[str],
) -> Iterable[str]:
    annotations = list_words(f"{each.annotation} {each.default}" for model in models for each in model.fields)
    borrowed = {each for each in annotations if layout.places.get(each, name) != name}
    places = {
        **STANDARD,
        "attrs": ("field",),
        "typing": ("Any", "Literal"),
        "openrelay_async.model": ("ApiModel", "frozen"),
        **place_models(borrowed, layout),
    }
    yield from spell_imports({*annotations, *list_words(hooks), "ApiModel", "frozen"}, places)
    for schema in schemas:
        if schema.name in layout.mixins:
            module, _, mixin = layout.mixins[schema.name].partition(":")
            yield f"from {module} import {mixin}"
