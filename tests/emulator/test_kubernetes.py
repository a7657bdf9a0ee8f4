"""Kubernetes clusters, node pools, nodes."""

from __future__ import annotations

import uuid

import pytest

CLUSTERS = "/v1/kubernetes/clusters"
POOL = {"name": "gpu", "count": 2, "sku": {"gpuModelId": "h100"}}
ORDER = {"name": "prod", "locationId": "us-east", "nodePools": [POOL]}


async def make(api, clock, **more):
    made = (await api("POST", CLUSTERS, {**ORDER, **more})).json
    return f"{CLUSTERS}/{made['id']}"


async def test_a_cluster_is_ready_in_five_seconds_and_its_nodes_join_after_it(api, clock):
    answered = await api("POST", CLUSTERS, ORDER)
    assert (answered.status, answered.json["status"]) == (202, "creating")
    uuid.UUID(answered.json["id"])
    path = f"{CLUSTERS}/{answered.json['id']}"
    seen = []
    for _ in range(10):
        now = await api.get(path)
        counts = now["nodeCounts"]
        seen.append((now["status"], counts["pending"], counts["notReady"], counts["ready"]))
        clock.advance(1)
    assert seen == [("creating", 2, 0, 0)] * 5 + [
        ("updating", 2, 0, 0),
        ("updating", 2, 0, 0),
        ("updating", 1, 1, 0),
        ("updating", 0, 1, 1),
        ("ready", 0, 0, 2),
    ]
    (summary,) = (await api.get(CLUSTERS))["items"]
    assert (summary["health"], summary["workerCount"], summary["healthyWorkerCount"]) == ("healthy", 2, 2)


async def test_a_pool_scales_up_and_down(api, clock):
    path = await make(api, clock)
    clock.advance(20)
    (pool,) = (await api.get(path + "/node-pools"))["items"]
    pool_path = f"{path}/node-pools/{pool['id']}"
    assert (pool["status"], pool["count"], pool["readyCount"]) == ("ready", 2, 2)
    refused = await api("POST", pool_path + "/scale", {"count": 4, "expectedCount": 1})
    assert (refused.status, refused.code) == (409, "CONCURRENT_UPDATE")
    scaled = (await api("POST", pool_path + "/scale", {"count": 4, "expectedCount": 2})).json
    assert (scaled["status"], scaled["count"], scaled["readyCount"]) == ("scaling", 4, 2)
    clock.advance(4)
    assert (await api.get(pool_path))["status"] == "ready"
    refused = await api("POST", pool_path + "/scale", {"count": 5})
    assert (refused.status, refused.code) == (503, "INSUFFICIENT_GPU_CAPACITY")
    assert (await api.get(pool_path))["count"] == 4
    await api("POST", pool_path + "/scale", {"count": 1})
    assert len((await api.get(path + "/nodes"))["items"]) == 4
    clock.advance(2)
    assert len((await api.get(path + "/nodes"))["items"]) == 1
    found = {item["gpuModelId"]: item for item in await api.get("/v1/gpu-availability")}
    assert found["h100"]["vm"]["freeGpus"] == 24


async def test_nodes_are_listed_looked_at_and_removed(api, clock):
    path = await make(api, clock)
    cpu = (
        await api("POST", path + "/node-pools", {"name": "cpu", "count": 3, "sku": {"cpuSku": "large"}})
    ).json
    clock.advance(20)
    first = await api.get(path + "/nodes?limit=2")
    rest = await api.get(f"{path}/nodes?limit=3&cursor={first['nextCursor']}")
    assert "nextCursor" not in rest
    ids = [node["id"] for node in first["items"] + rest["items"]]
    assert len(set(ids)) == 5
    assert (
        await api("GET", f"{path}/nodes?nodePoolId=x&cursor={first['nextCursor']}")
    ).code == "INVALID_CURSOR"
    only = (await api.get(f"{path}/nodes?nodePoolId={cpu['id']}"))["items"]
    assert len(only) == 3
    gpu_node = next(node for node in first["items"] + rest["items"] if node["nodePoolId"] != cpu["id"])
    detail = await api.get(f"{path}/nodes/{gpu_node['id']}")
    assert (detail["gpu"]["count"], detail["kubernetesStatus"]) == (8, "Ready")
    removed = await api("DELETE", f"{path}/nodes/{gpu_node['id']}?drain=true")
    assert (removed.status, removed.json["status"]) == (202, "removing")
    clock.advance(2)
    assert (await api("GET", f"{path}/nodes/{gpu_node['id']}")).status == 404


