"""Clusters and their replicas."""

from __future__ import annotations

import pytest

CREATE = "/v1/orgs/{org}/clusters/create"
ORDER = {"name": "llm", "gpuModelId": "h100", "gpusPerReplica": 2, "replicaCount": 3}


async def test_replicas_become_healthy_one_by_one(api, clock):
    cluster = await api.post(CREATE, ORDER)
    path = f"/v1/clusters/{cluster['id']}"
    assert (cluster["status"], cluster["activeReplicas"], cluster["replicaCount"]) == ("deploying", 0, 3)
    seen = []
    for _ in range(6):
        clock.advance(1)
        now = await api.get(path)
        seen.append((now["status"], now["activeReplicas"]))
    assert seen == [
        ("deploying", 0),
        ("deploying", 0),
        ("deploying", 1),
        ("deploying", 2),
        ("running", 3),
        ("running", 3),
    ]
    detail = await api.get(path + "/detail")
    assert [replica["healthy"] for replica in detail["replicas"]] == [True] * 3


async def test_scaling_up_keeps_it_running_and_down_gives_room_back(api, clock):
    cluster = await api.post(CREATE, ORDER)
    path = f"/v1/clusters/{cluster['id']}"
    clock.advance(5)
    scaled = await api.post(path + "/scale", {"replicaCount": 5})
    assert (scaled["status"], scaled["replicaCount"], scaled["activeReplicas"]) == ("running", 5, 3)
    clock.advance(3)
    assert (await api.get(path))["activeReplicas"] == 4
    clock.advance(1)
    assert (await api.get(path))["activeReplicas"] == 5
    assert (await api.post(path + "/scale", {"replicaCount": 1}))["activeReplicas"] == 1
    found = {item["gpuModelId"]: item for item in await api.get("/v1/gpu-availability")}
    assert found["h100"]["cluster"]["freeGpus"] == 30


async def test_a_scale_that_finds_no_room_changes_nothing(api, clock):
    cluster = await api.post(CREATE, ORDER)
    clock.advance(9)
    refused = await api("POST", f"/v1/clusters/{cluster['id']}/scale", {"replicaCount": 17})
    assert (refused.status, refused.code) == (503, "INSUFFICIENT_GPU_CAPACITY")
    assert (await api.get(f"/v1/clusters/{cluster['id']}"))["replicaCount"] == 3


async def test_a_sick_replica_degrades_its_cluster(api, emulator, clock):
    cluster = await api.post(CREATE, ORDER)
    path = f"/v1/clusters/{cluster['id']}"
    clock.advance(5)
    emulator.sicken_replica(cluster["id"], 1, after=2, lasting=3)
    clock.advance(2)
    sick = await api.get(path)
    assert (sick["status"], sick["activeReplicas"]) == ("degraded", 2)
    replicas = (await api.get(path + "/detail"))["replicas"]
    assert [replica["status"] for replica in replicas] == ["running", "unhealthy", "running"]
    clock.advance(3)
    assert (await api.get(path))["status"] == "running"


async def test_stop_restart_terminate(api, clock):
    cluster = await api.post(CREATE, ORDER)
    path = f"/v1/clusters/{cluster['id']}"
    clock.advance(5)
    assert (await api.post(path + "/stop"))["status"] == "stopped"
    refused = await api("POST", path + "/scale", {"replicaCount": 1})
    assert (refused.status, refused.code) == (409, "INVALID_CLUSTER_STATE")
    assert (await api.get(path + "/detail"))["replicas"] == []
    assert (await api.post(path + "/restart"))["status"] == "deploying"
    clock.advance(5)
    assert (await api.get(path))["activeReplicas"] == 3
    for _ in range(2):
        assert (await api.post(path + "/terminate"))["status"] == "terminated"
    found = {item["gpuModelId"]: item for item in await api.get("/v1/gpu-availability")}
    assert found["h100"]["cluster"]["freeGpus"] == 32


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"replicaCount": 0}, "replicaCount"),
        ({"gpuModelId": "abacus"}, "gpuModelId"),
        ({"name": " "}, "name"),
    ],
)
async def test_a_wrong_order_is_refused(api, change, field):
    answered = await api("POST", CREATE, {**ORDER, **change})
    assert (answered.status, answered.json["field"]) == (400, field)


async def test_a_cluster_of_another_organization_reads_as_absent(api, emulator):
    cluster = await api.post(CREATE, ORDER)
    other = emulator.add_organization("Other")
    theirs = api.with_token(other.api_key, other.org_id)
    assert (await theirs("GET", f"/v1/clusters/{cluster['id']}")).status == 404
    assert (await theirs("POST", f"/v1/clusters/{cluster['id']}/terminate")).status == 404
    assert (await theirs.get("/v1/orgs/{org}/clusters"))["items"] == []
