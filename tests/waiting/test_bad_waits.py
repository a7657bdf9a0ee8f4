"""What cannot be waited for is refused where it is given: nobody else's wait ends with it."""

from __future__ import annotations

import asyncio
import copy
import math
import pickle

import pytest

from openrelay_async import errors
from openrelay_async.emulator import Emulator, Fault
from openrelay_async.fleets import Fleet
from openrelay_async.generated.operation_rows.vms import GET_VM, LIST_ORG_VMS
from openrelay_async.lifecycles import VMS
from openrelay_async.models import VmSummary
from openrelay_async.pagination import Page, PagedCall
from openrelay_async.poll_source import Reading, Source
from openrelay_async.waiting import WaitOptions

BAD_IDS = [
    ("", ValueError),
    ("..", ValueError),
    ("vm_\n", ValueError),
    ("vm_\ud800", ValueError),
    (5, TypeError),
]
KINDS = ["vms", "pods", "clusters", "batches", "kubernetes", "snapshots"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("bad", "error"), BAD_IDS, ids=repr)
async def test_an_id_that_names_nothing_is_refused_by_its_name(client, kind, bad, error):
    with pytest.raises(error, match="id "):
        await getattr(client, kind).wait(bad)


async def test_a_bad_id_ends_no_other_wait(client, emulator, make_vms, until):
    (vm,) = await make_vms(1)
    waiting = asyncio.ensure_future(client.vms.wait(vm.id))
    changes = client.vms.watch()
    await anext(changes)
    for use in (
        client.vms.wait(".."),
        client.vms.wait_all([vm.id, ".."]),
        anext(client.vms.as_completed([".."])),
    ):
        with pytest.raises(ValueError, match="id must name a resource"):
            await use
    assert (await waiting).status == "running"
    await changes.aclose()


@pytest.mark.parametrize("org_id", [5, "", ".."])
async def test_an_organization_that_cannot_be_one_is_refused(client, org_id):
    with pytest.raises((TypeError, ValueError), match="org_id"):
        await client.vms.wait("vm_1", org_id=org_id)
    with pytest.raises((TypeError, ValueError), match="org_id"):
        await anext(client.vms.watch(org_id=org_id))


@pytest.mark.parametrize("interval", [math.nan, 0, -1, "5"])
async def test_the_interval_of_a_watch_is_checked(client, emulator, interval):
    emulator.clear_requests()
    with pytest.raises(errors.ConfigurationError, match="interval"):
        await anext(client.vms.watch(interval=interval, org_id=emulator.org_id))
    assert emulator.requests == []


async def test_whether_a_watch_tells_what_exists_is_yes_or_no(client):
    with pytest.raises(TypeError, match="existing must be bool, not str"):
        await anext(client.vms.watch(existing="no"))


async def test_a_goal_is_a_text(client):
    with pytest.raises(ValueError, match="until must be one of"):
        await client.vms.wait("vm_1", until=["running"])


async def test_an_async_on_update_is_refused(client):
    async def tell(progress: object) -> None: ...

    class Teller:
        async def __call__(self, progress: object) -> None: ...

    for on_update in (tell, Teller()):
        with pytest.raises(TypeError, match="on_update must not be async"):
            await client.vms.wait("vm_1", on_update=on_update)
    with pytest.raises(TypeError, match="on_update must be a function, not int"):
        await client.vms.wait_all(["vm_1"], on_update=5)


async def test_a_wait_of_a_closed_or_drained_client_is_refused_at_once(emulator, clock):
    for end in ("aclose", "drain"):
        client = emulator.client(clock=clock.jumping())
        await getattr(client, end)()
        began = clock.monotonic()
        uses = (
            client.vms.wait("vm_1", org_id=emulator.org_id),
            anext(client.vms.watch(org_id=emulator.org_id)),
            client.vms.wait_all(["vm_1"], org_id=emulator.org_id),
        )
        for use in uses:
            with pytest.raises(errors.ConnectionFailed, match=r"is closed|is draining"):
                await use
        assert clock.monotonic() == began
        await client.aclose()


