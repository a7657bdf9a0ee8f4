"""R9.4: a 403 whose question to whoami is not answered."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from openrelay_async import AsyncClient
from openrelay_async.emulator import TurnedClock
from openrelay_async.errors import PermissionDenied
from tests.credentials.conftest import KeyServer

KEY = "vl_GoodKeyGoodKeyGoodKey0123456789"

WHOAMI_THAT_TELLS_NOTHING = {
    "401": (401, "{}"),
    "403": (403, "{}"),
    "500": (500, "{}"),
    "redirect": (302, ""),
    "garbage": (200, "[]"),
    "empty": (200, ""),
}


@pytest.mark.parametrize("name", WHOAMI_THAT_TELLS_NOTHING)
async def test_a_whoami_that_tells_nothing_is_asked_once_a_minute(name: str, keys: KeyServer) -> None:
    """R9.4: one question, however many calls are refused."""
    keys.good = {KEY}
    clock = TurnedClock()

    def answer(request: web.Request) -> web.Response:
        status, body = WHOAMI_THAT_TELLS_NOTHING[name] if request.path == "/v1/whoami" else (403, "{}")
        return web.Response(status=status, text=body)

    keys.answer = answer
    async with AsyncClient(KEY, base_url=keys.url, clock=clock) as client:
        for expected in (1, 2):
            results = await asyncio.gather(
                *(client.vms.get("vm_1") for _ in range(20)), return_exceptions=True
            )
            for _ in range(5):
                with pytest.raises(PermissionDenied):
                    await client.vms.get("vm_1")
            assert all(isinstance(each, PermissionDenied) for each in results)
            assert keys.paths.count("/v1/whoami") == expected
            clock.advance(61)
            assert keys.paths.count("/v1/whoami") == expected


async def test_a_whoami_that_stalls_delays_one_refusal_only(
    keys: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R9.4."""
    monkeypatch.setattr("openrelay_async.key_inquiry.LONGEST_INQUIRY", 0.2)
    keys.good = {KEY}
    released = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/v1/whoami":
            await released.wait()
        return web.json_response({}, status=403)

    keys.answer = answer
    try:
        async with AsyncClient(KEY, base_url=keys.url) as client:
            for _ in range(5):
                with pytest.raises(PermissionDenied):
                    await client.vms.get("vm_1")
    finally:
        released.set()
    assert keys.paths.count("/v1/whoami") == 1


@pytest.mark.parametrize("waits", [False, True], ids=["later", "at the same time"])
async def test_a_call_with_little_time_keeps_no_other_from_its_explanation(
    waits: bool, keys: KeyServer
) -> None:
    """R9.4: that its time ran out says nothing about whoami."""
    keys.good = {KEY}
    asked, released = asyncio.Event(), asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        if request.path != "/v1/whoami":
            return web.json_response({}, status=403)
        asked.set()
        await released.wait()
        return web.json_response(
            {"organizationId": "o", "principalType": "api_key", "scopes": ["clusters:read"]}
        )

    keys.answer = answer
    async with AsyncClient(KEY, base_url=keys.url) as client:
        hurried = asyncio.create_task(client.vms.get("vm_1", timeout=1.0))
        await asyncio.wait_for(asked.wait(), 20)
        patient = asyncio.create_task(client.vms.get("vm_1")) if waits else None
        with pytest.raises(PermissionDenied) as caught:
            await hurried
        released.set()
        assert caught.value.granted == ()
        with pytest.raises(PermissionDenied, match="has the scope clusters:read"):
            await (patient or client.vms.get("vm_1"))


async def test_a_later_whoami_of_the_caller_explains_what_the_first_did_not(keys: KeyServer) -> None:
    """R9.4."""
    keys.good, works = {KEY}, False

    def answer(request: web.Request) -> web.Response:
        if request.path == "/v1/whoami" and works:
            return web.json_response(
                {"organizationId": "o", "principalType": "api_key", "scopes": ["clusters:read"]}
            )
        return web.json_response({}, status=500 if request.path == "/v1/whoami" else 403)

    keys.answer = answer
    async with AsyncClient(KEY, base_url=keys.url) as client:
        with pytest.raises(PermissionDenied) as caught:
            await client.vms.get("vm_1")
        assert caught.value.granted == ()
        works = True
        await client.account.whoami()
        with pytest.raises(PermissionDenied, match="clusters:read"):
            await client.vms.get("vm_1")


async def test_a_key_without_an_organization_is_told_with_the_question(keys: KeyServer) -> None:
    """R9.4 R11.1."""
    keys.good = {KEY}
    keys.answer = lambda request: web.json_response({"principalType": "api_key", "scopes": []})
    async with AsyncClient(KEY, base_url=keys.url) as client:
        with pytest.raises(PermissionDenied, match="belongs to no organization") as caught:
            await client.vms.list()
    error = caught.value
    assert (error.operation, error.method, error.path) == ("whoami", "GET", "/v1/whoami")
    assert error.attempts == 1
