"""Roles, guardrails, terms of keys, registry credentials, and the audit log of it all."""

from __future__ import annotations

import pytest

MINT = "/v1/orgs/{org}/api-keys/create"
CHAT = "/v1/chat/completions"


async def test_a_role_of_ones_own_allows_what_it_names(user, api, emulator):
    role = await user.post("/v1/roles", {"name": "Watcher", "permissions": ["compute.read", "sshkey.read"]})
    await user.post("/v1/orgs/{org}/members/add", {"email": "ada@example.com", "roleId": role["id"]})
    ada = api.with_token(emulator.open_session("ada@example.com"))
    await ada.post(f"/v1/me/invites/{user.org_id}/accept")
    assert (await ada("GET", "/v1/orgs/{org}/vms")).status == 200
    assert (await ada("GET", "/v1/orgs/{org}/ssh-keys")).status == 200
    assert (await ada("POST", "/v1/orgs/{org}/vms/create", {"name": "x"})).status == 403
    assert (await ada("GET", "/v1/orgs/{org}/webhooks")).status == 403
    changed = await user("PATCH", f"/v1/roles/{role['id']}", {"permissions": ["webhook.read"]})
    assert (changed.json["permissions"], changed.json["memberCount"]) == (["webhook.read"], 1)
    assert (await ada("GET", "/v1/orgs/{org}/vms")).status == 403
    assert (await ada("GET", "/v1/orgs/{org}/webhooks")).status == 200
    in_use = await user("DELETE", f"/v1/roles/{role['id']}")
    ada_id = (await ada.get("/v1/me"))["user"]["id"]
    assert (in_use.status, in_use.code, in_use.json["members"]) == (409, "ROLE_IN_USE", [ada_id])
    assert (await ada("POST", "/v1/roles", {"name": "Mine", "permissions": []})).status == 403
    await user("DELETE", f"/v1/orgs/{{org}}/members/{ada_id}")
    assert (await user("DELETE", f"/v1/roles/{role['id']}")).status == 204


async def test_built_in_roles_are_listed_and_stay_as_they_are(user):
    roles = {role["id"]: role for role in await user.get("/v1/roles")}
    assert set(roles) == {"owner", "admin", "member", "viewer", "billing", "inference"}
    assert roles["owner"]["memberCount"] == 1
    assert set(roles["viewer"]["permissions"]) < set(roles["admin"]["permissions"])
    assert (await user.get("/v1/roles/viewer")) == roles["viewer"]
    refused = await user("DELETE", "/v1/roles/viewer")
    assert (refused.status, refused.code) == (403, "BUILTIN_ROLE")
    for body, field in (
        ({"name": "x", "permissions": ["compute.fly"]}, "permissions[0]"),
        ({"name": "x", "permissions": [], "ipRanges": ["here"]}, "ipRanges[0]"),
    ):
        assert (await user("POST", "/v1/roles", body)).json["field"] == field
    assert (await user("POST", "/v1/roles", {"name": "Owner", "permissions": []})).code == "NAME_TAKEN"


async def test_a_guardrail_keeps_keys_out_and_people_in(user, api):
    policy = {"kind": "guardrail", "name": "office", "guardrail": "key_networks", "ipRanges": ["10.0.0.0/8"]}
    made = await user.post("/v1/authz/policies", policy)
    denied = await api("GET", "/v1/whoami")
    assert (denied.status, denied.json["deniedBy"], denied.json["policies"]) == (
        403,
        "org_policy",
        [made["id"]],
    )
    assert (await user("GET", "/v1/whoami")).status == 200
    path = f"/v1/authz/policies/{made['id']}"
    await user("PATCH", path, {"ipRanges": ["127.0.0.0/8", "::1"]})
    assert (await api("GET", "/v1/whoami")).status == 200
    await user("PATCH", path, {"ipRanges": ["10.0.0.0/8"], "enabled": False})
    assert (await api("GET", "/v1/whoami")).status == 200
    assert (await user("DELETE", path)).status == 204
    assert await user.get("/v1/authz/policies") == []


