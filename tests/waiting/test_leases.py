"""Leases: whatever happens, nothing is left running."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time

import attrs
import pytest

from openrelay_async import errors, leases
from openrelay_async.emulator import Emulator, Fault
from openrelay_async.lease_record import LeaseRecord, begin_line

GPU = {"gpu_model_id": "rtx-4090", "gpu_count": 1}


async def statuses(client) -> list[str]:
    return [vm.status for vm in await client.vms.list()]


async def test_a_lease_gives_a_running_vm_and_terminates_it(client):
    """R5.8"""
    async with client.vms.lease(name="job", **GPU) as vm:
        assert vm.status == "running"
        assert vm.name == "job"
    assert await statuses(client) == ["terminated"]


async def test_a_lease_can_wait_for_ssh(client):
    async with client.vms.lease(name="job", until="ssh_ready", **GPU) as vm:
        assert vm.ssh_ready


async def test_a_lease_ends_although_its_client_drains(emulator, client):
    """R5.8: what a service does on SIGTERM must not leave a VM behind"""
    async with client.vms.lease(name="job", **GPU):
        await client.drain()
        with pytest.raises(errors.ConnectionFailed, match="draining"):
            await client.vms.list()
    async with emulator.client() as other:
        assert await statuses(other) == ["terminated"]


async def test_an_error_in_the_block_terminates_and_passes(client):
    """R5.8"""
    with pytest.raises(LookupError, match="mine"):
        async with client.vms.lease(name="job", **GPU):
            raise LookupError("mine")
    assert await statuses(client) == ["terminated"]


async def test_cancelling_the_block_terminates(client, until):
    """R5.8"""
    inside = asyncio.Event()

    async def job() -> None:
        async with client.vms.lease(name="job", **GPU):
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(job())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await statuses(client) == ["terminated"]


async def test_cancelling_again_while_it_terminates_does_not_stop_that(emulator, client):
    """R5.8"""
    inside = asyncio.Event()
    emulator.faults.add(Fault(operation="terminateVm", call=1, times=1, status=503, retry_after=1))

    async def job() -> None:
        async with client.vms.lease(name="job", **GPU):
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(job())
    await inside.wait()
    task.cancel()
    for _ in range(3):
        await asyncio.sleep(0)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await statuses(client) == ["terminated"]


async def test_cancelling_while_it_is_created_terminates(emulator, until):
    """R5.8: the create is on its way when the cancellation comes"""
    async with Emulator() as emulator, emulator.client() as client:
        emulator.faults.add(Fault(operation="createVm", delay=0.1))

        async def job() -> None:
            async with client.vms.lease(name="job", **GPU):
                pytest.fail("the block must not begin")

        task = asyncio.ensure_future(job())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert set(await statuses(client)) <= {"terminated"}


async def test_a_vm_that_fails_to_start_is_terminated(emulator, client, until):
    """R5.8"""
    task = asyncio.ensure_future(_hold(client))
    await until(lambda: [seen for seen in emulator.requests if seen.operation == "createVm" and seen.status])
    (vm,) = await client.vms.list()
    emulator.move_vm(vm.id, "failed", reason="no luck")
    with pytest.raises(errors.WaitFailed, match="no luck"):
        await task
    assert await statuses(client) == ["terminated"]


async def _hold(client) -> None:
    async with client.vms.lease(name="job", until="ssh_ready", **GPU):
        pytest.fail("the block must not begin")


@pytest.mark.parametrize("times", [1, 4, 6])
async def test_a_create_that_was_carried_out_without_an_answer_is_found(emulator, client, times):
    """R5.8: the answers of so many creates are lost after they took effect"""
    emulator.faults.add(Fault(operation="createVm", times=times, reset="after"))
    async with client.vms.lease(name="job", **GPU) as vm:
        assert vm.status == "running"
    assert await statuses(client) == ["terminated"]


async def test_a_create_without_an_answer_is_looked_for_in_the_list(emulator, client):
    """R5.8: creating never answers, so only the list can tell"""
    emulator.faults.add(Fault(operation="createVm", times=None, reset="after"))
    async with client.vms.lease(name="job", **GPU) as vm:
        assert vm.name == "job"
    assert await statuses(client) == ["terminated"]


async def test_a_create_that_was_not_carried_out_leaves_its_error(emulator, client):
    """A note names it: nothing shows up, but that it never will is not known."""
    emulator.faults.add(Fault(operation="createVm", times=None, reset="before"))
    with pytest.raises(errors.ConnectionFailed) as caught:
        async with client.vms.lease(name="job", **GPU):
            pytest.fail("the block must not begin")
    assert caught.value.maybe_applied
    assert "the VM 'job' has not shown up in 5 s" in caught.value.__notes__[0]
    assert await statuses(client) == []


async def test_a_create_that_is_refused_leaves_its_error(emulator, client):
    emulator.faults.add(Fault(operation="createVm", status=402))
    with pytest.raises(errors.PaymentRequired):
        async with client.vms.lease(name="job", **GPU):
            pytest.fail("the block must not begin")
    assert await statuses(client) == []


async def test_when_nobody_knows_whether_it_was_created_the_name_is_told(emulator, client):
    """R5.8"""
    emulator.faults.add(
        Fault(operation="createVm", times=None, reset="after"),
        Fault(operation="listOrgVms", times=None, status=503),
    )
    with pytest.raises(errors.LeaseError, match="'job' may have succeeded") as caught:
        async with client.vms.lease(name="job", **GPU):
            pytest.fail("the block must not begin")
    assert caught.value.resource_name == "job"
    assert caught.value.idempotency_key


async def test_a_termination_that_fails_names_the_id(emulator, client):
    """R5.8"""
    emulator.faults.add(Fault(operation="terminateVm", times=None, status=500))
    with pytest.raises(errors.LeaseError) as caught:
        async with client.vms.lease(name="job", **GPU) as vm:
            pass
    assert caught.value.resource_id == vm.id
    assert vm.id in str(caught.value)


async def test_a_termination_that_fails_at_first_is_tried_again(emulator, client):
    """R5.8"""
    emulator.faults.add(Fault(operation="terminateVm", times=6, status=503))
    async with client.vms.lease(name="job", **GPU):
        pass
    assert await statuses(client) == ["terminated"]


async def test_a_lease_ends_at_its_duration(emulator, clock, until):
    async with Emulator(speed=20) as emulator, emulator.client() as client:
        with pytest.raises(errors.LeaseExpired, match="after 1 s"):
            async with client.vms.lease(name="job", max_duration=1.2, **GPU):
                await asyncio.sleep(30)
        assert await statuses(client) == ["terminated"]


async def test_a_lease_ends_at_its_cost_although_the_block_is_busy():
    async with Emulator(speed=20) as emulator, emulator.client() as client:
        with pytest.raises(errors.LeaseExpired):  # noqa: PT012 - the block is what is tested
            async with client.vms.lease(name="job", max_cost_cents=49 * 1.2 / 3600, **GPU):
                try:
                    await asyncio.sleep(30)
                finally:
                    async with asyncio.timeout(5):
                        while await statuses(client) != ["terminated"]:
                            await asyncio.sleep(0.01)


async def test_a_cancellation_from_outside_stays_one_in_a_lease_with_a_limit(client):
    inside = asyncio.Event()

    async def job() -> None:
        async with client.vms.lease(name="job", max_duration=1e9, **GPU):
            inside.set()
            await asyncio.Event().wait()

    async with Emulator() as emulator, emulator.client() as client:
        task = asyncio.ensure_future(job())
        await asyncio.wait_for(inside.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await statuses(client) == ["terminated"]


@pytest.mark.parametrize("limit", [{"max_duration": 0}, {"max_cost_cents": -1}, {"wait_timeout": 0}])
async def test_a_limit_that_is_none_is_refused_before_anything_is_created(client, limit):
    with pytest.raises(errors.ConfigurationError):
        async with client.vms.lease(name="job", **limit, **GPU):
            pytest.fail("the block must not begin")
    assert await statuses(client) == []


async def test_a_lease_is_used_once(client):
    lease = client.vms.lease(name="job", **GPU)
    async with lease:
        pass
    with pytest.raises(RuntimeError, match="used once"):
        async with lease:
            pytest.fail("the block must not begin")


async def test_clusters_and_pods_can_be_leased(client):
    async with client.clusters.lease(
        name="api", gpu_model_id="rtx-4090", replica_count=1, image_url="nginx", container_port=80
    ) as cluster:
        assert cluster.status == "running"
    assert [cluster.status for cluster in await client.clusters.list()] == ["terminated"]


CRASHING_JOB = """
import asyncio, faulthandler, os, signal, sys
from openrelay_async import AsyncClient

