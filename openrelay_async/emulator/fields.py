"""Reading what was validated: typed access to a body or a query."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from openrelay_async.emulator.answers import bad_request

_LONGEST_NAME = 255


def check_label(text: str, field: str) -> str:
    """Raise 400 unless this is a label, as slugs and names in Kubernetes are (RFC 1123 section 2.1)."""
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", text):
        raise bad_request(field, "must have 1 to 63 lower-case letters, digits and inner hyphens")
    return text


class Fields:
    """The fields of a validated object. Their types are known to be right; rules about values are the
    caller's.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    def __repr__(self) -> str:
        return f"Fields({', '.join(self._values)})"  # names only: values may be secrets

    def __contains__(self, name: str) -> bool:
        return name in self._values

    @property
    def raw(self) -> Mapping[str, object]:
        return self._values

    def text(self, name: str, default: str = "") -> str:
        value = self._values.get(name, default)
        return value if isinstance(value, str) else default

    def optional_text(self, name: str) -> str | None:
        value = self._values.get(name)
        return value if isinstance(value, str) else None

    def integer(self, name: str, default: int = 0) -> int:
        value = self._values.get(name, default)
        return value if isinstance(value, int) else default

    def optional_integer(self, name: str) -> int | None:
        value = self._values.get(name)
        return value if isinstance(value, int) else None

    def boolean(self, name: str, default: bool = False) -> bool:
        value = self._values.get(name, default)
        return value if isinstance(value, bool) else default

    def texts(self, name: str) -> list[str]:
        return list(cast("list[str]", self._values.get(name) or []))

    def mapping(self, name: str) -> dict[str, object] | None:
        value = self._values.get(name)
        return dict(cast("dict[str, object]", value)) if isinstance(value, dict) else None

    def fields(self, name: str) -> Fields | None:
        value = self.mapping(name)
        return None if value is None else Fields(value)

    def every(self, name: str) -> list[Fields]:
        return [Fields(item) for item in cast("list[dict[str, object]]", self._values.get(name) or [])]

    def name(self, field: str = "name") -> str:
        """A name that a person gave: stripped, not blank, at most 255 characters.

        Raises:
            Refusal: 400 naming the field.
        """
        value = self.text(field).strip()
        if not value or len(value) > _LONGEST_NAME:
            raise bad_request(field, f"must have 1 to {_LONGEST_NAME} characters")
        return value

    def bounded(self, name: str, default: int, *, least: int, most: int) -> int:
        """An integer within bounds.

        Raises:
            Refusal: 400 naming the field.
        """
        value = self.integer(name, default)
        if not least <= value <= most:
            raise bad_request(name, f"must be from {least} to {most}")
        return value
