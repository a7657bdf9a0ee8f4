"""One operation of the description, read into its form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, cast

from attrs import frozen

from .forms import Answer, IdempotencyKey, Operation, Pagination, Property, Schema, Shape
from .load_schemas import load_shape, python_name, referred, refuse_collisions
from .refuse import (
    DescriptionError,
    as_array,
    as_flag,
    as_object,
    as_text,
    as_texts,
    one_of,
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
_FAILURES = {
    "400", "401", "402", "403", "404", "409", "410", "413", "422", "429",
    "500", "502", "503", "504", "default",
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
class _Body:
    kind: Literal["required", "optional", "multipart"] | None = None
    model: str | None = None
    properties: tuple[Property, ...] = ()


@frozen
class _Success:
    answer: Answer
    returns: Shape | None = None
    may_be_empty: bool = False
    page: str | None = None


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
    body = _load_body(value, schemas, raw_schemas, pointer)
    key = _load_idempotency_key(facts, parameters.headers, body, pointer)
    success, failures = _load_responses(value, raw_schemas, pointer)
    pagination = _load_pagination(facts, facts_at)
    query = parameters.query
    if pagination is not None:
        success = _open_page(success, pagination, schemas, pointer)
        query = _without_paging(query, pagination, pointer)
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
        scope=_optional_text(facts, "scope", facts_at),
        permission=_optional_text(facts, "permission", facts_at),
        failures=failures,
        summary=as_text(value.get("summary"), point(pointer, "summary")),
    )


def _required_first(properties: tuple[Property, ...]) -> tuple[Property, ...]:
    return tuple(sorted(properties, key=lambda each: not each.required))


def _optional_text(value: Mapping[str, object], key: str, pointer: str) -> str | None:
    return as_text(value[key], point(pointer, key)) if key in value else None


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
            query.append(Property(wire, python_name(wire), shape, required, here))
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
        Property(name, python_name(name), Shape(kind="string"), True, point(pointer, "parameters"))
        for name in names[takes_org:]
    )
    return ids, takes_org


def _load_body(
    value: Mapping[str, object],
    schemas: Mapping[str, Schema],
    raw_schemas: Mapping[str, object],
    pointer: str,
) -> _Body:
    if "requestBody" not in value:
        return _Body()
    at = point(pointer, "requestBody")
    body = as_object(value["requestBody"], at)
    refuse_unknown(body, {"content", "required"}, at)
    media, reference = _single_content(body, at)
    one_of(media, ("application/json", "multipart/form-data"), point(at, "content"))
    schema = schemas[_reference(reference, raw_schemas, point(at, "content", media, "schema"))]
    files = [each.wire for each in schema.properties if each.shape.kind == "binary"]
    required = as_flag(body.get("required", False), point(at, "required"))
    if media == "multipart/form-data":
        if files != ["file"] or not required:
            raise DescriptionError(at, "a form must be required and have one binary property, `file`")
        return _Body("multipart", schema.name, schema.properties)
    if files:
        raise DescriptionError(at, "JSON cannot hold a binary property")
    if not required and any(each.required for each in schema.properties):
        raise DescriptionError(point(at, "required"), "an optional body cannot have required properties")
    return _Body("required" if required else "optional", schema.name, schema.properties)


def _single_content(value: Mapping[str, object], pointer: str) -> tuple[str, object]:
    at = point(pointer, "content")
    content = as_object(value.get("content"), at)
    if len(content) != 1:
        raise DescriptionError(at, "must have one media type")
    [(media, raw)] = content.items()
    media_at = point(at, media)
    refuse_unknown(as_object(raw, media_at), {"schema"}, media_at)
    return media, as_object(raw, media_at).get("schema")


def _reference(value: object, raw_schemas: Mapping[str, object], pointer: str) -> str:
    schema = as_object(value, pointer)
    if set(schema) != {"$ref"}:
        raise DescriptionError(pointer, "must be a $ref to a schema")
    return referred(schema["$ref"], raw_schemas, point(pointer, "$ref"))


def _load_idempotency_key(
    facts: Mapping[str, object], headers: tuple[str, ...], body: _Body, pointer: str
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


def _load_responses(
    value: Mapping[str, object], raw_schemas: Mapping[str, object], pointer: str
) -> tuple[_Success, tuple[str, ...]]:
    at = point(pointer, "responses")
    successes: list[_Success] = []
    failures: list[str] = []
    for status, raw in as_object(value.get("responses"), at).items():
        here = point(at, status)
        response = as_object(raw, here)
        refuse_unknown(response, {"content", "description"}, here)
        if status in ("200", "201", "202"):
            successes.append(_load_success(response, raw_schemas, here))
        elif status == "204":
            if "content" in response:
                raise DescriptionError(point(here, "content"), "204 has no body")
            successes.append(_Success("nothing"))
        elif status in _FAILURES:
            media, schema = _single_content(response, here)
            one_of(media, ("application/json",), point(here, "content"))
            _reference(schema, raw_schemas, point(here, "content", media, "schema"))
            failures.append(status)
        else:
            raise DescriptionError(here, f"unknown status {status}")
    bodies = [each for each in successes if each.answer != "nothing"]
    if not successes or len(bodies) > 1 or len(successes) - len(bodies) > 1:
        raise DescriptionError(at, "must have one kind of success, or one and 204")
    if not bodies:
        return successes[0], tuple(failures)
    if len(successes) > 1 and bodies[0].answer != "model":
        raise DescriptionError(at, "only an object may also be answered by 204")
    [success] = bodies
    return (
        _Success(success.answer, success.returns, may_be_empty=len(successes) > 1, page=success.page),
        tuple(failures),
    )


def _load_success(
    response: Mapping[str, object], raw_schemas: Mapping[str, object], pointer: str
) -> _Success:
    media, schema = _single_content(response, pointer)
    at = point(pointer, "content", media, "schema")
    if media == "application/json":
        shape = load_shape(schema, raw_schemas, at)
        if shape.kind == "model":
            return _Success("model", shape, page=shape.model)
        if shape.kind == "list" and shape.item is not None and shape.item.kind == "model":
            return _Success("list", shape.item)
    elif media == "text/plain" and schema == {"type": "string", "x-secret": True}:
        return _Success("secret_text")
    elif media == "application/octet-stream" and schema == {"type": "string", "format": "binary"}:
        return _Success("download")
    raise DescriptionError(at, f"unknown answer in {media}")


def _load_pagination(facts: Mapping[str, object], pointer: str) -> Pagination | None:
    if "pagination" not in facts:
        return None
    at = point(pointer, "pagination")
    raw = as_object(facts["pagination"], at)
    refuse_unknown(raw, {"style", "items", "request", "response", "more", "size", "default_size"}, at)
    default_size = raw.get("default_size")
    if default_size is not None and (not isinstance(default_size, int) or default_size < 1):
        raise DescriptionError(point(at, "default_size"), "must be a positive integer")
    return Pagination(
        style=cast(
            Literal["cursor", "after", "offset"],
            one_of(raw.get("style"), ("cursor", "after", "offset"), point(at, "style")),
        ),
        items=_optional_text(raw, "items", at),
        request=as_text(raw.get("request"), point(at, "request")),
        response=_optional_text(raw, "response", at),
        more=_optional_text(raw, "more", at),
        size=as_text(raw.get("size", "limit"), point(at, "size")),
        default_size=default_size,
    )


def _open_page(
    success: _Success, pagination: Pagination, schemas: Mapping[str, Schema], pointer: str
) -> _Success:
    """Return what a page holds: users of paged lists never see the page's own schema."""
    at = point(pointer, "x-openrelay", "pagination")
    if pagination.items is None:
        if success.answer != "list":
            raise DescriptionError(at, "without `items`, the answer must be a list")
        return _Success("page", success.returns)
    if success.page is None:
        raise DescriptionError(at, "with `items`, the answer must be an object")
    page = {each.wire: each for each in schemas[success.page].properties}
    for key in (pagination.items, pagination.response, pagination.more):
        if key is not None and key not in page:
            raise DescriptionError(at, f"the page has no {key!r}")
    item = page[pagination.items].shape.item
    if item is None or item.kind != "model":
        raise DescriptionError(point(at, "items"), "must be a list of objects")
    return _Success("page", item, page=success.page)


def _without_paging(
    query: tuple[Property, ...], pagination: Pagination, pointer: str
) -> tuple[Property, ...]:
    names = {each.wire for each in query}
    for key in (pagination.request, pagination.size):
        if key not in names:
            raise DescriptionError(point(pointer, "x-openrelay", "pagination"), f"no query parameter {key!r}")
    return tuple(each for each in query if each.wire not in (pagination.request, pagination.size))


def _load_security(value: Mapping[str, object], pointer: str) -> Literal["required", "optional", "none"]:
    at = point(pointer, "security")
    known = _SECURITY.get(repr(as_array(value.get("security"), at)))
    if known is None:
        raise DescriptionError(at, "unknown authentication")
    return known