async def test_nobody_shuts_themselves_out(user):
    policy = {
        "kind": "guardrail",
        "name": "far",
        "guardrail": "everyone_networks",
        "ipRanges": ["192.0.2.0/24"],
    }
    refused = await user("POST", "/v1/authz/policies", policy)
    assert (refused.status, refused.code) == (409, "POLICY_LOCKOUT")
    checked = await user.post("/v1/authz/policies/validate", policy)
    assert checked["valid"] is True
    assert checked["lockout"]
    wrong = await user.post("/v1/authz/policies/validate", {**policy, "ipRanges": ["home"]})
    assert wrong["valid"] is False
    assert "ipRanges" in wrong["diagnostics"][0]["message"]
    for path, body in (("", {**policy, "ipRanges": ["home"]}), ("", {"kind": "guardrail"})):
        invalid = await user("POST", "/v1/authz/policies" + path, body)
        assert (invalid.status, invalid.code) == (400, "POLICY_INVALID")
        assert invalid.json["diagnostics"]


async def test_cedar_is_not_pretended(user):
    body = {"kind": "custom", "name": "c", "cedarText": "permit(principal, action, resource);"}
    for path in ("/v1/authz/policies", "/v1/authz/policies/validate"):
        assert (await user("POST", path, body)).status == 501


async def test_models_are_allowed_one_by_one(user, api, clock):
    requests = [
        {
            "custom_id": model,
            "url": CHAT,
            "body": {"model": model, "messages": [{"role": "user", "content": "x"}]},
        }
        for model in ("qwen3-32b", "llama-3.3-70b-instruct")
    ]
    order = {"endpoint": CHAT, "completion_window": "24h", "requests": requests}
    limited = await api.post(MINT, {"name": "k", "restrictions": {"models": ["qwen3-32b"]}})
    batch = await api.with_token(limited["key"]).post("/v1/batches", order)
    free = await api.post("/v1/batches", order)
    policy = {"kind": "guardrail", "name": "m", "guardrail": "model_allowlist", "models": ["none"]}
    await user.post("/v1/authz/policies", policy)
    shut = await api.post("/v1/batches", order)
    clock.advance(3)
    failed = [
        (await api.get(f"/v1/batches/{b['id']}"))["request_counts"]["failed"] for b in (batch, free, shut)
    ]
    assert failed == [1, 0, 2]


async def test_a_key_is_held_to_its_terms(api):
    terms = {"ipRanges": ["192.0.2.0/24"]}
    far = await api.post(MINT, {"name": "far", "restrictions": terms})
    assert far["restrictions"] == terms
    assert (await api.with_token(far["key"])("GET", "/v1/whoami")).status == 403
    reader = await api.post(MINT, {"name": "r", "permissions": ["compute.read"]})
    holder = api.with_token(reader["key"])
    assert (await holder("GET", "/v1/orgs/{org}/vms")).status == 200
    denied = await holder("GET", "/v1/orgs/{org}/webhooks")
    assert (denied.status, denied.json["permission"]) == (403, "webhook.read")
    maker = await api.post(MINT, {"name": "m", "permissions": ["apikey.create", "compute.read"]})
    child = await api.with_token(maker["key"]).post(MINT, {"name": "c"})
    assert child["permissions"] == ["apikey.create", "compute.read"], "a limited key makes limited keys"
    escalated = await api.with_token(maker["key"])(
        "POST", MINT, {"name": "c", "permissions": ["webhook.read"]}
    )
    assert escalated.code == "ESCALATION_REFUSED"
    for body, field in (
        ({"restrictions": {"ipRanges": ["x"]}}, "restrictions.ipRanges[0]"),
        ({"permissions": ["x"]}, "permissions[0]"),
        ({"budget": {"limitNanoUsd": -1}}, "budget.limitNanoUsd"),
    ):
        assert (await api("POST", MINT, {"name": "x", **body})).json["field"] == field
    for body in ({"serviceAccountId": "x"}, {"template": "x"}, {"restrictions": {"endpoints": ["x"]}}):
        assert (await api("POST", MINT, {"name": "x", **body})).status == 501


