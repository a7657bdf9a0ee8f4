"""A lease ends what it has created, however its create went, and nothing that others have created."""

from __future__ import annotations

import asyncio
import math
import shutil
import threading
from datetime import UTC, datetime

import attrs
import pytest
from aiohttp import web

from openrelay_async import AsyncClient, RetryPolicy, errors, lease, leases
from openrelay_async.emulator import Emulator, Fault
from openrelay_async.lease_record import LeaseRecord, begin_line

VM = {"name": "job", "gpu_model_id": "rtx-4090", "gpu_count": 1}
CLUSTER = {"name": "job", "gpu_model_id": "rtx-4090", "image_url": "nginx", "container_port": 80}
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtMnuk0Q0o8cWwLrY5c3wUkW3X9v7c2n7o0mWb3bqkX test"
KINDS = [("vms", "createVm", VM), ("clusters", "createCluster", CLUSTER)]


async def statuses(resource) -> dict[str, str]:
    return {item.id: item.status for item in await resource.list()}


async def enter(resource, order) -> str:
    async with resource.lease(**order) as held:
        return held.id


# What others have created


@pytest.mark.parametrize(("kind", "operation", "order"), KINDS)
async def test_what_another_client_created_by_that_name_is_let_alone(
    emulator, client, kind, operation, order
):
    async with emulator.client() as other:
        theirs = await getattr(other, kind).create(**order)
    emulator.faults.add(Fault(operation=operation, times=None, reset="before"))
    with pytest.raises(errors.ConnectionFailed):
        await enter(getattr(client, kind), order)
    assert "terminated" not in (await statuses(getattr(client, kind)))[theirs.id]


async def test_what_another_lease_of_the_client_holds_is_let_alone(emulator, client):
    emulator.faults.add(Fault(operation="createCluster", call=2, reset="before"))
    async with client.clusters.lease(**CLUSTER) as mine:
        with pytest.raises(errors.ConnectionFailed):
            await enter(client.clusters, CLUSTER)
        assert await statuses(client.clusters) == {mine.id: "running"}


async def test_what_a_lease_created_while_another_was_creating_is_its_own(emulator, client):
    """Both begin together, so none was listed before the other's create."""
    emulator.faults.add(Fault(operation="createCluster", call=2, reset="before"))
    entered, over = asyncio.Event(), asyncio.Event()

    async def hold() -> str:
        async with client.clusters.lease(**CLUSTER) as held:
            entered.set()
            await over.wait()
            assert (await client.clusters.get(held.id)).status == "running"
            return held.id

    holders = [asyncio.ensure_future(hold()) for _ in range(2)]
    (failed,), _ = await asyncio.wait(holders, return_when=asyncio.FIRST_COMPLETED)
    assert isinstance(failed.exception(), errors.ConnectionFailed | errors.LeaseError)
    await entered.wait()
    over.set()
    results = await asyncio.gather(*holders, return_exceptions=True)
    assert await statuses(client.clusters) == dict.fromkeys(
        [result for result in results if isinstance(result, str)], "terminated"
    )


@pytest.mark.parametrize("committed", [1, 2])
async def test_what_two_leases_may_have_created_is_named_and_not_ended(emulator, client, committed):
    """Neither create was answered: whose is it?"""
    emulator.faults.add(
        Fault(operation="createCluster", times=committed, reset="after"),
        Fault(operation="createCluster", times=None, reset="before"),
    )
    results = await asyncio.gather(
        enter(client.clusters, CLUSTER), enter(client.clusters, CLUSTER), return_exceptions=True
    )
    there = await statuses(client.clusters)
    assert len(there) == committed
    assert "terminated" not in there.values()
    assert [type(result) for result in results] == [errors.LeaseError] * 2
    for error in results:
        assert sorted(error.details["candidates"]) == sorted(there)
        assert all(each in str(error) for each in there)


async def test_leases_that_begin_together_share_the_list_of_what_was_there(emulator, client):
    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(enter(client.vms, VM))
    seen = [request.operation for request in emulator.requests]
    assert seen[: seen.index("createVm")] == ["listOrgVms"]
    assert not client._calls.transport.shared.leases
    assert not client._calls.transport.shared.pollers


async def test_without_the_list_a_cluster_is_not_created(emulator, client):
    emulator.faults.add(Fault(operation="listOrgClusters", times=None, status=503))
    with pytest.raises(errors.Unavailable):
        await enter(client.clusters, CLUSTER)
    assert "createCluster" not in {request.operation for request in emulator.requests}


# What the lease has created, and was not told


