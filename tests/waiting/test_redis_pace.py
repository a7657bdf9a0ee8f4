"""One pace for several clients, kept by a real Redis."""

from __future__ import annotations

import asyncio
import gc
import logging
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from openrelay_async import AsyncClient, errors

pytest.importorskip("redis", reason="the extra redis is not installed")
from openrelay_async.redis_pace import RedisPace

sys.path.insert(0, str(Path(__file__).parent))
from limiting_server import limiting

needs_redis = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="no redis-server on this machine: install the package"
)


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("redis")
    server = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    try:
        limit = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < limit
                time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}/0", server
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
async def paces(redis_server, request) -> AsyncIterator[list[RedisPace]]:
    made = [RedisPace(redis_server[0], name=request.node.name) for _ in range(3)]
    yield made
    for pace in made:
        await pace.aclose()


def make_client(server, pace) -> AsyncClient:
    return AsyncClient(
        "vl_pacing_0123456789abcdefghijkl", org_id="org_1", base_url=server.url, shared_pace=pace
    )


@needs_redis
async def test_clients_that_share_a_pace_keep_it_together(paces):
    """R3.8, for several clients: 900 calls at a limit of 300 a second"""
    async with limiting(300) as server:
        clients = [make_client(server, pace) for pace in paces]

        async def call(client: AsyncClient) -> None:
            for _ in range(10):
                await client.vms.get("vm_1")

        await asyncio.gather(*(call(client) for client in clients for _ in range(30)))
        for client in clients:
            await client.aclose()
    assert len(server.answers) - server.refusals() == 900
    # Each client has up to 30 requests under way when the first 429 comes.
    assert server.refusals() <= 150


@needs_redis
async def test_a_refusal_of_one_client_holds_up_the_others(paces):
    async with limiting(1000) as server:
        await paces[0].refuse(server.url, 0.6, 100.0)
        async with make_client(server, paces[1]) as client:
            await client.vms.get("vm_1")  # has asked in the background by now
            await asyncio.sleep(0.1)
            began = time.monotonic()
            await client.vms.get("vm_1")
    assert time.monotonic() - began > 0.3


@needs_redis
async def test_a_pace_that_nobody_set_costs_nothing(paces):
    assert await paces[0].reserve("https://host", 7) == (7, 0.001)
    assert not paces[0].limits("https://host")


async def test_without_redis_calls_go_on():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    pace = RedisPace(f"redis://127.0.0.1:{port}/0")
    async with limiting(1000) as server, make_client(server, pace) as client:
        assert (await client.vms.get("vm_1")).status == "running"
        await pace.refuse(server.url, 0.0, 100.0)
        assert (await client.vms.get("vm_1")).status == "running"
    await pace.aclose()


