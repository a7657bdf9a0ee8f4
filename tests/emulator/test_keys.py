"""API keys: minted, shown once, scoped, revoked, expired."""

from __future__ import annotations

import pytest

MINT = "/v1/orgs/{org}/api-keys/create"


async def mint(api, **body):
    return await api.post(MINT, {"name": "ci", **body})


async def test_a_new_key_works_and_is_never_shown_again(api):
    made = await mint(api)
    assert (await api.with_token(made["key"]).get("/v1/whoami"))["key"]["id"] == made["id"]
    listed = await api("GET", "/v1/orgs/{org}/api-keys")
    assert made["id"] in [item["id"] for item in listed.json]
    assert made["key"].encode() not in listed.raw
    assert made["key"].startswith(made["keyPrefix"])
    assert len(made["keyPrefix"]) == 8


async def test_a_key_without_scopes_has_those_of_its_maker(api):
    maker = await mint(api, scopes=["clusters:write", "vms:read"])
    child = await mint(api.with_token(maker["key"]))
    assert child["scopes"] == ["clusters:write", "vms:read"]


async def test_nothing_mints_more_than_it_has(api):
    maker = await mint(api, scopes=["clusters:write"])
    answered = await api.with_token(maker["key"])("POST", MINT, {"name": "x", "scopes": ["billing:read"]})
    assert (answered.status, answered.code) == (403, "ESCALATION_REFUSED")
    assert len(await api.get("/v1/orgs/{org}/api-keys")) == 2


async def test_write_lets_mint_read_of_the_same_area(api):
    maker = await mint(api, scopes=["clusters:write"])
    child = await mint(api.with_token(maker["key"]), scopes=["clusters:read"])
    assert child["scopes"] == ["clusters:read"]


async def test_an_unknown_scope_is_refused_naming_the_field(api):
    answered = await api("POST", MINT, {"name": "x", "scopes": ["everything"]})
    assert (answered.status, answered.json["field"]) == (400, "scopes")


@pytest.mark.parametrize(
    ("scopes", "method", "path", "status"),
    [
        (["vms:read"], "GET", "/v1/orgs/{org}/vms", 200),
        (["vms:write"], "GET", "/v1/orgs/{org}/vms", 200),
        (["vms:read"], "POST", "/v1/orgs/{org}/vms/create", 403),
        (["clusters:write"], "GET", "/v1/orgs/{org}/vms", 403),
        ([], "GET", "/v1/orgs/{org}/vms", 403),
        ([], "GET", "/v1/gpu-models", 200),
        ([], "GET", "/v1/whoami", 200),
        (["inference"], "GET", "/v1/orgs/{org}/clusters", 403),
    ],
)
async def test_an_operation_needs_exactly_its_scope(api, scopes, method, path, status):
    key = (await mint(api, scopes=scopes))["key"]
    answered = await api.with_token(key)(method, path, {"name": "x"} if method == "POST" else None)
    assert answered.status == status


async def test_a_refusal_says_which_permission_is_missing_and_by_whom(api):
    key = (await mint(api, scopes=["clusters:read"]))["key"]
    refused = (await api.with_token(key)("GET", "/v1/orgs/{org}/vms")).json
    assert (refused["permission"], refused["deniedBy"]) == ("compute.read", "key")
    assert "vms:read" in refused["error"]


async def test_revoking_takes_effect_on_the_next_request(api):
    made = await mint(api)
    holder = api.with_token(made["key"])
    await holder.get("/v1/whoami")
    assert (await api("DELETE", f"/v1/orgs/{{org}}/api-keys/{made['id']}")).status == 204
    answered = await holder("GET", "/v1/whoami")
    assert (answered.status, answered.code) == (401, "REVOKED_API_KEY")
    assert (await api("DELETE", f"/v1/orgs/{{org}}/api-keys/{made['id']}")).status == 204, (
        "again is as good as once"
    )


