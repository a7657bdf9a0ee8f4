"""Records of webhooks and of every attempt to deliver to them."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.storage import Collection, Database


@attrs.frozen
class Webhook:
    id: str
    org_id: str
    name: str
    url: str
    events: list[str]
    enabled: bool
    secret_version: str
    """The secret itself is derived from this and the master key: it is not in the file."""
    created_at: float
    updated_at: float


@attrs.frozen
class Delivery:
    """One attempt to deliver one event."""

    id: str
    org_id: str
    webhook_id: str
    event_id: str
    event_type: str
    attempt: int
    due: float
    created_at: float
    body: str
    status: str = "pending"
    """`pending` (planned, or under way), `delivered` or `failed`."""
    status_code: int | None = None
    error: str | None = None
    delivered_at: float | None = None


WEBHOOKS = Collection("webhooks", Webhook)
DELIVERIES = Collection("deliveries", Delivery, indexed=("webhook_id", "status"))


def list_attempts(database: Database, last: int | None = None) -> list[Delivery]:
    """The deliveries that were attempted, whatever came of it, in the order of their times.

    All of them, or of so many that were planned last.
    """
    most = 2**63 - 1 if last is None else last
    newest, _ = DELIVERIES.page(database, before=None, limit=most, keep=lambda item: item.status != "pending")
    newest.reverse()
    return sorted(newest, key=lambda delivery: delivery.due)


def next_delivery_due(database: Database) -> float | None:
    """When the next attempt is to be made."""
    return min((delivery.due for delivery in DELIVERIES.find(database, status="pending")), default=None)