async def test_a_hasty_view_does_not_hurry_the_waits_of_others():
    """Views share their polls, and the polls have the client's own time."""
    async with Emulator() as emulator, emulator.client(org_id=emulator.org_id) as client:
        vm = await client.vms.create(name="x", gpu_model_id="rtx-4090", gpu_count=1)
        emulator.move_vm(vm.id, "running")
        emulator.faults.add(Fault(operation="getVm", times=None, delay=0.2))
        hasty = client.with_options(timeout=0.05, attempt_timeout=0.05)
        first = asyncio.ensure_future(hasty.vms.wait(vm.id, timeout=20))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(client.vms.wait(vm.id, timeout=20, max_failures=0))
        assert (await first).status == (await second).status == "running"


async def test_looking_now_reaches_the_waits_of_other_keys(client, emulator, make_vms, until):
    (vm,) = await make_vms(1)
    ticks = []

    class Hook:
        def on_wait_tick(self, tick):
            ticks.append(tick)

    async with emulator.client(hooks=[Hook()], org_id=emulator.org_id) as client:
        other = client.with_options(api_key=emulator.api_key)
        waiting = asyncio.ensure_future(other.vms.wait(vm.id, interval=3600))
        await until(lambda: ticks)
        emulator.move_vm(vm.id, "running")
        await client.vms.look_now()
        assert (await asyncio.wait_for(waiting, 5)).status == "running"


def one_by_one(statuses: dict[str, str | Exception]) -> Source[VmSummary]:
    """VMs that are read singly, with these statuses; an error is raised."""

    async def read(resource_id: str) -> VmSummary:
        status = statuses[resource_id]
        if isinstance(status, Exception):
            raise status
        return VmSummary(id=resource_id, name="x", organization_id="org_1", status=status)

    async def fetch(cursor: str | None) -> Page[VmSummary]:
        raise AssertionError("two are read singly")

    return Source(
        VMS,
        LIST_ORG_VMS,
        lambda size: PagedCall(fetch, operation=LIST_ORG_VMS),
        Reading(GET_VM, read),
    )


async def test_a_mistake_in_reading_ends_one_wait_and_is_its_cause(client):
    mistake = LookupError("a mistake")
    fleet = Fleet(client._calls, one_by_one({"vm_1": mistake, "vm_2": "running"}), "org_1")
    found = {each.id: each async for each in fleet.as_completed(["vm_1", "vm_2"], "running", WaitOptions())}
    assert found["vm_2"].get().status == "running"
    assert isinstance(found["vm_1"].error, errors.OpenRelayError)
    assert found["vm_1"].error.__cause__ is mistake


async def test_an_interval_below_half_a_second_holds(client, emulator, clock, make_vms):
    (vm,) = await make_vms(1)
    ticks = []

    class Hook:
        def on_wait_tick(self, tick):
            ticks.append(tick.delay)

    async with emulator.client(clock=clock.jumping(), hooks=[Hook()]) as client:
        emulator.move_vm(vm.id, "running", after=3)
        await client.vms.wait(vm.id, interval=0.05)
    assert max(ticks) <= 0.06


async def test_a_wait_that_ends_for_its_polls_says_which_request_failed(client, emulator, make_vms):
    (vm,) = await make_vms(1)
    emulator.faults.add(Fault(operation="getVm", times=None, status=500))
    with pytest.raises(errors.WaitError) as caught:
        await client.vms.wait(vm.id, max_failures=1)
    assert (caught.value.operation, caught.value.method, caught.value.path) == (
        "getVm",
        "GET",
        "/v1/vms/{id}",
    )
    copied = copy.copy(caught.value)
    assert copied.operation == "getVm"


def facts(error) -> tuple[str, str, str]:
    return error.operation, error.method, error.path


