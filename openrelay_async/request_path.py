"""Ids in a path: each becomes one percent-encoded segment, and none can name another path."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote

from openrelay_async.operation import Operation
from openrelay_async.wire import is_unicode, refuse_type, snake_case

# Everything RFC 3986 lets stand unescaped in a path segment, except the sub-delimiters, which servers read
# in more than one way.
_PLAIN_SEGMENT = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*")


def is_path_id(value: str) -> bool:
    """Return whether a text can be an id in a path."""
    try:
        encode_path_id(value, "id")
    except ValueError:
        return False
    return True


def encode_path_id(value: object, name: str) -> str:
    """Return an id as one percent-encoded path segment.

    Args:
        name: the parameter's; in errors it is spelled as the argument is.

    Raises:
        TypeError: not text.
        ValueError: empty, `.` or `..` (which name another path), or with control characters.
    """
    if not isinstance(value, str):
        raise refuse_type(snake_case(name), "str", value)
    if _PLAIN_SEGMENT.fullmatch(value):
        return value
    name = snake_case(name)
    if value in {"", ".", ".."}:
        raise ValueError(f"{name} must name a resource; {value!r} does not")
    if any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in value):
        raise ValueError(f"{name} has control characters")
    if not is_unicode(value):
        raise ValueError(f"{name} is not valid Unicode text")
    return quote(value, safe="")


def expand_path(operation: Operation, ids: Sequence[str]) -> str:
    """Return the operation's path with `ids`, in the template's order, percent-encoded."""
    segments = operation.segments
    if len(ids) + 1 != len(segments):
        raise TypeError(f"{operation.id} has {len(segments) - 1} ids in its path, not {len(ids)}")
    path = segments[0]
    for index, value in enumerate(ids):
        path += encode_path_id(value, operation.path_names[index]) + segments[index + 1]
    return path
