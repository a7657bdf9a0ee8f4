"""Renting out machines of one's own."""

from __future__ import annotations

import pytest

from openrelay_async.emulator import EmulatorError

PROVIDER = "/v1/orgs/{org}/provider"


@pytest.fixture
async def provider(api, clock):
    """A caller whose organization was approved."""
    assert (await api("POST", PROVIDER + "/apply", {"note": "eight cards"})).status == 204
    clock.advance(5)
    return api


async def test_an_application_is_reviewed_and_approved(api, clock):
    assert (await api.get(PROVIDER + "/status")) == {
        "isProvider": False,
        "applicationStatus": None,
        "applicationSubmittedAt": None,
    }
    refused = await api("POST", PROVIDER + "/tokens", {})
    assert (refused.status, refused.code) == (403, "NOT_A_PROVIDER")
    await api("POST", PROVIDER + "/apply", {"note": "x"})
    assert (await api.get(PROVIDER + "/status"))["applicationStatus"] == "pending"
    assert (await api("POST", PROVIDER + "/apply", {"note": "x"})).code == "ALREADY_APPLIED"
    clock.advance(5)
    assert (await api.get(PROVIDER + "/status"))["isProvider"] is True


async def test_a_token_is_shown_once_used_up_revoked_or_expires(provider, emulator, clock):
    made = await provider.post(PROVIDER + "/tokens", {"name": "rack", "maxNodes": 2, "expiresInHours": 1})
    listed = await provider("GET", PROVIDER + "/tokens")
    assert made["token"].encode() not in listed.raw
    assert made["token"].startswith(made["tokenPrefix"])
    assert (listed.json[0]["status"], listed.json[0]["usedCount"]) == ("active", 0)
    nodes = [emulator.enroll_node(made["token"]) for _ in range(2)]
    used = (await provider.get(PROVIDER + "/tokens"))[0]
    assert (used["status"], used["usedByNodeId"], used["enrollmentCount"]) == ("used", nodes[1], 2)
    with pytest.raises(EmulatorError):
        emulator.enroll_node(made["token"])
    second = await provider.post(PROVIDER + "/tokens", {"expiresInHours": 1})
    third = await provider.post(PROVIDER + "/tokens")
    assert (await provider("DELETE", f"{PROVIDER}/tokens/{third['id']}")).status == 204
    clock.advance(3600)
    states = {item["id"]: item["status"] for item in await provider.get(PROVIDER + "/tokens")}
    assert (states[second["id"]], states[third["id"]]) == ("expired", "revoked")


async def test_scripts_are_given_for_good_tokens_only(provider, http):
    url = f"{provider.url}/v1/provider"
    good = await provider.post(PROVIDER + "/tokens")
    spot = await provider.post(PROVIDER + "/tokens", {"class": "interruptible"})
    for path, token, status in (
        ("/bootstrap", good["token"], 200),
        ("/bootstrap", spot["token"], 401),
        ("/bootstrap", "guess", 401),
        ("/interruptible/bootstrap", spot["token"], 200),
        ("/interruptible/bootstrap", good["token"], 401),
    ):
        async with http.get(f"{url}{path}", params={"token": token}) as response:
            assert response.status == status
            text = await response.text()
            assert text.startswith("#!/bin/sh") == (status == 200)
            assert token not in text
    async with http.get(f"{url}/bootstrap") as response:
        assert response.status == 401
    answered = await provider("GET", "/v1/provider/bootstrap")
    assert answered.headers["Content-Type"] == "text/plain; charset=utf-8"


async def test_nodes_are_listed_drained_and_given_notice(provider, emulator, clock):
    token = (await provider.post(PROVIDER + "/tokens", {"maxNodes": 3}))["token"]
    first, second = (emulator.enroll_node(token, gpu_model_id="h100", gpus=4) for _ in range(2))
    nodes = {node["id"]: node for node in await provider.get(PROVIDER + "/nodes")}
    assert nodes[first]["gpus"] == [{"gpuName": "NVIDIA H100 80GB", "quantity": 4, "vramGb": 80}]
    drained = await provider("PATCH", f"{PROVIDER}/nodes/{first}", {"status": "draining"})
    assert drained.json["status"] == "draining"
    leaving = await provider.post(f"{PROVIDER}/nodes/{second}/offboard", {"noticeSeconds": 60})
    assert (leaving["status"], leaving["terminateAt"]) == ("draining", "2026-11-01T00:01:05Z")
    clock.advance(60)
    assert [node["id"] for node in await provider.get(PROVIDER + "/nodes")] == [first]
    assert len(await provider.get(PROVIDER + "/nodes?includeRemoved=true")) == 2
    assert [node["id"] for node in await provider.get(PROVIDER + "/nodes?status=removed")] == [second]
    assert (await provider("PATCH", f"{PROVIDER}/nodes/{second}", {"status": "online"})).status == 409
    past = await provider(
        "POST", f"{PROVIDER}/nodes/{first}/offboard", {"terminateAt": "2020-01-01T00:00:00Z"}
    )
    assert past.json["field"] == "terminateAt"
    assert (await provider.get(PROVIDER + "/stats")) == {
        "totalNodes": 1,
        "onlineNodes": 0,
        "offlineNodes": 1,
        "activeTokens": 1,
    }
    assert (await provider.get(PROVIDER + "/earnings"))["totalEarningsCents"] == 0


async def test_nodes_and_tokens_of_another_organization_read_as_absent(provider, emulator):
    token = await provider.post(PROVIDER + "/tokens")
    node = emulator.enroll_node(token["token"])
    founded = emulator.add_organization("Other")
    other = provider.with_token(founded.api_key, founded.org_id)
    assert (await other("PATCH", f"{PROVIDER}/nodes/{node}", {"status": "online"})).status == 404
    assert (await other("DELETE", f"{PROVIDER}/tokens/{token['id']}")).status == 404
    assert await other.get(PROVIDER + "/nodes") == []
