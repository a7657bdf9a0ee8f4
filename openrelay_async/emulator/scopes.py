"""Scopes and roles: who may do what. Pure rules.

The emulator is strict (api/README.md): an operation needs exactly its `x-openrelay.scope`; `write` includes
`read` of the same area; nothing else includes anything.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Mapping

from openrelay_async.emulator.operations import Operation

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


def scopes_of(permissions: Collection[str], operations: Iterable[Operation]) -> tuple[str, ...]:
    """The scopes that these permissions amount to: those whose every operation is permitted."""
    needed: dict[str, set[str | None]] = {}
    for operation in operations:
        if operation.scope is not None:
            needed.setdefault(operation.scope, set()).add(operation.permission)
    return tuple(
        scope for scope in ALL_SCOPES if scope in needed and needed[scope] - {None} <= set(permissions)
    )


def list_permissions(operations: Iterable[Operation]) -> list[str]:
    """Every permission that an operation asks for."""
    return sorted({operation.permission for operation in operations if operation.permission})


def is_range(text: str) -> bool:
    """Is this an address, or a range in CIDR notation?"""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def is_in_ranges(address: str | None, ranges: Iterable[str]) -> bool:
    """Is the address in one of the ranges? An unknown address is in none."""
    try:
        known = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    return any(known in ipaddress.ip_network(text, strict=False) for text in ranges)
