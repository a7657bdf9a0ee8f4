"""The dashboard over plain HTTP: who gets in, what a form may do, what every answer carries."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import aiohttp
import attrs
import pytest

from openrelay_async.emulator import Emulator, Fault
from openrelay_async.emulator.areas.account.storage import MEMBERSHIPS
from openrelay_async.emulator.dashboard.reading import describe_time
from openrelay_async.errors import Unauthenticated


async def test_signing_in_sets_a_cookie_that_scripts_and_other_sites_cannot_use(visitor):
    response = await visitor.http.post(
        visitor.emulator.dashboard_url + "/sign-in",
        data={"token": visitor.emulator.session_token},
        allow_redirects=False,
    )
    cookie = response.headers["Set-Cookie"]
    assert response.status == 303
    for part in ("HttpOnly", "SameSite=Strict", "Path=/dashboard", "Max-Age=3600"):
        assert part in cookie
    assert visitor.emulator.session_token not in cookie, "the dashboard has a session of its own"


@pytest.mark.parametrize("token", ["", "ors_wrong", "API KEY", "ÿ\x00<script>"])
async def test_nobody_gets_in_without_a_session(visitor, token):
    token = visitor.emulator.api_key if token == "API KEY" else token
    seen = await visitor.post("/sign-in", {"token": token})
    assert seen.status == 403
    assert "no valid session token" in seen.html
    assert len(visitor.http.cookie_jar) == 0


async def test_without_a_session_there_is_only_the_sign_in_page(visitor):
    for path in ("", "?revoke=key_1", "?made=x"):
        seen = await visitor.get(path)
        assert "Session token" in seen.html
        assert "Active keys" not in seen.html
    for path in ("/keys", "/revoke", "/sign-out"):
        assert "Your session has ended" in (await visitor.post(path, {"name": "x"})).html
    assert await visitor.count_keys() == 1


async def test_a_link_from_another_site_signs_nobody_out(visitor):
    """Such a visit brings no cookie, and must set none."""
    assert "Set-Cookie" not in (await visitor.get()).headers
    assert "Set-Cookie" not in (await visitor.get("?notice=ended")).headers


async def test_a_key_is_shown_once(visitor):
    """R10.1"""
    await visitor.sign_in()
    made = await visitor.create("trainer", ("vms:read", "inference"))
    assert made.plaintext is not None
    assert (await visitor.get("?" + made.url.partition("?")[2])).plaintext is None
    again = await visitor.get()
    assert made.plaintext not in again.html
    assert "trainer" in again.html
    async with visitor.emulator.client(api_key=made.plaintext) as client:
        assert (await client.account.whoami()).scopes == ["inference", "vms:read"]


async def test_a_new_key_is_shown_to_the_session_that_made_it_only(visitor, stranger):
    await visitor.sign_in()
    await stranger.sign_in()
    csrf = (await visitor.get()).csrf
    form = aiohttp.FormData([("csrf", csrf), ("name", "x"), ("scope", "vms:read")])
    made = await visitor.post("/keys", form, allow_redirects=False)
    ticket = "?" + made.headers["Location"].partition("?")[2]
    assert (await stranger.get(ticket)).plaintext is None
    assert (await visitor.get(ticket)).plaintext is not None


async def test_an_expiry_is_what_was_chosen(visitor):
    await visitor.sign_in()
    assert "in 30 days" in (await visitor.create(lifetime="2592000")).html


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"name": " "}, "Give the key a name."),
        ({"scopes": ()}, "Choose at least one scope."),
        ({"scopes": ("everything",)}, "unknown scope"),
        ({"lifetime": "-5"}, "Choose when the key expires."),
        ({"name": "x" * 300}, "must have 1 to 255 characters"),
    ],
)
async def test_a_mistake_is_said_and_what_was_filled_in_stays(visitor, fields, problem):
    await visitor.sign_in()
    seen = await visitor.create(**{"name": "<b>trainer", **fields})
    assert (seen.status, problem in seen.html) == (400, True)
    assert "&lt;b&gt;trainer" in seen.html or "name" in fields
    assert await visitor.count_keys() == 1


async def test_revoking_takes_effect_at_once(visitor):
    """R10.1"""
    await visitor.sign_in()
    made = await visitor.create()
    async with visitor.emulator.client(api_key=made.plaintext) as client:
        key = (await client.account.whoami()).key
        confirmation = await visitor.get(f"?revoke={key.id}")
        assert "This cannot be undone" in confirmation.html
        seen = await visitor.post("/revoke", {"csrf": confirmation.csrf, "id": key.id})
        assert "The key is revoked." in seen.html
        with pytest.raises(Unauthenticated) as caught:
            await client.account.whoami()
    assert caught.value.code == "REVOKED_API_KEY"
    assert "API key revoked" in seen.html


async def test_a_key_of_another_organization_cannot_be_revoked(visitor):
    other = visitor.emulator.add_organization("Other")
    async with visitor.emulator.client(api_key=other.api_key, org_id=other.org_id) as client:
        key = (await client.account.whoami()).key
        csrf = (await visitor.sign_in()).csrf
        assert (await visitor.post("/revoke", {"csrf": csrf, "id": key.id})).status == 404
        await client.account.whoami()


@pytest.mark.parametrize("action", ["/keys", "/revoke", "/sign-out"])
async def test_a_form_without_the_sessions_proof_does_nothing(visitor, stranger, action):
    await visitor.sign_in()
    foreign = (await stranger.sign_in()).csrf
    for csrf in ("", "0" * 64, foreign, "ÿ"):
        seen = await visitor.post(action, {"csrf": csrf, "name": "x", "scope": "vms:read", "id": "key_1"})
        assert seen.status == 403
    assert "Active keys" in (await visitor.get()).html, "still signed in"
    assert await visitor.count_keys() == 1


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
async def test_a_form_of_another_site_is_refused_even_for_signing_in(visitor, headers):
    seen = await visitor.post("/sign-in", {"token": visitor.emulator.session_token}, headers=headers)
    assert seen.status == 403
    assert len(visitor.http.cookie_jar) == 0


async def test_signing_out_ends_the_session_at_the_service(visitor):
    seen = await visitor.sign_in()
    token = visitor.token
    assert "signed out" in (await visitor.post("/sign-out", {"csrf": seen.csrf})).html
    assert len(visitor.http.cookie_jar) == 0
    async with visitor.emulator.client(api_key=token) as client:
        with pytest.raises(Unauthenticated):
            await client.account.whoami()
    async with visitor.emulator.client(api_key=visitor.emulator.session_token) as client:
        await client.account.whoami()


async def test_a_session_is_short(visitor, clock):
    await visitor.sign_in()
    clock.advance(3599)
    assert "Active keys" in (await visitor.get()).html
    clock.advance(1)
    assert "Your session has ended" in (await visitor.get()).html
    assert len(visitor.http.cookie_jar) == 0, "said once, not at every visit"


async def test_the_api_takes_no_cookie(visitor):
    """A cookie goes along with requests that other pages cause; a header does not."""
    await visitor.sign_in()
    cookies = {cookie.key: cookie.value for cookie in visitor.http.cookie_jar}
    async with visitor.http.get(visitor.emulator.url + "/v1/whoami", cookies=cookies) as response:
        assert response.status == 401


async def test_every_answer_forbids_what_it_does_not_need(visitor):
    await visitor.sign_in()
    answers = [await visitor.get(path) for path in ("", "/dashboard.css", "/dashboard.js", "/nothing")]
    answers.append(await visitor.post("/keys", {}))
    for seen in answers:
        policy = seen.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert seen.headers["X-Content-Type-Options"] == "nosniff"
        assert seen.headers["Cache-Control"] == "no-store"
    page = answers[0].html
    assert not re.search(r"<script>|<style|\sstyle=|\son\w+=|javascript:", page)


async def test_forms_that_are_none_are_refused(visitor):
    await visitor.sign_in()
    url = visitor.emulator.dashboard_url + "/keys"
    for body, kind, status in (
        (b"{}", "application/json", 415),
        (b"x" * 70_000, "application/x-www-form-urlencoded", 413),
        (b"a=1&" * 100, "application/x-www-form-urlencoded", 400),
        (b"name=\xff\xfe", "application/x-www-form-urlencoded", 400),
        (b"csrf=%ff%00&name=%ff", "application/x-www-form-urlencoded", 403),
    ):
        async with visitor.http.post(url, data=body, headers={"Content-Type": kind}) as response:
            assert response.status == status, body[:20]
    async with visitor.http.delete(url) as response:
        assert response.status == 405


async def test_the_dashboard_uses_up_no_faults(visitor):
    visitor.emulator.faults.add(Fault(operation="*", status=500))
    await visitor.sign_in()
    assert (await visitor.create()).plaintext


async def test_signing_in_with_a_password(visit):
    async with Emulator(dashboard=True, password="correct horse") as emulator, visit(emulator) as visitor:
        assert "Sign in with e-mail and password" in (await visitor.get()).html
        for email, password in (("owner@acme.example", "wrong"), ("", "correct horse")):
            seen = await visitor.post("/sign-in", {"email": email, "password": password})
            assert (seen.status, "do not fit" in seen.html) == (403, True)
            assert f'value="{email}"' in seen.html, "need not be typed again"
        seen = await visitor.post("/sign-in", {"email": "Owner@acme.example", "password": "correct horse"})
        assert "Active keys" in seen.html
        assert "owner@acme.example" in seen.html


async def test_a_user_without_an_organization_is_told_so(visit):
    async with Emulator(dashboard=True, password="correct horse") as emulator, visit(emulator) as visitor:
        seen = await visitor.post("/sign-in", {"email": "new@acme.example", "password": "correct horse"})
        assert "not one of yours" in seen.html or "no organization" in seen.html


async def test_without_a_password_there_is_no_form_for_one(visitor):
    assert "E-mail" not in (await visitor.get()).html
    seen = await visitor.post("/sign-in", {"email": "owner@acme.example", "password": "x"})
    assert seen.status == 403


async def test_passwords_cannot_be_guessed_quickly(visit):
    async with Emulator(dashboard=True, password="correct horse") as emulator, visit(emulator) as visitor:
        form = {"email": "owner@acme.example", "password": "x"}
        statuses = [(await visitor.post("/sign-in", form)).status for _ in range(12)]
        assert statuses == [403] * 10 + [429] * 2


async def test_who_may_only_look_sees_no_forms(visitor):
    def demote(database, now):
        (membership,) = MEMBERSHIPS.find(database)
        MEMBERSHIPS.update(database, attrs.evolve(membership, role="viewer"))

    await visitor.sign_in()
    csrf = (await visitor.get()).csrf
    visitor.emulator._change(demote)
    seen = await visitor.get()
    assert "Your role lets you see keys" in seen.html
    assert "bootstrap" in seen.html
    assert "Create a key" not in seen.html
    assert "Revoke " not in seen.html.partition("<dialog")[0]
    refused = await visitor.post("/keys", {"csrf": csrf, "name": "x", "scope": "vms:read"})
    assert (refused.status, "needs the scope" in refused.html) == (403, True)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (3599, "1 hour ago"),
        (7200, "2 hours ago"),
        (86400, "1 day ago"),
        (-30, "in a moment"),
        (-2_591_999.5, "in 30 days"),
        (-3_599.9, "in 1 hour"),
    ],
)
def test_times_are_told_as_people_tell_them(seconds, text):
    assert describe_time(1_000_000_000.0 - seconds, 1_000_000_000.0).text == text


async def test_it_is_served_only_if_asked_for(http_get):
    async with Emulator() as plain:
        assert await http_get(plain.dashboard_url) == 404
    async with Emulator(dashboard=True) as served:
        assert await http_get(served.url + "/") == 200
        assert await http_get(served.url + "/v1/whoami") == 401


@pytest.fixture
def http_get():
    async def get(url: str) -> int:
        async with aiohttp.ClientSession() as http, http.get(url) as response:
            return response.status

    return get


def test_the_command_line_says_where_it_is():
    command = [sys.executable, "-m", "openrelay_async.emulator", "--port", "0", "--json", "--dashboard"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        process.terminate()
    assert facts["dashboard_url"] == facts["url"] + "/dashboard"
