"""A server that knows which keys are good, and counts what it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import attrs
import pytest
from aiohttp import web

from openrelay_async.emulator import Emulator
from openrelay_async.generated.models.api_keys import ApiKeySummary


@attrs.define
class KeyServer:
    """Answers `whoami` and everything else to its good keys, and 401 to all others."""

    url: str = ""
    good: set[str] = attrs.field(factory=set[str])
    seen: list[str | None] = attrs.field(factory=list[str | None])
    paths: list[str] = attrs.field(factory=list[str])
    delay: float = 0.0
    answer: Callable[[web.Request], Awaitable[web.StreamResponse] | web.StreamResponse] | None = None

    async def serve(self, request: web.Request) -> web.StreamResponse:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        self.seen.append(key or None)
        self.paths.append(request.path)
        if self.delay:
            await asyncio.sleep(self.delay)
        if key not in self.good or scheme != "Bearer":
            return web.json_response({"error": "unknown API key", "code": "UNAUTHORIZED"}, status=401)
        if self.answer is not None:
            given = self.answer(request)
            return given if isinstance(given, web.StreamResponse) else await given
        return web.json_response({"organizationId": "org_1", "principalType": "api_key", "scopes": []})


@pytest.fixture
async def keys() -> AsyncIterator[KeyServer]:
    server = KeyServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    server.url = str(site.name)
    yield server
    await runner.cleanup()


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator() as running:
        yield running


async def working_keys(emulator: Emulator) -> list[ApiKeySummary]:
    """The keys that are in force, asked for with a session: no key of the test is involved."""
    async with emulator.client(api_key=emulator.session_token) as client:
        return [key for key in await client.api_keys.list() if key.revoked_at is None]
