"""What a credential is and may do, as whoami tells it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import orjson
from attrs import frozen

_MOST_NAMES = 64


@frozen
class KeyAccess:
    """Who a credential is: no secret among it."""

    principal_type: str
    """`api_key`, `user` (a session) or `platform_admin`."""
    organization_id: str | None
    scopes: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    role: str | None = None
    key_kind: str | None = None
    key_id: str | None = None
    key_name: str | None = None
    expires_at: datetime | None = None

    @property
    def is_key(self) -> bool:
        return self.principal_type == "api_key"

    def describe_grants(self) -> str:
        """Return what it has, in words: `the key 'ci' has the scopes vms:read`."""
        who = "the key" if self.is_key else "the session"
        if self.is_key and self.key_name:
            who = f"the key {self.key_name!r}"
        if self.role and not self.is_key:
            return f"{who} has the role {self.role}"
        if self.scopes:
            return f"{who} has {_count('scope', self.scopes)}"
        if self.permissions:
            return f"{who} has {_count('permission', self.permissions)}"
        return f"{who} has no scope"


def _count(what: str, names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:8])
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"the {what}{'s' if len(names) > 1 else ''} {shown}{more}"


def read_access(body: bytes) -> KeyAccess | None:
    """Return what whoami's answer says, `None` if it is not one. It never fails: it only explains."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(answer, dict) or not isinstance(answer.get("principalType"), str):
        return None
    key = answer.get("key")
    key = key if isinstance(key, dict) else {}
    return KeyAccess(
        principal_type=answer["principalType"],
        organization_id=_text(answer, "organizationId"),
        scopes=_texts(answer, "scopes"),
        permissions=_texts(answer, "permissions"),
        role=_text(answer, "role"),
        key_kind=_text(answer, "keyKind"),
        key_id=_text(key, "id"),
        key_name=_text(key, "name"),
        expires_at=_time(key, "expiresAt"),
    )


def _text(fields: Mapping[str, object], name: str) -> str | None:
    value = fields.get(name)
    return value[:200] if isinstance(value, str) and value else None


def _texts(fields: Mapping[str, object], name: str) -> tuple[str, ...]:
    values = fields.get(name)
    if not isinstance(values, list):
        return ()
    return tuple(value[:100] for value in values[:_MOST_NAMES] if isinstance(value, str))


def _time(fields: Mapping[str, object], name: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(_text(fields, name) or "")
    except ValueError:
        return None
    return time if time.tzinfo is not None else None