# A test run in the background ignores Ctrl-C, and so would this.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Should it hang, it says where.
faulthandler.dump_traceback_later(9, exit=True)

async def main():
    async with AsyncClient() as client:
        async with client.vms.lease(
            name="job", gpu_model_id="rtx-4090", gpu_count=1, record=sys.argv[1], max_duration=3600
        ):
            print("inside", flush=True)
            while True:
                # CPython sees a signal that comes just before the loop blocks only when it wakes.
                await asyncio.sleep(0.1)

asyncio.run(main())
"""


def start_job(emulator: Emulator, record) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "OPENRELAY_API_KEY": emulator.api_key,
        "OPENRELAY_API_URL": emulator.url,
        "OPENRELAY_ORG_ID": emulator.org_id,
    }
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CRASHING_JOB), str(record)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


async def test_ctrl_c_terminates(tmp_path):
    """R5.8"""
    async with Emulator(speed=10) as emulator, emulator.client() as client:
        job = start_job(emulator, tmp_path / "leases.jsonl")
        assert await asyncio.to_thread(job.stdout.readline) == "inside\n"
        began = time.monotonic()
        job.send_signal(signal.SIGINT)
        _, shown = await asyncio.to_thread(job.communicate, timeout=20)
        assert "KeyboardInterrupt" in shown
        assert time.monotonic() - began < 8
        assert await statuses(client) == ["terminated"]
        assert LeaseRecord(tmp_path / "leases.jsonl").read_open() == []


async def test_what_a_killed_process_left_is_found_and_ended(tmp_path):
    record = tmp_path / "leases.jsonl"
    async with Emulator(speed=10) as emulator, emulator.client() as client:
        job = start_job(emulator, record)
        assert await asyncio.to_thread(job.stdout.readline) == "inside\n"
        assert await leases.sweep(client, record) == [], "it is alive: its lease is its own"
        job.kill()
        await asyncio.to_thread(job.communicate)
        assert await statuses(client) == ["running"]
        (swept,) = await leases.sweep(client, record)
        assert (swept.kind, swept.name, swept.error) == ("vms", "job", None)
        assert await statuses(client) == ["terminated"]
        assert await leases.sweep(client, record) == []


async def test_a_crash_during_the_create_is_swept_by_name(client, emulator, tmp_path):
    record = LeaseRecord(tmp_path / "leases.jsonl")
    line = begin_line("lease-1", "vms", "job", emulator.org_id, emulator.clock.wall())
    dead = {"pid": 2**22 + 1, "process_started": "0"}
    record.write(attrs.evolve(line, **dead))
    vm = await client.vms.create(name="job", **GPU)
    (swept,) = await leases.sweep(client, record.path)
    assert swept.id == vm.id
    assert await statuses(client) == ["terminated"]


def test_a_record_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path):
    record = LeaseRecord(tmp_path / "leases.jsonl")
    line = begin_line("lease-1", "vms", "job", None, 0.0)
    record.write(line)
    with record.path.open("ab") as file:
        file.write(b'{"lease": "lea')
    assert record.read_open() == [line]
