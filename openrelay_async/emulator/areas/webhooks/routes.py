"""Webhooks: register, change, switch, look at what was delivered."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.answers import NO_CONTENT, Answer, moment, rfc3339, without_absent
from openrelay_async.emulator.areas.webhooks.rules import (
    check_url,
    choose_events,
    secret_prefix,
    webhook_secret,
)
from openrelay_async.emulator.areas.webhooks.storage import DELIVERIES, WEBHOOKS, Delivery, Webhook
from openrelay_async.emulator.call import LARGEST_PAGE, PAGE_SIZE, Call


def create_webhook(call: Call) -> Answer:
    body = call.body
    webhook = Webhook(
        id=call.new_id("wh_"),
        org_id=call.org_id,
        name=body.name(),
        url=check_url(body.text("url")),
        events=choose_events(body.texts("events"), call.settings.generation),
        enabled=True,
        secret_version=call.new_id("whv_"),
        created_at=call.now,
        updated_at=call.now,
    )
    WEBHOOKS.insert(call.database, webhook)
    call.audit("webhook.created", "webhook", webhook.id)
    shown = _render(call, webhook)
    del shown["updatedAt"]
    return Answer({**shown, "secret": _secret(call, webhook)})


def list_webhooks(call: Call) -> Answer:
    return Answer([_render(call, webhook) for webhook in WEBHOOKS.find(call.database, org_id=call.org_id)])


def update_webhook(call: Call) -> Answer:
    webhook = _find(call)
    body = call.body
    changed = attrs.evolve(
        webhook,
        name=body.name() if "name" in body else webhook.name,
        url=check_url(body.text("url")) if "url" in body else webhook.url,
        events=choose_events(body.texts("events"), call.settings.generation)
        if "events" in body
        else webhook.events,
        updated_at=call.now,
    )
    WEBHOOKS.update(call.database, changed)
    call.audit("webhook.updated", "webhook", webhook.id)
    return Answer({"id": changed.id, "name": changed.name, "url": changed.url, "events": changed.events})


def delete_webhook(call: Call) -> Answer:
    webhook = _find(call)
    WEBHOOKS.delete(call.database, webhook)
    for delivery in DELIVERIES.find(call.database, webhook_id=webhook.id):
        DELIVERIES.delete(call.database, delivery)
    call.audit("webhook.deleted", "webhook", webhook.id)
    return NO_CONTENT


def toggle_webhook(call: Call) -> Answer:
    webhook = attrs.evolve(_find(call), enabled=call.body.boolean("enabled"), updated_at=call.now)
    WEBHOOKS.update(call.database, webhook)
    return Answer({"id": webhook.id, "enabled": webhook.enabled})


def regenerate_secret(call: Call) -> Answer:
    webhook = attrs.evolve(_find(call), secret_version=call.new_id("whv_"), updated_at=call.now)
    WEBHOOKS.update(call.database, webhook)
    call.audit("webhook.secret_regenerated", "webhook", webhook.id)
    secret = _secret(call, webhook)
    return Answer({"id": webhook.id, "secret": secret, "secretPrefix": secret_prefix(secret)})


def list_deliveries(call: Call) -> Answer:
    webhook = _find(call)
    limit = call.query.bounded("limit", PAGE_SIZE, least=1, most=LARGEST_PAGE)
    newest = DELIVERIES.find(call.database, webhook_id=webhook.id)[::-1][:limit]
    return Answer([_render_delivery(delivery) for delivery in newest])


def _render_delivery(delivery: Delivery) -> dict[str, object]:
    return without_absent(
        {
            "id": delivery.id,
            "eventId": delivery.event_id,
            "eventType": delivery.event_type,
            "attemptNumber": delivery.attempt,
            "status": delivery.status,
            "statusCode": delivery.status_code,
            "errorMessage": delivery.error,
            "createdAt": moment(delivery.created_at),
            "deliveredAt": rfc3339(delivery.delivered_at),
        }
    )


def _find(call: Call) -> Webhook:
    return call.require(WEBHOOKS, call.path["id"], "webhook")


def _secret(call: Call, webhook: Webhook) -> str:
    return webhook_secret(call.database.vault, webhook.id, webhook.secret_version)


def _render(call: Call, webhook: Webhook) -> dict[str, object]:
    return {
        "id": webhook.id,
        "name": webhook.name,
        "url": webhook.url,
        "events": webhook.events,
        "enabled": webhook.enabled,
        "secretPrefix": secret_prefix(_secret(call, webhook)),
        "createdAt": moment(webhook.created_at),
        "updatedAt": moment(webhook.updated_at),
    }


HANDLERS = {
    "createOrgWebhook": create_webhook,
    "listOrgWebhooks": list_webhooks,
    "updateOrgWebhook": update_webhook,
    "deleteOrgWebhook": delete_webhook,
    "toggleOrgWebhook": toggle_webhook,
    "regenerateOrgWebhookSecret": regenerate_secret,
    "listOrgWebhookDeliveries": list_deliveries,
}