async def test_a_key_ends_when_its_time_has_come(api, clock):
    made = await mint(api, expiresInSeconds=60)
    holder = api.with_token(made["key"])
    clock.advance(59)
    await holder.get("/v1/whoami")
    clock.advance(1)
    answered = await holder("GET", "/v1/whoami")
    assert (answered.status, answered.code) == (401, "EXPIRED_API_KEY")


@pytest.mark.parametrize("seconds", [0, -1, 10**12])
async def test_an_impossible_lifetime_is_refused(api, seconds):
    answered = await api("POST", MINT, {"name": "x", "expiresInSeconds": seconds})
    assert (answered.status, answered.json["field"]) == (400, "expiresInSeconds")


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Basic abc", "vl_abc", "Bearer vl_unknown", "Bearer \x80\xff", "Bearer a b"],
)
async def test_what_is_no_known_key_is_401(api, authorization):
    answered = await api("GET", "/v1/whoami", headers={"Authorization": authorization})
    assert (answered.status, answered.code) == (401, "UNAUTHORIZED")
    assert answered.headers["WWW-Authenticate"] == "Bearer"


async def test_the_list_tells_when_a_key_was_last_used(api, clock):
    made = await mint(api)
    clock.advance(5)
    await api.with_token(made["key"]).get("/v1/whoami")
    by_id = {item["id"]: item for item in await api.get("/v1/orgs/{org}/api-keys")}
    assert by_id[made["id"]]["lastUsedAt"] == "2026-11-01T00:00:05Z"
    clock.advance(5)
    await mint(api)  # a change writes it down
    by_id = {item["id"]: item for item in await api.get("/v1/orgs/{org}/api-keys")}
    assert by_id[made["id"]]["lastUsedAt"] == "2026-11-01T00:00:05Z"


async def test_sessions_are_for_people_and_keys_for_machines(api, user):
    refused = await api("GET", "/v1/transfers/target-orgs")
    assert (refused.status, refused.code) == (403, "SESSION_REQUIRED")
    assert (await user("GET", "/v1/transfers/target-orgs")).status != 403
    me = await user.get("/v1/me")
    assert [item["organizationId"] for item in me["organizations"]] == [api.org_id]
    assert (await api.get("/v1/me"))["user"] == me["user"], "the introduction shows /v1/me with a key"


async def test_another_organization_in_the_path_is_403(api, emulator):
    other = emulator.add_organization("Other")
    for org_id in (other.org_id, "org_nowhere"):
        answered = await api("GET", f"/v1/orgs/{org_id}/vms")
        assert (answered.status, answered.code) == (403, "FORBIDDEN")


async def test_a_key_of_another_organization_reads_as_absent(api, emulator):
    other = emulator.add_organization("Other")
    theirs = api.with_token(other.api_key, other.org_id)
    made = await mint(theirs)
    answered = await api("DELETE", f"/v1/orgs/{{org}}/api-keys/{made['id']}")
    assert answered.status == 404
    await theirs.with_token(made["key"]).get("/v1/whoami")


async def test_keys_have_the_prefix_of_their_generation(connect):
    from openrelay_async.emulator import Emulator

    for generation, prefix in (("2026-07", "vl_"), ("2026-10", "or_"), ("both", "vl_")):
        async with Emulator(generation=generation) as emulator:
            assert emulator.api_key.startswith(prefix)
            assert (await mint(connect(emulator)))["key"].startswith(prefix)


async def test_nothing_secret_is_in_a_repr_or_in_the_list_of_requests(emulator, api):
    made = await mint(api)
    await api("GET", f"/v1/provider/bootstrap?token={made['key']}")
    other = emulator.add_organization("Other")
    shown = repr((emulator, emulator.requests, other, emulator.faults))
    for secret in (emulator.api_key, emulator.session_token, made["key"], other.api_key, other.session_token):
        assert secret not in shown
