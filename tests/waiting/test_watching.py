"""Changes as an async iterator."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import aclosing

import pytest

from openrelay_async import errors
from openrelay_async.emulator import Fault
from openrelay_async.models import VmSummary
from openrelay_async.watching import Watch


async def read(changes, count):
    found = []
    async with asyncio.timeout(5):
        async for change in changes:
            found.append(change)
            if len(found) == count:
                break
    return found


async def test_each_change_is_told_once(client, make_vms):
    """R5.6"""
    (vm,) = await make_vms(1)
    told = []
    async with aclosing(client.vms.watch()) as changes:
        while not told or told[-1].resource.status != "running":
            told += await read(changes, 1)
        await client.vms.terminate(vm.id)
        told += await read(changes, 1)
    assert [change.kind for change in told] == ["appeared"] + ["changed"] * (len(told) - 1)
    assert told[0].resource.status == "deploying"
    assert told[-1].resource.status == "terminated"
    for earlier, later in itertools.pairwise(told):
        assert later.previous == earlier.resource != later.resource


async def test_what_is_there_can_be_left_out(client, emulator, make_vms):
    (vm,) = await make_vms(1)
    emulator.move_vm(vm.id, "running")
    async with aclosing(client.vms.watch(existing=False)) as changes:
        reading = asyncio.ensure_future(read(changes, 1))
        await asyncio.sleep(0.02)
        await client.vms.stop(vm.id)
        (change,) = await reading
    assert (change.kind, change.resource.status) == ("changed", "stopped")
    assert change.previous.status == "running"


async def test_a_slow_reader_is_told_the_latest(client, emulator, make_vms, until):
    """R5.6"""
    (vm,) = await make_vms(1)
    emulator.move_vm(vm.id, "running")
    async with aclosing(client.vms.watch()) as changes:
        await read(changes, 1)
        for state in ("interrupted", "running", "stopped"):
            emulator.move_vm(vm.id, state)
            emulator.clear_requests()
            await until(lambda: len(emulator.requests) >= 2)
        (change,) = await read(changes, 1)
    assert change.resource.status == "stopped"
    assert change.previous.status == "running"


async def test_a_watch_goes_on_after_errors(client, emulator, make_vms):
    """R5.6"""
    (vm,) = await make_vms(1)
    async with aclosing(client.vms.watch()) as changes:
        await read(changes, 2)
        emulator.faults.add(Fault(operation="listOrgVms", times=40, status=503))
        emulator.move_vm(vm.id, "failed")
        (change,) = await read(changes, 1)
    assert change.resource.status == "failed"


async def test_a_refused_key_ends_a_watch(client, emulator):
    emulator.faults.add(Fault(operation="listOrgVms", times=None, status=401))
    with pytest.raises(errors.Unauthenticated):
        await read(client.vms.watch(), 1)


async def test_nothing_is_polled_for_a_reader_who_is_busy_when_the_key_is_refused(
    client, emulator, make_vms, until, list_polls
):
    await make_vms(1)
    async with aclosing(client.vms.watch(interval=0.5)) as changes:
        await read(changes, 1)
        emulator.faults.add(Fault(operation="listOrgVms", times=None, status=403))
        emulator.clear_requests()
        await until(lambda: not list_polls())
        assert [seen.status for seen in emulator.requests if seen.operation == "listOrgVms"].count(403) == 1
        assert not client._calls.transport.shared.pollers
        with pytest.raises(errors.PermissionDenied):
            await read(changes, 10)


async def test_a_busy_reader_keeps_no_polls_when_the_client_is_closed(
    emulator, make_vms, clock, list_polls, until
):
    """On a clock that stands still: a poller that sleeps would do so for ever."""
    await make_vms(1)
    client = emulator.client(clock=clock)
    async with aclosing(client.vms.watch()) as changes:
        await read(changes, 1)
        await client.aclose()
        await until(lambda: not list_polls())
        with pytest.raises(errors.ConnectionFailed):
            await read(changes, 10)


async def test_leaving_a_watch_leaves_no_task(client, make_vms, list_polls):
    await make_vms(1)
    async with aclosing(client.vms.watch()) as changes:
        await read(changes, 1)
    assert not client._calls.transport.shared.pollers
    assert not list_polls()


async def test_watches_and_waits_share_their_polls(client, emulator, make_vms):
    vms = await make_vms(10)
    async with aclosing(client.vms.watch()) as changes:
        await read(changes, 10)
        emulator.clear_requests()
        await client.vms.wait_all([vm.id for vm in vms])
        assert {seen.operation for seen in emulator.requests} == {"listOrgVms"}


def vm(status: str, id: str = "vm_1") -> VmSummary:
    return VmSummary(id=id, name="x", organization_id="org_1", status=status)


async def test_what_is_gone_is_told_with_its_last_state():
    watch = Watch(frozenset({"terminated"}), existing=True)
    watch.see(vm("running"), 1)
    assert watch.missing(1) == []
    assert (await watch.next()).kind == "appeared"
    assert watch.missing(2) == ["vm_1"]
    watch.lose("vm_1")
    change = await watch.next()
    assert (change.kind, change.resource.status) == ("gone", "running")


async def test_a_final_state_that_no_list_shows_is_not_missed():
    """R5.6"""
    watch = Watch(frozenset({"terminated"}), existing=True)
    watch.see(vm("running"), 1)
    watch.missing(1)
    await watch.next()
    watch.see_unlisted(vm("terminated"), 2)
    assert (await watch.next()).resource.status == "terminated"
    assert watch.missing(3) == []


async def test_a_change_that_was_undone_before_it_was_read_is_not_told():
    watch = Watch(frozenset({"terminated"}), existing=True)
    watch.see(vm("running"), 1)
    watch.missing(1)
    await watch.next()
    watch.see(vm("interrupted"), 2)
    watch.see(vm("running"), 3)
    watch.see(vm("running", "vm_2"), 3)
    assert (await watch.next()).id == "vm_2"


async def test_what_had_ended_before_the_watch_began_is_not_told():
    watch = Watch(frozenset({"terminated"}), existing=True)
    watch.see(vm("terminated"), 1)
    watch.see(vm("running", "vm_2"), 1)
    watch.missing(1)
    assert (await watch.next()).id == "vm_2"
