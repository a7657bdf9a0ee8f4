"""`SQLiteStore`: what was accepted is handled, also by the next process."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from openrelay_async.errors import ConfigurationError
from openrelay_async.webhooks import Inbox, SQLiteStore


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.db"


async def test_ids_and_unfinished_events_survive_a_restart(path, deliver, secret, collector):
    collector.gate.clear()
    inbox = Inbox(collector, secrets=[secret], store=SQLiteStore(path))
    for number in range(3):
        delivery = deliver(f"evt_{number}")
        assert (await inbox.accept(delivery.raw, delivery.headers)).status == 202
    await inbox.aclose(timeout=0.01)
    collector.gate.set()
    async with Inbox(collector, secrets=[secret], store=SQLiteStore(path)) as again:
        await collector.wait_for(3)
        assert (await again.accept(*deliver("evt_1"))).status == 200
    assert collector.ids == ["evt_0", "evt_1", "evt_2"]


async def test_what_was_handled_is_not_handed_over_again(path, deliver, secret, collector):
    for _ in range(2):
        async with Inbox(collector, secrets=[secret], store=SQLiteStore(path)) as inbox:
            await inbox.accept(*deliver())
            await collector.wait_for(1)
    assert collector.ids == ["evt_1"]


async def test_handled_ids_are_forgotten_when_a_repeat_would_be_stale(path):
    store = SQLiteStore(path)
    for number in range(300):
        await store.add(f"evt_{number}", b"{}", now=0, until=10)
        if number:
            await store.finish(f"evt_{number}")
    for number in range(256):
        await store.add(f"new_{number}", b"{}", now=11, until=21)
    await store.aclose()
    with sqlite3.connect(path) as database:
        kept = [row[0] for row in database.execute("SELECT id FROM events WHERE id LIKE 'evt%'")]
    database.close()
    assert kept == ["evt_0"], "the one that was never handled stays"


async def test_the_file_is_private(path):
    store = SQLiteStore(path)
    await store.add("evt_1", b"{}", now=0, until=1)
    assert [oct(file.stat().st_mode)[-3:] for file in path.parent.iterdir()] == ["600"] * 2
    await store.aclose()


@pytest.mark.parametrize("content", [b"not a database, but quite a long text " * 50, b""])
async def test_a_file_of_somebody_else_is_refused(path, content):
    path.write_bytes(content)
    if not content:
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE other (id)")
        database.close()
    store = SQLiteStore(path)
    with pytest.raises(ConfigurationError, match="cannot use"):
        await store.pending()
    await store.aclose()


async def test_one_process_has_the_file_at_a_time(path):
    first, second = SQLiteStore(path), SQLiteStore(path)
    await first.pending()
    with pytest.raises(ConfigurationError, match="another process has it open"):
        await second.pending()
    await first.aclose()
    assert await second.pending() == []
    await second.aclose()


async def test_a_store_that_fails_makes_the_service_send_again(path, deliver, secret, collector, caplog):
    holder = SQLiteStore(path)
    await holder.pending()
    inbox = Inbox(collector, secrets=[secret], store=SQLiteStore(path))
    assert (await inbox.accept(*deliver())).status == 503
    await holder.aclose()
    assert (await inbox.accept(*deliver())).status == 202
    await collector.wait_for(1)
    await inbox.aclose()
    assert "could not be stored" in caplog.text


RECEIVER = """
import asyncio, sys
from aiohttp import web
from openrelay_async.webhooks import SQLiteStore, aiohttp_handler

async def on_event(event):
    await asyncio.sleep(0.02)
    with open(sys.argv[3], "a") as log:
        log.write(event.id + "\\n")

async def main():
    handler = aiohttp_handler(on_event, secrets=[sys.argv[1]], store=SQLiteStore(sys.argv[2]))
    app = web.Application()
    app.router.add_post("/hooks", handler)
    app.cleanup_ctx.append(handler.cleanup_ctx)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


class Receiver:
    """A receiver in a process that can be killed."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", RECEIVER, *arguments], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


async def test_nothing_acknowledged_is_lost_through_kills(path, tmp_path, http, deliver, secret):
    """kill -9 in the middle of deliveries; each event is handled at least once, and none is forgotten."""
    log = tmp_path / "handled.txt"
    log.touch()
    acknowledged: list[str] = []
    for turn in range(3):
        receiver = Receiver(secret, str(path), str(log))
        try:
            for number in range(15):
                delivery = deliver(f"evt_{turn}_{number}")
                url = f"http://127.0.0.1:{receiver.port}/hooks"
                async with http.post(url, data=delivery.raw, headers=delivery.headers) as response:
                    if response.status == 202:
                        acknowledged.append(f"evt_{turn}_{number}")
        finally:
            receiver.kill()
    last = Receiver(secret, str(path), str(log))
    try:
        deadline = time.monotonic() + 10
        while set(acknowledged) - set(log.read_text().split()) and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
    finally:
        last.kill()
    handled = log.read_text().split()
    assert len(acknowledged) == 45
    assert set(handled) == set(acknowledged)
    assert len(handled) <= len(acknowledged) + 3, "only the one under way at a kill may come twice"
