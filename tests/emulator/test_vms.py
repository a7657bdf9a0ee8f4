"""VMs: lifecycle, room in the fleet, idempotency, pages."""

from __future__ import annotations

import asyncio

import pytest

from openrelay_async.emulator import Emulator

CREATE = "/v1/orgs/{org}/vms/create"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHkzOmEyNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3 me@home"
ORDER = {"name": "dev-box", "gpuModelId": "rtx-4090", "gpuCount": 1}


async def free_gpus(api, model="rtx-4090"):
    found = {item["gpuModelId"]: item for item in await api.get("/v1/gpu-availability")}
    return found[model]["vm"]["freeGpus"]


async def test_a_vm_deploys_runs_and_answers_ssh_a_little_later(api, clock):
    vm = await api.post(CREATE, ORDER)
    path = f"/v1/vms/{vm['id']}"
    assert (vm["status"], vm["provisioningStage"]) == ("deploying", "scheduling")
    clock.advance(1.5)
    assert (await api.get(path))["provisioningStage"] == "booting"
    clock.advance(0.5)
    assert (await api.get(path))["status"] == "running"
    detail = await api.get(path + "/detail")
    assert (detail["sshReady"], detail["sshState"]) == (False, "booting")
    clock.advance(1)
    detail = await api.get(path + "/detail")
    assert (detail["sshReady"], detail["sshState"], detail["healthy"]) == (True, "ready", True)
    assert detail["startedAt"] == "2026-11-01T00:00:02Z"


async def test_stop_restart_reboot_terminate(api, clock):
    vm = await api.post(CREATE, ORDER)
    path = f"/v1/vms/{vm['id']}"
    clock.advance(10)
    assert (await api("POST", path + "/reboot")).status == 204
    assert (await api.get(path + "/detail"))["sshReady"] is False
    clock.advance(1)
    assert (await api.get(path + "/detail"))["sshReady"] is True
    stopped = await api.post(path + "/stop")
    assert (stopped["status"], stopped["statusReason"]) == ("stopped", "stopped by user")
    refused = await api("POST", path + "/stop")
    assert (refused.status, refused.code) == (409, "INVALID_VM_STATE")
    assert (await api.post(path + "/restart"))["status"] == "deploying"
    clock.advance(2)
    assert (await api.get(path))["status"] == "running"
    assert (await api.post(path + "/terminate"))["status"] == "terminated"
    assert (await api.post(path + "/terminate"))["status"] == "terminated", "again is as good as once"
    for operation in ("stop", "restart", "reboot"):
        assert (await api("POST", f"{path}/{operation}")).status == 409


async def test_stopping_while_it_deploys_keeps_it_stopped(api, clock):
    vm = await api.post(CREATE, ORDER)
    await api.post(f"/v1/vms/{vm['id']}/stop")
    clock.advance(60)
    assert (await api.get(f"/v1/vms/{vm['id']}"))["status"] == "stopped"


async def test_room_in_the_fleet_is_taken_and_given_back(api):
    assert await free_gpus(api, "b200") == 8
    first = await api.post(CREATE, {"name": "a", "gpuModelId": "b200", "gpuCount": 5})
    assert await free_gpus(api, "b200") == 3
    refused = await api("POST", CREATE, {"name": "b", "gpuModelId": "b200", "gpuCount": 4})
    assert (refused.status, refused.code) == (503, "INSUFFICIENT_GPU_CAPACITY")
    assert "Retry-After" not in refused.headers
    await api.post(f"/v1/vms/{first['id']}/stop")
    assert await free_gpus(api, "b200") == 8
    await api.post(CREATE, {"name": "c", "gpuModelId": "b200", "gpuCount": 4})
    refused = await api("POST", f"/v1/vms/{first['id']}/restart")
    assert (refused.status, refused.code) == (503, "INSUFFICIENT_GPU_CAPACITY")
    assert (await api.get(f"/v1/vms/{first['id']}"))["status"] == "stopped", (
        "a refused restart changes nothing"
    )


