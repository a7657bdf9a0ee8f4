"""A client without a key: clear where a key is needed, useful where it is not."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from openrelay_async import AsyncClient
from openrelay_async.errors import ConfigurationError

from .answers import compare_result, sample_answer
from .conftest import KEY
from .description import all_cases, case
from .recording_server import RecordingServer, answer_json
from .sampling import Sampler, only

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keyless(running: RecordingServer) -> AsyncIterator[AsyncClient]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENRELAY_API_KEY", "")
        async with AsyncClient(base_url=running.url, org_id="org_home") as client:
            yield client


@pytest.mark.parametrize("case", [case for case in all_cases() if case.needs_key], ids=repr)
async def test_a_call_that_needs_a_key_says_so_and_sends_nothing(case, keyless, server):
    """R9.4"""
    call = Sampler(case.id).call(case, give=only(()))
    method = getattr(getattr(keyless, case.resource), case.method)
    with pytest.raises(ConfigurationError, match=r"api_key.*OPENRELAY_API_KEY") as caught:
        await method(*call.args, **call.kwargs)
    assert caught.value.operation == case.id
    assert server.seen == []


OPEN = [case for case in all_cases() if not case.needs_key]


@pytest.mark.parametrize("case", OPEN, ids=repr)
async def test_a_call_that_needs_none_works_and_sends_none(case, keyless, server):
    server.default = sample_answer(case)
    call = Sampler(case.id).call(case, give=only(("token",)))
    result = await getattr(getattr(keyless, case.resource), case.method)(*call.args, **call.kwargs)
    compare_result(case, result, server.default)
    assert "Authorization" not in server.take().headers


async def test_the_open_operations_are_these():
    assert {each.id for each in OPEN} == {
        "getHealth",
        "startCliLogin",
        "pollCliLoginToken",
        "providerBootstrap",
        "interruptibleBootstrap",
        "getPublicPricing",
    }


async def test_the_organization_is_not_asked_for_without_a_key(server, monkeypatch):
    monkeypatch.delenv("OPENRELAY_API_KEY", raising=False)
    monkeypatch.delenv("OPENRELAY_ORG_ID", raising=False)
    async with AsyncClient(base_url=server.url) as client:
        with pytest.raises(ConfigurationError, match="api_key"):
            await client.vms.list()
    assert server.seen == []


async def test_a_view_with_a_key_works(keyless, server):
    server.default = sample_answer(case("whoami"))
    await keyless.with_options(api_key=KEY).account.whoami()
    assert server.take().headers["Authorization"] == f"Bearer {KEY}"


async def test_a_raw_request_goes_without_a_key_if_there_is_none(keyless, server):
    server.default = answer_json({})
    await keyless.request("GET", "/v1/new")
    assert "Authorization" not in server.take().headers


async def test_a_raw_request_asks_the_provider_for_its_key(server):
    async def provide() -> str:
        return KEY

    server.default = answer_json({})
    async with AsyncClient(provide, base_url=server.url) as client:
        await client.request("GET", "/v1/new")
    assert server.take().headers["Authorization"] == f"Bearer {KEY}"


async def test_an_operation_without_credential_does_not_ask_the_provider(server):
    def provide() -> str:
        raise AssertionError("not needed")

    server.default = sample_answer(case("getHealth"))
    async with AsyncClient(provide, base_url=server.url) as client:
        await client.health.get()
    assert "Authorization" not in server.take().headers
