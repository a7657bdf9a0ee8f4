"""Handing resources over, and runners for GitHub Actions."""

from __future__ import annotations

import pytest

PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHkzOmEyNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3 me@home"


@pytest.fixture
def other(emulator, api):
    founded = emulator.add_organization("Other")
    return api.with_token(founded.api_key, founded.org_id)


async def offer(api, kind, resource_id, slug="other"):
    body = {"resourceType": kind, "resourceId": resource_id, "targetOrgSlug": slug, "note": "yours"}
    return await api.post("/v1/orgs/{org}/transfers", body)


async def test_a_vm_changes_hands_and_each_pays_their_part(api, other, clock):
    vm = await api.post("/v1/orgs/{org}/vms/create", {"name": "vm", "gpuModelId": "h100"})
    key = await other.post("/v1/orgs/{org}/ssh-keys/create", {"name": "k", "publicKey": PUBLIC_KEY})
    clock.advance(2 + 3600)
    transfer = await offer(api, "vm", vm["id"])
    assert (transfer["status"], transfer["vmId"]) == ("pending", vm["id"])
    assert (await other.get("/v1/orgs/{org}/transfers/pending-count")) == {"count": 1}
    (incoming,) = await other.get("/v1/orgs/{org}/transfers/incoming")
    assert (incoming["sourceOrgSlug"], incoming["resourceName"], incoming["note"]) == ("acme", "vm", "yours")
    assert (await other("GET", f"/v1/vms/{vm['id']}")).status == 404
    path = f"/v1/transfers/{transfer['id']}"
    assert (await api("POST", path + "/accept")).status == 403, "that is for the other side to do"
    wrong = await other("POST", path + "/accept", {"sshKeyIds": ["ssh_none"]})
    assert wrong.json["field"] == "sshKeyIds[0]"
    assert (await other("POST", path + "/accept", {"sshKeyIds": [key["id"]]})).status == 204
    assert (await api("GET", f"/v1/vms/{vm['id']}")).status == 404
    assert (await other.get(f"/v1/vms/{vm['id']}"))["status"] == "running"
    assert [item["attached"] for item in await other.get(f"/v1/vms/{vm['id']}/ssh-keys")] == [True]
    clock.advance(7200)
    await other.post(f"/v1/vms/{vm['id']}/stop")
    clock.advance(100)
    paid = [(await caller.get("/v1/orgs/{org}/usage/current"))["usageCents"] for caller in (api, other)]
    assert paid == [249, 498]
    (outgoing,) = await api.get("/v1/orgs/{org}/transfers/outgoing")
    assert (outgoing["status"], outgoing["completedAt"]) == ("accepted", outgoing["respondedAt"])
    assert (await other("POST", path + "/accept")).code == "TRANSFER_CLOSED"


async def test_a_cluster_changes_hands_and_each_pays_their_part(api, other, clock):
    cluster = await api.post("/v1/orgs/{org}/clusters/create", {"name": "c", "gpuModelId": "a100"})
    clock.advance(3 + 3600)
    transfer = await offer(api, "cluster", cluster["id"])
    assert (await other("POST", f"/v1/transfers/{transfer['id']}/accept")).status == 204
    clock.advance(3600)
    assert (await other.get(f"/v1/clusters/{cluster['id']}"))["status"] == "running"
    await other.post(f"/v1/clusters/{cluster['id']}/terminate")
    clock.advance(100)
    paid = [(await caller.get("/v1/orgs/{org}/usage/current"))["usageCents"] for caller in (api, other)]
    assert paid == [149, 149]


async def test_an_offer_is_rejected_withdrawn_or_expires(api, other, clock):
    vm = await api.post("/v1/orgs/{org}/vms/create", {"name": "vm", "resourceSize": "small"})
    for end, status in (("reject", "rejected"), ("cancel", "cancelled"), (None, "expired")):
        transfer = await offer(api, "vm", vm["id"])
        again = {"resourceType": "vm", "resourceId": vm["id"], "targetOrgSlug": "other"}
        assert (await api("POST", "/v1/orgs/{org}/transfers", again)).code == "TRANSFER_PENDING"
        if end is None:
            clock.advance(7 * 86400)
        else:
            caller = other if end == "reject" else api
            assert (await caller("POST", f"/v1/transfers/{transfer['id']}/{end}")).status == 204
        assert (await api.get("/v1/orgs/{org}/transfers/outgoing"))[0]["status"] == status
        assert (await other("POST", f"/v1/transfers/{transfer['id']}/accept")).status == 409
    assert (await api.get(f"/v1/vms/{vm['id']}"))["organizationId"] == api.org_id