async def test_the_fleet_has_what_the_facts_say(api):
    found = {item["gpuModelId"]: item["vm"] for item in await api.get("/v1/gpu-availability")}
    assert {model: item["totalGpus"] for model, item in found.items()} == {
        "rtx-4090": 64,
        "h100": 32,
        "a100": 16,
        "b200": 8,
    }
    assert sum(len(item["nodes"]) for item in found.values()) + 1 == 12, (
        "and one node for machines without GPUs"
    )


async def test_a_small_vm_does_not_break_up_an_empty_node(api):
    for _ in range(3):
        await api.post(CREATE, {"name": "small", "gpuModelId": "h100"})
    assert (await api.post(CREATE, {"name": "whole", "gpuModelId": "h100", "gpuCount": 8}))["gpuCount"] == 8
    nodes = {item["gpuModelId"]: item for item in await api.get("/v1/gpu-availability")}["h100"]["vm"][
        "nodes"
    ]
    assert sorted(node["freeGpus"] for node in nodes) == [0, 5, 8, 8]


async def test_the_last_gpus_go_to_exactly_as_many_of_many_concurrent_orders(api):
    answers = await asyncio.gather(
        *(api("POST", CREATE, {"name": f"b-{i}", "gpuModelId": "b200", "gpuCount": 2}) for i in range(20))
    )
    assert sorted(answer.status for answer in answers) == [200] * 4 + [503] * 16


async def test_the_same_idempotency_key_gives_the_same_vm(api, clock):
    headers = {"Idempotency-Key": "order-1"}
    first = await api("POST", CREATE, ORDER, headers=headers)
    clock.advance(5)
    again = await api("POST", CREATE, ORDER, headers=headers)
    assert again.json["id"] == first.json["id"]
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len((await api.get("/v1/orgs/{org}/vms"))["items"]) == 1
    other = await api("POST", CREATE, {**ORDER, "name": "other"}, headers=headers)
    assert (other.status, other.code) == (409, "IDEMPOTENCY_KEY_REUSED")


async def test_an_idempotency_key_is_its_organizations_own(api, emulator):
    headers = {"Idempotency-Key": "order-1"}
    mine = await api.post(CREATE, ORDER, headers=headers)
    other = emulator.add_organization("Other")
    theirs = await api.with_token(other.api_key, other.org_id).post(CREATE, ORDER, headers=headers)
    assert theirs["id"] != mine["id"]
    assert theirs["organizationId"] == other.org_id


async def test_a_refused_order_leaves_its_idempotency_key_free(api):
    headers = {"Idempotency-Key": "order-1"}
    refused = await api("POST", CREATE, {**ORDER, "gpuModelId": "abacus"}, headers=headers)
    assert (refused.status, refused.json["field"]) == (400, "gpuModelId")
    assert (await api("POST", CREATE, ORDER, headers=headers)).status == 200


async def test_pages_hold_every_vm_once_while_new_ones_come(api):
    made = [(await api.post(CREATE, {"name": f"vm-{i}", "resourceSize": "small"}))["id"] for i in range(7)]
    seen, cursor, pages = [], "", 0
    while True:
        page = await api.get("/v1/orgs/{org}/vms?limit=3" + (f"&cursor={cursor}" if cursor else ""))
        seen += [vm["id"] for vm in page["items"]]
        pages += 1
        await api.post(CREATE, {"name": "late", "resourceSize": "small"})
        cursor = page.get("nextCursor")
        if not cursor:
            break
    assert seen == made[::-1]
    assert pages == 3


@pytest.mark.parametrize("cursor", ["x", "AAAA", "%00", "a" * 500, "🦊", "MTIzNDU2Nzg5MDEyMw"])
async def test_a_cursor_that_nobody_gave_is_refused(api, cursor):
    answered = await api("GET", f"/v1/orgs/{{org}}/vms?cursor={cursor}")
    assert (answered.status, answered.code) == (400, "INVALID_CURSOR")