async def test_a_budget_is_spent_and_ends(user, api, clock):
    made = await api.post(MINT, {"name": "b", "budget": {"limitNanoUsd": 2000, "period": "daily"}})
    holder = api.with_token(made["key"])
    body = {"model": "qwen3-32b", "prompt": "x" * 40}
    order = {
        "endpoint": "/v1/completions",
        "completion_window": "24h",
        "requests": [{"custom_id": "a", "url": "/v1/completions", "body": body}],
    }
    await holder.post("/v1/batches", order)
    budget = (await holder.get("/v1/whoami"))["key"]["budget"]
    assert budget["spentNanoUsd"] > 2000
    assert budget["periodEndsAt"] == "2026-11-02T00:00:00Z"
    refused = await holder("POST", "/v1/batches", order)
    assert (refused.status, refused.json["error"]["code"]) == (402, "BUDGET_EXCEEDED")
    path = f"/v1/orgs/{{org}}/api-keys/{made['id']}"
    edited = await user("PATCH", path, {"budget": {"limitNanoUsd": 10**9}, "name": "big", "note": "n"})
    assert (edited.json["name"], edited.json["note"]) == ("big", "n")
    assert edited.json["budget"] == {"limitNanoUsd": 10**9, "period": "daily"}
    await holder.post("/v1/batches", order)
    assert (await api("PATCH", path, {"name": "x"})).code == "SESSION_REQUIRED"


async def test_the_organization_limits_how_long_keys_live(user, api):
    assert await api.get("/v1/authz/settings") == {"maxKeyLifetimeDays": 0}
    assert (await user("PUT", "/v1/authz/settings", {"maxKeyLifetimeDays": 30})).json[
        "maxKeyLifetimeDays"
    ] == 30
    for body in ({}, {"expiresInSeconds": 31 * 86400}):
        refused = await api("POST", MINT, {"name": "x", **body})
        assert (refused.status, refused.json["field"]) == (400, "expiresInSeconds")
    await api.post(MINT, {"name": "x", "expiresInSeconds": 30 * 86400})


async def test_effective_access_and_checks_agree_with_what_happens(user, api):
    made = await api.post(MINT, {"name": "r", "scopes": ["vms:read"]})
    query = f"?principalType=api_key&principalId={made['id']}"
    effective = await api.get("/v1/authz/effective" + query)
    assert "compute.read" in effective["permissions"]
    assert "compute.create" not in effective["permissions"]
    mine = await api.with_token(made["key"])("GET", "/v1/authz/effective")
    assert mine.status == 403, "it needs clusters:read"
    for action, allowed in (("compute.read", True), ("compute.create", False)):
        body = {"principalType": "api_key", "principalId": made["id"], "action": action}
        decision = await api.post("/v1/authz/check", body)
        assert (decision["allow"], decision.get("deniedBy")) == (allowed, None if allowed else "key")
    catalog = await api.get("/v1/authz/catalog")
    assert "role.manage" in catalog["sessionOnlyActions"]
    assert {role["id"] for role in catalog["roles"]} >= {"owner", "viewer"}
    assert (await api("GET", "/v1/authz/effective?principalType=member&principalId=x")).status == 404
    assert (await user.get("/v1/authz/effective"))["roleId"] == "owner"


