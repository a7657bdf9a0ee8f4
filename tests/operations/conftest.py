"""Fixtures of the per-operation tests: one recording server and one client a module."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from openrelay_async import AsyncClient, RetryPolicy

from .recording_server import RecordingServer, running_server

KEY = "vl_test_0123456789abcdefghijklmnop"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[RecordingServer]:
    async with running_server() as server:
        yield server


@pytest.fixture
def server(running: RecordingServer) -> RecordingServer:
    running.reset()
    return running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(running: RecordingServer) -> AsyncIterator[AsyncClient]:
    """A client with an organization, that sends everything once."""
    async with AsyncClient(
        KEY, base_url=running.url, org_id="org_home", retry=RetryPolicy(max_attempts=1)
    ) as client:
        yield client
