"""What hands events over outlives callbacks that are cancelled, or cancel."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from openrelay_async.webhooks import Inbox, MemoryStore, SQLiteStore
from tests.webhooks.test_webhook_inbox import TurnedSleep, accept


class StoppedClock(TurnedSleep):
    """A clock that shows one time."""

    def __init__(self, at: float) -> None:
        super().__init__()
        self.at = at

    def wall(self) -> float:
        return self.at


async def cancel_something_of_its_own() -> None:
    task = asyncio.create_task(asyncio.sleep(60))
    await asyncio.sleep(0)
    task.cancel()
    await task


async def until_handled(inbox: Inbox) -> None:
    async with asyncio.timeout(5):
        while inbox.unhandled:
            await asyncio.sleep(0.001)


async def test_a_callback_whose_own_task_was_cancelled_has_failed(deliver, secret, caplog):
    """It is called again, and holds up nobody."""
    seen: list[str] = []

    async def on_event(event) -> None:
        seen.append(event.id)
        if seen.count("evt_0") == 1 and event.id == "evt_0":
            await cancel_something_of_its_own()

    async with Inbox(on_event, secrets=[secret], clock=TurnedSleep()) as inbox:
        for number in range(3):
            assert await accept(inbox, deliver(f"evt_{number}")) == 202
        await until_handled(inbox)
    assert sorted(seen) == ["evt_0", "evt_0", "evt_1", "evt_2"]
    assert "evt_0 (vm.running), attempt 1: it will be called again" in caplog.text


async def test_a_callback_that_is_always_cancelled_is_given_up(deliver, secret, caplog):
    async def on_event(event) -> None:
        raise asyncio.CancelledError

    async with Inbox(on_event, secrets=[secret], clock=TurnedSleep(), attempts=2) as inbox:
        await accept(inbox, deliver())
        await until_handled(inbox)
    assert "attempt 2: it is given up" in caplog.text


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_a_callback_that_cancels_its_worker_leaves_no_event_behind(
    deliver, secret, caplog, concurrency
):
    seen: list[str] = []

    async def on_event(event) -> None:
        seen.append(event.id)
        if event.id == "evt_0":
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)

    async with Inbox(on_event, secrets=[secret], concurrency=concurrency) as inbox:
        await asyncio.gather(*(accept(inbox, deliver(f"evt_{number}")) for number in range(8)))
        await until_handled(inbox)
    assert sorted(seen) == [f"evt_{number}" for number in range(8)]
    assert "webhook event evt_0 was not handled: its worker was cancelled" in caplog.text


async def test_closing_hands_over_what_a_dead_worker_left(deliver, secret):
    seen: list[str] = []

    async def on_event(event) -> None:
        seen.append(event.id)
        if event.id == "evt_0":
            await started.wait()
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)

    started = asyncio.Event()
    inbox = Inbox(on_event, secrets=[secret])
    for number in range(3):
        await accept(inbox, deliver(f"evt_{number}"))
    closing = asyncio.create_task(inbox.aclose(timeout=5))
    await asyncio.sleep(0)
    started.set()
    await closing
    assert seen == ["evt_0", "evt_1", "evt_2"]


async def test_closing_cancels_the_workers_for_good(deliver, secret, caplog):
    calls = 0

    async def on_event(event) -> None:
        nonlocal calls
        calls += 1
        await asyncio.sleep(60)

    inbox = Inbox(on_event, secrets=[secret])
    for number in range(3):
        await accept(inbox, deliver(f"evt_{number}"))
    before = asyncio.all_tasks()
    await inbox.aclose(timeout=0.02)
    await asyncio.sleep(0)
    assert calls == 1
    assert not asyncio.all_tasks() - before
    assert "3 webhook events were not handled" in caplog.text


def test_a_loop_that_ends_begins_no_other_event(deliver, secret):
    """It cancels all of its tasks; nobody would wait for a new one."""
    seen: list[str] = []

    async def on_event(event) -> None:
        seen.append(event.id)
        await asyncio.sleep(60)

    async def main() -> None:
        inbox = Inbox(on_event, secrets=[secret])
        for number in range(3):
            await accept(inbox, deliver(f"evt_{number}"))
        await asyncio.sleep(0)

    asyncio.run(main())
    assert seen == ["evt_0"]


@pytest.mark.parametrize("kind", ["memory", "file"])
async def test_a_repeat_at_the_very_tolerance_is_dropped(deliver, secret, collector, kind, tmp_path):
    """R12.2: it passes verification, so its id must still be known."""
    memory = MemoryStore()
    delivery = deliver(created_at="2026-11-01T00:00:00Z")
    clock = StoppedClock(datetime(2026, 11, 1, tzinfo=UTC).timestamp() + 600.0)
    statuses = []
    for _ in range(3):
        # A file is cleared of old ids when it is opened and first added to.
        store = memory if kind == "memory" else SQLiteStore(tmp_path / "events.db")
        async with Inbox(collector, secrets=[secret], clock=clock, tolerance=600, store=store) as inbox:
            statuses.append(await accept(inbox, delivery))
            await until_handled(inbox)
    assert statuses == [202, 200, 200]
    assert collector.ids == ["evt_1"]
