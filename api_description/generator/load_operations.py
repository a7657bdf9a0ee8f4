"""One operation of the description, read into its form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from attrs import frozen

from openrelay_async.wire import argument_name

from .forms import IdempotencyKey, Operation, Property, Schema, Shape
from .load_contents import Body, load_body, load_responses
from .load_paging import load_pagination, open_page, without_paging
from .load_schemas import load_shape, refuse_collisions
from .refuse import (
    DescriptionError,
    as_array,
    as_flag,
    as_object,
    as_text,
    as_texts,
    one_of,
    optional_text,
    point,
    refuse_unknown,
)

_KEYS = {
    "operationId", "summary", "tags", "parameters", "requestBody", "responses", "security", "x-openrelay",
}  # fmt: skip
_FACTS = {
    "resource", "method", "generations", "idempotent", "idempotency_key", "pagination", "host",
    "session_only", "permission", "scope", "org_required",
}  # fmt: skip
_SECURITY: dict[str, Literal["required", "optional", "none"]] = {
    "[{'apiKey': []}]": "required",
    "[{'apiKey': []}, {}]": "optional",
    "[]": "none",
}
_ORGANIZATION = "orgId"
_USED_IN_METHODS = frozenset({"operations", "conceal", "array", "mapping", "nullable", "record"})
"""What methods call, so that no argument may hide it."""


@frozen
class _Parameters:
    path: tuple[str, ...]
    query: tuple[Property, ...]
    headers: tuple[str, ...]


def load_operation(
    path: str,
    http_method: str,
    value: dict[str, object],
    schemas: Mapping[str, Schema],
    raw_schemas: Mapping[str, object],
    pointer: str,
) -> Operation:
    """Return the form of one operation."""
    refuse_unknown(value, _KEYS, pointer)
    facts_at = point(pointer, "x-openrelay")
    facts = as_object(value.get("x-openrelay"), facts_at)
    refuse_unknown(facts, _FACTS, facts_at)
    parameters = _load_parameters(value, raw_schemas, pointer)
    ids, takes_org = _divide_path(path, parameters.path, pointer)
    org_required = as_flag(facts.get("org_required", False), point(facts_at, "org_required"))
    if org_required and not takes_org:
        raise DescriptionError(point(facts_at, "org_required"), f"the path has no {{{_ORGANIZATION}}}")
    body = load_body(value, schemas, raw_schemas, pointer)
    key = _load_idempotency_key(facts, parameters.headers, body, pointer)
    success, failures = load_responses(value, raw_schemas, pointer)
    pagination = load_pagination(facts, facts_at)
    query = parameters.query
    if pagination is not None:
        success = open_page(success, pagination, schemas, pointer)
        query = without_paging(query, pagination, pointer)
    in_body = tuple(
        each
        for each in body.properties
        if each.shape.kind != "binary" and not (key and key.place == "body" and each.wire == key.name)
    )
    taken = {"self", "timeout", *_USED_IN_METHODS}
    taken |= {"org_id"} if takes_org else set()
    taken |= {"idempotency_key"} if key else set()
    taken |= {"page_size", "cursor", "max_items", "prefetch"} if pagination else set()
    taken |= {"file", "filename"} if body.kind == "multipart" else set()
    refuse_collisions((*ids, *query, *in_body), frozenset(taken))
    return Operation(
        id=as_text(value.get("operationId"), point(pointer, "operationId")),
        resource=as_text(facts.get("resource"), point(facts_at, "resource")),
        method=as_text(facts.get("method"), point(facts_at, "method")),
        http_method=http_method,
        path=path,
        generations=as_texts(facts.get("generations"), point(facts_at, "generations")),
        idempotent=as_flag(facts.get("idempotent"), point(facts_at, "idempotent")),
        answer=success.answer,
        returns=success.returns,
        may_be_empty=success.may_be_empty,
        pointer=pointer,
        path_ids=ids,
        takes_org=takes_org,
        org_required=org_required,
        query=_required_first(query),
        body=_required_first(in_body),
        body_kind=body.kind,
        body_model=body.model,
        page_model=success.page if pagination else None,
        idempotency_key=key,
        pagination=pagination,
        host="inference"
        if one_of(facts.get("host", "api"), ("api", "inference"), point(facts_at, "host")) == "inference"
        else "api",
        session_only=as_flag(facts.get("session_only", False), point(facts_at, "session_only")),
        authentication=_load_security(value, pointer),
        scope=optional_text(facts, "scope", facts_at),
        permission=optional_text(facts, "permission", facts_at),
        failures=failures,
        summary=as_text(value.get("summary"), point(pointer, "summary")),
    )


def _required_first(properties: tuple[Property, ...]) -> tuple[Property, ...]:
    return tuple(sorted(properties, key=lambda each: not each.required))


def _load_parameters(
    value: Mapping[str, object], raw_schemas: Mapping[str, object], pointer: str
) -> _Parameters:
    path: list[str] = []
    query: list[Property] = []
    headers: list[str] = []
    at = point(pointer, "parameters")
    for index, raw in enumerate(as_array(value.get("parameters"), at)):
        here = point(at, index)
        parameter = as_object(raw, here)
        refuse_unknown(parameter, {"in", "name", "required", "schema"}, here)
        wire = as_text(parameter.get("name"), point(here, "name"))
        required = as_flag(parameter.get("required", False), point(here, "required"))
        shape = load_shape(parameter.get("schema"), raw_schemas, point(here, "schema"))
        place = one_of(parameter.get("in"), ("path", "query", "header"), point(here, "in"))
        if place == "query":
            if shape.kind in ("list", "map", "model", "binary") or shape.nullable:
                raise DescriptionError(point(here, "schema"), f"a query parameter cannot be {shape.kind}")
            query.append(Property(wire, argument_name(wire), shape, required, here))
        elif shape != Shape(kind="string"):
            raise DescriptionError(point(here, "schema"), f"a {place} parameter must be a plain text")
        elif place == "path":
            path.append(wire)
        else:
            headers.append(wire)
    return _Parameters(tuple(path), tuple(query), tuple(headers))


def _divide_path(path: str, declared: tuple[str, ...], pointer: str) -> tuple[tuple[Property, ...], bool]:
    names = tuple(re.findall(r"\{([^}]*)\}", path))
    if sorted(names) != sorted(declared) or len(set(names)) < len(names):
        raise DescriptionError(
            point(pointer, "parameters"), f"the path's parameters are {', '.join(names) or 'none'}"
        )
    if _ORGANIZATION in names[1:]:
        raise DescriptionError(
            point(pointer, "parameters"), f"{{{_ORGANIZATION}}} must be the path's first parameter"
        )
    takes_org = names[:1] == (_ORGANIZATION,)
    ids = tuple(
        Property(name, argument_name(name), Shape(kind="string"), True, point(pointer, "parameters"))
        for name in names[takes_org:]
    )
    return ids, takes_org


def _load_idempotency_key(
    facts: Mapping[str, object], headers: tuple[str, ...], body: Body, pointer: str
) -> IdempotencyKey | None:
    at = point(pointer, "x-openrelay", "idempotency_key")
    key: IdempotencyKey | None = None
    if "idempotency_key" in facts:
        raw = as_object(facts["idempotency_key"], at)
        if len(raw) != 1:
            raise DescriptionError(at, "must name one place")
        [(place, name)] = raw.items()
        place = one_of(place, ("header", "body"), at)
        key = IdempotencyKey("header" if place == "header" else "body", as_text(name, point(at, place)))
        names = headers if place == "header" else tuple(each.wire for each in body.properties)
        if key.name not in names:
            raise DescriptionError(point(at, place), f"the operation has no {place} {key.name!r}")
    for name in headers:
        if key is None or (key.place, key.name) != ("header", name):
            raise DescriptionError(point(pointer, "parameters"), f"unknown header {name!r}")
    return key


def _load_security(value: Mapping[str, object], pointer: str) -> Literal["required", "optional", "none"]:
    at = point(pointer, "security")
    known = _SECURITY.get(repr(as_array(value.get("security"), at)))
    if known is None:
        raise DescriptionError(at, "unknown authentication")
    return known
