"""Waits on what is not a VM."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing

import pytest

from openrelay_async import errors, models

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtMnuk0Q0o8cWwLrY5c3wUkW3X9v7c2n7o0mWb3bqkX test"


async def make_pod(client, **more):
    key = await client.ssh_keys.create(name="mine", public_key=KEY)
    return await client.pods.create(
        image="nginx", ssh_key_ids=[key.id], gpu_model_id="rtx-4090", gpu_count=1, name="pod", **more
    )


async def test_a_pod_is_waited_for_like_the_vm_that_it_is(client):
    pod = await make_pod(client)
    running = await client.pods.wait(pod.id)
    assert (running.status, type(running)) == ("running", models.VmSummary)
    detail = await client.pods.wait(pod.id, until="ssh_ready")
    assert isinstance(detail, models.VmDetail)


async def test_a_pod_can_be_leased(client):
    key = await client.ssh_keys.create(name="mine", public_key=KEY)
    async with client.pods.lease(image="nginx", ssh_key_ids=[key.id], gpu_model_id="rtx-4090") as pod:
        assert pod.status == "running"
        assert pod.name.startswith("lease-")
    assert [pod.status for pod in await client.pods.list()] == ["terminated"]


async def make_batch(client, **more):
    request = {
        "custom_id": "1",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "qwen3-32b", "messages": [{"role": "user", "content": "hello"}]},
    }
    line = json.dumps(request).encode() + b"\n"
    file = await client.files.upload(file=line, filename="input.jsonl", purpose="batch")
    return await client.batches.create(
        completion_window="24h", endpoint="/v1/chat/completions", input_file_id=file.id, **more
    )


async def test_a_batch_is_waited_for_through_its_states(client):
    batch = await make_batch(client)
    seen = []
    done = await client.batches.wait(batch.id, on_update=lambda update: seen.append(update.status))
    assert done.status == "completed"
    assert done.output_file_id
    assert seen[-1] == "completed"


async def test_a_cancelled_batch_fails_a_wait_for_completion_and_ends_one_for_the_end(client):
    batch = await make_batch(client)
    await client.batches.cancel(batch.id)
    with pytest.raises(errors.WaitFailed):
        await client.batches.wait(batch.id)
    assert (await client.batches.wait(batch.id, until="ended")).status == "cancelled"


async def test_many_batches_share_their_polls(client, emulator):
    batches = [await make_batch(client) for _ in range(8)]
    emulator.clear_requests()
    done = await client.batches.wait_all([batch.id for batch in batches])
    assert {batch.status for batch in done} == {"completed"}
    assert {seen.operation for seen in emulator.requests} == {"listBatches"}


async def test_a_snapshot_is_waited_for_although_it_cannot_be_read_singly(client, make_vms):
    (vm,) = await make_vms(1)
    await client.vms.wait(vm.id)
    made = await client.snapshots.create(vm.id, name="golden")
    assert (await client.snapshots.wait(made.id)).status == "ready"


async def test_a_snapshot_that_fails_says_why(client, make_vms):
    (vm,) = await make_vms(1)
    await client.vms.wait(vm.id)
    made = await client.snapshots.create(vm.id, name="golden")
    await client.vms.terminate(vm.id)
    with pytest.raises(errors.WaitFailed) as caught:
        await client.snapshots.wait(made.id)
    assert caught.value.status_reason


async def test_a_snapshot_that_is_not_listed_is_not_found(client):
    with pytest.raises(errors.NotFound):
        await client.snapshots.wait("snap_none")


async def make_cluster(client):
    pool = {"name": "gpu", "count": 2, "sku": {"gpuModelId": "h100"}}
    return await client.kubernetes.create(name="prod", location_id="us-east", node_pools=[pool])


async def test_a_kubernetes_cluster_is_given_in_full_when_it_is_ready(client):
    made = await make_cluster(client)
    cluster = await client.kubernetes.wait(made.id)
    assert isinstance(cluster, models.KubernetesCluster)
    assert cluster.status == "ready"


async def test_a_kubernetes_cluster_that_is_gone_has_been_deleted(client):
    made = await make_cluster(client)
    await client.kubernetes.wait(made.id)
    await client.kubernetes.delete(made.id)
    assert await client.kubernetes.wait(made.id, until="deleted") is None


async def test_a_node_pool_is_waited_for_while_it_scales(client):
    made = await make_cluster(client)
    await client.kubernetes.wait(made.id)
    (pool,) = await client.kubernetes.list_node_pools(made.id)
    await client.kubernetes.scale_node_pool(made.id, pool.id, count=4)
    ready = await client.kubernetes.wait_node_pool(made.id, pool.id)
    assert (ready.status, ready.ready_count) == ("ready", 4)


async def test_a_deposit_is_waited_for_until_it_can_be_spent(client, emulator):
    before = (await client.billing.get_balance()).available_cents
    assert (await client.billing.wait_balance(at_least_cents=0)).available_cents == before
    with pytest.raises(errors.WaitTimeout) as caught:
        await client.billing.wait_balance(at_least_cents=before + 10_000, timeout=60)
    assert caught.value.resource.balance.available_cents <= before
    waiting = asyncio.ensure_future(client.billing.wait_balance(at_least_cents=before + 10_000, timeout=1e9))
    await client.billing.deposit(amount_cents=10_000)
    assert (await waiting).available_cents == before + 10_000


async def test_clusters_can_be_watched(client):
    async with aclosing(client.clusters.watch()) as changes:
        reading = asyncio.ensure_future(anext(changes))
        cluster = await client.clusters.create(
            name="api", gpu_model_id="rtx-4090", image_url="nginx", container_port=80
        )
        change = await asyncio.wait_for(reading, 5)
    assert (change.kind, change.id) == ("appeared", cluster.id)
