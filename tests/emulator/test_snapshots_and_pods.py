"""Snapshots, forks, pods, and what a VM shows of itself."""

from __future__ import annotations

import pytest

CREATE = "/v1/orgs/{org}/vms/create"
FORK = "/v1/orgs/{org}/vms/fork"
ORDER = {"name": "base", "gpuModelId": "a100", "gpuCount": 2, "envVars": {"A": "1"}, "diskSizeGb": 50}


async def take(api, clock, **more):
    vm = await api.post(CREATE, {**ORDER, **more})
    clock.advance(2)
    snapshot = await api.post(f"/v1/vms/{vm['id']}/snapshots", {"name": "golden"})
    return vm, snapshot


async def listed(api, query=""):
    return {item["id"]: item for item in await api.get("/v1/orgs/{org}/snapshots" + query)}


async def test_a_snapshot_is_ready_in_three_seconds(api, clock):
    vm, snapshot = await take(api, clock)
    assert snapshot["status"] == "pending"
    clock.advance(2.9)
    assert (await listed(api))[snapshot["id"]]["status"] == "pending"
    clock.advance(0.1)
    ready = (await listed(api))[snapshot["id"]]
    assert (ready["status"], ready["sourceVmId"], ready["diskSizeGb"]) == ("ready", vm["id"], 50)
    assert ready["envVars"] == {"A": "1"}
    second = await api.post(f"/v1/vms/{vm['id']}/snapshots", {"name": "next"})
    assert (await listed(api))[second["id"]]["chainDepth"] == 2
    assert set(await listed(api, "?vmId=vm_none")) == set()
    assert set(await listed(api, f"?vmId={vm['id']}")) == {snapshot["id"], second["id"]}


async def test_a_fork_has_what_the_snapshot_had_unless_told_otherwise(api, clock):
    _, snapshot = await take(api, clock)
    refused = await api("POST", FORK, {"snapshotId": snapshot["id"]})
    assert (refused.status, refused.code) == (409, "SNAPSHOT_NOT_READY")
    clock.advance(3)
    fork = await api.post(FORK, {"snapshotId": snapshot["id"], "gpuCount": 1})
    assert (fork["name"], fork["status"]) == ("golden-fork", "deploying")
    vm = await api.get(f"/v1/vms/{fork['id']}")
    assert (vm["gpuModelId"], vm["gpuCount"], vm["diskSizeGb"]) == ("a100", 1, 50)
    assert (await api("POST", FORK, {"snapshotId": "snap_none"})).status == 404


async def test_a_snapshot_fails_when_its_vm_ends_meanwhile(api, clock):
    vm, snapshot = await take(api, clock)
    clock.advance(1)
    await api.post(f"/v1/vms/{vm['id']}/terminate")
    assert (await listed(api))[snapshot["id"]]["status"] == "failed"
    clock.advance(10)
    failed = (await listed(api))[snapshot["id"]]
    assert failed["status"] == "failed"
    assert failed["errorMessage"]


async def test_a_snapshot_outlives_its_vm_once_it_is_ready(api, clock):
    vm, snapshot = await take(api, clock)
    clock.advance(3)
    await api.post(f"/v1/vms/{vm['id']}/terminate")
    assert (await listed(api))[snapshot["id"]]["status"] == "ready"
    assert (await api("POST", f"/v1/vms/{vm['id']}/snapshots", {"name": "late"})).status == 409
    assert (await api("DELETE", f"/v1/snapshots/{snapshot['id']}")).status == 204
    assert (await api("DELETE", f"/v1/snapshots/{snapshot['id']}")).status == 404


async def test_pods_live_like_vms_and_are_listed_apart(api, clock):
    headers = {"Idempotency-Key": "p-1"}
    order = {"image": "ghcr.io/acme/train:1", "sshKeyIds": [], "gpuModelId": "h100", "httpPort": 8000}
    pod = await api.post("/v1/pods", order, headers=headers)
    assert (await api.post("/v1/pods", order, headers=headers))["id"] == pod["id"]
    assert (pod["status"], pod["imageUrl"], pod["computeClass"]) == ("deploying", order["image"], "on_demand")
    assert [item["id"] for item in (await api.get("/v1/pods"))["items"]] == [pod["id"]]
    assert (await api.get("/v1/orgs/{org}/vms"))["items"] == []
    clock.advance(2)
    assert (await api.get(f"/v1/vms/{pod['id']}"))["status"] == "running"
    assert (await api.post(f"/v1/vms/{pod['id']}/terminate"))["status"] == "terminated"