class StuckRedis:
    """A client of a Redis that takes what it is asked and does not answer, until it is told to."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.evaluated = 0
        self.is_closed = False

    async def eval(self, script: str, numkeys: int, *keys_and_args: str) -> object:
        self.evaluated += 1
        await self.answers.wait()
        return [3, 50]

    async def exists(self, *names: str) -> int:
        await self.answers.wait()
        return 1

    async def aclose(self) -> None:
        self.is_closed = True


async def test_a_redis_that_never_answers_is_waited_for_once(monkeypatch):
    monkeypatch.setattr("openrelay_async.redis_pace._PATIENCE", 0.1)
    monkeypatch.setattr("openrelay_async.redis_pace._KNOWN_FOR", 0.05)
    pace, stuck = RedisPace("redis://127.0.0.1:1/0"), StuckRedis()
    pace._clients[asyncio.get_running_loop()] = stuck
    async with asyncio.timeout(20):
        assert await pace.reserve("https://host", 7) == (7, 0.001)  # no limit is known
        assert stuck.evaluated == 1
        await pace.refuse("https://host", 1.0, 100.0)  # nobody waits for this one: it is tried
        assert stuck.evaluated == 2
        for _ in range(50):
            assert await pace.reserve("https://host", 7) == (1, 0.1)
        assert stuck.evaluated == 2
        stuck.answers.set()
        while await pace.reserve("https://host", 7) != (3, 0.05):
            await asyncio.sleep(0.01)
    await pace.aclose()


async def test_a_loop_closes_its_connections_while_another_one_asks(monkeypatch):
    """R1.2"""
    monkeypatch.setattr("openrelay_async.redis_pace._PATIENCE", 60.0)
    pace = RedisPace("redis://127.0.0.1:1/0")
    asks, is_over = threading.Event(), threading.Event()
    went_on: list[bool] = []

    async def use() -> None:
        pace._clients[asyncio.get_running_loop()] = other
        pace.limits("https://host")
        asks.set()
        await asyncio.to_thread(is_over.wait, 20)
        went_on.extend(not task.done() and not task.cancelling() for task in pace._asking)
        await pace.aclose()

    own, other = StuckRedis(), StuckRedis()
    pace._clients[asyncio.get_running_loop()] = own
    thread = threading.Thread(target=lambda: asyncio.run(use()))
    thread.start()
    try:
        assert await asyncio.to_thread(asks.wait, 20)
        pace.limits("https://another")
        await pace.aclose()
        assert own.is_closed
        assert not other.is_closed
    finally:
        is_over.set()
        await asyncio.to_thread(thread.join)
    assert went_on == [True]
    assert other.is_closed


async def test_connections_are_closed_also_where_closing_is_cancelled(monkeypatch):
    monkeypatch.setattr("openrelay_async.redis_pace._PATIENCE", 60.0)
    pace, stuck = RedisPace("redis://127.0.0.1:1/0"), StuckRedis()
    pace._clients[asyncio.get_running_loop()] = stuck
    pace.limits("https://host")
    closing = asyncio.ensure_future(pace.aclose())
    await asyncio.sleep(0)  # until it waits for what asks
    closing.cancel()
    await asyncio.wait([closing])
    assert stuck.is_closed


@needs_redis
async def test_the_answer_that_a_redis_gives_too_late_is_nobody_s(paces, redis_server, monkeypatch):
    """What a cancelled command is answered must not be read as the answer to the next one."""
    monkeypatch.setattr("openrelay_async.redis_pace._PATIENCE", 0.1)
    monkeypatch.setattr("openrelay_async.redis_pace._KNOWN_FOR", 0.05)
    server = redis_server[1]
    pace = paces[0]
    async with asyncio.timeout(20):
        while await pace.reserve("https://host", 7) != (7, 0.001) or not pace._limited:
            await pace.refuse("https://host", 0.0, 1e6)  # a limit that limits nobody here
        server.send_signal(signal.SIGSTOP)
        try:
            assert await pace.reserve("https://host", 1) == (1, 0.1)
        finally:
            server.send_signal(signal.SIGCONT)
        while await pace.reserve("https://host", 7) != (7, 0.001):
            await asyncio.sleep(0.01)
        for wanted in range(2, 10):
            assert await pace.reserve("https://host", wanted) in {(wanted, 0.001), (1, 0.1)}


async def test_another_thread_may_come_while_a_pace_looks_for_loops_that_ended():
    """R1.2"""
    pace = RedisPace("redis://127.0.0.1:1/0")

    class Loop:
        def is_closed(self) -> bool:
            pace._clients[Loop()] = object()  # as another thread does at this moment
            return False

    pace._clients[Loop()] = object()
    assert pace._redis() is pace._redis()
    pace._clients.clear()


def test_the_password_of_redis_is_not_shown():
    pace = RedisPace("redis://:canary-password-0123456789@127.0.0.1:1/0")
    assert "canary" not in repr(pace)
    assert "canary-password" not in str(vars(pace))


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("localhost:6379", "must begin with redis://"),
        ("", "must begin with redis://"),
        ("https://:canary@localhost", "must begin with redis://"),
        ("redis://:canary/secret@localhost:6379/0", "%2F"),
        ("redis://:canary?secret@localhost:6379/0", "%3F"),
        ("rediss://:canary#secret@localhost:6379/0", "%23"),
        ("redis://:1234/canary@localhost:6379/0", "%2F"),
        ("redis://:1234#canary@localhost:6379/0", "%23"),
        ("redis://[canary", "cannot be read"),
        ("redis://localhost:63790000/canary", "cannot be read"),
        (b"redis://:canary@localhost", "must be str, not bytes"),
    ],
)
def test_a_url_that_cannot_be_meant_is_refused_without_a_word_of_it(url, problem):
    """R4.1"""
    with pytest.raises(errors.ConfigurationError, match=problem) as caught:
        RedisPace(url)
    assert "canary" not in str(caught.value)
    assert "1234" not in str(caught.value)
    assert caught.value.__context__ is None
    place = caught.tb.tb_next
    while place is not None:
        assert "canary" not in str(place.tb_frame.f_locals)
        place = place.tb_next


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis://localhost",
        "redis://:p%2Fw@[::1]:6379/",
        "redis://user:a@b@localhost/12?socket_timeout=2",
        "rediss://localhost:6380/0",
        "unix://user@/run/redis.sock?db=1&password=x",
    ],
)
def test_what_redis_takes_as_a_url_is_taken(url):
    assert repr(RedisPace(url)) == "RedisPace(name='default')"


async def test_an_option_of_the_url_that_is_none_is_logged_as_other_errors_are(caplog):
    caplog.set_level(logging.DEBUG, logger="openrelay_async")
    seen: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: seen.append(context))
    pace = RedisPace("redis://localhost/0?socket_timeout=canary")
    assert not pace.limits("https://host")
    await asyncio.wait(pace._asking)
    gc.collect()
    assert seen == []
    assert caplog.messages == ["no shared pace: ValueError"]