async def test_a_cursor_of_another_list_is_refused(api, emulator):
    for _ in range(2):
        await api.post(CREATE, {"name": "vm", "resourceSize": "small"})
    cursor = (await api.get("/v1/orgs/{org}/vms?limit=1"))["nextCursor"]
    other = emulator.add_organization("Other")
    for answered in (
        await api("GET", f"/v1/orgs/{{org}}/clusters?cursor={cursor}"),
        await api.with_token(other.api_key, other.org_id)("GET", f"/v1/orgs/{{org}}/vms?cursor={cursor}"),
    ):
        assert (answered.status, answered.code) == (400, "INVALID_CURSOR")


async def test_active_only_leaves_out_what_has_ended(api, emulator, clock):
    ids = [(await api.post(CREATE, {"name": f"{i}", "resourceSize": "small"}))["id"] for i in range(4)]
    await api.post(f"/v1/vms/{ids[0]}/terminate")
    emulator.move_vm(ids[1], "failed", reason="disk broke", after=1)
    await api.post(f"/v1/vms/{ids[2]}/stop")
    clock.advance(1)
    active = (await api.get("/v1/orgs/{org}/vms?activeOnly=true"))["items"]
    assert {vm["id"] for vm in active} == {ids[2], ids[3]}
    assert len((await api.get("/v1/orgs/{org}/vms"))["items"]) == 4


async def test_a_vm_of_another_organization_reads_as_absent(api, emulator):
    vm = await api.post(CREATE, ORDER)
    other = emulator.add_organization("Other")
    theirs = api.with_token(other.api_key, other.org_id)
    for method, path in (
        ("GET", ""),
        ("GET", "/detail"),
        ("GET", "/ssh-keys"),
        ("POST", "/stop"),
        ("POST", "/terminate"),
    ):
        hidden = await theirs(method, f"/v1/vms/{vm['id']}{path}")
        absent = await theirs(method, f"/v1/vms/vm_none{path}")
        assert hidden.status == absent.status == 404
        assert hidden.json["error"] == absent.json["error"]
    assert (await api.get(f"/v1/vms/{vm['id']}"))["status"] == "deploying"


async def test_an_absent_vm_is_404_whatever_the_body_says(api):
    answered = await api("POST", "/v1/vms/vm_none/resize-disk", {"newSizeGb": "big"})
    assert answered.status == 404


async def test_disks_grow_and_never_shrink(api):
    vm = await api.post(CREATE, {**ORDER, "diskSizeGb": 200})
    path = f"/v1/vms/{vm['id']}"
    assert (await api("POST", path + "/resize-disk", {"newSizeGb": 300})).status == 204
    assert (await api.get(path))["diskSizeGb"] == 300
    for size in (300, 100, -1, 10**6):
        refused = await api("POST", path + "/resize-disk", {"newSizeGb": size})
        assert (refused.status, refused.json["field"]) == (400, "newSizeGb")


async def test_visibility_is_set(api):
    vm = await api.post(CREATE, ORDER)
    assert (await api.post(f"/v1/vms/{vm['id']}/visibility", {"public": True}))["public"] is True
    assert (await api.get(f"/v1/vms/{vm['id']}/detail"))["public"] is True


async def test_ssh_keys_are_attached_and_detached(api):
    key = await api.post("/v1/orgs/{org}/ssh-keys/create", {"name": "laptop", "publicKey": PUBLIC_KEY})
    assert key["fingerprint"].startswith("SHA256:")
    vm = await api.post(CREATE, {**ORDER, "sshKeyIds": [key["id"]]})
    path = f"/v1/vms/{vm['id']}/ssh-keys"
    assert [(item["id"], item["attached"]) for item in await api.get(path)] == [(key["id"], True)]
    refused = await api("DELETE", f"/v1/orgs/{{org}}/ssh-keys/{key['id']}")
    assert (refused.status, refused.code) == (409, "SSH_KEY_IN_USE")
    assert (await api.get("/v1/orgs/{org}/ssh-keys"))[0]["blockingVms"] == [vm["id"]]
    assert (await api("DELETE", f"{path}/{key['id']}")).status == 204
    assert (await api("DELETE", f"{path}/{key['id']}")).status == 404
    assert [item["attached"] for item in await api.get(path)] == [False]
    assert (await api("POST", path, {"sshKeyId": key["id"]})).status == 204
    await api.post(f"/v1/vms/{vm['id']}/terminate")
    assert (await api("DELETE", f"/v1/orgs/{{org}}/ssh-keys/{key['id']}")).status == 204
    assert await api.get("/v1/orgs/{org}/ssh-keys") == []


