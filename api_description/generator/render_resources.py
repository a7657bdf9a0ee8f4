"""The generated resources: a class per resource, a method per operation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import frozen
from jinja2 import Environment

from .forms import Description, Operation, Property
from .overrides import Overrides
from .refuse import DescriptionError
from .render_models import Layout, render_index
from .render_operations import constant_name
from .signatures import Signature, describe_signatures
from .spell import class_name, spell_encoder, wrap

FOLDER = "openrelay_async/generated/resources"
PACKAGE = "openrelay_async.generated.resources"

_FIRST = ("list", "get", "get_detail", "create", "update", "delete")
_CALLS = {
    "model": "call",
    "list": "call_list",
    "nothing": "call_nothing",
    "secret_text": "call_secret_text",
    "download": "download",
    "page": "paged",
}
_COMBINATORS = ("array", "mapping", "nullable", "record")


@frozen
class Method:
    head: str
    doc: str
    statements: tuple[str, ...]


@frozen
class ResourceClass:
    name: str
    class_name: str
    title: str
    doc: str
    imports: str
    methods: tuple[Method, ...]


def group_operations(description: Description) -> dict[str, tuple[Operation, ...]]:
    """Return the operations by resource, those that all resources have in common first."""

    def rank(operation: Operation) -> tuple[int, str]:
        known = operation.method in _FIRST
        return (_FIRST.index(operation.method) if known else len(_FIRST), operation.method)

    return {
        resource: tuple(
            sorted((each for each in description.operations if each.resource == resource), key=rank)
        )
        for resource in description.resources
    }


def render_resources(
    description: Description,
    layout: Layout,
    overrides: Overrides,
    titles: Mapping[str, str],
    templates: Environment,
    banner: str,
) -> dict[str, str]:
    """Return the resources' modules: path → source."""
    template = templates.get_template("resource.py.jinja")
    files: dict[str, str] = {}
    for name, operations in group_operations(description).items():
        signatures = describe_signatures(operations, overrides)
        methods = tuple(
            Method(
                head=signature.spell(is_async=signature.is_async),
                doc=signature.doc,
                statements=tuple(_write_statements(operation)),
            )
            for operation, signature in zip(operations, signatures, strict=True)
        )
        title = titles.get(name, f"the {name} operations.")
        resource = ResourceClass(
            name=name,
            class_name=_name_class_once(name, layout, overrides),
            title=title[:1].lower() + title[1:] if not title[:2].isupper() else title,
            doc=wrap(title, 4),
            imports=_write_imports(operations, signatures, methods, layout),
            methods=methods,
        )
        files[f"{FOLDER}/{name}.py"] = template.render(resource=resource, banner=banner)
    places = {name_class(name, overrides): f"{PACKAGE}.{name}" for name in description.resources}
    files[f"{FOLDER}/__init__.py"] = render_index(
        "A class per resource of the client (`Vms` for `client.vms`), each loaded when it is first used.",
        places,
        templates,
        banner,
    )
    return files


def _name_class_once(resource: str, layout: Layout, overrides: Overrides) -> str:
    name = name_class(resource, overrides)
    if layout.places.get(name) is not None:
        raise DescriptionError(
            f"/{resource}", f"the resource's class {name} has the name of a model: add an override"
        )
    return name


def name_class(resource: str, overrides: Overrides) -> str:
    """Return the class of a resource."""
    return overrides.classes.get(resource, class_name(resource))


def _write_statements(operation: Operation) -> Iterable[str]:
    for each in (*operation.body, *operation.query):
        if each.shape.secret or (each.shape.item is not None and each.shape.item.secret):
            yield f"{each.name} = conceal({each.name})"
    words = [f"operations.{constant_name(operation)}"]
    if operation.returns is not None:
        words.append(str(operation.returns.model))
    if operation.body_kind == "multipart":
        words += ["file=file", "filename=filename"]
    if operation.path_ids:
        words.append(f"path=({', '.join(each.name for each in operation.path_ids)},)")
    if operation.query:
        words.append(f"query={_spell_fields(operation.query)}")
    if operation.body:
        name = "form" if operation.body_kind == "multipart" else "body"
        words.append(f"{name}={_spell_fields(operation.body)}")
    if operation.answer == "page":
        words += [f"{name}={name}" for name in ("page_size", "cursor", "max_items", "prefetch")]
    if operation.takes_org:
        words.append("org_id=org_id")
    if operation.idempotency_key is not None:
        words.append("idempotency_key=idempotency_key")
    words.append("timeout=timeout")
    call = "upload" if operation.body_kind == "multipart" else _CALLS[operation.answer]
    waited = f"self._calls.{call}({', '.join(words)})"
    if operation.answer in ("page", "download"):
        yield f"return {waited}"
    else:
        yield f"await {waited}" if operation.answer == "nothing" else f"return await {waited}"


def _spell_fields(properties: Iterable[Property]) -> str:
    fields = (f'("{each.wire}", {spell_encoder(each.shape)}, {each.name}),' for each in properties)
    return f"({''.join(fields)})"


def _write_imports(
    operations: tuple[Operation, ...],
    signatures: tuple[Signature, ...],
    methods: tuple[Method, ...],
    layout: Layout,
) -> str:
    text = " ".join(
        [*(each.head for each in methods), *(line for each in methods for line in each.statements)]
    )
    words = set("".join(c if c.isalnum() or c == "_" else " " for c in text).split())
    lines = ["import builtins"] if "builtins" in words else []
    for module, names in (
        ("collections.abc", ("Mapping", "Sequence")),
        ("datetime", ("date", "datetime")),
        ("typing", ("Literal",)),
        ("openrelay_async.download", ("DownloadCall",)),
        ("openrelay_async.generated", ("operations",)),
    ):
        if used := sorted(words & set(names)):
            lines.append(f"from {module} import {', '.join(used)}")
    models: dict[str, list[str]] = {}
    for model in sorted(words & set(layout.places)):
        models.setdefault(layout.places[model], []).append(model)
    for module, used in sorted(models.items()):
        lines.append(f"from openrelay_async.generated.models.{module} import {', '.join(used)}")
    for module, names in (
        ("openrelay_async.pagination", ("PagedCall",)),
        ("openrelay_async.redaction", ("Secret", "conceal")),
        ("openrelay_async.resource", ("FileSource", "Resource")),
        ("openrelay_async.unset", ("UNSET", "Unset")),
    ):
        if used := sorted((words | {"Resource"}) & set(names)):
            lines.append(f"from {module} import {', '.join(used)}")
    if encoders := sorted(word for word in words if word.startswith("encode_") or word in _COMBINATORS):
        lines.append(f"from openrelay_async.wire import {', '.join(encoders)}")
    return "\n".join(lines)
