"""Webhooks: verify deliveries, read their events, receive them.

    from openrelay_async.webhooks import verify

    event = verify(raw, headers, secrets=[os.environ["WEBHOOK_SECRET"]])   # raw: the body's bytes as received

`aiohttp_handler` and `ASGIReceiver` (Starlette, FastAPI) do the whole of it: they answer in milliseconds,
drop repeats, and hand events to an async callback. `Inbox` is what they have in common, for any other
framework.
"""

from __future__ import annotations

from openrelay_async.errors import WebhookError
from openrelay_async.events import AnyWebhookEvent, WebhookEvent, parse_event
from openrelay_async.generated.models.webhook_events import (
    BalanceWebhookEvent,
    BatchWebhookEvent,
    ClusterWebhookEvent,
    EndpointWebhookEvent,
    VmWebhookEvent,
)
from openrelay_async.signatures import SIGNATURE_HEADER, sign
from openrelay_async.webhook_inbox import Inbox, Receipt
from openrelay_async.webhook_receivers import AiohttpHandler, ASGIReceiver, aiohttp_handler
from openrelay_async.webhook_secrets import WebhookSecrets
from openrelay_async.webhook_store import EventStore, MemoryStore, SQLiteStore
from openrelay_async.webhook_verification import verify

__all__ = [
    "SIGNATURE_HEADER",
    "ASGIReceiver",
    "AiohttpHandler",
    "AnyWebhookEvent",
    "BalanceWebhookEvent",
    "BatchWebhookEvent",
    "ClusterWebhookEvent",
    "EndpointWebhookEvent",
    "EventStore",
    "Inbox",
    "MemoryStore",
    "Receipt",
    "SQLiteStore",
    "VmWebhookEvent",
    "WebhookError",
    "WebhookEvent",
    "WebhookSecrets",
    "aiohttp_handler",
    "parse_event",
    "sign",
    "verify",
]
