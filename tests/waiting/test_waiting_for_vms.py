"""Waits on VMs against the emulator: goals, ends, errors, tolerance."""

from __future__ import annotations

import asyncio
import pickle
import time

import pytest

from openrelay_async import errors
from openrelay_async.emulator import Fault
from openrelay_async.models import VmDetail, VmSummary


async def test_a_wait_ends_when_the_vm_runs(client, make_vms):
    (vm,) = await make_vms(1)
    running = await client.vms.wait(vm.id, until="running", timeout=1800)
    assert isinstance(running, VmSummary)
    assert running.status == "running"


async def test_ssh_ready_gives_the_vm_in_full(client, make_vms):
    """R5.7"""
    (vm,) = await make_vms(1)
    ready = await client.vms.wait(vm.id, until="ssh_ready")
    assert isinstance(ready, VmDetail)
    assert ready.ssh_ready is True


async def test_half_an_hour_of_waiting_takes_no_time_on_a_turned_clock(client, make_vms, clock):
    """R10.2, R5.1: it costs what its polls cost, some 35 ms; how fast they are is the machine's business."""
    (vm,) = await make_vms(1)
    waits, lists = [], []
    for _ in range(5):
        began, at = time.process_time(), clock.monotonic()
        with pytest.raises(errors.WaitTimeout) as caught:
            await client.vms.wait(vm.id, until="stopped", timeout=1800)
        waits.append(time.process_time() - began)
        assert clock.monotonic() - at == pytest.approx(1800)
        assert caught.value.elapsed == pytest.approx(1800)
        assert 20 < caught.value.polls < 90
        began = time.process_time()
        for _ in range(caught.value.polls):
            await client.vms.list()
        lists.append(time.process_time() - began)
    assert min(waits) < 2 * min(lists)
    assert min(waits) < 0.5


async def test_intervals_back_off_to_a_cap_and_are_jittered(emulator, clock, make_vms):
    """R5.1"""
    (vm,) = await make_vms(1)
    delays = []

    class Hook:
        def on_wait_tick(self, tick):
            delays.append(tick.delay)

    async with emulator.client(clock=clock.jumping(), hooks=[Hook()]) as client:
        with pytest.raises(errors.WaitTimeout):
            await client.vms.wait(vm.id, until="stopped", timeout=1800)
    assert delays[0] < 2
    assert max(delays) <= 66
    assert min(delays[-10:]) >= 54
    assert len(set(delays[-10:])) > 5


async def test_interval_sets_the_longest_pause(emulator, clock, make_vms):
    (vm,) = await make_vms(1)
    delays = []

    class Hook:
        def on_wait_tick(self, tick):
            delays.append(tick.delay)

    async with emulator.client(clock=clock.jumping(), hooks=[Hook()]) as client:
        with pytest.raises(errors.WaitTimeout):
            await client.vms.wait(vm.id, until="stopped", timeout=300, interval=10)
    assert 9 <= max(delays) <= 11


async def test_a_state_that_cannot_reach_the_goal_ends_the_wait_at_once_with_its_reason(
    client, emulator, make_vms
):
    """R5.3"""
    (vm,) = await make_vms(1)
    emulator.move_vm(vm.id, "failed", reason="host lost", after=0.5)
    with pytest.raises(errors.WaitFailed, match="host lost") as caught:
        await client.vms.wait(vm.id, until="running")
    assert caught.value.status_reason == "host lost"
    assert caught.value.state == "failed"
    assert caught.value.polls <= 3


@pytest.mark.parametrize("state", ["interrupted", "levitating"])
async def test_interrupted_and_unknown_states_keep_waiting(client, emulator, make_vms, state):
    """R5.3"""
    (vm,) = await make_vms(1)
    emulator.move_vm(vm.id, state)
    emulator.move_vm(vm.id, "running", after=30)
    seen = []
    vm = await client.vms.wait(vm.id, until="running", on_update=lambda update: seen.append(update.status))
    assert vm.status == "running"
    assert seen == [state, "running"]


