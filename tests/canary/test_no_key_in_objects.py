"""R4.1, R4.3, R4.6: a canary key in no representation of an object, and in as few objects as can be."""

from __future__ import annotations

import asyncio
import copy
import gc
import logging
import pickle
import sys
import warnings
from collections.abc import AsyncIterator

import pytest

from openrelay_async import AsyncClient, EnvironmentKey, RetryPolicy, Secret
from openrelay_async.calls import ClientCalls
from openrelay_async.clock import SystemClock
from openrelay_async.credentials import Credential
from openrelay_async.emulator import Emulator
from openrelay_async.errors import NotFound, Unauthenticated
from openrelay_async.generated.operation_rows.account import WHOAMI
from openrelay_async.key_source import ProvidedKey, StaticKey
from openrelay_async.messages import HttpRequest, HttpResponse
from openrelay_async.redaction import HeaderValue, Payload
from tests.canary.conftest import BadServer
from tests.canary.leaks import LogCatcher, holders_of, leaks_of_error, leaks_of_value


class Observer:
    """Keeps every event that the hooks tell."""

    def __init__(self) -> None:
        self.events: list[object] = []

    def on_queue(self, event: object) -> None:
        self.events.append(event)

    on_attempt = on_response = on_retry = on_wait_tick = on_key_expiring = on_queue


class Forgetful(asyncio.Protocol):
    """Says who anybody is, and keeps nothing of what it was sent."""

    BODY = b'{"organizationId": "org_1", "principalType": "api_key"}'

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"\r\n\r\n"):
            self.transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(self.BODY) + self.BODY
            )


@pytest.fixture
async def plain_url() -> AsyncIterator[str]:
    async with await asyncio.get_running_loop().create_server(Forgetful, "127.0.0.1", 0) as listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


def make_objects(client: AsyncClient, canary: str) -> dict[str, object]:
    transport = client._calls.transport
    credential = Credential(Secret(canary))
    return {
        "client": client,
        "view": client.with_options(timeout=5),
        "view with another key": client.with_options(api_key=canary),
        "resource": client.vms,
        "page call": client.vms.list(),
        "calls": client._calls,
        "transport": transport,
        "shared": transport.shared,
        "session": transport.shared.session,
        "endpoints": transport.endpoints,
        "credential": credential,
        "static key": StaticKey(credential),
        "provided key": ProvidedKey(lambda: canary, SystemClock()),
        "environment key": EnvironmentKey(),
        "secret": Secret(canary),
        "header": HeaderValue(f"Bearer {canary}").__repr__(),
        "request": HttpRequest(
            WHOAMI, "/v1/x", query=(("t", Secret(canary)),), body=Payload(canary.encode())
        ),
        "response": HttpResponse(200, {}, Payload(canary.encode())),
        "calls over": ClientCalls.over(transport, None),
    }


