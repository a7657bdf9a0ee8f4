"""How a list is paged, and what its pages hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast

from .forms import Pagination, Property, Schema
from .load_contents import Success
from .refuse import DescriptionError, as_object, as_text, one_of, optional_text, point, refuse_unknown


def load_pagination(facts: Mapping[str, object], pointer: str) -> Pagination | None:
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
        items=optional_text(raw, "items", at),
        request=as_text(raw.get("request"), point(at, "request")),
        response=optional_text(raw, "response", at),
        more=optional_text(raw, "more", at),
        size=as_text(raw.get("size", "limit"), point(at, "size")),
        default_size=default_size,
    )


def open_page(
    success: Success, pagination: Pagination, schemas: Mapping[str, Schema], pointer: str
) -> Success:
    """Return what a page holds: users of paged lists never see the page's own schema."""
    at = point(pointer, "x-openrelay", "pagination")
    if pagination.items is None:
        if success.answer != "list":
            raise DescriptionError(at, "without `items`, the answer must be a list")
        return Success("page", success.returns)
    if success.page is None:
        raise DescriptionError(at, "with `items`, the answer must be an object")
    page = {each.wire: each for each in schemas[success.page].properties}
    for key in (pagination.items, pagination.response, pagination.more):
        if key is not None and key not in page:
            raise DescriptionError(at, f"the page has no {key!r}")
    item = page[pagination.items].shape.item
    if item is None or item.kind != "model":
        raise DescriptionError(point(at, "items"), "must be a list of objects")
    return Success("page", item, page=success.page)


def without_paging(query: tuple[Property, ...], pagination: Pagination, pointer: str) -> tuple[Property, ...]:
    names = {each.wire for each in query}
    for key in (pagination.request, pagination.size):
        if key not in names:
            raise DescriptionError(point(pointer, "x-openrelay", "pagination"), f"no query parameter {key!r}")
    return tuple(each for each in query if each.wire not in (pagination.request, pagination.size))
