"""Records of roles, policies and key settings."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.scopes import is_in_ranges
from openrelay_async.emulator.storage import Collection, Database


@attrs.frozen
class Role:
    """A role of an organization's own making."""

    id: str
    org_id: str
    name: str
    permissions: list[str]
    created_at: float
    updated_at: float
    created_by: str
    updated_by: str
    description: str = ""
    endpoints: list[str] = attrs.field(factory=list)
    ip_ranges: list[str] = attrs.field(factory=list)
    models: list[str] = attrs.field(factory=list)


@attrs.frozen
class Guardrail:
    """A policy that holds for everyone in the organization."""

    id: str
    org_id: str
    name: str
    guardrail: str
    enabled: bool
    created_at: float
    updated_at: float
    created_by: str
    updated_by: str
    description: str = ""
    endpoints: list[str] = attrs.field(factory=list)
    ip_ranges: list[str] = attrs.field(factory=list)
    models: list[str] = attrs.field(factory=list)

    def shuts_out(self, source_ip: str | None, *, with_key: bool) -> bool:
        """Does it refuse requests from this address, made with a key or with a session?"""
        applies = self.guardrail == "everyone_networks" or (self.guardrail == "key_networks" and with_key)
        return self.enabled and applies and not is_in_ranges(source_ip, self.ip_ranges)


@attrs.frozen
class KeySettings:
    """One for each organization; its id is the organization's."""

    id: str
    org_id: str
    max_key_lifetime_days: int
    updated_at: float
    updated_by: str


ROLES = Collection("roles", Role)
GUARDRAILS = Collection("guardrails", Guardrail)
KEY_SETTINGS = Collection("key_settings", KeySettings)


def longest_key_life(database: Database, org_id: str) -> int:
    """Days that a key may live; 0 is no limit."""
    settings = KEY_SETTINGS.get(database, org_id)
    return settings.max_key_lifetime_days if settings else 0
