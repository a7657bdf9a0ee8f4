"""The three ways in which the API divides lists into pages, seen as one: items, and a cursor or none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from openrelay_async.decoded_values import name_json_type
from openrelay_async.operation import Operation, Pagination
from openrelay_async.pagination import Page
from openrelay_async.structuring import StructureError, structure_list
from openrelay_async.wire import is_unicode

T = TypeVar("T")


def page_query(
    operation: Operation, page_size: int | None, cursor: str | None
) -> tuple[tuple[str, str], ...]:
    """Return the query parameters that ask for the page at a cursor."""
    paging = _paging(operation)
    size = () if page_size is None else ((paging.size, str(page_size)),)
    return size if cursor is None else (*size, (paging.request, cursor))


def check_cursor(operation: Operation, cursor: object) -> None:
    """Refuse what cannot be a cursor of this list.

    Raises:
        TypeError: not text.
        ValueError: empty, or not a number where lists go on by numbers.
    """
    if not isinstance(cursor, str):
        raise TypeError(f"cursor must be str, not {type(cursor).__name__}")
    if not cursor:
        raise ValueError("cursor must not be empty; leave it out for the first page")
    if not is_unicode(cursor):
        raise ValueError("cursor is not valid Unicode text")
    if _paging(operation).style == "offset" and not (cursor.isascii() and cursor.isdigit()):
        raise ValueError("cursor of this list is a number of items, as next_cursor gives it")


def read_page(
    operation: Operation, body: object, item: type[T], cursor: str | None, page_size: int | None
) -> Page[T]:
    """Return the page that a decoded body holds.

    Raises:
        StructureError: the page, its cursor or an item is not what the API description says.
    """
    items = _read_items(operation, body, item)
    return Page(items, _next_cursor(operation, body, len(items), cursor, page_size))


def _read_items(operation: Operation, body: object, item: type[T]) -> list[T]:
    name = _paging(operation).items
    if name is None:
        return structure_list(body, item)
    if not isinstance(body, dict):
        raise StructureError("", "must be an object with a list in it")
    if name not in body:
        raise StructureError(name, "missing")
    return structure_list(body[name], item, at=name)


def _next_cursor(
    operation: Operation, body: object, count: int, cursor: str | None, page_size: int | None
) -> str | None:
    """Return what asks for the page after one with `count` items, `None` if it was the last."""
    paging = _paging(operation)
    if paging.style == "offset":
        return _next_offset(paging, count, cursor, page_size)
    if not isinstance(body, dict) or paging.response is None:
        return None
    following = body.get(paging.response)
    if paging.style == "after" and not _has_more(paging, body):
        return None
    if following is None or following == "":
        if paging.style == "after":
            raise StructureError(paging.response, "missing although there is more")
        return None
    if not isinstance(following, str):
        raise StructureError(paging.response, "must be a string")
    return following


def _has_more(paging: Pagination, body: Mapping[str, object]) -> bool:
    """Return whether there is another page. A list that does not say so might end early, unnoticed."""
    if paging.more is None:
        return False
    if paging.more not in body:
        raise StructureError(paging.more, "missing")
    more = body[paging.more]
    if not isinstance(more, bool):
        raise StructureError(paging.more, f"must be a boolean, is {name_json_type(more)}")
    return more


def _next_offset(paging: Pagination, count: int, cursor: str | None, page_size: int | None) -> str | None:
    """Return the number of items to skip next: these lists do not say whether there is more.

    The service may give fewer than asked for, so only a page that is short by its own default, or empty,
    is certainly the last.
    """
    default = paging.default_size or 1
    if count < min(page_size or default, default):
        return None
    return str(int(cursor or 0) + count)


def _paging(operation: Operation) -> Pagination:
    if operation.pagination is None:
        raise TypeError(f"{operation.id} is not paged")
    return operation.pagination
