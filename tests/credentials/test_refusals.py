"""R9.4: what a 401 or a 403 says, and what a key may do."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import pickle
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from openrelay_async import AsyncClient, Secret
from openrelay_async.emulator import Emulator, Fault, TurnedClock
from openrelay_async.errors import (
    ApiError,
    BadRequest,
    InvalidResponse,
    PermissionDenied,
    RequestTimeout,
    Unauthenticated,
)
from openrelay_async.generated.operations import OPERATIONS
from openrelay_async.hooks import KeyExpiring
from openrelay_async.scopes import scopes_for
from tests.credentials.conftest import KeyServer

KEY = "vl_GoodKeyGoodKeyGoodKey0123456789"


async def make_key(emulator: Emulator, scopes: list[str]) -> Secret:
    async with emulator.client() as client:
        return (await client.api_keys.create(name="ci", scopes=scopes)).key


async def create_vm(client: AsyncClient) -> None:
    await client.vms.create(name="x", gpu_model_id="rtx-4090", gpu_count=1, ssh_key_ids=["k"])


async def test_a_403_says_what_was_needed_and_what_the_key_has(emulator: Emulator) -> None:
    """R9.4."""
    key = await make_key(emulator, ["clusters:read", "vms:read"])
    async with emulator.client(api_key=key) as client:
        with pytest.raises(PermissionDenied) as caught:
            await create_vm(client)
    error = caught.value
    assert error.scope == "vms:write"
    assert error.permission == OPERATIONS["createVm"].permission
    assert sorted(error.granted) == ["clusters:read", "vms:read"]
    for word in ("vms:write", "'ci'", "clusters:read, vms:read"):
        assert word in str(error)
    assert len(str(error)) <= 500
    assert pickle.loads(pickle.dumps(error)).granted == error.granted  # noqa: S301 - made here


async def test_a_thousand_403s_cause_one_whoami(emulator: Emulator) -> None:
    """R9.4."""
    key = await make_key(emulator, ["clusters:read"])
    emulator.clear_requests()
    async with emulator.client(api_key=key) as client:
        calls = (client.vms.list().first() for _ in range(200))
        results = await asyncio.gather(*calls, return_exceptions=True)
        results += await asyncio.gather(
            *(client.vms.list().first() for _ in range(5)), return_exceptions=True
        )
    assert all(isinstance(each, PermissionDenied) and each.granted for each in results)
    assert Counter(request.operation for request in emulator.requests)["whoami"] == 1


async def test_a_403_is_explained_by_the_whoami_that_was_already_made(emulator: Emulator) -> None:
    """R9.4: the organization was asked for, and the answer told the scopes as well."""
    key = await make_key(emulator, ["clusters:read"])
    emulator.clear_requests()
    async with AsyncClient(key, base_url=emulator.url) as client:
        with pytest.raises(PermissionDenied, match="the key 'ci' has the scope clusters:read"):
            await client.vms.list()
    assert [request.operation for request in emulator.requests] == ["whoami", "listOrgVms"]


async def test_the_question_after_a_403_stays_within_the_deadline(keys: KeyServer) -> None:
    """R9.4 R3.3."""
    keys.good = {KEY}

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/v1/whoami":
            await asyncio.sleep(3)
        return web.json_response({"error": "no", "code": "FORBIDDEN"}, status=403)

    keys.answer = answer
    async with AsyncClient(KEY, base_url=keys.url, timeout=0.2) as client:
        began = time.monotonic()
        with pytest.raises(PermissionDenied, match="vms:read") as caught:
            await client.vms.get("vm_1")
    assert time.monotonic() - began < 2.5
    assert caught.value.granted == ()


@pytest.mark.parametrize("status", [401, 403, 500])
async def test_a_whoami_that_fails_leaves_the_403_as_it_is(status: int, keys: KeyServer) -> None:
    """R9.4."""
    keys.good = {KEY}

    def answer(request: web.Request) -> web.Response:
        if request.path == "/v1/whoami":
            return web.json_response({"error": "broken"}, status=status)
        return web.json_response({"error": "not for you", "permission": "vm.special"}, status=403)

    keys.answer = answer
    async with AsyncClient(KEY, base_url=keys.url) as client:
        with pytest.raises(PermissionDenied, match="not for you") as caught:
            await client.vms.get("vm_1")
    assert caught.value.permission == "vm.special"
    # Not the permission that the description has for it.
    assert "or the permission vm.special" in str(caught.value)
    assert caught.value.attempts == 1
    assert keys.paths.count("/v1/whoami") == 1


async def test_a_call_for_another_organization_is_told_apart_without_a_request_before_it(
    emulator: Emulator,
) -> None:
    """R9.4."""
    other = emulator.add_organization("Other")
    emulator.clear_requests()
    async with emulator.client() as client:
        with pytest.raises(PermissionDenied) as caught:
            await client.api_keys.list(org_id=other.org_id)
    assert f"belongs to organization {emulator.org_id}, not {other.org_id}" in str(caught.value)
    assert [request.operation for request in emulator.requests] == ["listOrgApiKeys", "whoami"]


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_session_only_operation_says_so(status: int, keys: KeyServer) -> None:
    """R9.4."""
    keys.good = {KEY}

    def answer(request: web.Request) -> web.Response:
        if request.path == "/v1/whoami":
            return web.json_response({"organizationId": "org_1", "principalType": "api_key"})
        return web.json_response({"error": "no"}, status=status)

    keys.answer = answer
    async with AsyncClient(KEY, base_url=keys.url) as client:
        with pytest.raises((Unauthenticated, PermissionDenied), match="only a dashboard session"):
            await client.account.get_me()


async def test_a_401_says_which_key_was_refused_and_why(emulator: Emulator) -> None:
    """R9.4 R4.3."""
    async with emulator.client() as client:
        made = await client.api_keys.create(name="gone")
        await client.api_keys.revoke(made.id)
        with pytest.raises(Unauthenticated) as caught:
            await client.with_options(api_key=made.key).account.whoami()
    assert f"{made.key} was revoked" in str(caught.value)
    assert made.key.reveal() not in str(caught.value)


async def test_an_expired_session_is_told_as_one() -> None:
    """R9.4: also at an operation that only a session may do."""
    clock = TurnedClock()
    async with Emulator(clock=clock) as emulator, emulator.client(api_key=emulator.session_token) as client:
        clock.advance(30 * 86400)
        with pytest.raises(Unauthenticated, match=r"the session .* has expired: sign in again"):
            await client.account.list_invites()


async def test_a_call_that_sends_no_key_by_nature_is_not_told_to_have_one(keys: KeyServer) -> None:
    async with AsyncClient(base_url=keys.url) as client:
        with pytest.raises(Unauthenticated) as caught:
            await client.account.start_device_login()
    assert "key" not in str(caught.value).replace("unknown API key", "")


@pytest.mark.parametrize("status", [401, 403])
async def test_the_message_is_the_services_and_the_explanation_is_ours(keys: KeyServer, status: int) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"error": "no"}, status=status)

    keys.good, keys.answer = {KEY}, answer
    async with AsyncClient(KEY, base_url=keys.url) as client:
        with pytest.raises(ApiError) as caught:
            await client.vms.get("vm_1")
    error = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own
    assert error.message == "no"
    assert error.explanation
    assert f"no; {error.explanation}" in str(error)


@pytest.mark.parametrize(
    ("scopes", "operation", "allowed"),
    [
        (["vms:write"], "vms.create", True),
        (["vms:write"], "vms.get", True),
        (["vms:read"], "createVm", False),
        (["vms:read"], "account.get_me", False),
        (["vms:read"], "health.get", True),
    ],
)
async def test_explain_says_before_the_call_what_the_service_will_say(
    scopes: list[str], operation: str, allowed: bool, emulator: Emulator
) -> None:
    key = await make_key(emulator, scopes)
    async with emulator.client(api_key=key) as client:
        told = await client.access.explain(operation)
    assert told.allowed is allowed
    assert bool(told) is allowed
    assert told.scopes == tuple(scopes)
    assert told.reason


async def test_explain_names_what_is_missing_and_what_there_is(emulator: Emulator) -> None:
    key = await make_key(emulator, ["vms:read"])
    async with emulator.client(api_key=key) as client:
        told = await client.access.explain("vms.create")
        assert "vms:write" in told.reason
        assert "vms:read" in told.reason
        with pytest.raises(ValueError, match=r"similar: vms\.create"):
            await client.access.explain("vms.creat")


def test_scopes_for_a_job_are_the_smallest() -> None:
    assert scopes_for(["vms.create", "vms.get", "vms.list"]) == ["vms:write"]
    assert scopes_for(["listOrgVms"]) == ["vms:read"]
    assert scopes_for(["health.get", "account.whoami"]) == []
    assert scopes_for([]) == []


def test_scopes_for_what_no_key_may_do_says_so() -> None:
    with pytest.raises(ValueError, match=r"no API key may do account\.get_me"):
        scopes_for(["vms.get", "account.get_me"])
    with pytest.raises(ValueError, match="similar"):
        scopes_for(["vms.destroy"])
    with pytest.raises(TypeError):
        scopes_for("vms.get")


def test_scopes_for_one_operation_are_exactly_its_scope() -> None:
    for operation in OPERATIONS.values():
        if not operation.session_only:
            assert scopes_for([operation.id]) == ([] if operation.scope is None else [operation.scope])


class Observer:
    def __init__(self) -> None:
        self.events: list[KeyExpiring] = []

    def on_key_expiring(self, event: KeyExpiring) -> None:
        self.events.append(event)


async def test_a_key_that_expires_within_a_week_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    clock = TurnedClock()
    async with Emulator(clock=clock) as emulator:
        async with emulator.client() as client:
            made = await client.api_keys.create(name="soon", expires_in_seconds=10 * 86400)
        observer = Observer()
        with caplog.at_level(logging.WARNING, "openrelay_async"):
            async with emulator.client(api_key=made.key, hooks=[observer], clock=clock) as client:
                await client.account.whoami()
                assert observer.events == []
                clock.advance(4 * 86400)
                await client.account.whoami()
                await client.account.whoami()
        [event] = observer.events
        assert event.key_id == made.id
        assert event.name == "soon"
        assert event.expires_at == made.expires_at
        assert round(event.seconds_left / 86400) == 6
    [record] = [record for record in caplog.records if "expires" in record.getMessage()]
    assert record.levelno == logging.WARNING
    assert made.key.reveal() not in record.getMessage()


async def test_a_key_without_an_end_or_with_a_strange_one_is_not_told(keys: KeyServer) -> None:
    keys.good = {KEY}
    observer = Observer()
    ends = iter([None, "", "soon", 3, (datetime.now(UTC) + timedelta(days=30)).isoformat()])

    def answer(request: web.Request) -> web.Response:
        return web.json_response(
            {"organizationId": "o", "principalType": "api_key", "key": {"id": "k", "expiresAt": next(ends)}}
        )

    keys.answer = answer
    async with AsyncClient(KEY, base_url=keys.url, hooks=[observer]) as client:
        for _ in range(5):
            with contextlib.suppress(InvalidResponse):
                await client.account.whoami()
    assert observer.events == []


async def test_the_emulators_session_says_what_role_it_has(emulator: Emulator) -> None:
    emulator.faults.add(Fault(operation="listOrgVms", status=403, code="FORBIDDEN"))
    async with emulator.client(api_key=emulator.session_token) as client:
        with pytest.raises(PermissionDenied, match="the session has the role owner"):
            await client.vms.list()


async def test_the_organization_question_keeps_its_own_limit(keys: KeyServer) -> None:
    """R3.3: nothing of this makes a call longer than its timeout."""
    keys.good, keys.delay = {KEY}, 0.5
    async with AsyncClient(KEY, base_url=keys.url) as client:
        with pytest.raises(RequestTimeout):
            await client.vms.list(timeout=0.1)


async def test_the_key_that_was_refused_in_a_call_is_not_shown_by_its_error(keys: KeyServer) -> None:
    """R4.7 R9.2: no pattern knows it, and the client has another by then."""
    old, new = "correct-horse-battery-staple", "another-horse-of-the-stable"
    given = iter([old])

    keys.good = {new}
    keys.answer = lambda request: web.json_response({"error": f"the old key was {old}"}, status=400)
    async with AsyncClient(lambda: next(given, new), base_url=keys.url) as client:
        with pytest.raises(BadRequest) as caught:
            await client.vms.get("vm_1")
        gc.collect()
    assert "the old key was" in str(caught.value)
    assert old not in str(caught.value)


async def test_an_interval_goes_by_the_clients_clock(keys: KeyServer) -> None:
    """R9.1."""
    keys.good = {KEY}
    asked = 0

    class Vault:
        check_every = 60

        def __call__(self) -> str:
            nonlocal asked
            asked += 1
            return KEY

    clock = TurnedClock()
    async with AsyncClient(Vault(), base_url=keys.url, clock=clock) as client:
        for advance in (0, 59, 2):
            clock.advance(advance)
            await client.account.whoami()
    assert asked == 2
