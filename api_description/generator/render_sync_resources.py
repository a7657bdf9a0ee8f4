"""The sync package's resources: the same signatures as the async ones, each call handed to the bridge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from jinja2 import Environment

from .forms import Description, Operation
from .imports import STANDARD, list_words, place_models, spell_imports
from .layout import Layout
from .load_waits import alias_home
from .overrides import Overrides
from .read_additions import PACKAGE as HAND_WRITTEN
from .read_additions import Additions, read_additions, read_twins
from .render_models import render_index
from .render_resources import (
    Method,
    ResourceClass,
    group_operations,
    list_typing_imports,
    spell_title,
)
from .render_waits import PACKAGE as GENERATED
from .render_waits import WaitMethods
from .signatures import Signature, describe_signatures
from .spell import wrap

FOLDER = "openrelay_sync/generated/resources"
PACKAGE = "openrelay_sync.generated.resources"
ROOT = Path(__file__).resolve().parents[2]


def render_sync_resources(
    description: Description,
    layout: Layout,
    overrides: Overrides,
    titles: Mapping[str, str],
    waits: Mapping[str, WaitMethods],
    templates: Environment,
    banner: str,
) -> dict[str, str]:
    """Return the sync resources' modules: path → source."""
    template = templates.get_template("sync_resource.py.jinja")
    files: dict[str, str] = {}
    for name, operations in group_operations(description).items():
        own = tuple(
            Method(
                signature.name,
                head=_spell_returns(signature.spell(is_async=False)),
                doc=signature.doc,
                statements=tuple(_write_statements(operation, signature)),
            )
            for operation, signature in zip(
                operations, describe_signatures(operations, overrides), strict=True
            )
        )
        waiting = waits.get(name)
        twins = () if waiting is None else read_twins(waiting.block, f"{FOLDER}/{name}.py")
        additions = read_additions(ROOT, name, overrides.class_of(name))
        # One that is written by hand may stand for a generated one.
        methods = {each.name: each for each in (*own, *twins, *(additions.methods if additions else ()))}
        resource = ResourceClass(
            name=name,
            class_name=overrides.class_of(name),
            title=spell_title(name, titles),
            doc=wrap(titles.get(name, f"The {name} operations."), 4),
            imports=(
                *_list_imports(name, own, tuple(methods.values()), layout, additions),
                *_list_alias_imports(name, overrides),
            ),
            methods=tuple(methods.values()),
            typing_imports=(
                *list_typing_imports(own, waiting, layout),
                *(additions.typing_imports if additions else ()),
            ),
        )
        files[f"{FOLDER}/{name}.py"] = template.render(resource=resource, banner=banner)
    places = {overrides.class_of(name): f"{PACKAGE}.{name}" for name in description.resources}
    files[f"{FOLDER}/__init__.py"] = render_index(
        "A class per resource of the sync client, each loaded when it is first used.",
        places,
        templates,
        banner,
    )
    return files


def _list_alias_imports(resource: str, overrides: Overrides) -> Iterable[str]:
    """Yield the import of the type that the async module makes for its waits."""
    waits = overrides.waits.get(resource)
    if waits is not None and alias_home(waits) == resource:
        yield f"from {GENERATED}.{resource} import {waits.either}"


def _spell_returns(head: str) -> str:
    arguments, arrow, returns = head.rpartition(" -> ")
    return (
        arguments
        + arrow
        + returns.replace("PagedCall", "SyncPagedCall").replace("DownloadCall", "SyncDownload")
    )


def _write_statements(operation: Operation, signature: Signature) -> Iterable[str]:
    for each in (*operation.body, *operation.query):
        if each.shape.secret or (each.shape.item is not None and each.shape.item.secret):
            # This frame is in tracebacks as well as the async method's.
            yield f"{each.name} = conceal({each.name})"
    words = [each.name for each in signature.positional]
    words += [f"{each.name}={each.name}" for each in signature.keywords]
    call = f"self._resource.{signature.name}({', '.join(words)})"
    if operation.answer == "page":
        yield f"return SyncPagedCall(self._bridge, {call})"
    elif operation.answer == "download":
        yield f"return SyncDownload(self._bridge, {call})"
    else:
        yield f"{'' if operation.answer == 'nothing' else 'return '}self._bridge.run({call})"


def _list_imports(
    resource: str,
    own: Iterable[Method],
    methods: Iterable[Method],
    layout: Layout,
    additions: Additions | None,
) -> Iterable[str]:
    """Yield the imports of a module.

    Args:
        own: the operations' methods, whose models are loaded with the module.
    """
    models = place_models(list_words(text for each in own for text in (each.head, *each.statements)), layout)
    words = list_words(text for each in methods for text in (*each.overloads, each.head, *each.statements))
    places = {
        **STANDARD,
        **models,
        "openrelay_sync.contexts": ("SyncContext",),
        "openrelay_sync.iteration": ("SyncDownload", "SyncPagedCall", "iterate"),
        "openrelay_sync.resource": ("SyncResource",),
    }
    yield from spell_imports({*words, "SyncResource"}, places)
    yield f"from {GENERATED if additions is None else HAND_WRITTEN} import {resource} as async_resource"
    yield from () if additions is None else additions.imports
