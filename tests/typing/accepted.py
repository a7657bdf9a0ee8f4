"""What users write: type-checked by `test_typing.py`, never run."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import assert_type

from openrelay_async import (
    AsyncClient,
    Clock,
    EnvironmentKey,
    FileKey,
    Page,
    PagedCall,
    PoolLimits,
    RecordedResponse,
    RetryPolicy,
    Secret,
    SystemClock,
    errors,
    models,
    operations,
)
from openrelay_async.machines import AnyVm
from openrelay_async.resources.kubernetes import AnyCluster
from openrelay_sync import Client, SyncDownload, SyncPagedCall


async def make_clients() -> None:
    AsyncClient()
    AsyncClient("key")
    AsyncClient(Secret("key"), timeout=math.inf, limits=PoolLimits(max_connections=5, queue_timeout=None))
    AsyncClient(lambda: "key")
    AsyncClient(provide_key, clock=SystemClock())
    AsyncClient(EnvironmentKey("KEY"), hooks=[object()])
    AsyncClient(FileKey(Path("key")), retry=RetryPolicy(max_attempts=1), default_headers={"X": "y"})
    clock: Clock = SystemClock()
    async with AsyncClient(clock=clock) as client:
        assert_type(client, AsyncClient)
        assert_type(client.with_options(timeout=5, org_id=None, api_key="other"), AsyncClient)
        assert_type(await client.request("GET", "/v1/new", params={"a": 1}), object)
        with client.record_responses() as responses:
            assert_type(responses, list[RecordedResponse])
        await client.drain()
        await client.aclose()


async def provide_key() -> Secret:
    return Secret("key")


async def read(client: AsyncClient) -> None:
    assert_type(await client.account.whoami(), models.Whoami)
    vm = await client.vms.get("vm_1", timeout=5)
    assert_type(vm, models.VmSummary)
    assert_type(vm.created_at, datetime | None)
    status: str = vm.status
    assert_type((await client.vms.get_detail(vm.id)).ssh_ready, bool | None)
    assert_type(await client.ssh_keys.list(), list[models.SshKeySummary])
    assert_type(await client.health.get(), models.Health)
    assert_type(await client.provider.get_bootstrap_script(token="t"), Secret)
    unknown: object = vm.extra.get("field_of_tomorrow")
    assert_type(models.VmSummary.from_wire({}), models.VmSummary)
    assert_type(vm.to_wire(reveal=True), dict[str, object])
    print(status, unknown)


async def turn_pages(client: AsyncClient) -> None:
    call = client.vms.list(active_only=True, page_size=100, max_items=5, prefetch=True)
    assert_type(call, PagedCall[models.VmSummary])
    assert_type(await call, list[models.VmSummary])
    assert_type(await call.first(), models.VmSummary | None)
    assert_type(call.next_cursor, str | None)
    async for vm in call:
        assert_type(vm, models.VmSummary)
    async for page in client.batches.list(cursor="c").pages():
        assert_type(page, Page[models.BatchObject])
        assert_type(page.items, list[models.BatchObject])


async def change(client: AsyncClient) -> None:
    created = await client.api_keys.create(
        name="ci",
        scopes=("clusters:read",),
        budget=models.KeyBudgetRequest(limit_nano_usd=1),
        restrictions={"models": ["m"]},
    )
    assert_type(created.key, Secret)
    assert_type(created.key.reveal(), str)
    await client.vms.create(
        name="dev-box",
        gpu_model_id="rtx-4090",
        ssh_key_ids=["key_1"],
        env_vars={"A": "b", "C": Secret("d")},
        cloud_init=Secret("e"),
        org_id="org_1",
        idempotency_key="k",
    )
    await client.reservations.create(
        "node_1", allowed_org_ids=[], unit_ids=[], ends_at=datetime.now(UTC), starts_at="2026-01-01T00:00:00Z"
    )
    await client.provider.list_nodes(class_="a class of tomorrow")
    await client.organizations.delete(org_id="org_old")
    await client.audit_events.list(since=datetime.now(UTC), until="2026-11-23")
    await client.ssh_keys.delete("key_1")


async def move_files(client: AsyncClient) -> None:
    assert_type(await client.files.upload(file="in.jsonl", purpose="batch"), models.FileObject)
    await client.files.upload(file=b"{}", purpose="batch", filename="in.jsonl")
    with Path("in.jsonl").open("rb") as file:
        await client.files.upload(file=file, purpose="batch")
    assert_type(await client.files.get_content("file_1"), bytes)
    assert_type(await client.files.get_content("file_1").save("out"), Path)
    async for chunk in client.files.get_content("file_1"):
        assert_type(chunk, bytes)


async def wait(client: AsyncClient, goal: str) -> None:
    """R7.4: a wait's type follows from its goal."""
    assert_type(await client.vms.wait("vm_1"), models.VmSummary)
    assert_type(await client.vms.wait("vm_1", until="ssh_ready"), models.VmDetail)
    assert_type(await client.vms.wait("vm_1", until=goal), AnyVm)
    assert_type(await client.pods.wait("pod_1"), models.VmSummary)
    assert_type(await client.pods.wait("pod_1", until="ssh_ready"), models.VmDetail)
    assert_type(await client.pods.resume_wait("token"), AnyVm)
    assert_type(await client.clusters.wait("cl_1", until=goal), models.ClusterSummary)
    assert_type(await client.batches.wait_all(["b_1"], until="ended"), list[models.BatchObject])
    assert_type(await client.kubernetes.wait("k_1"), models.KubernetesCluster)
    assert_type(await client.kubernetes.resume_wait("token"), AnyCluster | None)
    async for outcome in client.snapshots.as_completed(["snap_1"]):
        assert_type(outcome.get(), models.Snapshot)
    await client.vms.create(name="job", gpu_model_id="rtx-4090", wait_for_capacity=600)
    await client.vms.create(name="job", gpu_model_id="rtx-4090", wait_for_capacity=True)


