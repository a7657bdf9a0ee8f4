"""Many waits, few requests."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import Counter

import pytest

from openrelay_async import errors, program_end
from openrelay_async.emulator import Fault
from openrelay_async.fleets import Fleet
from openrelay_async.generated.operation_rows.vms import GET_VM, LIST_ORG_VMS
from openrelay_async.lifecycles import VMS
from openrelay_async.models import VmSummary
from openrelay_async.poll_source import Reading, Source
from openrelay_async.waiting import WaitOptions


def count(emulator) -> Counter[str]:
    return Counter(seen.operation for seen in emulator.requests)


async def test_500_waits_cost_one_list_call_a_tick(client, emulator, make_vms, clock):
    """R5.5"""
    vms = await make_vms(500)
    for vm in vms:
        emulator.move_vm(vm.id, "pending")
        emulator.move_vm(vm.id, "running", after=60)
    ticks = []

    class Hook:
        def on_wait_tick(self, tick):
            ticks.append(tick)

    async with emulator.client(clock=clock.jumping(), hooks=[Hook()]) as client:
        emulator.clear_requests()
        await asyncio.gather(*(client.vms.wait(vm.id) for vm in vms))
    assert set(count(emulator)) == {"listOrgVms"}
    assert {tick.requests for tick in ticks} == {1}
    assert len(emulator.requests) <= len(ticks) + 1


async def test_two_waits_for_one_id_share_one_request(client, emulator, make_vms):
    """R5.5"""
    (vm,) = await make_vms(1)
    emulator.move_vm(vm.id, "running")
    emulator.clear_requests()
    await asyncio.gather(client.vms.wait(vm.id), client.vms.wait(vm.id))
    assert len(emulator.requests) == 1


async def test_views_of_a_client_share_its_polls(client, emulator, make_vms):
    vms = await make_vms(20)
    emulator.clear_requests()
    views = [client.with_options(timeout=30 + number) for number in range(20)]
    await asyncio.gather(*(view.vms.wait(vm.id) for view, vm in zip(views, vms, strict=True)))
    assert set(count(emulator)) == {"listOrgVms"}
    assert len(emulator.requests) <= 6


async def test_organizations_are_polled_apart(client, emulator, make_vms):
    vms = await make_vms(6)
    other = emulator.add_organization("Other")
    theirs = client.with_options(api_key=other.api_key, org_id=other.org_id)
    foreign = await theirs.vms.create(name="x", gpu_model_id="rtx-4090", gpu_count=1)
    own, their = await asyncio.gather(client.vms.wait_all([vm.id for vm in vms]), theirs.vms.wait(foreign.id))
    assert {vm.organization_id for vm in own} == {emulator.org_id}
    assert their.organization_id == other.org_id


async def test_an_id_that_the_list_lacks_is_read_singly(client, emulator, make_vms):
    """R5.5"""
    vms = await make_vms(8)
    waits = [asyncio.ensure_future(client.vms.wait(vm.id)) for vm in vms]
    missing = asyncio.ensure_future(client.vms.wait("vm_00000000000000000000"))
    emulator.clear_requests()
    with pytest.raises(errors.NotFound):
        await missing
    assert count(emulator)["getVm"] == 1
    await asyncio.gather(*waits)


async def test_ssh_readiness_of_many_is_read_singly_only_once_they_run(client, emulator, make_vms):
    """R5.5"""
    vms = await make_vms(12)
    for vm in vms:
        emulator.move_vm(vm.id, "pending")
        emulator.move_vm(vm.id, "running", after=50)
    emulator.clear_requests()
    ready = await client.vms.wait_all([vm.id for vm in vms], until="ssh_ready")
    assert all(vm.ssh_ready for vm in ready)
    first_detail = next(seen.at for seen in emulator.requests if seen.operation == "getVmDetail")
    assert first_detail - emulator.requests[0].at >= 50
    assert count(emulator)["getVm"] == 0


async def test_single_reads_of_one_look_are_bounded(client, emulator, make_vms):
    """R5.5: 250 running VMs, none reachable by SSH yet"""
    vms = await make_vms(250)
    for vm in vms:
        emulator.move_vm(vm.id, "running")
    ticks = []

    class Hook:
        def on_wait_tick(self, tick):
            ticks.append(tick.requests)

    async with emulator.client(clock=emulator.clock.jumping(), hooks=[Hook()]) as other:
        await other.vms.wait_all([vm.id for vm in vms], until="ssh_ready")
    assert max(ticks) <= 101


async def test_waits_that_begin_one_after_the_other_do_not_each_cause_a_look(emulator, make_vms):
    vms = await make_vms(100)
    async with emulator.client() as client:
        emulator.clear_requests()

        async def begin(position: int) -> None:
            await asyncio.sleep(position * 0.002)
            with pytest.raises(errors.WaitTimeout):
                await client.vms.wait(vms[position].id, until="stopped", timeout=0.5)

        began = time.monotonic()
        await asyncio.gather(*(begin(position) for position in range(100)))
        took = time.monotonic() - began
    assert len(emulator.requests) <= 6 + took / 0.45, "looks for those who come are half a second apart"


async def test_results_come_in_the_order_of_the_ids(client, make_vms):
    vms = await make_vms(9)
    ids = [vm.id for vm in reversed(vms)]
    assert [vm.id for vm in await client.vms.wait_all(ids)] == ids


async def test_the_first_error_ends_a_wait_for_all(client, emulator, make_vms):
    vms = await make_vms(6)
    emulator.move_vm(vms[3].id, "failed", reason="host lost")
    with pytest.raises(errors.WaitFailed, match="host lost"):
        await client.vms.wait_all([vm.id for vm in vms], until="stopped")
    assert not client._calls.transport.shared.pollers


async def test_waiting_for_any_gives_the_first_that_gets_there(client, emulator, make_vms):
    vms = await make_vms(6)
    emulator.move_vm(vms[0].id, "failed")
    emulator.move_vm(vms[4].id, "stopped", after=1)
    vm = await client.vms.wait_any([vm.id for vm in vms], until="stopped")
    assert vm.id == vms[4].id


async def test_waiting_for_any_raises_when_none_can_get_there(client, emulator, make_vms):
    vms = await make_vms(3)
    for vm in vms:
        emulator.move_vm(vm.id, "failed", reason="power cut")
    with pytest.raises(errors.WaitFailed, match="power cut"):
        await client.vms.wait_any([vm.id for vm in vms])


async def test_outcomes_come_as_they_end_with_errors_apart(client, emulator, make_vms):
    vms = await make_vms(6)
    for position, vm in enumerate(vms):
        emulator.move_vm(vm.id, "running", after=60 - 10 * position)
    emulator.move_vm(vms[0].id, "failed")
    outcomes = [outcome async for outcome in client.vms.as_completed([vm.id for vm in vms])]
    assert [outcome.id for outcome in outcomes] == [vms[0].id, *(vm.id for vm in reversed(vms[1:]))]
    assert isinstance(outcomes[0].error, errors.WaitFailed)
    assert all(outcome.resource.status == "running" for outcome in outcomes[1:])


async def test_nothing_to_wait_for_ends_at_once(client):
    assert await client.vms.wait_all([]) == []
    with pytest.raises(ValueError, match="no id"):
        await client.vms.wait_any([])


async def test_a_failed_list_call_is_borne_by_all_and_ends_none(client, emulator, make_vms):
    """R5.2"""
    vms = await make_vms(20)
    emulator.faults.add(Fault(operation="listOrgVms", times=4, status=503))
    assert len(await client.vms.wait_all([vm.id for vm in vms], max_failures=4)) == 20


async def test_a_failure_of_a_request_that_a_wait_did_not_cause_is_not_its_own(client):
    """R5.2: it was under way when the wait began"""
    is_read, answer = asyncio.Event(), asyncio.Event()
    outcomes = iter([errors.Unavailable("down", status=503), "running"])

    async def read(resource_id: str) -> VmSummary:
        is_read.set()
        await answer.wait()
        if isinstance(outcome := next(outcomes), errors.Unavailable):
            raise outcome
        return VmSummary(id=resource_id, name="x", organization_id="org_1", status=outcome)

    source = Source(VMS, LIST_ORG_VMS, pages=lambda size: pytest.fail("one"), read=Reading(GET_VM, read))
    fleet = Fleet(client._calls, source, "org_1")
    first = asyncio.ensure_future(fleet.wait("vm_1", "running", WaitOptions()))
    await is_read.wait()
    second = asyncio.ensure_future(fleet.wait("vm_1", "running", WaitOptions(max_failures=0)))
    await asyncio.sleep(0)
    answer.set()
    assert (await first).status == (await second).status == "running"


async def test_a_refused_key_ends_all_waits_with_an_error_of_their_own(client, emulator, make_vms):
    """R5.2"""
    vms = await make_vms(10)
    emulator.faults.add(Fault(operation="listOrgVms", times=None, status=403))
    results = await asyncio.gather(*(client.vms.wait(vm.id) for vm in vms), return_exceptions=True)
    assert all(isinstance(result, errors.PermissionDenied) for result in results)
    assert len(set(map(id, results))) == 10


async def test_a_client_waits_in_two_loops_at_once(emulator, make_vms):
    """R1.2"""
    vms = await make_vms(2)
    for vm in vms:
        emulator.move_vm(vm.id, "running")
    client = emulator.client()

    async def wait(vm_id: str) -> str:
        return (await client.vms.wait(vm_id)).status

    found = []
    thread = threading.Thread(target=lambda: found.append(asyncio.run(wait(vms[0].id))))
    thread.start()
    found.append(await wait(vms[1].id))
    await asyncio.to_thread(thread.join)
    assert found == ["running", "running"]
    assert not client._calls.transport.shared.pollers
    await client.aclose()


@pytest.mark.parametrize("end", ["aclose", "drain"])
async def test_waits_end_with_their_client(emulator, make_vms, until, end):
    (vm,) = await make_vms(1)
    client = emulator.client()
    wait = asyncio.ensure_future(client.vms.wait(vm.id, until="stopped"))
    watch = asyncio.ensure_future(anext(client.vms.watch(existing=False)))
    emulator.clear_requests()
    await until(lambda: emulator.requests)
    await getattr(client, end)()
    for waiting in (wait, watch):
        with pytest.raises(errors.ConnectionFailed, match=r"closed|draining"):
            await asyncio.wait_for(waiting, 1)
    await client.aclose()


async def test_many_waits_of_one_caller_end_together_with_their_client(
    emulator, make_vms, until, monkeypatch
):
    """Not one after the other, each with the moment in which a program may end."""
    ids = [vm.id for vm in await make_vms(30)]
    monkeypatch.setattr(program_end, "_MOMENT", 0.5)
    client = emulator.client()

    async def collect() -> list[errors.OpenRelayError]:
        return [outcome.error async for outcome in client.vms.as_completed(ids, until="stopped")]

    collecting = asyncio.ensure_future(collect())
    waiting = asyncio.ensure_future(client.vms.wait_any(ids, until="stopped"))
    emulator.clear_requests()
    await until(lambda: emulator.requests)
    await client.aclose()
    async with asyncio.timeout(5):
        assert {str(error) for error in await collecting} == {"the client is closed"}
        with pytest.raises(errors.ConnectionFailed, match="is closed"):
            await waiting


async def test_a_wait_that_leaves_late_leaves_the_polls_of_later_ones_alone(
    client, emulator, make_vms, until
):
    first, second = await make_vms(2)
    emulator.move_vm(first.id, "running")
    pollers = client._calls.transport.shared.pollers
    outcomes = client.vms.as_completed([first.id])
    assert (await anext(outcomes)).id == first.id
    await until(lambda: not pollers)
    later = asyncio.ensure_future(client.vms.wait(second.id, until="stopped", timeout=math.inf))
    await until(lambda: pollers)
    (poller,) = pollers.values()
    await outcomes.aclose()
    assert list(pollers.values()) == [poller]
    later.cancel()
    await asyncio.gather(later, return_exceptions=True)
    assert not pollers


async def test_a_look_can_be_asked_for(emulator, make_vms, until, clock):
    """What a webhook receiver does; the next look would be many seconds away."""
    (vm,) = await make_vms(1)
    async with emulator.client(clock=clock) as client:
        wait = asyncio.ensure_future(client.vms.wait(vm.id, until="stopped", timeout=5000))
        emulator.clear_requests()
        await until(lambda: emulator.requests)
        while clock.monotonic() < 200:
            clock.advance(2)
            await asyncio.sleep(0.002)
        # From here on polls are tens of seconds apart: one step brings the next, another does not.
        emulator.clear_requests()
        while not emulator.requests:
            clock.advance(2)
            await asyncio.sleep(0.01)
        emulator.move_vm(vm.id, "stopped")
        clock.advance(2)
        await asyncio.sleep(0.05)
        assert not wait.done()
        await client.vms.look_now()
        assert (await asyncio.wait_for(wait, 2)).status == "stopped"


async def test_those_who_hurry_wait_as_long_as_the_service_asks(emulator, make_vms, until):
    """R5.1"""
    (vm,) = await make_vms(1)
    emulator.faults.add(Fault(operation="getVm", call=1, status=503, retry_after=3600))
    emulator.clear_requests()
    async with emulator.client() as client:
        wait = asyncio.ensure_future(client.vms.wait(vm.id, timeout=5000))
        await until(lambda: emulator.requests)
        await client.vms.look_now()
        await asyncio.sleep(0.05)
        assert len(emulator.requests) == 1
        wait.cancel()
        await asyncio.gather(wait, return_exceptions=True)


async def test_clusters_are_waited_for_through_degraded(client, emulator):
    cluster = await client.clusters.create(
        name="api", gpu_model_id="rtx-4090", replica_count=2, image_url="nginx", container_port=80
    )
    running = await client.clusters.wait(cluster.id)
    assert running.status == "running"
    await client.clusters.terminate(cluster.id)
    with pytest.raises(errors.WaitFailed):
        await client.clusters.wait(cluster.id)
