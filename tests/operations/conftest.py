"""Fixtures of the per-operation tests: one recording server and one client a module."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import aiohttp
import aioresponses
import aioresponses.core
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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client_without_org(running: RecordingServer) -> AsyncIterator[AsyncClient]:
    """A client that has to ask for its organization, as long as nobody has answered that."""
    async with AsyncClient(KEY, base_url=running.url, retry=RetryPolicy(max_attempts=1)) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def inference() -> AsyncIterator[RecordingServer]:
    async with running_server() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client_of_both(running: RecordingServer, inference: RecordingServer) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(
        KEY, base_url=running.url, inference_url=inference.url, org_id="org_home"
    ) as client:
        yield client


@pytest.fixture
def two_hosts(
    client_of_both: AsyncClient, server: RecordingServer, inference: RecordingServer
) -> tuple[AsyncClient, RecordingServer]:
    """A client whose inference host is another server, and that server."""
    inference.reset()
    return client_of_both, inference


class ResponseOfToday(aiohttp.ClientResponse):
    """A response with the argument that aiohttp 3.14 wants and aioresponses 0.7.9 does not give."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"stream_writer": SimpleNamespace(output_size=0), **kwargs})


@pytest.fixture
def mocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[aioresponses.aioresponses]:
    """Answers without a server. For statuses and bodies only: it knows no socket, time limit or encoding."""
    wanted = inspect.signature(aiohttp.ClientResponse).parameters.get("stream_writer")
    is_missing = wanted is not None and wanted.default is wanted.empty
    # https://github.com/pnuckowski/aioresponses/issues/289
    if is_missing and "stream_writer" not in inspect.getsource(aioresponses.core):
        monkeypatch.setattr(aioresponses.core, "ClientResponse", ResponseOfToday)
    with aioresponses.aioresponses() as mock:
        yield mock
