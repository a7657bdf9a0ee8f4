"""What a scope includes, and what an operation needs, in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

SESSION_ONLY: Final = "only a dashboard session may do this, not an API key"


def allows(held: Iterable[str], scope: str) -> bool:
    """Return whether a key with the scopes `held` has `scope`: `write` includes `read` of the same area."""
    scopes = frozenset(held)
    area, _, access = scope.partition(":")
    return scope in scopes or (access == "read" and f"{area}:write" in scopes)


def describe_needs(scope: str | None, permission: str | None) -> str:
    """Return what one of is needed: `the scope vms:write or the permission vm:create`."""
    named = (("scope", scope), ("permission", permission))
    return " or ".join(f"the {kind} {name}" for kind, name in named if name is not None)