async def test_what_cannot_be_offered(api, other, emulator, clock):
    vm = await api.post("/v1/orgs/{org}/vms/create", {"name": "vm", "resourceSize": "small"})
    body = {"resourceType": "vm", "resourceId": vm["id"], "targetOrgSlug": "other"}
    path = "/v1/orgs/{org}/transfers"
    assert (await api("POST", path, {**body, "targetOrgSlug": "none"})).json["field"] == "targetOrgSlug"
    assert (await api("POST", path, {**body, "targetOrgSlug": "acme"})).json["field"] == "targetOrgSlug"
    assert (await api("POST", path, {**body, "resourceType": "cluster"})).status == 404
    assert (await other("POST", path, {**body, "targetOrgSlug": "acme"})).status == 404
    third = emulator.add_organization("Third")
    transfer = await offer(api, "vm", vm["id"])
    stranger = api.with_token(third.api_key, third.org_id)
    assert (await stranger("POST", f"/v1/transfers/{transfer['id']}/accept")).status == 404
    await api.post(f"/v1/vms/{vm['id']}/terminate")
    assert (await other("POST", f"/v1/transfers/{transfer['id']}/accept")).code == "INVALID_STATE"


async def test_targets_are_the_organizations_of_the_user(user, api):
    assert [item["slug"] for item in await user.get("/v1/transfers/target-orgs")] == ["acme"]


async def make_pool(api):
    found = await api.post("/v1/orgs/{org}/runner-pools/installations", {"code": "from-github"})
    (installation,) = found["installations"]
    body = {"installationId": installation["installationId"], "grant": installation["connectGrant"]}
    return await api.post("/v1/orgs/{org}/runner-pools", {**body, "poolRamGb": 16, "name": "ci"}), body


async def test_a_pool_needs_a_grant_and_is_resized_and_deleted(api):
    assert (await api.get("/v1/orgs/{org}/runner-pools/connect-url"))["oauth"] is True
    refused = await api(
        "POST", "/v1/orgs/{org}/runner-pools", {"installationId": 1_000_001, "grant": "guess"}
    )
    assert (refused.status, refused.json["field"]) == (400, "grant")
    pool, body = await make_pool(api)
    path = f"/v1/orgs/{{org}}/runner-pools/{pool['id']}"
    assert (await api("POST", "/v1/orgs/{org}/runner-pools", {**body, "name": "ci"})).code == "NAME_TAKEN"
    again = await api.post("/v1/orgs/{org}/runner-pools/installations", {"code": "x"})
    assert again["installations"][0]["alreadyConnected"] is True
    assert (await api.post(path + "/resize", {"poolRamGb": 32}))["poolRamGb"] == 32
    assert (await api("POST", path + "/resize", {"poolRamGb": 33})).json["field"] == "poolRamGb"
    assert (await api("DELETE", path)).json == {"status": "deleted"}
    assert (await api("GET", path)).status == 404


async def test_jobs_come_run_and_are_counted(api, emulator, clock):
    pool, _ = await make_pool(api)
    path = f"/v1/orgs/{{org}}/runner-pools/{pool['id']}"
    first = emulator.add_runner_job(pool["id"], repository="acme/app", lasting=60)
    second = emulator.add_runner_job(pool["id"], size="large", lasting=120, fails=True)
    waiting = await api.get(path)
    assert (waiting["queuedRunners"], waiting["queuedRamMb"], waiting["activeRunners"]) == (2, 20480, 0)
    clock.advance(4)
    assert (await api.get(path))["activeRunners"] == 2
    jobs = await api.get(path + "/jobs")
    assert [(job["id"], job["status"]) for job in jobs] == [(second, "running"), (first, "running")]
    clock.advance(120)
    jobs = {job["id"]: job for job in await api.get(path + "/jobs?limit=1&offset=1")}
    assert jobs[first]["status"] == "completed"
    metrics = await api.get(path + "/metrics")
    assert metrics["summary"] == {
        "totalJobs": 2,
        "completedJobs": 1,
        "failedJobs": 1,
        "avgDurationSec": 90,
        "avgQueueTimeSec": 4,
    }
    assert metrics["daily"] == [
        {"date": "2026-11-01", "completed": 1, "failed": 1, "cancelled": 0, "running": 0}
    ]
