"""What stands for what is absent: `UNSET`, which is not the same as `None`, and lists that no answer had."""

from __future__ import annotations

import enum
from typing import Final


class Unset(enum.Enum):
    """Type of `UNSET`, for annotations such as `int | Unset`."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> bool:
        return False


UNSET: Final = Unset.UNSET
"""Not given: the property or parameter is left out of the request."""


class AbsentList(list[object]):
    """The empty list of a field that an answer lacked, where requests hold the model too."""

    __slots__ = ()


class AbsentMap(dict[str, object]):
    """The empty map of a field that an answer lacked, where requests hold the model too."""

    __slots__ = ()


def is_absent(value: object) -> bool:
    """Return whether a field is left out of a request: what was put into an absent list is sent."""
    return value is UNSET or (isinstance(value, AbsentList | AbsentMap) and not value)
