"""The value of an argument that was not given, which is not the same as `None`."""

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
