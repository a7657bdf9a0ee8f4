"""For every operation: the sync client sends what the async one sends, and gives what it gives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from openrelay_async import AsyncClient
from openrelay_sync import Client, RetryPolicy, SyncDownload, SyncPagedCall

from .answers import compare_result, sample_answer
from .conftest import KEY
from .description import all_cases
from .recording_server import RecordingServer
from .sampling import Sampler
from .test_every_request import compare

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sync_client(running: RecordingServer) -> AsyncIterator[Client]:
    client = Client(KEY, base_url=running.url, org_id="org_home", retry=RetryPolicy(max_attempts=1))
    yield client
    await asyncio.to_thread(client.close)


@pytest.mark.parametrize("case", all_cases(), ids=repr)
async def test_sync_request_is_what_the_description_asks_for(case, sync_client: Client, server):
    call = Sampler(f"{case.id} sync").call(case)
    server.default = sample_answer(case)

    def send() -> object:
        result = getattr(getattr(sync_client, case.resource), case.method)(*call.args, **call.kwargs)
        if isinstance(result, SyncPagedCall):
            return result.all()
        return result.read() if isinstance(result, SyncDownload) else result

    # The server answers in this loop, so the call, which blocks, is made in another thread.
    result = await asyncio.to_thread(send)
    compare(case, call, server.take())
    compare_result(case, result, server.default)


async def test_the_sync_client_has_the_same_resources(sync_client: Client, client: AsyncClient):
    for name in {case.resource for case in all_cases()}:
        of_async, of_sync = (
            {each for each in dir(getattr(one, name)) if not each.startswith("_")}
            for one in (client, sync_client)
        )
        assert of_async == of_sync, name
