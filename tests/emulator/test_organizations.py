"""Organizations, members, invites, and signing in a command line."""

from __future__ import annotations

import pytest

MEMBERS = "/v1/orgs/{org}/members"


@pytest.fixture
def person(emulator, api):
    """A caller with a session of anybody."""

    def person(email):
        return api.with_token(emulator.open_session(email))

    return person


async def join(user, person, email, role):
    """Invite somebody and let them accept."""
    await user.post(MEMBERS + "/add", {"email": email, "role": role})
    newcomer = person(email)
    await newcomer.post(f"/v1/me/invites/{user.org_id}/accept")
    return newcomer


async def test_an_invite_is_sent_seen_and_accepted(user, person):
    invited = await user.post(MEMBERS + "/add", {"email": "Ada@Example.com", "role": "viewer"})
    assert (invited["status"], invited["email"], invited["role"]) == ("invited", "ada@example.com", "viewer")
    ada = person("ada@example.com")
    assert (await ada("GET", "/v1/orgs/{org}/vms")).status == 403
    (mine,) = await ada.get("/v1/me/invites")
    assert (mine["organizationId"], mine["organizationName"], mine["role"]) == (user.org_id, "Acme", "viewer")
    assert mine["inviterEmail"] == "owner@acme.example"
    accepted = await ada.post(f"/v1/me/invites/{user.org_id}/accept")
    assert accepted == {"organizationId": user.org_id, "role": "viewer"}
    assert (await ada("POST", f"/v1/me/invites/{user.org_id}/accept")).status == 404
    assert (await ada.get("/v1/orgs/{org}/vms"))["items"] == []
    refused = await ada("POST", "/v1/orgs/{org}/vms/create", {"name": "x"})
    assert (refused.status, refused.json["deniedBy"]) == (403, "role")
    by_email = {member["email"]: member for member in await user.get(MEMBERS)}
    assert by_email["ada@example.com"]["status"] == "active"
    assert (await user("POST", MEMBERS + "/add", {"email": "ada@example.com", "role": "admin"})).status == 409


async def test_an_invite_is_declined_revoked_or_expires(user, person, clock):
    bob = person("bob@example.com")
    for end in ("decline", "revoke", "wait"):
        await user.post(MEMBERS + "/add", {"email": "bob@example.com", "role": "member"})
        assert len(await bob.get("/v1/me/invites")) == 1
        assert len(await user.get("/v1/orgs/{org}/invites")) == 1
        if end == "decline":
            for _ in range(2):
                assert (await bob("POST", f"/v1/me/invites/{user.org_id}/decline")).status == 204
        elif end == "revoke":
            assert (await user("DELETE", "/v1/orgs/{org}/invites/bob%40example.com")).status == 204
            assert (await user("DELETE", "/v1/orgs/{org}/invites/bob%40example.com")).status == 404
        else:
            clock.advance(7 * 86400)
            bob = person("bob@example.com")
        assert await bob.get("/v1/me/invites") == []
        assert (await bob("POST", f"/v1/me/invites/{user.org_id}/accept")).status == 404


async def test_roles_change_and_owners_are_owners_business(user, api, person):
    ada = await join(user, person, "ada@example.com", "admin")
    owner_id = (await user.get("/v1/me"))["user"]["id"]
    ada_id = (await ada.get("/v1/me"))["user"]["id"]
    refused = await ada("PATCH", f"{MEMBERS}/{owner_id}", {"role": "viewer"})
    assert (refused.status, refused.code) == (403, "FORBIDDEN")
    refused = await ada("PATCH", f"{MEMBERS}/{ada_id}", {"role": "owner"})
    assert refused.status == 403
    refused = await user("PATCH", f"{MEMBERS}/{owner_id}", {"role": "admin"})
    assert (refused.status, refused.code) == (409, "LAST_OWNER")
    assert (await user("PATCH", f"{MEMBERS}/{ada_id}", {"role": "owner"})).json["role"] == "owner"
    assert (await user("POST", MEMBERS + "/me/leave")).status == 204
    assert (await user("GET", "/v1/orgs/{org}")).status == 403
    assert (await ada("POST", MEMBERS + "/me/leave")).code == "LAST_OWNER"