async def test_registry_credentials_are_named_and_never_told(api, emulator):
    path = "/v1/orgs/{org}/registry-credentials"
    body = {
        "name": "ghcr",
        "server": "ghcr.io",
        "authType": "basic",
        "credentials": {"username": "me", "password": "canary-registry"},
    }
    made = await api("POST", path + "/create", body)
    assert b"canary" not in made.raw
    assert [item["id"] for item in await api.get(path)] == [made.json["id"]]
    assert (await api("POST", path + "/create", body)).code == "NAME_TAKEN"
    wrong = await api("POST", path + "/create", {**body, "name": "b", "credentials": {"username": "me"}})
    assert wrong.json["field"] == "credentials.password"
    assert (await api("POST", path + "/create", {**body, "name": "b", "server": "http://x"})).status == 400
    assert (await api("DELETE", f"{path}/{made.json['id']}")).status == 204
    assert (await api("DELETE", f"{path}/{made.json['id']}")).status == 404


@pytest.mark.parametrize(
    ("path", "order"),
    [
        ("/v1/orgs/{org}/vms/create", {"name": "x", "resourceSize": "small"}),
        ("/v1/orgs/{org}/clusters/create", {"name": "x", "resourceSize": "small"}),
        ("/v1/pods", {"image": "x", "sshKeyIds": []}),
    ],
    ids=["VM", "cluster", "pod"],
)
async def test_an_order_names_registry_credentials_of_its_own_organization(api, emulator, path, order):
    other = emulator.add_organization("Other")
    theirs = api.with_token(other.api_key, other.org_id)
    body = {"name": "r", "server": "ghcr.io", "authType": "basic"}
    body["credentials"] = {"username": "me", "password": "x"}
    own, foreign = [
        (await caller.post("/v1/orgs/{org}/registry-credentials/create", body))["id"]
        for caller in (api, theirs)
    ]
    for wrong in ("nope", foreign):
        refused = await api("POST", path, {**order, "registryCredentialId": wrong})
        assert (refused.status, refused.json["field"]) == (400, "registryCredentialId")
    for right in (own, ""):
        assert (await api("POST", path, {**order, "registryCredentialId": right})).status < 300


async def test_everything_that_changes_access_is_in_the_audit_log(user, api, clock):
    made = await api.post(MINT, {"name": "x", "scopes": ["vms:read"]})
    clock.advance(60)
    await api("DELETE", f"/v1/orgs/{{org}}/api-keys/{made['id']}")
    await user.post("/v1/roles", {"name": "R", "permissions": ["compute.read"]})
    await api.post("/v1/orgs/{org}/webhooks/create", {"name": "h", "url": "http://127.0.0.1:9/"})
    page = await api.get("/v1/audit-events")
    assert [item["event"] for item in page["items"]] == [
        "webhook.created",
        "role.created",
        "api_key.revoked",
        "api_key.created",
    ]
    created = page["items"][-1]
    assert (created["targetId"], created["after"], created["sourceIp"]) == (
        made["id"],
        "vms:read",
        "127.0.0.1",
    )
    assert created["actor"].startswith("api_key:key_")
    assert made["key"] not in str(page)
    only = await api.get(f"/v1/audit-events?targetId={made['id']}&event=api_key.revoked")
    assert len(only["items"]) == 1
    recent = await api.get("/v1/audit-events?since=2026-11-01T00:00:30Z&limit=2")
    assert len(recent["items"]) == 2
    rest = await api.get(f"/v1/audit-events?since=2026-11-01T00:00:30Z&cursor={recent['nextCursor']}")
    assert [item["event"] for item in rest["items"]] == ["api_key.revoked"]
    assert (await api("GET", "/v1/audit-events?since=yesterday")).json["field"] == "since"


@pytest.mark.parametrize("field", ["fullName", "product", "useCase", "workEmail"])
async def test_access_is_asked_for_with_every_field(api, field):
    body = {"fullName": "A", "product": "batch", "useCase": "x", "workEmail": "a@b.c"}
    assert (await api("POST", "/v1/access-requests", body)).status == 201
    assert (await api("POST", "/v1/access-requests", {**body, field: " "})).json["field"] == field
