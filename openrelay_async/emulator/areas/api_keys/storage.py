"""Records of API keys: the hash, never the key."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.storage import Collection


@attrs.frozen
class ApiKey:
    id: str
    org_id: str
    name: str
    key_hash: str
    prefix: str
    """The first characters, to tell keys apart: too few to guess the rest from."""
    scopes: list[str]
    created_at: float
    created_by: str | None = None
    kind: str = "legacy"
    owner_user_id: str | None = None
    expires_at: float | None = None
    revoked_at: float | None = None
    last_used_at: float | None = None
    note: str | None = None
    budget: dict[str, object] | None = None
    restrictions: dict[str, list[str]] | None = None


API_KEYS = Collection("api_keys", ApiKey, indexed=("key_hash",))
