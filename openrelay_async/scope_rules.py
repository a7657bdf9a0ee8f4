"""What a scope includes."""

from __future__ import annotations

from collections.abc import Iterable


def allows(held: Iterable[str], scope: str) -> bool:
    """Return whether a key with the scopes `held` has `scope`: `write` includes `read` of the same area."""
    scopes = frozenset(held)
    area, _, access = scope.partition(":")
    return scope in scopes or (access == "read" and f"{area}:write" in scopes)
