"""The sync package's resources: the same signatures as the async ones, each call handed to the bridge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import frozen
from jinja2 import Environment

from .forms import Description, Operation
from .overrides import Overrides
from .read_additions import PACKAGE as HAND_WRITTEN
from .read_additions import Additions, read_additions
from .render_models import Layout, render_index
from .render_resources import ResourceClass, group_operations, name_class
from .signatures import Signature, describe_signatures
from .spell import wrap

FOLDER = "openrelay_sync/generated/resources"
PACKAGE = "openrelay_sync.generated.resources"
ROOT = Path(__file__).resolve().parents[2]


@frozen
class Method:
    head: str
    doc: str
    statements: tuple[str, ...]
    overloads: tuple[str, ...] = ()


def render_sync_resources(
    description: Description,
    layout: Layout,
    overrides: Overrides,
    titles: Mapping[str, str],
    templates: Environment,
    banner: str,
) -> dict[str, str]:
    """Return the sync resources' modules: path → source."""
    template = templates.get_template("sync_resource.py.jinja")
    files: dict[str, str] = {}
    for name, operations in group_operations(description).items():
        signatures = describe_signatures(operations, overrides)
        kind = name_class(name, overrides)
        written = read_additions(ROOT, name, kind)
        additions = written or Additions()
        methods = {
            signature.name: Method(
                head=_spell_returns(signature.spell(is_async=False)),
                doc=signature.doc,
                statements=tuple(_write_statements(operation, signature)),
            )
            for operation, signature in zip(operations, signatures, strict=True)
        }
        for each in additions.methods:
            # One that is written by hand may stand for a generated one.
            methods[each.name] = Method(each.head, each.doc, each.statements, each.overloads)
        title = titles.get(name, f"the {name} operations.")
        resource = ResourceClass(
            name=name,
            class_name=kind,
            title=title[:1].lower() + title[1:] if not title[:2].isupper() else title,
            doc=wrap(title, 4),
            imports=_write_imports(name, tuple(methods.values()), layout, written),
            methods=tuple(methods.values()),
        )
        files[f"{FOLDER}/{name}.py"] = template.render(resource=resource, banner=banner)
    places = {name_class(name, overrides): f"{PACKAGE}.{name}" for name in description.resources}
    files[f"{FOLDER}/__init__.py"] = render_index(
        "A class per resource of the sync client, each loaded when it is first used.",
        places,
        templates,
        banner,
    )
    return files


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


def _write_imports(
    resource: str, methods: Iterable[Method], layout: Layout, additions: Additions | None
) -> str:
    text = " ".join(line for each in methods for line in (*each.overloads, each.head, *each.statements))
    words = set("".join(c if c.isalnum() or c == "_" else " " for c in text).split())
    lines = ["import builtins"] if "builtins" in words else []
    models: dict[str, list[str]] = {}
    for model in sorted(words & set(layout.places)):
        models.setdefault(layout.places[model], []).append(model)
    places = [
        ("collections.abc", ("Generator", "Mapping", "Sequence")),
        ("datetime", ("date", "datetime")),
        ("typing", ("Literal",)),
        *((f"openrelay_async.generated.models.{module}", tuple(used)) for module, used in models.items()),
        ("openrelay_async.redaction", ("Secret", "conceal")),
        ("openrelay_async.resource", ("FileSource",)),
        ("openrelay_async.unset", ("UNSET", "Unset")),
        ("openrelay_sync.contexts", ("SyncContext",)),
        ("openrelay_sync.iteration", ("SyncDownload", "SyncPagedCall", "iterate")),
        ("openrelay_sync.resource", ("SyncResource",)),
    ]
    for module, names in places:
        if used := sorted((words | {"SyncResource"}) & set(names)):
            lines.append(f"from {module} import {', '.join(used)}")
    if additions is None:
        lines.append(f"from openrelay_async.generated.resources import {resource} as async_resource")
    else:
        lines.append(f"from {HAND_WRITTEN} import {resource} as async_resource")
        lines += additions.imports
    return "\n".join(lines)