async def test_nobody_gives_more_than_they_have(user, api):
    limited = await api.post("/v1/orgs/{org}/api-keys/create", {"name": "c", "scopes": ["clusters:write"]})
    refused = await api.with_token(limited["key"])(
        "POST", MEMBERS + "/add", {"email": "a@b.c", "role": "admin"}
    )
    assert (refused.status, refused.code) == (403, "ESCALATION_REFUSED")


async def test_who_is_removed_takes_their_own_keys_along(user, person):
    ada = await join(user, person, "ada@example.com", "member")
    own = await ada.post("/v1/orgs/{org}/api-keys/create", {"name": "mine", "kind": "personal"})
    shared = await ada.post("/v1/orgs/{org}/api-keys/create", {"name": "ours", "kind": "org"})
    ada_id = (await ada.get("/v1/me"))["user"]["id"]
    assert own["ownerUserId"] == ada_id
    removed = await user("DELETE", f"{MEMBERS}/{ada_id}")
    assert removed.json == {"revokedKeyIds": [own["id"]]}
    assert (await user.with_token(own["key"])("GET", "/v1/whoami")).code == "REVOKED_API_KEY"
    assert (await user.with_token(shared["key"])("GET", "/v1/whoami")).status == 200
    assert (await user("DELETE", f"{MEMBERS}/{ada_id}")).status == 404


async def test_an_organization_is_looked_at_and_changed(user):
    before = await user.get("/v1/orgs/{org}")
    change = {
        "name": "Acme & Co",
        "billingCity": "Bonn",
        "taxId": "DE1",
        "billingEmail": "Bills@acme.example",
    }
    changed = (await user("PATCH", "/v1/orgs/{org}", change)).json
    assert {name: changed[name] for name in ("name", "billingCity", "taxId")} == {
        name: change[name] for name in ("name", "billingCity", "taxId")
    }
    assert (changed["billingEmail"], changed["slug"]) == ("bills@acme.example", before["slug"])
    cleared = (await user("PATCH", "/v1/orgs/{org}", {"taxId": ""})).json
    assert "taxId" not in cleared
    assert cleared["billingCity"] == "Bonn"
    assert (await user("PATCH", "/v1/orgs/{org}", {"billingEmail": "nobody"})).json["field"] == "billingEmail"


async def test_a_new_user_founds_an_organization(person):
    eve = person("eve@example.com")
    assert (await eve.get("/v1/me"))["organizations"] == []
    first = await eve.post("/v1/onboarding/bootstrap", {"orgName": "Eve's"})
    assert first["role"] == "owner"
    assert await eve.post("/v1/onboarding/bootstrap") == first, "again, it is the same one"
    second = await eve.post("/v1/orgs", {"name": "Second", "slug": "second"})
    assert (await eve("POST", "/v1/orgs", {"name": "Third", "slug": "second"})).code == "SLUG_TAKEN"
    owned = {item["organizationId"] for item in (await eve.get("/v1/me"))["organizations"]}
    assert owned == {first["organizationId"], second["organizationId"]}
    made = await eve.post(f"/v1/orgs/{second['organizationId']}/api-keys/create", {"name": "k"})
    whoami = await eve.with_token(made["key"]).get("/v1/whoami")
    assert whoami["organizationName"] == "Second"


async def test_an_organization_is_deleted_when_nothing_runs_in_it(user, api, clock):
    vm = await api.post("/v1/orgs/{org}/vms/create", {"name": "vm", "resourceSize": "small"})
    clock.advance(2)
    refused = await api("DELETE", "/v1/orgs/{org}")
    assert (refused.status, refused.code) == (409, "ORGANIZATION_NOT_EMPTY")
    await api.post(f"/v1/vms/{vm['id']}/terminate")
    assert (await api("DELETE", "/v1/orgs/{org}")).status == 204
    assert (await api("GET", "/v1/whoami")).code == "REVOKED_API_KEY"
    assert (await user.get("/v1/me"))["organizations"] == []