LISTED = ("listOrgVms", "GET", "/v1/orgs/{orgId}/vms")
READ = ("getVm", "GET", "/v1/vms/{id}")
READ_IN_FULL = ("getVmDetail", "GET", "/v1/vms/{id}/detail")


async def test_a_wait_that_was_too_long_says_what_polled(client, emulator, make_vms):
    """R11.1: the last request that asked for it, none that was never sent"""
    (vm,) = await make_vms(1)
    for until, expected in (("stopped", READ), ("ssh_ready", READ_IN_FULL)):
        emulator.clear_requests()
        with pytest.raises(errors.WaitTimeout) as caught:
            await client.vms.wait(vm.id, until=until, timeout=0.5)
        assert facts(caught.value) == expected
        assert {seen.operation for seen in emulator.requests} == {expected[0]}


async def test_a_wait_that_was_too_long_for_many_names_the_list(client, emulator, make_vms):
    """R11.1"""
    vms = await make_vms(6)
    emulator.clear_requests()
    waits = client.vms.as_completed([vm.id for vm in vms], until="stopped", timeout=0.5)
    assert {facts(outcome.error) async for outcome in waits} == {LISTED}
    assert {seen.operation for seen in emulator.requests} == {"listOrgVms"}


async def test_a_wait_that_failed_says_what_showed_it(client, emulator, make_vms):
    """R11.1"""
    (vm,) = await make_vms(1)
    emulator.move_vm(vm.id, "failed", reason="host lost")
    with pytest.raises(errors.WaitFailed) as caught:
        await client.vms.wait(vm.id)
    assert facts(caught.value) == READ


async def test_what_polled_last_counts_where_reads_and_lists_take_turns(client, emulator, make_vms):
    """R11.1: once others wait too, all are read from the list"""
    vm, *others = await make_vms(6)
    waiting = asyncio.ensure_future(client.vms.wait(vm.id, until="stopped", timeout=600))
    await client.vms.wait(vm.id)
    more = [asyncio.ensure_future(client.vms.wait(each.id, until="stopped", timeout=900)) for each in others]
    with pytest.raises(errors.WaitTimeout) as caught:
        await waiting
    assert facts(caught.value) == LISTED
    for each in more:
        each.cancel()
    await asyncio.gather(*more, return_exceptions=True)


@pytest.mark.parametrize("status", ["running", "failed"])
async def test_a_state_that_echoes_the_key_is_not_shown(client, emulator, status):
    """R4.7"""
    key = emulator.api_key
    fleet = Fleet(client._calls, one_by_one({"vm_1": f"{status} {key}"}), "org_1")
    with pytest.raises(errors.WaitTimeout) as caught:
        await fleet.wait("vm_1", "running", WaitOptions(timeout=5))
    assert key not in str(caught.value)
    assert key.encode() not in pickle.dumps(caught.value)
    assert caught.value.state is not None
    assert caught.value.state.startswith(status)
    assert key not in caught.value.state


async def test_a_reason_that_echoes_the_key_is_not_in_the_resource_of_an_error(client, emulator, make_vms):
    """R4.7"""
    (vm,) = await make_vms(1)
    emulator.move_vm(vm.id, "failed", reason=f"bad key {emulator.api_key}")
    with pytest.raises(errors.WaitFailed) as caught:
        await client.vms.wait(vm.id)
    error = caught.value
    assert emulator.api_key.encode() not in pickle.dumps(error)
    assert error.status_reason.startswith("bad key vl_")
    assert error.resource.status_reason == error.status_reason
    assert (type(error.resource), error.resource.name) == (VmSummary, vm.name)


async def test_the_resource_of_an_error_is_as_it_came_where_nothing_is_hidden(client, emulator, make_vms):
    (vm,) = await make_vms(1)
    emulator.move_vm(vm.id, "failed", reason="host lost")
    seen = []
    with pytest.raises(errors.WaitFailed) as caught:
        await client.vms.wait(vm.id, on_update=lambda update: seen.append(update.resource))
    assert caught.value.resource is seen[-1]