async def test_updates_tell_each_change_once(client, make_vms):
    (vm,) = await make_vms(1)
    updates = []
    await client.vms.wait(vm.id, until="running", on_update=updates.append)
    assert updates[0].status == "deploying"
    assert updates[-1].status == "running"
    assert updates[-1].resource.id == vm.id
    assert len({update.resource for update in updates}) == len(updates)
    assert "running after" in str(updates[-1])


async def test_what_on_update_raises_ends_that_wait_alone(client, make_vms):
    first, second = await make_vms(2)

    def fail(update):
        raise LookupError("mine")

    broken = asyncio.ensure_future(client.vms.wait(first.id, on_update=fail))
    assert (await client.vms.wait(second.id)).status == "running"
    with pytest.raises(LookupError, match="mine"):
        await broken


@pytest.mark.parametrize("kind", [asyncio.CancelledError, StopIteration])
async def test_what_a_future_cannot_hold_ends_that_wait_alone_too(client, make_vms, kind):
    """What `on_update` looks at may have been cancelled, such as a future of its own."""
    first, second = await make_vms(2)

    def fail(update):
        raise kind

    broken = asyncio.ensure_future(client.vms.wait(first.id, on_update=fail))
    of_many = client.vms.as_completed([first.id], on_update=fail)
    assert (await client.vms.wait(second.id)).status == "running"
    with pytest.raises(errors.OpenRelayError, match=f"on_update raised {kind.__name__}") as caught:
        await broken
    assert isinstance(caught.value.__cause__, kind)
    (outcome,) = [outcome async for outcome in of_many]
    assert isinstance(outcome.error.__cause__, kind)


async def test_a_timeout_carries_what_was_seen_and_survives_pickling(client, make_vms):
    """R5.4"""
    (vm,) = await make_vms(1)
    with pytest.raises(TimeoutError) as caught:
        await client.vms.wait(vm.id, until="stopped", timeout=60)
    error = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own
    assert isinstance(error, errors.WaitTimeout)
    assert (error.resource_id, error.until, error.state) == (vm.id, "stopped", "running")
    assert error.resource.name == vm.name
    assert error.elapsed == pytest.approx(60)
    assert error.polls > 3


async def test_a_token_goes_on_with_the_wait_in_another_client(client, emulator, clock, make_vms):
    """R5.4"""
    (vm,) = await make_vms(1)
    with pytest.raises(errors.WaitTimeout) as first:
        await client.vms.wait(vm.id, until="stopped", timeout=60)
    async with emulator.client(clock=clock.jumping()) as other:
        with pytest.raises(errors.WaitTimeout) as second:
            await other.vms.resume_wait(first.value.token, timeout=60)
        assert second.value.elapsed == pytest.approx(120)
        assert second.value.polls > first.value.polls
        await other.vms.stop(vm.id)
        stopped = await other.vms.resume_wait(second.value.token)
    assert stopped.status == "stopped"


@pytest.mark.parametrize("token", ["", "x", "é", "bm9wZQ", "W10", "WzEsMiwzLDQsNSw2LDdd"])
async def test_what_is_no_token_is_refused(client, token):
    with pytest.raises(ValueError, match="not the token of a wait"):
        await client.vms.resume_wait(token)


async def test_a_token_of_another_kind_is_refused(client, make_vms):
    (vm,) = await make_vms(1)
    with pytest.raises(errors.WaitTimeout) as caught:
        await client.vms.wait(vm.id, until="stopped", timeout=5)
    with pytest.raises(ValueError, match="a wait on vms, not clusters"):
        await client.clusters.resume_wait(caught.value.token)


async def test_passing_failures_do_not_end_a_wait_and_success_resets_the_count(client, emulator, make_vms):
    """R5.2"""
    (vm,) = await make_vms(1)
    emulator.move_vm(vm.id, "running", after=100)
    emulator.faults.add(
        Fault(operation="getVm", call=1, times=3, status=503),
        Fault(operation="getVm", call=5, times=3, reset="before"),
        Fault(operation="getVm", call=9, times=3, body="garbage"),
    )
    vm = await client.vms.wait(vm.id, until="running", max_failures=3)
    assert vm.status == "running"


