"""The generated resources: a class per resource, a method per operation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import frozen
from jinja2 import Environment

from .forms import Description, Operation, Property
from .imports import STANDARD, list_words, place_models, spell_imports
from .layout import Layout
from .overrides import Overrides, Patience
from .refuse import DescriptionError
from .render_models import render_index
from .render_operations import constant_name
from .render_waits import PACKAGE, WaitMethods
from .signatures import describe_signatures
from .spell import spell_encoder, wrap

FOLDER = "openrelay_async/generated/resources"

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
    name: str
    head: str
    doc: str
    statements: tuple[str, ...]
    overloads: tuple[str, ...] = ()


@frozen
class ResourceClass:
    """What the templates are told of a resource."""

    name: str
    class_name: str
    title: str
    doc: str
    imports: tuple[str, ...]
    methods: tuple[Method, ...]
    typing_imports: tuple[str, ...] = ()
    """What only annotations name."""
    alias: str | None = None
    wait_methods: str | None = None


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
    waits: Mapping[str, WaitMethods],
    templates: Environment,
    banner: str,
) -> dict[str, str]:
    """Return the resources' modules: path → source."""
    template = templates.get_template("resource.py.jinja")
    files: dict[str, str] = {}
    for name, operations in group_operations(description).items():
        methods = tuple(
            Method(
                signature.name,
                head=signature.spell(is_async=signature.is_async),
                doc=signature.doc,
                statements=tuple(_write_statements(operation, overrides, templates)),
            )
            for operation, signature in zip(
                operations, describe_signatures(operations, overrides), strict=True
            )
        )
        waiting = waits.get(name)
        resource = ResourceClass(
            name=name,
            class_name=_name_class_once(name, layout, overrides),
            title=spell_title(name, titles),
            doc=wrap(titles.get(name, f"The {name} operations."), 4),
            imports=tuple(_list_imports(methods, waiting, layout)),
            methods=methods,
            typing_imports=tuple(list_typing_imports(methods, waiting, layout)),
            alias=None if waiting is None else waiting.alias,
            wait_methods=None if waiting is None else waiting.block,
        )
        files[f"{FOLDER}/{name}.py"] = template.render(resource=resource, banner=banner)
    places = {overrides.class_of(name): f"{PACKAGE}.{name}" for name in description.resources}
    files[f"{FOLDER}/__init__.py"] = render_index(
        "A class per resource of the client (`Vms` for `client.vms`), each loaded when it is first used.",
        places,
        templates,
        banner,
    )
    return files


def _name_class_once(resource: str, layout: Layout, overrides: Overrides) -> str:
    name = overrides.class_of(resource)
    if layout.places.get(name) is not None:
        raise DescriptionError(
            f"/{resource}", f"the resource's class {name} has the name of a model: add an override"
        )
    return name


def spell_title(resource: str, titles: Mapping[str, str]) -> str:
    """Return what a resource is, for the first line of its module."""
    title = titles.get(resource, f"the {resource} operations.")
    return title if title[:2].isupper() else title[:1].lower() + title[1:]


def _write_statements(operation: Operation, overrides: Overrides, templates: Environment) -> Iterable[str]:
    for each in (*operation.body, *operation.query):
        if each.shape.secret or (each.shape.item is not None and each.shape.item.secret):
            yield f"{each.name} = conceal({each.name})"
    call = _spell_call(operation)
    patience = overrides.patience.get(operation.id)
    if patience is not None:
        yield from _wait_for_capacity(operation, patience, call, templates)
    elif operation.answer in ("page", "download"):
        yield f"return {call}"
    else:
        yield f"await {call}" if operation.answer == "nothing" else f"return await {call}"


def _wait_for_capacity(
    operation: Operation, patience: Patience, call: str, templates: Environment
) -> Iterable[str]:
    text = templates.get_template("patient_create.jinja").render(
        resource=operation.resource,
        returns="" if operation.returns is None else operation.returns.model,
        statement=f"return await {call}",
        takes_key=operation.idempotency_key is not None,
        takes_org=operation.takes_org,
        patience=patience,
    )
    return text.splitlines()


def _spell_call(operation: Operation) -> str:
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
    return f"self._calls.{call}({', '.join(words)})"


def _spell_fields(properties: Iterable[Property]) -> str:
    fields = (f'("{each.wire}", {spell_encoder(each.shape)}, {each.name}),' for each in properties)
    return f"({''.join(fields)})"


def _list_imports(methods: Iterable[Method], waiting: WaitMethods | None, layout: Layout) -> Iterable[str]:
    words = list_words(text for each in methods for text in (each.head, *each.statements))
    models = place_models(words, layout)
    if waiting is not None:
        words |= list_words([waiting.block])
    encoders = [word for word in words if word.startswith("encode_") or word in _COMBINATORS]
    places = {
        **STANDARD,
        **models,
        "openrelay_async.download": ("DownloadCall",),
        "openrelay_async.pagination": ("PagedCall",),
        "openrelay_async.resource": ("Calls", "Resource"),
        "openrelay_async.wire": encoders,
    }
    return spell_imports({*words, "Resource"}, places)


def list_typing_imports(
    methods: Iterable[Method], waiting: WaitMethods | None, layout: Layout
) -> Iterable[str]:
    """Return the imports of what only waits name: a program that never waits loads none of it."""
    if waiting is None:
        return ()
    used = list_words(text for each in methods for text in (each.head, *each.statements))
    words = list_words([waiting.block]) - used
    return (*spell_imports(words & set(layout.places), place_models(words, layout)), *waiting.imports)
