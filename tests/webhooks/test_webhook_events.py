"""`parse_event`: every type of both generations, and those not known yet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from openrelay_async.errors import WebhookError
from openrelay_async.events import TYPED_EVENTS
from openrelay_async.webhooks import (
    BalanceWebhookEvent,
    BatchWebhookEvent,
    ClusterWebhookEvent,
    EndpointWebhookEvent,
    VmWebhookEvent,
    WebhookEvent,
    parse_event,
)

DESCRIPTION = Path(__file__).resolve().parents[2] / "api_description/openrelay.json"
SCHEMAS = json.loads(DESCRIPTION.read_text())["components"]["schemas"]
CREATED = "2026-11-23T10:00:00.123456789Z"

DATA: dict[type[Any], dict[str, object]] = {
    BalanceWebhookEvent: {"available_cents": 5, "threshold_cents": 10},
    BatchWebhookEvent: {
        "batch_id": "batch_1",
        "cost_nano_usd": 1,
        "error_file_id": None,
        "output_file_id": "file_1",
        "request_counts": {"total": 3, "completed": 2, "failed": 1},
        "status": "completed",
    },
    ClusterWebhookEvent: {"clusterId": "cl_1"},
    EndpointWebhookEvent: {
        "at": CREATED,
        "endpoint_id": "ep_1",
        "model_id": "m",
        "state": "ready",
        "version": 2,
    },
    VmWebhookEvent: {"endpoint": "10.0.0.1", "status": "running", "vm_id": "vm_1"},
}


def body(type: object, data: object, **changes: object) -> bytes:
    return json.dumps({"id": "evt_1", "type": type, "created_at": CREATED, "data": data, **changes}).encode()


def subscribable() -> list[str]:
    return SCHEMAS["CreateWebhookRequest"]["properties"]["events"]["items"]["enum"]


def test_every_typed_event_of_the_description_has_its_class():
    described = {
        event_type: name
        for name, schema in SCHEMAS.items()
        if name.endswith("WebhookEvent")
        for event_type in schema["properties"]["type"]["enum"]
    }
    assert {event_type: model.__name__ for event_type, model in TYPED_EVENTS.items()} == described


@pytest.mark.parametrize("type", subscribable())
def test_every_event_that_can_be_subscribed_to_is_parsed(type):
    model = TYPED_EVENTS.get(type, WebhookEvent)
    event = parse_event(body(type, DATA.get(model, {"replicaId": "r_1"})))
    assert (event.__class__, event.id, event.type) == (model, "evt_1", type)
    assert event.created_at is not None
    assert event.created_at.isoformat() == "2026-11-23T10:00:00.123456+00:00"


def test_data_is_typed():
    event = parse_event(body("batch.completed", DATA[BatchWebhookEvent]))
    assert isinstance(event, BatchWebhookEvent)
    assert event.data.request_counts.completed == 2


@pytest.mark.parametrize("type", ["vm.teleported", "pod.running", "x", "replica.healthy"])
def test_an_unknown_type_is_a_generic_event(type):
    """R12.2"""
    event = parse_event(body(type, {"anything": [1, {"nested": None}]}, planet="Mars"))
    assert type_of(event) is WebhookEvent
    assert event.data == {"anything": [1, {"nested": None}]}
    assert event.extra == {"planet": "Mars"}


@pytest.mark.parametrize("data", [{"vmId": "vm_1"}, {}, {"vm_id": 5, "status": "running", "endpoint": ""}])
def test_a_known_type_with_other_data_is_a_generic_event_and_not_lost(data):
    """Generation 2026-07 documents no data for VMs."""
    event = parse_event(body("vm.running", data))
    assert type_of(event) is WebhookEvent
    assert event.data == data


def test_new_fields_are_kept():
    event = parse_event(body("vm.running", {**DATA[VmWebhookEvent], "gpu": 1}, attempt=2))
    assert isinstance(event, VmWebhookEvent)
    assert (event.extra, event.data.extra) == ({"attempt": 2}, {"gpu": 1})


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (b"", "JSON"),
        (b"\xff\xfe", "JSON"),
        (b"{", "JSON"),
        (b"[" * 100_000, "JSON"),
        (b"null", "object"),
        (b"[]", "object"),
        (b'"evt_1"', "object"),
        (b"{}", "created_at"),
        (body("vm.running", "text"), "data"),
        (body("vm.running", []), "data"),
        (body("vm.running", {}, id=5), "id"),
        (body("vm.running", {}, id=""), "id"),
        (body(None, {}), "type"),
        (body("", {}), "type"),
        (body("vm.running", {}, created_at=""), "created_at"),
        (body("vm.running", {}, created_at=1763892000), "created_at"),
        (body("vm.running", {}, created_at="yesterday"), "created_at"),
        (body("vm.running", {}, created_at="2026-11-23T10:00:00"), "created_at"),
    ],
)
def test_what_is_no_event_is_refused_naming_the_place(raw, place):
    """R12.1"""
    with pytest.raises(WebhookError, match=place) as caught:
        parse_event(raw)
    assert caught.value.code == "MALFORMED"
    assert caught.value.__context__ is None


def test_errors_name_no_values():
    with pytest.raises(WebhookError) as caught:
        parse_event(body("vm.running", {}, created_at="whsec_canary_canary"))
    assert "canary" not in str(caught.value)


def type_of(event: object) -> type[object]:
    return event.__class__
