"""The generated tables of operations: one a resource, and one of all."""

from __future__ import annotations

from itertools import groupby

from attrs import frozen
from jinja2 import Environment

from openrelay_async.wire import snake_case

from .forms import Description, IdempotencyKey, Operation, Pagination
from .spell import quote

PATH = "openrelay_async/generated/operations.py"
ROWS = "openrelay_async/generated/operation_rows"
_BY_CURSOR = Pagination("cursor", "items", "cursor", "nextCursor", None, "limit", None)


@frozen
class OperationRow:
    constant: str
    arguments: str


def constant_name(operation: Operation) -> str:
    """Return the constant of an operation: `createVm` → `CREATE_VM`."""
    return snake_case(operation.id).upper()


def render_operations(description: Description, templates: Environment, banner: str) -> dict[str, str]:
    ordered = sorted(description.operations, key=lambda each: (each.resource, each.method))
    tables = {
        resource: [OperationRow(constant_name(each), _spell_arguments(each)) for each in operations]
        for resource, operations in groupby(ordered, key=lambda each: each.resource)
    }
    title = "The operations of each resource."
    files = {
        PATH: templates.get_template("operations.py.jinja").render(tables=tables.items(), banner=banner),
        f"{ROWS}/__init__.py": templates.get_template("package.py.jinja").render(title=title, banner=banner),
    }
    for resource, rows in tables.items():
        files[f"{ROWS}/{resource}.py"] = templates.get_template("operation_rows.py.jinja").render(
            resource=resource,
            operations=rows,
            uses_both=any("_BOTH" in row.arguments for row in rows),
            uses_cursor=any("_BY_CURSOR" in row.arguments for row in rows),
            banner=banner,
        )
    return files


def _spell_arguments(each: Operation) -> str:
    words = [quote(text) for text in (each.id, each.resource, each.method, each.http_method, each.path)]
    words.append(f"idempotent={each.idempotent}")
    words.append(f"generations={_spell_texts(each.generations)}")
    for name, value in (("scope", each.scope), ("permission", each.permission)):
        if value is not None:
            words.append(f"{name}={quote(value)}")
    if each.session_only:
        words.append("session_only=True")
    if each.authentication != "required":
        words.append(f"authentication={quote(each.authentication)}")
    if each.host != "api":
        words.append(f"host={quote(each.host)}")
    if each.idempotency_key is not None:
        words.append(f"idempotency_key={_spell_key(each.idempotency_key)}")
    if each.pagination is not None:
        words.append(f"pagination={_spell_pagination(each.pagination)}")
    if each.body_kind is not None:
        words.append(f"body={quote(each.body_kind)}")
    if each.org_required:
        words.append("org_required=True")
    return ", ".join(words)


def _spell_texts(texts: tuple[str, ...]) -> str:
    if texts == ("2026-07", "2026-10"):
        return "_BOTH"
    return f"({', '.join(quote(text) for text in texts)},)"


def _spell_key(key: IdempotencyKey) -> str:
    return f"IdempotencyKey({quote(key.place)}, {quote(key.name)})"


def _spell_pagination(pagination: Pagination) -> str:
    if pagination == _BY_CURSOR:
        return "_BY_CURSOR"
    words = [quote(pagination.style), f"items={_spell_optional(pagination.items)}"]
    words.append(f"request={quote(pagination.request)}")
    for name, value in (("response", pagination.response), ("more", pagination.more)):
        if value is not None:
            words.append(f"{name}={quote(value)}")
    if pagination.size != "limit":
        words.append(f"size={quote(pagination.size)}")
    if pagination.default_size is not None:
        words.append(f"default_size={pagination.default_size}")
    return f"Pagination({', '.join(words)})"


def _spell_optional(text: str | None) -> str:
    return "None" if text is None else quote(text)