@pytest.mark.parametrize(
    "public_key",
    ["", "ssh-ed25519", "ssh-ed25519 !!!", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAA", "-----BEGIN KEY-----"],
)
async def test_what_is_no_public_key_is_refused(api, public_key):
    answered = await api("POST", "/v1/orgs/{org}/ssh-keys/create", {"name": "x", "publicKey": public_key})
    assert (answered.status, answered.json["field"]) == (400, "publicKey")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"gpuCount": 0}, "gpuCount"),
        ({"gpuCount": 17}, "gpuCount"),
        ({"tier": "gold"}, "tier"),
        ({"templateId": "tpl-none"}, "templateId"),
        ({"diskSizeGb": 1}, "diskSizeGb"),
        ({"containerPort": 70000}, "containerPort"),
        ({"sshKeyIds": ["ssh_none"]}, "sshKeyIds[0]"),
        ({"gpuModelId": None}, "gpuModelId"),
        ({"gpuCount": "1"}, "gpuCount"),
        ({"gpuCount": True}, "gpuCount"),
        ({"gpuCount": 1.0}, "gpuCount"),
        ({"gpuCount": 2**63}, "gpuCount"),
        ({"public": 1}, "public"),
        ({"sshKeyIds": "key"}, "sshKeyIds"),
        ({"envVars": {"A": 1}}, "envVars.*"),
    ],
)
async def test_a_wrong_field_is_named(api, change, field):
    answered = await api("POST", CREATE, {**ORDER, **change})
    assert (answered.status, answered.json.get("field")) == (400, field), answered.json
    assert await free_gpus(api) == 64


async def test_scripts_decide_what_becomes_of_a_vm(api, emulator, clock):
    vm = await api.post(CREATE, ORDER)
    path = f"/v1/vms/{vm['id']}"
    clock.advance(5)
    emulator.move_vm(vm["id"], "interrupted", reason="host maintenance")
    assert (await api.get(path))["status"] == "interrupted"
    emulator.move_vm(vm["id"], "running", after=3)
    clock.advance(3)
    assert (await api.get(path))["status"] == "running"
    assert await free_gpus(api) == 63
    emulator.move_vm(vm["id"], "failed", reason="host lost", after=2)
    clock.advance(2)
    answered = await api.get(path)
    assert (answered["status"], answered["statusReason"]) == ("failed", "host lost")
    assert await free_gpus(api) == 64


async def test_what_a_user_hands_over_is_not_readable_in_the_file(tmp_path, connect):
    file = tmp_path / "state.db"
    async with Emulator(db=str(file)) as emulator:
        api = connect(emulator)
        minted = await api.post("/v1/orgs/{org}/api-keys/create", {"name": "x"})
        await api.post(CREATE, {**ORDER, "envVars": {"TOKEN": "canary-env"}, "cloudInit": "canary-cloud"})
        cluster = {"name": "c", "envVars": {"TOKEN": "canary-env"}}
        made = await api.post("/v1/orgs/{org}/clusters/create", cluster)
        detail = await api.get(f"/v1/clusters/{made['id']}/detail")
        assert detail["envVars"] == {"TOKEN": "canary-env"}, "its owner can read it back"
        secrets = [emulator.api_key, emulator.session_token, minted["key"], "canary-env", "canary-cloud"]
        secrets.append(detail["deployToken"])
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert made["id"].encode() in stored
    for secret in secrets:
        assert secret.encode() not in stored


async def test_a_larger_fleet_can_be_asked_for(connect):
    async with Emulator(fleet={"rtx-4090": 1000, "b200": 0}) as emulator:
        api = connect(emulator)
        assert await free_gpus(api) == 1000
        assert (await api("POST", CREATE, {"name": "x", "gpuModelId": "b200"})).status == 503