async def lease(client: AsyncClient) -> None:
    async with client.vms.lease(name="job", gpu_model_id="rtx-4090", timeout=5, wait_for_capacity=True) as vm:
        assert_type(vm, AnyVm)
    async with client.pods.lease(image="nginx", ssh_key_ids=["key_1"], timeout=5) as pod:
        assert_type(pod.id, str)
    async with client.clusters.lease(name="job", timeout=None, wait_for_capacity=False) as cluster:
        assert_type(cluster, models.ClusterSummary)


async def fail(call: Awaitable[object]) -> None:
    try:
        await call
    except errors.PermissionDenied as error:
        assert_type(error.policies, Sequence[str])
    except errors.ApiError as error:
        assert_type(error.status, int | None)
        assert_type(error.details, dict[str, object])
        assert_type(error.maybe_applied, bool)
    except TimeoutError:
        print(operations["createVm"].idempotent, date.today())  # noqa: DTZ011 - never run


def without_await() -> None:
    with Client("key", timeout=5) as client:
        assert_type(client, Client)
        assert_type(client.account.whoami(), models.Whoami)
        call = client.vms.list(page_size=5)
        assert_type(call, SyncPagedCall[models.VmSummary])
        assert_type(call.all(), list[models.VmSummary])
        assert_type(call.first(), models.VmSummary | None)
        for vm in call:
            assert_type(vm, models.VmSummary)
        for page in call.pages():
            assert_type(page, Page[models.VmSummary])
        assert_type(client.api_keys.create(name="ci").key, Secret)
        assert_type(client.files.get_content("file_1"), SyncDownload)
        assert_type(client.files.get_content("file_1").read(), bytes)
        client.ssh_keys.delete("key_1")
        assert_type(client.with_options(org_id="org_1"), Client)
