"""What a credential is and may do, as whoami tells it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import orjson
from attrs import frozen

from openrelay_async.redaction import Secret, clean_word

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


def read_access(body: bytes, known: Iterable[Secret] = ()) -> KeyAccess | None:
    """Return what whoami's answer says, `None` if it is not one. It never fails: it only explains.

    Args:
        known: the secrets in use; what the answer shows of one is masked.
    """
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(answer, dict) or not isinstance(answer.get("principalType"), str):
        return None
    key = answer.get("key")
    key = key if isinstance(key, dict) else {}
    secrets = tuple(known)

    def text(fields: Mapping[str, object], name: str) -> str | None:
        value = fields.get(name)
        return clean_word(value, secrets) if isinstance(value, str) and value else None

    def texts(name: str) -> tuple[str, ...]:
        values = answer.get(name)
        names = values[:_MOST_NAMES] if isinstance(values, list) else []
        return tuple(clean_word(value, secrets) for value in names if isinstance(value, str))

    return KeyAccess(
        principal_type=text(answer, "principalType") or "",
        organization_id=text(answer, "organizationId"),
        scopes=texts("scopes"),
        permissions=texts("permissions"),
        role=text(answer, "role"),
        key_id=text(key, "id"),
        key_name=text(key, "name"),
        expires_at=_time(key, "expiresAt"),
    )


def _time(fields: Mapping[str, object], name: str) -> datetime | None:
    value = fields.get(name)
    try:
        time = datetime.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        return None
    return time if time.tzinfo is not None else None
