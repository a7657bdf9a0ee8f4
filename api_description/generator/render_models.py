"""The generated models: a module per resource, one for what several share, one for webhook events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from attrs import field, frozen
from jinja2 import Environment

from openrelay_async.wire import snake_case

from .forms import Description, Property, Schema, Shape
from .overrides import Overrides
from .spell import annotate, describe_value, quote, spell_kind, wrap

FOLDER = "openrelay_async/generated/models"
PACKAGE = "openrelay_async.generated.models"
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


@frozen
class ModelModule:
    title: str
    imports: str
    models: tuple[ModelClass, ...]
    hooks: tuple[str, ...]


@frozen
class Layout:
    """In which module each schema's class stands."""

    modules: Mapping[str, tuple[Schema, ...]]
    mixins: Mapping[str, str]
    places: Mapping[str, str] = field(init=False)

    @places.default
    def _locate(self) -> Mapping[str, str]:
        return {schema.name: module for module, schemas in self.modules.items() for schema in schemas}


def find_forms(description: Description) -> set[str]:
    """Return the schemas with a file in them: a multipart form is no JSON, and its parts are arguments."""
    return {
        schema.name
        for schema in description.schemas.values()
        if any(part.shape.kind == "binary" for part in schema.properties)
    }


def lay_out(description: Description, overrides: Overrides) -> Layout:
    """Decide which schemas become classes, and where they stand."""
    left_out = find_forms(description) | overrides.omitted
    modules: dict[str, list[Schema]] = defaultdict(list)
    for name, schema in sorted(description.schemas.items()):
        if name in left_out:
            continue
        if not schema.resources:
            module = "webhook_events"
        elif len(schema.resources) > 1:
            module = "shared"
        else:
            [module] = schema.resources
        modules[module].append(schema)
    return Layout(
        {name: tuple(schemas) for name, schemas in sorted(modules.items())}, mixins=overrides.mixins
    )


def render_models(
    description: Description, layout: Layout, templates: Environment, banner: str
) -> dict[str, str]:
    """Return the models' modules: path → source."""
    files = {
        f"{FOLDER}/{name}.py": templates.get_template("models.py.jinja").render(
            module=_describe_module(name, schemas, layout, description, templates), banner=banner
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
    name: str, schemas: Iterable[Schema], layout: Layout, description: Description, templates: Environment
) -> ModelModule:
    schemas = tuple(schemas)
    models = tuple(_describe_class(each, layout) for each in schemas)
    hooks = tuple(_render_hook(each, templates) for each in schemas if is_read(each))
    return ModelModule(
        title=_TITLES.get(name, f"`client.{name}`"),
        imports=_write_imports(name, schemas, layout, description, "\n".join(hooks), models),
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
    return ModelClass(schema.name, text, fields, bases=f"{mixin}, ApiModel" if mixin else "ApiModel")


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


def _write_imports(
    name: str,
    schemas: tuple[Schema, ...],
    layout: Layout,
    description: Description,
    hooks: str,
    models: tuple[ModelClass, ...],
) -> str:
    annotations = " ".join(f"{each.annotation} {each.default}" for model in models for each in model.fields)
    words = set(_words(f"{annotations} {hooks}"))
    lines = []
    if abstract := sorted(words & {"Iterable", "Mapping", "Sequence"}):
        lines.append(f"from collections.abc import {', '.join(abstract)}")
    if times := sorted(words & {"date", "datetime"}):
        lines.append(f"from datetime import {', '.join(times)}")
    if typed := sorted(words & {"Any", "Literal"}):
        lines.append(f"from typing import {', '.join(typed)}")
    if "field" in words:
        lines.append("from attrs import field")
    borrowed = sorted(
        {
            model
            for schema in schemas
            for each in schema.properties
            for model in each.shape.models
            if layout.places[model] != name
        }
    )
    lines += [f"from {PACKAGE}.{layout.places[model]} import {model}" for model in borrowed]
    for schema in schemas:
        if schema.name in layout.mixins:
            module, _, mixin = layout.mixins[schema.name].partition(":")
            lines.append(f"from {module} import {mixin}")
    lines.append("from openrelay_async.model import ApiModel, frozen")
    if "Secret" in words:
        lines.append("from openrelay_async.redaction import Secret")
    if "UNSET" in words:
        lines.append("from openrelay_async.unset import UNSET, Unset")
    return "\n".join(lines)


def _words(text: str) -> list[str]:
    return "".join(c if c.isalnum() or c == "_" else " " for c in text).split()
