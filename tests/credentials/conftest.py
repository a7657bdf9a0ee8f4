"""A server that knows which keys are good, and counts what it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import attrs
import pytest
from aiohttp import web

from openrelay_async.emulator import Emulator


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
