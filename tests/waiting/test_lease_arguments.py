"""What `lease` is given is checked when it is given: from its create on, it costs."""

from __future__ import annotations

import asyncio

import pytest

from openrelay_async import errors

ORDERS = {
    "vms": {"name": "job", "gpu_model_id": "rtx-4090", "gpu_count": 1},
    "pods": {"image": "nginx", "ssh_key_ids": ["key_1"], "gpu_model_id": "rtx-4090"},
    "clusters": {"name": "job", "gpu_model_id": "rtx-4090", "image_url": "nginx", "container_port": 80},
}
WRONG = [
    ({"until": "bogus"}, ValueError, "until must be 'running'.*not 'bogus'"),
    ({"until": "terminated"}, ValueError, "until must be 'running'"),
    ({"until": 5}, ValueError, "until must be 'running'.*not int"),
    ({"on_update": 5}, TypeError, "on_update must be a function"),
    ({"on_update": asyncio.sleep}, TypeError, "on_update must not be async"),
    ({"wait_timeout": "60"}, errors.ConfigurationError, "wait_timeout must be a number of seconds"),
    ({"wait_timeout": 0}, errors.ConfigurationError, "wait_timeout must be above 0"),
    ({"wait_for_capacity": "5"}, errors.ConfigurationError, "wait_for_capacity must be a number of seconds"),
    ({"wait_for_capacity": 0}, errors.ConfigurationError, "wait_for_capacity must be above 0"),
    ({"max_duration": float("nan")}, errors.ConfigurationError, "max_duration must be above 0"),
    ({"record": 5}, TypeError, "record must be the path of a file"),
    ({"idempotency_key": "abc"}, TypeError, "idempotency_key"),
    ({"nmae": "job"}, TypeError, "no argument 'nmae'"),
    ({"name": 5}, TypeError, "name must be str"),
]
WRONG_COSTS = ["5", True, 0, -1.0, float("nan"), [5]]


def refuse(resource, kind, given, error, text) -> None:
    with pytest.raises(error, match=text) as caught:
        getattr(resource, kind).lease(**{**ORDERS[kind], **given})
    assert type(caught.value) is error


@pytest.mark.parametrize(("given", "error", "text"), WRONG)
@pytest.mark.parametrize("kind", ORDERS)
async def test_a_wrong_argument_is_told_by_its_name_before_anything_is_sent(
    emulator, client, kind, given, error, text
):
    refuse(client, kind, given, error, text)
    assert len(emulator.requests) == 0


@pytest.mark.parametrize("cents", WRONG_COSTS)
@pytest.mark.parametrize("kind", ["vms", "pods"])
async def test_a_cost_that_is_no_amount_is_refused(emulator, client, kind, cents):
    refuse(client, kind, {"max_cost_cents": cents}, errors.ConfigurationError, "max_cost_cents must be")
    assert len(emulator.requests) == 0


@pytest.mark.parametrize(
    ("kind", "missing"), [("vms", "name"), ("clusters", "name"), ("pods", "image"), ("pods", "ssh_key_ids")]
)
async def test_a_missing_argument_is_named(client, kind, missing):
    order = {name: value for name, value in ORDERS[kind].items() if name != missing}
    with pytest.raises(TypeError, match=f"needs the argument '{missing}'"):
        getattr(client, kind).lease(**order)


async def test_no_secret_of_an_order_is_in_its_refusal(client):
    with pytest.raises(TypeError) as caught:
        client.vms.lease(**ORDERS["vms"], env_vars={"TOKEN": "canary"}, cloud_init="canary", nmae="canary")
    assert "canary" not in f"{caught.value!r}"
