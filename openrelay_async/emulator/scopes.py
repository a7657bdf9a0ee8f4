"""Scopes and roles: who may do what. Pure rules.

The emulator is strict (api/README.md): an operation needs exactly its `x-openrelay.scope`; `write` includes
`read` of the same area; nothing else includes anything.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Mapping

from openrelay_async.emulator.answers import bad_request
from openrelay_async.emulator.generated.routes import OPERATIONS
from openrelay_async.scope_rules import allows

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


def find_unknown(scopes: Iterable[str]) -> list[str]:
    """Those that no key can have."""
    return [scope for scope in scopes if scope not in ALL_SCOPES]


def find_escalation(granted: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """Those of `wanted` that the maker does not have itself."""
    held = tuple(granted)
    return [scope for scope in wanted if not allows(held, scope)]


def scopes_of(permissions: Collection[str]) -> tuple[str, ...]:
    """The scopes that these permissions amount to: those whose every operation is permitted."""
    needed: dict[str, set[str | None]] = {}
    for operation in OPERATIONS:
        if operation.scope is not None:
            needed.setdefault(operation.scope, set()).add(operation.permission)
    return tuple(
        scope for scope in ALL_SCOPES if scope in needed and needed[scope] - {None} <= set(permissions)
    )


def list_permissions() -> list[str]:
    """Every permission that an operation asks for."""
    return sorted({operation.permission for operation in OPERATIONS if operation.permission})


def permissions_of(scopes: Iterable[str], *, with_session: bool) -> list[str]:
    """The permissions that scopes amount to; without a session, those that need none."""
    held = tuple(scopes)
    found = {
        operation.permission
        for operation in OPERATIONS
        if operation.permission
        and (with_session or operation.security != "session")
        and (operation.scope is None or allows(held, operation.scope))
    }
    return sorted(found)


def check_permissions(permissions: list[str], field: str) -> list[str]:
    """Raise 400 for a permission that no operation asks for."""
    known = list_permissions()
    for index, permission in enumerate(permissions):
        if permission not in known:
            raise bad_request(f"{field}[{index}]", "is no permission")
    return permissions


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
