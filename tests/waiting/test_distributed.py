"""Waits on a Dask cluster of processes; slow, because processes start."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from openrelay_async import errors, models
from openrelay_async.emulator import Emulator

dask_distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")

pytestmark = [
    pytest.mark.slow,
    # Dask's own: it looks for loops and leaves sockets of killed workers to the collector.
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture(scope="module")
def emulator():
    with Emulator.in_thread(fleet={"rtx-4090": 1000}) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def dask_client(emulator):
    environment = {
        "OPENRELAY_API_KEY": emulator.api_key,
        "OPENRELAY_API_URL": emulator.url,
        "OPENRELAY_ORG_ID": emulator.org_id,
    }
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        cluster = dask_distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        )
        with cluster, dask_distributed.Client(cluster) as client:
            yield client
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


def make_vms(emulator: Emulator, count: int) -> list[str]:
    import asyncio

    async def make() -> list[str]:
        async with emulator.client() as client:
            orders = (
                client.vms.create(name=f"d-{os.urandom(6).hex()}", gpu_model_id="rtx-4090")
                for _ in range(count)
            )
            return [vm.id for vm in await asyncio.gather(*orders)]

    return asyncio.run(make())


def test_all_ids_are_waited_for_with_errors_apart(emulator, dask_client):
    from openrelay_async.distributed import wait_all

    ids = make_vms(emulator, 60)
    emulator.move_vm(ids[7], "failed", reason="host lost")
    result = wait_all(
        {emulator.org_id: [*ids, "vm_00000000000000000000"]}, client=dask_client, shard_size=10, timeout=60
    )
    assert set(result.results) == set(ids) - {ids[7]}
    assert all(isinstance(vm, models.VmSummary) for vm in result.results.values())
    assert isinstance(result.errors[ids[7]], errors.WaitFailed)
    assert isinstance(result.errors["vm_00000000000000000000"], errors.NotFound)
    with pytest.raises(errors.OpenRelayError):
        result.raise_first()


def test_a_killed_worker_loses_nothing(emulator, dask_client):
    """Its shards are redone by another; each id is told once."""
    from openrelay_async.distributed import stream

    ids = make_vms(emulator, 40)
    for vm_id in ids:
        emulator.move_vm(vm_id, "pending")
        emulator.move_vm(vm_id, "running", after=6)
    for vm_id in ids[:5]:
        emulator.move_vm(vm_id, "running")
    workers = {address: info["id"] for address, info in dask_client.scheduler_info()["workers"].items()}
    assert len(workers) == 2
    pids = dask_client.run(os.getpid)

    def kill() -> None:
        os.kill(next(iter(pids.values())), signal.SIGKILL)

    told = []
    for outcome in stream(ids, client=dask_client, shard_size=5, timeout=60, interval=0.5):
        if not told:
            threading.Thread(target=kill).start()
        told.append(outcome)
    assert sorted(outcome.id for outcome in told) == sorted(ids)
    assert [outcome.error for outcome in told if outcome.error] == []


def test_leaving_the_loop_ends_the_waits(emulator, dask_client):
    from openrelay_async.distributed import stream

    ids = make_vms(emulator, 4)
    emulator.move_vm(ids[0], "stopped")
    outcomes = stream(ids, client=dask_client, until="stopped", timeout=600, interval=0.2)
    assert next(outcomes).id == ids[0]
    outcomes.close()
    limit = time.monotonic() + 10
    while True:
        emulator.clear_requests()
        time.sleep(1)
        if not emulator.requests:
            break
        assert time.monotonic() < limit, "the workers go on polling"


def test_a_key_does_not_travel(dask_client):
    from openrelay_async.distributed import wait_all

    with pytest.raises(TypeError, match="a key is not sent to workers") as caught:
        wait_all(["vm_1"], client=dask_client, options={"api_key": "vl_canary_0123456789abcdefghij"})
    assert "canary" not in str(caught.value)
