"""Events of webhooks: JSON to typed values. Pure.

Every event type whose data is documented has its own class; `isinstance` (or `match`) tells them apart, for
people and type checkers:

    match event:
        case VmWebhookEvent(type="vm.running", data=vm):
            print(vm.vm_id, vm.endpoint)
        case WebhookEvent():
            print(event.type, event.data)
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, TypeAlias

import orjson

from openrelay_async.errors import WebhookError
from openrelay_async.generated.models.webhook_events import (
    BalanceWebhookEvent,
    BatchWebhookEvent,
    ClusterWebhookEvent,
    EndpointWebhookEvent,
    VmWebhookEvent,
)
from openrelay_async.model import ApiModel, frozen
from openrelay_async.redaction import Payload
from openrelay_async.signatures import MALFORMED
from openrelay_async.structuring import StructureError, structure


@frozen(kw_only=True)
class WebhookEvent(ApiModel):
    """An event whose data is not documented, or whose type this version does not know: the data is as it
    came."""

    created_at: datetime | None
    """Time of the event."""
    data: dict[str, object]
    """What the event is about, in wire names."""
    id: str
    """Id of the event (`evt_…`), the same in every attempt to deliver it."""
    type: str
    """Such as `replica.healthy`."""

    # fmt: off
    wire_fields = (
        ("created_at", "created_at", "time", True, False),
        ("data", "data", ("map", "json"), True, False),
        ("id", "id", "string", True, False),
        ("type", "type", "string", True, False),
    )
    # fmt: on


AnyWebhookEvent: TypeAlias = (
    BalanceWebhookEvent
    | BatchWebhookEvent
    | ClusterWebhookEvent
    | EndpointWebhookEvent
    | VmWebhookEvent
    | WebhookEvent
)

_BALANCE = ("balance.depleted", "balance.low")
_BATCH = ("batch.cancelled", "batch.completed", "batch.expired", "batch.failed")
_CLUSTER = ("cluster.degraded", "cluster.failed", "cluster.running")
_ENDPOINT = ("endpoint.deleted", "endpoint.disabled", "endpoint.ready")
_VM = ("vm.interrupted", "vm.running", "vm.stopped", "vm.terminated")

TYPED_EVENTS: Final[Mapping[str, type[AnyWebhookEvent]]] = {
    **dict.fromkeys(_BALANCE, BalanceWebhookEvent),
    **dict.fromkeys(_BATCH, BatchWebhookEvent),
    **dict.fromkeys(_CLUSTER, ClusterWebhookEvent),
    **dict.fromkeys(_ENDPOINT, EndpointWebhookEvent),
    **dict.fromkeys(_VM, VmWebhookEvent),
}
"""Event type → its class."""


def parse_event(raw: bytes) -> AnyWebhookEvent:
    """Return the event in a delivery's body, without asking who sent it: that is what `verify` does.

    Where the data of a known type is not as documented (generation 2026-07 documents none for VMs), the
    event is a `WebhookEvent`: what the service has signed and sent is not lost for its shape.

    Args:
        raw: the body.

    Raises:
        WebhookError: it is not an event; the message names the field, never a value.
    """
    if not isinstance(raw, bytes):
        kind = type(raw).__name__
        del raw
        raise WebhookError(f"the body must be bytes as received, not {kind}", code=MALFORMED)
    body = Payload(raw)
    del raw
    value, problem = _decode(body)
    envelope = None if problem else _read_envelope(value)
    if isinstance(envelope, WebhookEvent):
        model = TYPED_EVENTS.get(envelope.type)
        return envelope if model is None else _structure_or(envelope, value, model)
    raise WebhookError(envelope or problem, code=MALFORMED)


def time_of(event: AnyWebhookEvent) -> datetime:
    """Return when it happened; `parse_event` lets no event pass that does not say so."""
    if event.created_at is None:
        raise WebhookError("created_at: must be an RFC 3339 time, is empty", code=MALFORMED)
    return event.created_at


def _decode(body: Payload) -> tuple[object, str]:
    try:
        return orjson.loads(body.data), ""
    except orjson.JSONDecodeError:
        return None, "the body is not JSON"


def _read_envelope(value: object) -> WebhookEvent | str:
    """Return the event in its general form, or what is wrong with it."""
    try:
        event = structure(value, WebhookEvent)
    except StructureError as error:
        return f"{error.path or 'the body'}: {error.problem}"
    if event.created_at is None:
        return "created_at: must be an RFC 3339 time, is empty"
    if not event.id or not event.type:
        return f"{'type' if event.id else 'id'}: must not be empty"
    return event


def _structure_or(envelope: WebhookEvent, value: object, model: type[AnyWebhookEvent]) -> AnyWebhookEvent:
    try:
        return structure(value, model)
    except StructureError:
        return envelope
