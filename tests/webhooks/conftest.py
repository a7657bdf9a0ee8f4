"""Fixtures of the webhook tests: deliveries as the service makes them, and real servers to send them to."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import attrs
import pytest
import uvicorn
from aiohttp import web

from openrelay_async.webhooks import SIGNATURE_HEADER, sign

SECRET = "whsec_0123456789abcdefghijklmnop"


@attrs.frozen
class Delivery:
    """One attempt to deliver, as the service sends it."""

    raw: bytes
    headers: dict[str, str]

    def __iter__(self) -> Iterator[Any]:
        """`verify(*deliver(), …)`"""
        yield from (self.raw, self.headers)


def make_delivery(
    id: str = "evt_1",
    type: str = "vm.running",
    data: object = None,
    *,
    secret: str = SECRET,
    age: float = 0.0,
    **fields: object,
) -> Delivery:
    body = {
        "id": id,
        "type": type,
        "created_at": (datetime.now(UTC) - timedelta(seconds=age)).isoformat().replace("+00:00", "Z"),
        "data": {"vm_id": "vm_1", "status": "running", "endpoint": "10.0.0.1"} if data is None else data,
        **fields,
    }
    raw = json.dumps(body).encode()
    headers = {
        "X-VectorLay-Event": type,
        "X-VectorLay-Delivery": "dlv_1",
        SIGNATURE_HEADER: sign(raw, secret),
    }
    return Delivery(raw, headers)


@pytest.fixture
def deliver() -> Callable[..., Delivery]:
    """Makes deliveries that the service has signed with the secret."""
    return make_delivery


@pytest.fixture
def secret() -> str:
    return SECRET


class Collector:
    """A callback that keeps events, and can be told to be slow or to fail."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.calls = 0
        self.failures = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, event: Any) -> None:
        self.calls += 1
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the callback fails as it was told to")
        self.events.append(event)

    @property
    def ids(self) -> list[str]:
        return [event.id for event in self.events]

    async def wait_for(self, count: int, limit: float = 5.0) -> None:
        async with asyncio.timeout(limit):
            while len(self.events) < count:
                await asyncio.sleep(0.005)


@pytest.fixture
async def collector() -> Collector:
    return Collector()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def serve_aiohttp() -> AsyncIterator[Callable[..., Any]]:
    """Serves an aiohttp application; returns its URL."""
    runners = []

    async def serve(app: web.Application) -> str:
        runner = web.AppRunner(app, shutdown_timeout=1)
        runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield serve
    for runner in runners:
        await runner.cleanup()


@asynccontextmanager
async def run_uvicorn(app: Any) -> AsyncIterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="error", lifespan="auto", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with asyncio.timeout(10):
            while not server.started:
                assert not task.done(), "uvicorn ended before it started"
                await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()


@pytest.fixture
async def serve_uvicorn() -> AsyncIterator[Callable[..., Any]]:
    """Serves an ASGI application under the real uvicorn; returns its URL."""
    async with AsyncExitStack() as stack:
        yield lambda app: stack.enter_async_context(run_uvicorn(app))