async def test_a_profile_is_changed(user):
    changed = (
        await user("PATCH", "/v1/me/profile", {"fullName": "Grace", "avatarUrl": "https://x/y.png"})
    ).json
    assert (changed["fullName"], changed["avatarUrl"]) == ("Grace", "https://x/y.png")
    assert "avatarUrl" not in (await user("PATCH", "/v1/me/profile", {"avatarUrl": ""})).json
    wrong = await user("PATCH", "/v1/me/profile", {"defaultOrganizationId": "org_none"})
    assert wrong.json["field"] == "defaultOrganizationId"


async def test_signals_are_taken(user):
    assert (await user("POST", "/v1/orgs/{org}/device", {"deviceFingerprint": "x"})).status == 204
    assert (await user("POST", "/v1/orgs/{org}/verification-note", {"company": "Acme"})).status == 201


async def start_login(api):
    login = await api.post("/v1/cli-auth/device", {"deviceName": "laptop"})
    assert len(login["userCode"]) == 6
    assert login["userCode"].isdigit()
    return login, {"deviceCode": login["deviceCode"]}


async def test_a_command_line_is_let_in(api, user, clock):
    login, body = await start_login(api)
    pending = await api("POST", "/v1/cli-auth/token", body)
    assert (pending.status, pending.code) == (400, "authorization_pending")
    hasty = await api("POST", "/v1/cli-auth/token", body)
    assert (hasty.status, hasty.code, hasty.headers["Retry-After"]) == (429, "slow_down", "5")
    clock.advance(5)
    assert (await api("POST", "/v1/cli-auth/token", body)).code == "authorization_pending"
    path = f"/v1/cli-auth/device/{login['userCode']}"
    assert (await user.get(path))["deviceName"] == "laptop"
    assert (await api("GET", path)).status == 403, "keys approve nothing"
    assert (await user("POST", path + "/approve", {"orgId": "org_none"})).status == 403
    assert (await user("POST", path + "/approve", {"orgId": user.org_id})).status == 204
    assert (await user("POST", path + "/deny")).status == 409
    clock.advance(5)
    token = await api.post("/v1/cli-auth/token", body)
    assert (token["orgId"], token["orgName"]) == (user.org_id, "Acme")
    gone = await api("POST", "/v1/cli-auth/token", body)
    assert (gone.status, gone.code) == (410, "expired_token"), "the token comes exactly once"
    cli = api.with_token(token["token"])
    assert (await cli.get("/v1/whoami"))["principalType"] == "user"
    (session,) = (await user.get("/v1/me/cli-sessions"))["sessions"]
    assert (session["id"], session["deviceName"]) == (token["sessionId"], "laptop")
    assert (await user("DELETE", f"/v1/me/cli-sessions/{session['id']}")).status == 204
    assert (await cli("GET", "/v1/whoami")).status == 401


async def test_a_command_line_is_turned_away_or_too_late(api, user, clock):
    login, body = await start_login(api)
    assert (await user("POST", f"/v1/cli-auth/device/{login['userCode']}/deny")).status == 204
    denied = await api("POST", "/v1/cli-auth/token", body)
    assert (denied.status, denied.code) == (403, "access_denied")
    late, body = await start_login(api)
    clock.advance(600)
    expired = await api("POST", "/v1/cli-auth/token", body)
    assert (expired.status, expired.code) == (410, "expired_token")
    assert (await user("GET", f"/v1/cli-auth/device/{late['userCode']}")).status == 404
    unknown = await api("POST", "/v1/cli-auth/token", {"deviceCode": "guess"})
    assert (unknown.status, unknown.code) == (400, "invalid_grant")
