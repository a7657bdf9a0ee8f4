"""Creating when there is room for it."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import re
from collections import Counter
from typing import get_type_hints

import pytest

from openrelay_async import errors, orders, program_end
from openrelay_async.emulator import Emulator, Fault, TurnedClock
from openrelay_async.lease_record import LeaseRecord
from openrelay_async.resources import clusters, pods, vms

EIGHT = {"gpu_model_id": "b200", "gpu_count": 8}


async def test_without_patience_no_room_is_an_error_at_once(client, emulator):
    await client.vms.create(name="first", **EIGHT)
    emulator.clear_requests()
    with pytest.raises(errors.CapacityUnavailable):
        await client.vms.create(name="second", **EIGHT)
    assert len(emulator.requests) == 1


async def test_a_create_waits_until_there_is_room(client, emulator, clock):
    """R5.7"""
    first = await client.vms.create(name="first", **EIGHT)
    other = emulator.client(clock=clock)
    emulator.clear_requests()
    waiting = asyncio.ensure_future(client.vms.create(name="second", wait_for_capacity=3600, **EIGHT))
    async with asyncio.timeout(5), other:
        while len(emulator.requests) < 10:
            await asyncio.sleep(0.001)
        await other.vms.terminate(first.id)
        second = await waiting
    assert second.name == "second"
    seen = Counter(request.operation for request in emulator.requests)
    assert seen["createVm"] <= 3, "availability is watched, creating is not hammered"
    assert seen["getGpuAvailability"] >= 8


async def test_every_attempt_carries_the_same_idempotency_key(client, emulator, clock):
    keys = []

    class Hook:
        def on_attempt(self, event):
            if event.operation == "createVm":
                keys.append(event.idempotency_key)

    emulator.faults.add(Fault(operation="createVm", times=2, status=503, code="INSUFFICIENT_GPU_CAPACITY"))
    async with emulator.client(clock=clock.jumping(), hooks=[Hook()]) as client:
        await client.vms.create(name="x", gpu_model_id="rtx-4090", wait_for_capacity=600)
    assert len(keys) == 3
    assert len(set(keys)) == 1


async def test_true_waits_for_room_as_long_as_it_takes(client, emulator, clock, until):
    first = await client.vms.create(name="first", **EIGHT)
    began = clock.monotonic()
    async with emulator.client(clock=clock) as other:
        waiting = asyncio.ensure_future(client.vms.create(name="second", wait_for_capacity=True, **EIGHT))
        await until(lambda: clock.monotonic() - began > 5_000)
        assert not waiting.done()
        await other.vms.terminate(first.id)
        assert (await asyncio.wait_for(waiting, 5)).name == "second"


async def test_false_is_no_patience(client, emulator):
    await client.vms.create(name="first", **EIGHT)
    emulator.clear_requests()
    with pytest.raises(errors.CapacityUnavailable):
        await client.vms.create(name="second", wait_for_capacity=False, **EIGHT)
    with pytest.raises(errors.CapacityUnavailable):
        async with client.vms.lease(name="second", wait_for_capacity=False, **EIGHT):
            pass
    assert [seen.operation for seen in emulator.requests].count("createVm") == 2


async def test_a_lease_waits_for_room_as_long_as_it_takes(client, emulator, clock, until):
    first = await client.vms.create(name="first", **EIGHT)
    began = clock.monotonic()

    async def use() -> str:
        async with client.vms.lease(name="second", wait_for_capacity=True, **EIGHT) as vm:
            return vm.name

    async with emulator.client(clock=clock) as other:
        waiting = asyncio.ensure_future(use())
        await until(lambda: clock.monotonic() - began > 5_000)
        await other.vms.terminate(first.id)
        assert await asyncio.wait_for(waiting, 5) == "second"


async def test_the_limit_of_a_lease_does_not_count_the_wait_for_room(client, emulator, clock, until):
    """Its machine costs from its creation."""
    first = await client.vms.create(name="first", **EIGHT)
    entered_at = []

    async def use() -> None:
        async with client.vms.lease(name="second", wait_for_capacity=True, max_duration=3_600, **EIGHT):
            entered_at.append(clock.monotonic())
            await asyncio.Event().wait()

    async with emulator.client(clock=clock) as other:
        waiting = asyncio.ensure_future(use())
        await until(lambda: clock.monotonic() > 5_000)
        await other.vms.terminate(first.id)
        with pytest.raises(errors.LeaseExpired, match="after 3600 s"):
            await asyncio.wait_for(waiting, 5)
    assert 3_000 < clock.monotonic() - entered_at[0] <= 3_600


async def test_a_lease_that_is_cancelled_waits_for_room_no_more(emulator, tmp_path, until):
    """R5.8: nothing is created yet that would have to be ended"""
    record = tmp_path / "leases.jsonl"

    async def use(client, name: str) -> None:
        async with client.vms.lease(name=name, wait_for_capacity=True, record=record, **EIGHT):
            raise AssertionError("there is no room")

    async with emulator.client() as client:
        await client.vms.create(name="first", **EIGHT)
        emulator.clear_requests()
        # One waits for availability, the other for its turn.
        waits = [asyncio.ensure_future(use(client, name)) for name in ("second", "third")]
        await until(lambda: [seen.operation for seen in emulator.requests].count("createVm") == 2)
        await asyncio.sleep(0.05)
        for each in waits:
            each.cancel()
        for each in waits:
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(each, 1)
        assert not client._calls.transport.shared.pollers
    assert LeaseRecord(record).read_open() == []


async def test_no_room_in_all_that_time_is_the_error_it_was(client, clock):
    await client.vms.create(name="first", **EIGHT)
    began = clock.monotonic()
    with pytest.raises(errors.CapacityUnavailable):
        await client.vms.create(name="second", wait_for_capacity=300, **EIGHT)
    assert clock.monotonic() - began == pytest.approx(300, abs=1)


@pytest.mark.parametrize("code", ["NAME_TAKEN", "INVALID_REQUEST"])
async def test_other_errors_are_not_waited_for(client, emulator, code):
    """R5.7"""
    emulator.faults.add(Fault(operation="createVm", times=None, status=409, code=code))
    emulator.clear_requests()
    with pytest.raises(errors.Conflict):
        await client.vms.create(name="x", gpu_model_id="rtx-4090", wait_for_capacity=600)
    assert len(emulator.requests) == 1


async def test_creates_that_wait_for_the_same_take_turns():
    """Twenty wait for one GPU each; two become free: availability is asked by one at a time."""
    clock = TurnedClock()
    async with (
        Emulator(clock=clock, fleet={"rtx-4090": 2}) as emulator,
        emulator.client(clock=clock.jumping()) as client,
        emulator.client(clock=clock) as other,
    ):
        taken = [await other.vms.create(name=f"t-{n}", gpu_model_id="rtx-4090") for n in range(2)]
        emulator.clear_requests()
        waits = [
            asyncio.ensure_future(
                client.vms.create(name=f"w-{n}", gpu_model_id="rtx-4090", wait_for_capacity=36_000)
            )
            for n in range(20)
        ]
        async with asyncio.timeout(5):
            while len(emulator.requests) < 40:
                await asyncio.sleep(0.001)
            for vm in taken:
                await other.vms.terminate(vm.id)
            while sum(wait.done() for wait in waits) < 2:
                await asyncio.sleep(0.001)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        seen = Counter(request.operation for request in emulator.requests)
        assert seen["createVm"] <= 26, "twenty at first, then one at a time"
        assert not client._calls.transport.shared.pollers


async def test_pods_and_clusters_wait_for_capacity_too(client, emulator):
    emulator.faults.add(
        Fault(operation="createCluster", times=1, status=503, code="INSUFFICIENT_GPU_CAPACITY"),
        Fault(operation="createPod", times=1, status=503, code="POD_NODE_BUSY"),
    )
    cluster = await client.clusters.create(
        name="api", gpu_model_id="rtx-4090", image_url="nginx", container_port=80, wait_for_capacity=60
    )
    assert cluster.status == "deploying"


@pytest.mark.parametrize(
    ("kind", "order"),
    [(vms.Vms, orders.VmOrder), (clusters.Clusters, orders.ClusterOrder), (pods.Pods, orders.PodOrder)],
)
def test_a_lease_takes_what_create_takes(kind, order):
    """What a newer description adds must not be lost here."""
    described = set(inspect.signature(kind.create).parameters)
    assert set(get_type_hints(order)) == described - {
        "self",
        "idempotency_key",
        "wait_for_capacity",
    }


@pytest.mark.parametrize("package", ["openrelay_async", "openrelay_sync"])
@pytest.mark.parametrize("resource", ["clusters", "pods", "vms"])
def test_a_lease_conceals_what_create_conceals(resource, package):
    """R4.1: its frames are in tracebacks as well."""
    create, lease = (
        inspect.getsource(getattr(find_class(package, resource), name)) for name in ("create", "lease")
    )
    secrets = re.findall(r"(\w+) = conceal\(\1\)", create)
    assert secrets
    assert [name for name in secrets if f'order["{name}"] = conceal(order["{name}"])' not in lease] == []


def find_class(package, resource):
    folder = "resources" if package == "openrelay_async" else "generated.resources"
    return getattr(importlib.import_module(f"{package}.{folder}.{resource}"), resource.title())


@pytest.mark.parametrize("status", [500, 403])
async def test_availability_that_cannot_be_read_does_not_keep_from_creating(client, emulator, status):
    """R5.7"""
    emulator.faults.add(
        Fault(operation="createVm", call=1, status=503, code="INSUFFICIENT_GPU_CAPACITY"),
        Fault(operation="getGpuAvailability", times=None, status=status),
    )
    emulator.clear_requests()
    vm = await client.vms.create(name="x", gpu_model_id="rtx-4090", wait_for_capacity=600)
    assert vm.name == "x"
    seen = Counter(request.operation for request in emulator.requests)
    assert seen["getGpuAvailability"] <= 4


async def test_a_create_that_waits_ends_with_the_client(client, emulator, clock, until):
    """R5.7: a service that drains does not wait for room"""
    await client.vms.create(name="first", **EIGHT)
    async with emulator.client() as draining:
        emulator.clear_requests()
        waiting = [
            asyncio.ensure_future(draining.vms.create(name=name, wait_for_capacity=3600, **EIGHT))
            for name in ("second", "third")
        ]
        await until(lambda: len(emulator.requests) == 2)
        await asyncio.wait_for(draining.drain(), 5)
        for each in waiting:
            with pytest.raises(errors.ConnectionFailed, match="is draining"):
                await asyncio.wait_for(each, 5)
        assert all(request.operation == "createVm" for request in emulator.requests)


async def test_creates_that_wait_in_a_queue_end_together_with_the_client(
    client, emulator, clock, until, monkeypatch
):
    """R5.7: not one after the other, each with the moment in which a program may end"""
    await client.vms.create(name="first", **EIGHT)
    monkeypatch.setattr(program_end, "_MOMENT", 0.5)
    closing = emulator.client()
    queues = closing._calls.transport.shared.pollers
    waiting = [
        asyncio.ensure_future(closing.vms.create(name=f"vm-{number}", wait_for_capacity=True, **EIGHT))
        for number in range(30)
    ]
    await until(lambda: [queue.users for queue in queues.values()] == [30])
    await closing.aclose()
    async with asyncio.timeout(5):
        ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert {str(end) for end in ends} == {"the client is closed"}
    assert {type(end) for end in ends} == {errors.ConnectionFailed}
