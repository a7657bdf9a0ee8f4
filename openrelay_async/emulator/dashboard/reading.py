"""What the page shows, read for a user: keys and audit events as rows of text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import attrs

from openrelay_async.emulator.areas.account.storage import ORGANIZATIONS, USERS
from openrelay_async.emulator.areas.audit.storage import AUDIT_EVENTS, AuditEvent
from openrelay_async.emulator.storage import Database

AUDIT_ROWS = 50


@attrs.frozen
class Moment:
    """A time as a person reads it: `3 minutes ago`, and exactly."""

    text: str
    exact: str


@attrs.frozen
class KeyRow:
    id: str
    name: str
    prefix: str
    scopes: tuple[str, ...]
    created: Moment | None
    last_used: Moment | None
    expires: Moment | None
    ended: str | None
    """`Revoked` or `Expired`; None for a key that works."""
    ended_at: Moment | None


@attrs.frozen
class AuditRow:
    at: Moment
    actor: str
    event: str
    target: str
    source_ip: str


def read_keys(listed: list[dict[str, Any]], now: float) -> list[KeyRow]:
    """Rows of what `listOrgApiKeys` answered, newest first."""
    return [_read_key(key, now) for key in reversed(listed)]


def _read_key(key: dict[str, Any], now: float) -> KeyRow:
    revoked, expires = key.get("revokedAt"), key.get("expiresAt")
    is_expired = expires is not None and _seconds(expires) <= now
    return KeyRow(
        id=key["id"],
        name=key["name"],
        prefix=key["keyPrefix"],
        scopes=tuple(key["scopes"]),
        created=_moment_of(key.get("createdAt"), now),
        last_used=_moment_of(key.get("lastUsedAt"), now),
        expires=_moment_of(expires, now),
        ended="Revoked" if revoked else "Expired" if is_expired else None,
        ended_at=_moment_of(revoked or expires, now) if revoked or is_expired else None,
    )


def read_audit(database: Database, org_id: str, keys: list[KeyRow], now: float) -> list[AuditRow]:
    """The newest events of the organization."""
    events, _ = AUDIT_EVENTS.page(database, before=None, limit=AUDIT_ROWS, org_id=org_id)
    names = {key.id: key.name for key in keys}
    return [_read_event(database, event, names, now) for event in events]


def _read_event(database: Database, event: AuditEvent, names: dict[str, str], now: float) -> AuditRow:
    kind, _, actor_id = event.actor.partition(":")
    user = USERS.get(database, actor_id) if kind == "user" else None
    actor = (
        user.email if user else f"key {names.get(actor_id, actor_id)}" if kind == "api_key" else event.actor
    )
    return AuditRow(
        at=describe_time(event.created_at, now),
        actor=actor,
        event=event.event,
        target=names.get(event.target_id, event.target_id),
        source_ip=event.source_ip or "",
    )


def read_organization(database: Database, org_id: str) -> str:
    organization = ORGANIZATIONS.get(database, org_id)
    return organization.name if organization else org_id


def read_email(database: Database, user_id: str | None) -> str:
    user = USERS.get(database, user_id or "")
    return user.email if user else ""


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _moment_of(text: str | None, now: float) -> Moment | None:
    return None if text is None else describe_time(_seconds(text), now)


_UNITS = ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute"))


def describe_time(at: float, now: float) -> Moment:
    """`just now`, `3 minutes ago`, `in 2 days`."""
    exact = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    away = abs(now - at)
    for size, unit in _UNITS:
        # Rounded to the nearest, so that a key that lives for 30 days does not expire "in 29 days" at once.
        count = round(away / size)
        if away >= size or (unit != "minute" and count >= 1 and away >= size * 0.99):
            amount = f"{count} {unit}{'' if count == 1 else 's'}"
            return Moment(f"{amount} ago" if at <= now else f"in {amount}", exact)
    return Moment("just now" if at <= now else "in a moment", exact)
