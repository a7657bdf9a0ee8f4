"""What the body of a request and its answers hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import frozen

from .forms import Answer, Property, Schema, Shape
from .load_schemas import load_shape, referred
from .refuse import DescriptionError, as_flag, as_object, one_of, point, refuse_unknown

_FAILURES = {
    "400", "401", "402", "403", "404", "409", "410", "413", "422", "429",
    "500", "502", "503", "504", "default",
}  # fmt: skip


@frozen
class Body:
    kind: Literal["required", "optional", "multipart"] | None = None
    model: str | None = None
    properties: tuple[Property, ...] = ()


@frozen
class Success:
    answer: Answer
    returns: Shape | None = None
    may_be_empty: bool = False
    page: str | None = None


def load_body(
    value: Mapping[str, object],
    schemas: Mapping[str, Schema],
    raw_schemas: Mapping[str, object],
    pointer: str,
) -> Body:
    if "requestBody" not in value:
        return Body()
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
        return Body("multipart", schema.name, schema.properties)
    if files:
        raise DescriptionError(at, "JSON cannot hold a binary property")
    if not required and any(each.required for each in schema.properties):
        raise DescriptionError(point(at, "required"), "an optional body cannot have required properties")
    return Body("required" if required else "optional", schema.name, schema.properties)


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


def load_responses(
    value: Mapping[str, object], raw_schemas: Mapping[str, object], pointer: str
) -> tuple[Success, tuple[str, ...]]:
    at = point(pointer, "responses")
    successes: list[Success] = []
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
            successes.append(Success("nothing"))
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
        Success(success.answer, success.returns, may_be_empty=len(successes) > 1, page=success.page),
        tuple(failures),
    )


def _load_success(response: Mapping[str, object], raw_schemas: Mapping[str, object], pointer: str) -> Success:
    media, schema = _single_content(response, pointer)
    at = point(pointer, "content", media, "schema")
    if media == "application/json":
        shape = load_shape(schema, raw_schemas, at)
        if shape.kind == "model":
            return Success("model", shape, page=shape.model)
        if shape.kind == "list" and shape.item is not None and shape.item.kind == "model":
            return Success("list", shape.item)
    elif media == "text/plain" and schema == {"type": "string", "x-secret": True}:
        return Success("secret_text")
    elif media == "application/octet-stream" and schema == {"type": "string", "format": "binary"}:
        return Success("download")
    raise DescriptionError(at, f"unknown answer in {media}")