class WrongClock:
    """A clock with another idea of the day."""

    def __init__(self, clock, ahead: float) -> None:
        self._clock, self._ahead = clock, ahead
        self.monotonic, self.sleep, self.uniform = clock.monotonic, clock.sleep, clock.uniform

    def wall(self) -> float:
        return self._clock.wall() + self._ahead


@pytest.mark.parametrize("ahead", [30.0, -30.0])
@pytest.mark.parametrize(("kind", "operation", "order"), KINDS)
async def test_a_clock_that_is_wrong_hides_nothing(emulator, clock, kind, operation, order, ahead):
    emulator.faults.add(Fault(operation=operation, times=None, reset="after"))
    async with emulator.client(clock=WrongClock(clock.jumping(), ahead)) as client:
        held = await enter(getattr(client, kind), order)
        assert await statuses(getattr(client, kind)) == {held: "terminated"}


@pytest.fixture
async def late_service(clock):
    """Answers a create with 504 and carries it out so many seconds later."""
    service = LateService(clock)
    runner = web.ServerRunner(web.Server(service.answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    service.url = "http://{}:{}".format(*runner.addresses[0])
    yield service
    service.released.set()
    for commit in service.commits:
        commit.cancel()
    await runner.cleanup()


class LateService:
    def __init__(self, clock) -> None:
        self.clock, self.delay, self.url = clock, 1.5, ""
        self.asked, self.hangs, self.released = asyncio.Event(), False, asyncio.Event()
        self.clusters: dict[str, dict[str, str]] = {}
        self.commits: list[asyncio.Task[None]] = []

    async def answer(self, request: web.BaseRequest) -> web.Response:
        if request.path.endswith("/create"):
            self.asked.set()
            if self.hangs:
                await self.released.wait()
            self.commits.append(asyncio.ensure_future(self._commit()))
            return web.json_response({"error": "upstream timed out"}, status=504)
        if request.path.endswith("/terminate"):
            self.clusters["cl_1"]["status"] = "terminated"
            return web.json_response(self.clusters["cl_1"])
        if request.path.endswith("/cl_1"):
            return web.json_response(self.clusters["cl_1"])
        return web.json_response({"items": list(self.clusters.values())})

    async def _commit(self) -> None:
        await self.clock.sleep(self.delay)
        made_at = datetime.fromtimestamp(self.clock.wall(), UTC).isoformat()
        self.clusters["cl_1"] = {
            "id": "cl_1",
            "name": "job",
            "organizationId": "org_1",
            "status": "running",
            "createdAt": made_at,
        }


def late_client(service: LateService, clock) -> AsyncClient:
    return AsyncClient("vl_" + "a" * 40, base_url=service.url, org_id="org_1", clock=clock.jumping())


@pytest.mark.parametrize("delay", [0.3, 1.5, 4.0])
async def test_a_create_that_takes_effect_after_its_answer_is_found(late_service, clock, delay):
    late_service.delay = delay
    async with late_client(late_service, clock) as client:
        assert await enter(client.clusters, CLUSTER) == "cl_1"
    assert late_service.clusters["cl_1"]["status"] == "terminated"


async def test_a_create_that_never_shows_up_is_looked_for_some_seconds_and_told(late_service, clock):
    late_service.delay = 3600.0
    async with late_client(late_service, clock) as client:
        with pytest.raises(errors.ServerError) as caught:
            await enter(client.clusters, CLUSTER)
    assert 5 <= clock.monotonic() < 20
    assert (caught.value.status, caught.value.maybe_applied) == (504, True)
    assert "the cluster 'job' has not shown up in 5 s" in caught.value.__notes__[0]


async def test_a_repeat_that_is_refused_does_not_mean_that_nothing_was_created(emulator, client):
    """The first create took effect; then the key may create no more."""
    emulator.faults.add(
        Fault(operation="createVm", times=4, reset="after"),
        Fault(operation="createVm", times=None, status=403),
    )
    held = await enter(client.vms, VM)
    assert await statuses(client.vms) == {held: "terminated"}


# Whatever fails once it is known


class After:
    """A hook that acts when an operation was answered."""

    def __init__(self, operation: str, act) -> None:
        self.operation, self.act = operation, act

    def on_response(self, event) -> None:
        if event.operation == self.operation:
            self.act()


async def test_a_record_that_cannot_be_written_leaves_nothing_running(emulator, clock, tmp_path):
    folder = tmp_path / "records"
    folder.mkdir()
    loss = After("createVm", lambda: shutil.rmtree(folder))
    async with emulator.client(clock=clock.jumping(), hooks=[loss]) as client:
        with pytest.raises(FileNotFoundError):
            await enter(client.vms, {**VM, "record": folder / "leases.jsonl"})
        assert list((await statuses(client.vms)).values()) == ["terminated"]


async def test_a_record_that_is_lost_does_not_hide_the_error_of_the_block(client, tmp_path):
    folder = tmp_path / "records"
    folder.mkdir()
    with pytest.raises(LookupError, match="mine"):  # noqa: PT012 - the block is what is tested
        async with client.vms.lease(**VM, record=folder / "leases.jsonl"):
            shutil.rmtree(folder)
            raise LookupError("mine")
    assert list((await statuses(client.vms)).values()) == ["terminated"]


async def test_a_record_that_is_lost_does_not_hide_the_error_of_a_wait(emulator, client, tmp_path, until):
    folder = tmp_path / "records"
    folder.mkdir()
    order = {**VM, "record": folder / "leases.jsonl", "until": "ssh_ready"}
    task = asyncio.ensure_future(enter(client.vms, order))
    await until(lambda: [seen for seen in emulator.requests if seen.operation == "createVm" and seen.status])
    (vm,) = await client.vms.list()
    shutil.rmtree(folder)
    emulator.move_vm(vm.id, "failed", reason="no luck")
    with pytest.raises(errors.WaitFailed, match="no luck"):
        await task
    assert await statuses(client.vms) == {vm.id: "terminated"}


async def test_a_client_that_is_closed_during_a_create_waits_for_it_and_tells_the_name(
    late_service, clock, monkeypatch
):
    monkeypatch.setattr(lease, "CLEANUP_TIMEOUT", 0.2)
    late_service.hangs = True
    client = late_client(late_service, clock)
    task = asyncio.ensure_future(enter(client.clusters, CLUSTER))
    await late_service.asked.wait()
    with pytest.raises(errors.LeaseError, match="'job' may have succeeded"):
        await asyncio.wait_for(client.aclose(), 15)
    with pytest.raises(errors.LeaseError, match="'job' may have succeeded"):
        await task
    assert clock.monotonic() < 0.5


def test_the_end_of_a_loop_does_not_stop_a_termination(until):
    """`asyncio.run` cancels every task that is left, those of a lease that is being left too."""
    terminating = threading.Event()
    with Emulator.in_thread(speed=50) as emulator:
        emulator.faults.add(Fault(operation="terminateVm", delay=10.0))
        client = emulator.client(hooks=[Before("terminateVm", terminating.set)])

        async def main() -> None:
            task = asyncio.ensure_future(enter(client.vms, VM))
            while not terminating.is_set():
                await asyncio.sleep(0.001)
            assert not task.done()

        asyncio.run(main())
        assert asyncio.run(look(client, "vms")) == ["terminated"]


@pytest.mark.parametrize(("kind", "operation", "order"), KINDS)
def test_the_end_of_a_loop_does_not_leave_what_is_being_created(kind, operation, order):
    """R5.8: the create has taken effect, and its answer is on its way when `main` returns."""
    with Emulator.in_thread(speed=50) as emulator:
        emulator.faults.add(Fault(operation=operation, times=1, body="slow", delay=50 * 30.0))
        client, watcher = emulator.client(), emulator.client()

        async def main() -> None:
            task = asyncio.ensure_future(enter(getattr(client, kind), order))
            async with watcher:
                while not await statuses(getattr(watcher, kind)):
                    assert not task.done()
                    await asyncio.sleep(0.01)

        asyncio.run(main())
        assert asyncio.run(look(client, kind)) == ["terminated"]


def test_the_end_of_a_loop_creates_nothing_for_a_lease_that_waits_for_room(clock):
    """It has nothing yet, so there is nothing to look for."""
    with Emulator.in_thread(fleet={"rtx-4090": 1}) as emulator:
        client = emulator.client(clock=clock)  # nobody turns it: the wait for room goes on

        def count(operation: str) -> int:
            return [seen.operation for seen in emulator.requests].count(operation)

        async def main() -> None:
            await client.vms.create(**VM)
            order = {**VM, "wait_for_capacity": True}
            tasks = [asyncio.ensure_future(enter(client.vms, order)) for _ in range(8)]
            while count("createVm") < 9 or clock.next_waking() == math.inf:
                assert not any(task.done() for task in tasks)
                await asyncio.sleep(0.01)

        asyncio.run(main())
        assert len(asyncio.run(look(client, "vms"))) == 1
        assert count("createVm") == 9


async def look(client: AsyncClient, kind: str) -> list[str]:
    """Return the states of all there is, with the client's last call."""
    async with client:
        return list((await statuses(getattr(client, kind))).values())


class Before:
    """A hook that acts when a request of an operation is about to be sent."""

    def __init__(self, operation: str, act) -> None:
        self.operation, self.act = operation, act

    def on_attempt(self, event) -> None:
        if event.operation == self.operation:
            self.act()


# What a crash has left


def crashed(record: LeaseRecord, emulator: Emulator, kind: str = "vms", **more) -> None:
    line = begin_line("lease-1", kind, "job", emulator.org_id, emulator.clock.wall())
    record.write(attrs.evolve(line, pid=2**22 + 1, process_started="0", **more))


@pytest.fixture
def record(tmp_path) -> LeaseRecord:
    return LeaseRecord(tmp_path / "leases.jsonl")


async def test_a_sweep_ends_no_namesake_that_was_there_before_or_is_leased(client, emulator, record):
    before = await client.vms.create(**VM)
    crashed(record, emulator, before=[before.id])
    left = await client.vms.create(**VM)
    async with client.vms.lease(**VM, record=record.path) as held:
        (swept,) = await leases.sweep(client, record.path)
        assert (swept.id, swept.error) == (left.id, None)
        seen = await statuses(client.vms)
        assert (seen[left.id], seen[held.id]) == ("terminated", "running")
    assert "terminated" not in (await statuses(client.vms))[before.id]


@pytest.mark.parametrize("is_known", [True, False])
async def test_a_sweep_ends_the_pod_that_was_left_and_no_other(client, emulator, record, is_known):
    """By the id that was recorded, or by the name where the crash came during the create."""
    key = await client.ssh_keys.create(name="key", public_key=PUBLIC_KEY)
    pod = {"name": "job", "image": "nginx", "ssh_key_ids": [key.id], "gpu_model_id": "rtx-4090"}
    before, vm = await client.pods.create(**pod), await client.vms.create(**VM)
    left = await client.pods.create(**pod)
    crashed(record, emulator, "pods", before=[before.id], id=left.id if is_known else None)
    (swept,) = await leases.sweep(client, record.path)
    assert (swept.kind, swept.id, swept.error) == ("pods", left.id, None)
    seen = await statuses(client.pods) | await statuses(client.vms)
    assert [pod_id for pod_id, status in seen.items() if status == "terminated"] == [left.id]
    assert {before.id, vm.id} < set(seen)
    assert await leases.sweep(client, record.path) == []


async def test_a_sweep_that_cannot_tell_names_what_it_found_and_ends_none(client, emulator, record):
    crashed(record, emulator, before=[])
    ids = sorted([(await client.vms.create(**VM)).id, (await client.vms.create(**VM)).id])
    (swept,) = await leases.sweep(client, record.path)
    assert isinstance(swept.error, errors.LeaseError)
    assert sorted(swept.error.details["candidates"]) == ids
    assert "terminated" not in (await statuses(client.vms)).values()
    assert record.read_open()


async def test_a_sweep_does_not_end_what_was_created_long_after_the_crash(client, emulator, clock, record):
    crashed(record, emulator, before=[], latest=emulator.clock.wall() + 600.0)
    clock.advance(3600.0)
    await client.vms.create(**VM)
    (swept,) = await leases.sweep(client, record.path)
    assert (swept.id, swept.error) == (None, None)
    assert "terminated" not in (await statuses(client.vms)).values()


async def test_a_lease_records_what_was_there_before(client, record):
    before = await client.vms.create(**VM)
    async with client.vms.lease(**VM, record=record.path, wait_for_capacity=60):
        (line,) = record.read_open()
        assert line.before == [before.id]
        assert line.latest == line.began_at + 660.0


@pytest.mark.parametrize("status", [403, 404, 500])
async def test_a_machine_is_leased_also_where_the_list_cannot_be_read(status):
    """Its create carries an idempotency key, which tells what it has created."""
    faults = [
        Fault(operation="listOrgVms", times=None, status=status),
        Fault(operation="createVm", call=1, reset="after"),
    ]
    async with (
        Emulator(faults=faults) as emulator,
        emulator.client(retry=RetryPolicy(max_attempts=1)) as client,
    ):
        async with client.vms.lease(name="job", gpu_model_id="rtx-4090", wait_timeout=20) as vm:
            assert vm.name == "job"
        operations = [request.operation for request in emulator.requests]
    assert operations.count("createVm") == 2
    assert operations.count("terminateVm") == 1
