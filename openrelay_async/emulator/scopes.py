"""Scopes and roles: who may do what. Pure rules.

The emulator is strict (api/README.md): an operation needs exactly its `x-openrelay.scope`; `write` includes
`read` of the same area; nothing else includes anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

ALL_SCOPES = (
    "billing:read",
    "billing:write",
    "clusters:read",
    "clusters:write",
    "inference",
    "vms:read",
    "vms:write",
)

ROLE_SCOPES: Mapping[str, tuple[str, ...]] = {
    "owner": ALL_SCOPES,
    "admin": ALL_SCOPES,
    "member": ("billing:read", "clusters:read", "clusters:write", "inference", "vms:read", "vms:write"),
    "viewer": ("billing:read", "clusters:read", "vms:read"),
    "billing": ("billing:read", "billing:write"),
    "inference": ("inference",),
}


def allows(granted: Iterable[str], scope: str) -> bool:
    """Do these scopes include `scope`?"""
    held = tuple(granted)
    area, _, access = scope.partition(":")
    return scope in held or (access == "read" and f"{area}:write" in held)


def find_unknown(scopes: Iterable[str]) -> list[str]:
    """Those that no key can have."""
    return [scope for scope in scopes if scope not in ALL_SCOPES]


def find_escalation(granted: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """Those of `wanted` that the maker does not have itself."""
    held = tuple(granted)
    return [scope for scope in wanted if not allows(held, scope)]