async def test_no_object_shows_the_key(canary: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """R4.1."""
    monkeypatch.setenv("OPENRELAY_API_KEY", canary)
    async with AsyncClient(canary, proxy=f"http://u:{canary}@proxy:3128") as client:
        for name, value in make_objects(client, canary).items():
            assert leaks_of_value(canary, value, name) == []


async def test_what_is_recorded_and_told_to_hooks_has_no_key(
    server: BadServer, canary: str, logs: LogCatcher
) -> None:
    """R4.1."""
    server.reply(503, echo=True)
    observer = Observer()
    retry = RetryPolicy(max_attempts=2, base=0.001)
    async with AsyncClient(canary, base_url=server.url, retry=retry, hooks=[observer]) as client:
        with client.record_responses() as responses, pytest.raises(Exception, match="503"):
            await client.vms.get("vm_1")
    assert len(observer.events) == 5
    for event in (*observer.events, *responses):
        assert canary not in repr(event)
        assert canary not in str(event)
    assert [line for line in logs.lines if canary in line] == []


async def test_a_client_refuses_to_be_pickled_and_says_what_to_do(canary: str) -> None:
    """R4.6."""
    async with AsyncClient(canary) as client:
        with pytest.raises(TypeError, match="EnvironmentKey") as refusal:
            pickle.dumps(client)
    assert canary not in str(refusal.value)


def test_a_pickled_secret_keeps_its_mask_and_loses_its_text(canary: str) -> None:
    """R4.3."""
    raw = pickle.dumps({"key": Secret(canary)})
    assert canary.encode() not in raw
    sealed = pickle.loads(raw)["key"]  # noqa: S301 - made above
    assert repr(sealed) == repr(Secret(canary))
    with pytest.raises(ValueError, match="pickled"):
        sealed.reveal()


def test_a_half_made_secret_shows_nothing(canary: str) -> None:
    """R4.1: made of bytes by mistake."""
    with pytest.raises(TypeError, match="from str, not bytes") as caught:
        Secret(canary.encode())  # type: ignore[arg-type]
    assert leaks_of_error(canary, caught.value) == []


async def test_errors_pickle_without_the_key(server: BadServer, canary: str) -> None:
    """R4.1."""
    server.reply(401, echo=True)
    async with AsyncClient(canary, base_url=server.url) as client:
        with pytest.raises(Unauthenticated) as caught:
            await client.vms.get("vm_1")
    raw = pickle.dumps(caught.value)
    assert canary.encode() not in raw
    assert str(pickle.loads(raw)) == str(caught.value)  # noqa: S301 - made above
    assert canary not in repr(vars(caught.value))
    assert canary not in str(copy.deepcopy(caught.value))


async def test_the_warning_of_an_unclosed_client_has_no_key(plain_url: str, canary: str) -> None:
    """R4.1 R1.3."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        client = AsyncClient(canary, base_url=plain_url)
        await client.account.whoami()
        transport = client._calls.transport.shared.session.pool()
        del client
        gc.collect()
        await transport.aclose()
    text = [str(warning.message) for warning in caught]
    assert any("was not closed" in line for line in text)
    assert not any(canary in line for line in text)


async def test_at_most_two_objects_hold_the_key_after_a_thousand_calls(plain_url: str) -> None:
    """R4.1: the secret's own text and the header value."""
    parts = ["vl_Fewest", "Holders", "0123456789"]
    canary = "".join(parts)
    # Only the client may keep it: this frame lets go of its own reference.
    async with AsyncClient(canary, base_url=plain_url) as client:
        del canary
        await asyncio.gather(*(client.account.whoami() for _ in range(1000)))
        gc.collect()
        holders = holders_of(
            "".join(parts),
            client,
            asyncio.get_running_loop(),
            *asyncio.all_tasks(),
            *sys._current_frames().values(),
        )
        # The text that was looked for is one that this line made.
        kinds = sorted(type(each).__name__ for each in holders)
        assert kinds in (["HeaderValue"], ["HeaderValue", "str"]), kinds


async def test_no_log_of_a_call_that_succeeds_has_the_key(
    plain_url: str, canary: str, logs: LogCatcher
) -> None:
    """R4.1: every logger at DEBUG, asyncio in debug mode."""
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0
    async with AsyncClient(canary, base_url=plain_url) as client:
        await client.account.whoami()
    assert logs.lines
    assert [line for line in logs.lines if canary in line] == []


async def test_notebooks_and_tables_show_only_masks(server: BadServer, canary: str) -> None:
    """R4.1 R4.3: the HTML of a new key, of its wire form and of the client."""
    server.reply(
        200,
        f'{{"id": "key_1", "name": "n", "key": "{canary}", "keyPrefix": "c", "organizationId": "org_1",'
        ' "scopes": [], "createdAt": "2026-11-01T00:00:00Z"}',
    )
    async with AsyncClient("k" * 30, base_url=server.url, org_id="org_1") as client:
        created = await client.api_keys.create(name="n")
        assert created.key.reveal() == canary
        assert canary not in created._repr_html_()
        assert canary not in repr(created.to_wire())
        assert created.to_wire(reveal=True)["key"] == canary
        assert leaks_of_value(canary, created) == []
        for value in (client, client.vms, client.vms.list()):
            show = getattr(value, "_repr_html_", None)
            assert show is None or canary not in (show() or "")


async def test_the_emulator_shows_neither_its_key_nor_its_session(logs: LogCatcher) -> None:
    """R4.1, for the emulator's side."""
    async with Emulator() as emulator:
        async with emulator.client() as client:
            created = await client.api_keys.create(name="n")
            with pytest.raises(Unauthenticated):
                await client.with_options(api_key="x" * 40).vms.list()
        secrets = [emulator.api_key, emulator.session_token, created.key.reveal()]
        seen = [repr(emulator), repr(vars(emulator)), *map(repr, emulator.requests), *logs.lines]
        for secret in secrets:
            assert [text for text in seen if secret in text] == []
            assert secret not in repr(created)


async def test_the_requests_that_an_emulator_saw_show_nothing_of_what_was_sent(
    canary: str, logs: LogCatcher
) -> None:
    """R4.1: a key in the query, the body and a header of any name, in every representation of the request."""
    async with (
        Emulator() as emulator,
        AsyncClient(canary, base_url=emulator.url, default_headers={"X-Team": canary}) as client,
    ):
        for method in ("GET", "POST"):
            body = None if method == "GET" else {"value": canary}
            with pytest.raises(NotFound):
                await client.request(method, "/v1/nothing", params={"token": canary}, json=body)
    for seen in emulator.requests:
        assert seen.query["token"] == canary
        assert leaks_of_value(canary, seen) == []
    assert emulator.requests[1].json() == {"value": canary}
    assert [line for line in logs.lines if canary in line] == []


def test_asyncio_and_aiohttp_loggers_are_caught_by_the_fixture(logs: LogCatcher) -> None:
    logging.getLogger("aiohttp.client").debug("here %s", "it is")
    assert "here it is" in logs.lines