async def test_a_deleted_pool_and_cluster_fade_out(api, clock):
    path = await make(api, clock)
    clock.advance(20)
    (pool,) = (await api.get(path + "/node-pools"))["items"]
    for _ in range(2):
        assert (await api("DELETE", f"{path}/node-pools/{pool['id']}")).json["status"] == "deleting"
    assert (await api("POST", f"{path}/node-pools/{pool['id']}/scale", {"count": 1})).status == 409
    clock.advance(2)
    assert (await api("GET", f"{path}/node-pools/{pool['id']}")).status == 404
    for _ in range(2):
        assert (await api("DELETE", path)).status == 202
    assert (await api.get(path))["status"] == "deleting"
    clock.advance(2)
    assert (await api("GET", path)).status == 404
    assert (await api.get(CLUSTERS))["items"] == []
    await make(api, clock)  # its name is free again


async def test_credentials_are_given_when_it_is_ready(api, clock):
    path = await make(api, clock)
    refused = await api("GET", path + "/kubeconfig")
    assert (refused.status, refused.code) == (409, "CLUSTER_NOT_READY")
    clock.advance(5)
    config = await api.get(path + "/kubeconfig?role=cluster-admin")
    assert (config["role"], config["ttlSeconds"]) == ("cluster-admin", 3600)
    assert "server: https://" in config["kubeconfig"]
    token = await api.post(path + "/token")
    assert token["status"]["role"] == "view"
    assert (await api.post(path + "/token"))["status"]["token"] != token["status"]["token"]
    assert (await api("POST", path + "/token?role=root")).status == 400


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "Prod"}, "name"),
        ({"name": "-x"}, "name"),
        ({"locationId": "moon"}, "locationId"),
        ({"kubernetesVersion": "v1.0.0"}, "kubernetesVersion"),
        ({"nodePools": [{**POOL, "count": 101}]}, "nodePools[0].count"),
        ({"nodePools": [{**POOL, "sku": {}}]}, "nodePools[0].sku"),
        ({"nodePools": [{**POOL, "sku": {"gpuModelId": "h100", "cpuSku": "small"}}]}, "nodePools[0].sku"),
        ({"nodePools": [{**POOL, "sku": {"gpuModelId": "abacus"}}]}, "sku.gpuModelId"),
        ({"nodePools": [POOL, POOL]}, "nodePools[1].name"),
    ],
)
async def test_a_wrong_order_is_refused_and_leaves_nothing(api, change, field):
    answered = await api("POST", CLUSTERS, {**ORDER, **change})
    assert (answered.status, answered.json["field"]) == (400, field)
    assert (await api.get(CLUSTERS))["items"] == []


async def test_names_are_taken_once(api, clock):
    await make(api, clock)
    refused = await api("POST", CLUSTERS, ORDER)
    assert (refused.status, refused.code) == (409, "NAME_TAKEN")


async def test_nodes_cost_what_whole_machines_cost(api, clock):
    path = await make(api, clock)
    clock.advance(9 + 3600)
    usage = await api.get("/v1/orgs/{org}/usage/current")
    assert usage["burnPerHourCents"] == 2 * 8 * 249
    assert usage["usageCents"] == round(8 * 249 * (3601 + 3600) / 3600)
    await api("DELETE", path)
    assert (await api.get("/v1/orgs/{org}/usage/current"))["burnPerHourCents"] == 0


async def test_a_cluster_of_another_organization_reads_as_absent(api, emulator, clock):
    path = await make(api, clock)
    other = emulator.add_organization("Other")
    theirs = api.with_token(other.api_key, other.org_id)
    for method, suffix in (("GET", ""), ("DELETE", ""), ("GET", "/nodes"), ("GET", "/node-pools")):
        assert (await theirs(method, path + suffix)).status == 404