async def test_too_many_failures_in_a_row_end_a_wait(client, emulator, make_vms):
    """R5.2"""
    (vm,) = await make_vms(1)
    emulator.faults.add(Fault(operation="getVm", times=None, status=502))
    emulator.clear_requests()
    with pytest.raises(errors.WaitError) as caught:
        await client.vms.wait(vm.id, max_failures=3)
    assert not isinstance(caught.value, errors.WaitTimeout | errors.WaitFailed)
    assert caught.value.status == 502
    assert isinstance(caught.value.__cause__, errors.ServerError)
    assert len(emulator.requests) == 4
    assert caught.value.token


async def test_failures_of_before_a_wait_began_are_not_its_own(client, emulator, make_vms, until):
    """R5.2: another wait for the same id had them"""
    (vm,) = await make_vms(1)
    emulator.faults.add(Fault(operation="getVm", times=None, status=503))
    emulator.clear_requests()
    patient = asyncio.ensure_future(client.vms.wait(vm.id, max_failures=1_000_000))
    await until(lambda: len(emulator.requests) >= 8)
    emulator.clear_requests()
    with pytest.raises(errors.WaitError, match="4 polls in a row failed"):
        await client.vms.wait(vm.id, max_failures=3)
    assert len(emulator.requests) >= 4
    emulator.faults.clear()
    assert (await patient).status == "running"


@pytest.mark.parametrize(("status", "kind"), [(401, errors.Unauthenticated), (403, errors.PermissionDenied)])
async def test_a_refused_key_ends_a_wait_at_once(client, emulator, make_vms, status, kind):
    """R5.2"""
    (vm,) = await make_vms(1)
    emulator.faults.add(Fault(operation="getVm", times=None, status=status))
    emulator.clear_requests()
    with pytest.raises(kind):
        await client.vms.wait(vm.id)
    assert [seen.operation for seen in emulator.requests].count("getVm") == 1


async def test_retry_after_is_a_lower_bound_of_the_pause(client, emulator, make_vms):
    """R5.1"""
    (vm,) = await make_vms(1)
    emulator.faults.add(Fault(operation="getVm", call=1, status=429, retry_after=240))
    emulator.clear_requests()
    await client.vms.wait(vm.id)
    first, second = [seen.at for seen in emulator.requests][:2]
    assert second - first >= 240


async def test_an_id_that_does_not_exist_is_told_at_once(client):
    with pytest.raises(errors.NotFound):
        await client.vms.wait("vm_00000000000000000000")


async def test_terminated_can_be_waited_for(client, make_vms):
    (vm,) = await make_vms(1)
    await client.vms.terminate(vm.id)
    assert (await client.vms.wait(vm.id, until="terminated")).status == "terminated"


async def test_a_state_read_before_the_wait_began_does_not_end_it(client, emulator, make_vms, clock):
    """A wait that joins a request under way must not believe what was true before."""
    (vm,) = await make_vms(1)
    emulator.move_vm(vm.id, "running")
    emulator.faults.add(Fault(operation="getVm", call=1, times=1, delay=0))
    first = asyncio.ensure_future(client.vms.wait(vm.id, until="stopped", timeout=500))
    for _ in range(5):
        await asyncio.sleep(0)
    emulator.clear_requests()
    await client.vms.wait(vm.id, until="running")
    assert emulator.requests
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_stalled_request_does_not_hold_up_a_timeout(emulator, make_vms):
    """R5.1: real time, because the stall is real; the best of a few, because the machine may be busy"""
    (vm,) = await make_vms(1)
    emulator.faults.add(Fault(operation="getVm", times=None, delay=30))
    took = []
    async with emulator.client() as client:
        for _ in range(3):
            began = time.perf_counter()
            with pytest.raises(errors.WaitTimeout):
                await client.vms.wait(vm.id, timeout=0.2)
            took.append(time.perf_counter() - began)
    assert 0.2 <= min(took) < 0.25