async def test_pods_cost_what_their_class_costs(api):
    capacity = {item["gpuModelId"]: item for item in (await api.get("/v1/pods/capacity"))["items"]}["h100"]
    assert (capacity["totalUnits"], capacity["freeUnits"], capacity["maxGpuCount"]) == (32, 32, 8)
    for name, rate in (
        ("on_demand", "OnDemand"),
        ("interruptible", "Interruptible"),
        ("reserved", "Reserved"),
    ):
        order = {"image": "x", "sshKeyIds": [], "gpuModelId": "h100", "gpuCount": 2, "computeClass": name}
        pod = await api.post("/v1/pods", order)
        assert pod["pricePerHourCents"] == 2 * capacity[f"rate{rate}CentsPerHour"]
    assert {i["gpuModelId"]: i for i in (await api.get("/v1/pods/capacity"))["items"]}["h100"][
        "freeUnits"
    ] == 26


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"image": " "}, "image"),
        ({"httpPort": 0}, "httpPort"),
        ({"volumeGb": -1}, "volumeGb"),
        ({"computeClass": "cheap"}, "computeClass"),
        ({"sshKeyIds": ["none"]}, "sshKeyIds[0]"),
    ],
)
async def test_a_wrong_pod_is_refused(api, change, field):
    answered = await api("POST", "/v1/pods", {"image": "x", "sshKeyIds": [], **change})
    assert (answered.status, answered.json["field"]) == (400, field)


async def test_logs_move_with_the_clock_and_stop_with_the_vm(api, clock):
    vm = await api.post(CREATE, ORDER)
    path = f"/api/nomad/vms/{vm['id']}/logs"
    assert (await api.get(path))["found"] is False
    clock.advance(2 + 35)
    content = (await api.get(path))["content"]
    assert content.count("heartbeat") == 3
    await api.post(f"/v1/vms/{vm['id']}/stop")
    stopped = (await api.get(path))["content"]
    clock.advance(3600)
    assert (await api.get(path))["content"] == stopped
    assert stopped.startswith(content)
    await api.post(f"/v1/vms/{vm['id']}/restart")
    clock.advance(2 + 86400)
    assert (await api.get(path))["content"].count("\n") == 500


async def test_metrics_cover_the_range_and_only_the_time_it_ran(api, clock):
    vm = await api.post(CREATE, ORDER)
    clock.advance(2 + 1200)
    await api.post(f"/v1/vms/{vm['id']}/stop")
    clock.advance(600)
    metrics = await api.get(f"/v1/vms/{vm['id']}/metrics?range=1h")
    assert (metrics["pointCount"], metrics["stepSeconds"], len(metrics["gpus"])) == (60, 60, 2)
    series = {item["key"]: item["values"] for item in metrics["gpus"][0]["series"]}
    assert sum(value is not None for value in series["utilization_ratio"]) == 20
    assert all(0 <= value <= 1 for value in series["utilization_ratio"] if value is not None)
    assert metrics["gpus"][0]["series"] != metrics["gpus"][1]["series"]
    assert (await api.get(f"/v1/vms/{vm['id']}/metrics?range=1h")) == metrics
    for name in ("6h", "24h", "7d"):
        assert (await api.get(f"/v1/vms/{vm['id']}/metrics?range={name}"))["range"] == name
    assert (await api("GET", f"/v1/vms/{vm['id']}/metrics?range=1y")).status == 400


async def test_an_emulated_vm_has_no_chat(api):
    vm = await api.post(CREATE, ORDER)
    assert await api.get(f"/v1/vms/{vm['id']}/telegram-link") == {"present": False}
