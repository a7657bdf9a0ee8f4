"""Which schemas become classes, and in which module of the models each stands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from attrs import field, frozen

from .forms import Description, Schema
from .overrides import Overrides

PACKAGE = "openrelay_async.generated.models"


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
