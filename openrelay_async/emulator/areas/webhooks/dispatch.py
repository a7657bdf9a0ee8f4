"""From events to deliveries, and from an attempt to the next. Storage only: `courier` does the posting."""

from __future__ import annotations

import attrs
import orjson

from openrelay_async.emulator.answers import moment
from openrelay_async.emulator.areas.webhooks.rules import RETRY_AFTER, webhook_secret
from openrelay_async.emulator.areas.webhooks.storage import DELIVERIES, WEBHOOKS, Delivery, Webhook
from openrelay_async.emulator.events import Event, take_due_events
from openrelay_async.emulator.storage import Database
from openrelay_async.signatures import SIGNATURE_HEADER, sign


@attrs.frozen
class Parcel:
    """What is posted: everything an attempt needs, so the database is not asked while it is under way."""

    delivery: Delivery
    url: str
    body: bytes = attrs.field(repr=False)
    headers: dict[str, str] = attrs.field(repr=False)


def fan_out(database: Database, now: float) -> None:
    """Make a first delivery of every due event for every webhook that wants it."""
    for event in take_due_events(database, now):
        for webhook in WEBHOOKS.find(database, org_id=event.org_id):
            # A webhook hears of what happens after it was made.
            if webhook.enabled and event.type in webhook.events and webhook.created_at <= event.due:
                _add_delivery(database, webhook, event)


def _add_delivery(database: Database, webhook: Webhook, event: Event) -> None:
    body = {"id": event.id, "type": event.type, "created_at": moment(event.due), "data": event.data}
    delivery = Delivery(
        id=database.new_id("dlv_"),
        org_id=webhook.org_id,
        webhook_id=webhook.id,
        event_id=event.id,
        event_type=event.type,
        attempt=1,
        due=event.due,
        created_at=event.due,
        body=orjson.dumps(body).decode(),
    )
    DELIVERIES.insert(database, delivery)


def list_parcels(database: Database, now: float, most: int) -> list[Parcel]:
    """The attempts that are due, at most so many, earliest first.

    If a clock was turned far, what comes after a retry of theirs has to wait for the next time: a receiver
    sees all in the order in which it had come had the clock gone by itself.
    """
    parcels: list[Parcel] = []
    for delivery in sorted(DELIVERIES.find(database, status="pending"), key=lambda delivery: delivery.due):
        if delivery.due > now or len(parcels) == most:
            break
        if parcels and delivery.due >= parcels[0].delivery.due + RETRY_AFTER[0]:
            break
        webhook = WEBHOOKS.get(database, delivery.webhook_id)
        if webhook is not None:
            parcels.append(_pack(database, webhook, delivery))
    return parcels


def _pack(database: Database, webhook: Webhook, delivery: Delivery) -> Parcel:
    body = delivery.body.encode()
    secret = webhook_secret(database.vault, webhook.id, webhook.secret_version)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "OpenRelay-Emulator-Webhooks/1",
        "X-VectorLay-Event": delivery.event_type,
        "X-VectorLay-Delivery": delivery.id,
        SIGNATURE_HEADER: sign(body, secret),
    }
    return Parcel(delivery, webhook.url, body, headers)


def record_attempt(
    database: Database,
    delivery: Delivery,
    now: float,
    *,
    unturned: float,
    status_code: int | None,
    error: str | None,
) -> None:
    """Write down how an attempt went, and plan the next one if it failed and there is one.

    Args:
        unturned: the time at which it was made, had nobody turned the clock.
    """
    if DELIVERIES.get(database, delivery.id) is None:
        return  # its webhook was deleted meanwhile
    delivered = status_code is not None and 200 <= status_code < 300
    ended = attrs.evolve(
        delivery,
        status="delivered" if delivered else "failed",
        status_code=status_code,
        error=error,
        delivered_at=now if delivered else None,
    )
    DELIVERIES.update(database, ended)
    if not delivered and delivery.attempt <= len(RETRY_AFTER):
        again = attrs.evolve(
            delivery,
            id=database.new_id("dlv_"),
            attempt=delivery.attempt + 1,
            # Not from now on: whoever turned the clock on by an hour has turned it past every attempt. But
            # what is late by a pause, because the emulator was not running, was not attempted earlier.
            due=max(delivery.due, unturned) + RETRY_AFTER[delivery.attempt - 1],
            created_at=now,
        )
        DELIVERIES.insert(database, again)