async def test_cancelling_ends_a_wait_and_leaves_the_vm_as_it_is(emulator, make_vms, until, list_polls):
    """R5.4, R3.5; the best of a few, because the machine may be busy"""
    (vm,) = await make_vms(1)
    took = []
    async with emulator.client() as client:
        for _ in range(3):
            emulator.clear_requests()
            wait = asyncio.ensure_future(client.vms.wait(vm.id, until="stopped"))
            await until(lambda: emulator.requests)
            wait.cancel()
            began = time.perf_counter()
            with pytest.raises(asyncio.CancelledError):
                await wait
            took.append(time.perf_counter() - began)
            assert not list_polls()
            assert {request.method for request in emulator.requests} == {"GET"}
    assert min(took) < 0.05


async def test_no_task_is_left_when_the_last_wait_ends(client, make_vms, list_polls):
    vms = await make_vms(8)
    await asyncio.gather(*(client.vms.wait(vm.id) for vm in vms))
    names = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]
    assert not [name for name in names if "Clock.sleep" in name]
    assert not list_polls()
    assert not client._calls.transport.shared.pollers


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), "60", None])
async def test_a_timeout_that_is_none_is_refused(client, timeout):
    with pytest.raises(errors.ConfigurationError):
        await client.vms.wait("vm_x", timeout=timeout)


@pytest.fixture
async def unanswered(emulator):
    """A client that is never told its organization."""
    emulator.faults.add(Fault(operation="whoami", times=None, delay=60))
    async with emulator.client(org_id=None) as client:
        yield client


async def test_the_time_of_a_wait_includes_the_question_for_the_organization(unanswered, emulator):
    """R5.1, R5.4: in real time, because the stall is real"""
    with pytest.raises(errors.WaitTimeout, match="organization was not known") as caught:
        await unanswered.vms.wait("vm_1", until="stopped", timeout=0.2)
    error = caught.value
    assert (error.operation, error.resource_id, error.until, error.polls) == ("whoami", "vm_1", "stopped", 0)
    assert isinstance(error.__cause__, errors.RequestTimeout)
    assert error.elapsed >= 0.2
    with pytest.raises(errors.WaitTimeout) as again:
        await unanswered.vms.resume_wait(error.token, timeout=0.2)
    assert again.value.elapsed >= 0.4
    assert (again.value.resource_id, again.value.until) == ("vm_1", "stopped")
    emulator.faults.clear()
    with pytest.raises(errors.NotFound):
        await unanswered.vms.resume_wait(again.value.token)


async def test_the_time_of_many_waits_includes_the_question_for_the_organization(unanswered):
    """R5.1"""
    vms = unanswered.vms
    for wait in (
        vms.wait_all(["vm_1"], timeout=0.2),
        vms.wait_any(["vm_1"], timeout=0.2),
        anext(vms.as_completed(["vm_1"], timeout=0.2)),
        unanswered.billing.wait_balance(at_least_cents=1, timeout=0.2),
    ):
        with pytest.raises(errors.WaitTimeout):
            await wait


async def test_what_is_left_after_the_question_for_the_organization_is_the_time_to_poll(
    emulator, clock, make_vms
):
    """R5.1, R5.4: it is answered after 30 s, and asked by a wait of one minute"""
    (vm,) = await make_vms(1)
    emulator.faults.add(Fault(operation="whoami", call=1, times=1, status=503, retry_after=30))
    async with emulator.client(clock=clock.jumping(), org_id=None) as client:
        began = clock.monotonic()
        with pytest.raises(errors.WaitTimeout) as caught:
            await client.vms.wait(vm.id, until="stopped", timeout=60)
    assert clock.monotonic() - began == pytest.approx(60)
    assert caught.value.elapsed == pytest.approx(60)


async def test_a_question_for_the_organization_that_fails_in_time_is_no_timeout(emulator, clock):
    emulator.faults.add(Fault(operation="whoami", times=None, status=500))
    async with emulator.client(clock=clock.jumping(), org_id=None) as client:
        with pytest.raises(errors.ServerError) as caught:
            await client.vms.wait("vm_1", timeout=1800)
    assert caught.value.operation == "whoami"
