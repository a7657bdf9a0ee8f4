"""The inbox: each event once, never waiting for the callback, nothing lost in silence."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from openrelay_async.errors import ConfigurationError
from openrelay_async.webhooks import Inbox, MemoryStore, WebhookSecrets


class TurnedSleep:
    """A clock whose sleeps are recorded and over at once."""

    def __init__(self, ahead: float = 0.0) -> None:
        self.slept: list[float] = []
        self.ahead = ahead

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time() + self.ahead

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)

    def uniform(self, low: float, high: float) -> float:
        return low


async def accept(inbox: Inbox, delivery) -> int:
    return (await inbox.accept(delivery.raw, delivery.headers)).status


async def test_an_event_is_accepted_and_handed_over(deliver, secret, collector):
    async with Inbox(collector, secrets=[secret]) as inbox:
        assert await accept(inbox, deliver()) == 202
        await collector.wait_for(1)
    assert collector.ids == ["evt_1"]
    assert inbox.unhandled == 0


async def test_repeats_are_dropped_by_event_id(deliver, secret, collector):
    """R12.2"""
    async with Inbox(collector, secrets=[secret]) as inbox:
        statuses = [await accept(inbox, deliver("evt_1", age=age)) for age in range(4)]
        assert await accept(inbox, deliver("evt_2")) == 202
        await collector.wait_for(2)
    assert statuses == [202, 200, 200, 200]
    assert collector.ids == ["evt_1", "evt_2"]


async def test_repeats_at_the_same_moment_are_dropped_too(deliver, secret, collector):
    """R12.2"""
    async with Inbox(collector, secrets=[secret]) as inbox:
        statuses = await asyncio.gather(*(accept(inbox, deliver()) for _ in range(20)))
    assert sorted(statuses) == [200] * 19 + [202]
    assert collector.ids == ["evt_1"]


async def test_accepting_does_not_wait_for_the_callback(deliver, secret, collector):
    """50 ms, while a callback takes as long as it likes."""
    collector.gate.clear()
    async with Inbox(collector, secrets=[secret]) as inbox:
        await accept(inbox, deliver("evt_0"))
        started = time.perf_counter()
        for number in range(1, 51):
            assert await accept(inbox, deliver(f"evt_{number}")) == 202
        assert time.perf_counter() - started < 0.05 * 50
        assert collector.calls == 1
        collector.gate.set()
        await collector.wait_for(51)
    assert collector.ids == [f"evt_{number}" for number in range(51)]


async def test_a_full_queue_answers_503_and_takes_the_event_when_it_is_sent_again(deliver, secret, collector):
    collector.gate.clear()
    async with Inbox(collector, secrets=[secret], queue_size=3) as inbox:
        statuses = [await accept(inbox, deliver(f"evt_{number}")) for number in range(5)]
        assert statuses == [202, 202, 202, 503, 503]
        refused = await inbox.accept(*deliver("evt_4"))
        assert refused.headers == {"Retry-After": "10"}
        collector.gate.set()
        await collector.wait_for(3)
        assert await accept(inbox, deliver("evt_3")) == 202
        await collector.wait_for(4)


async def test_the_queue_is_bounded_also_for_those_who_come_together(deliver, secret, collector):
    collector.gate.clear()
    async with Inbox(collector, secrets=[secret], queue_size=3) as inbox:
        deliveries = [deliver(f"evt_{number}") for number in range(50)]
        statuses = await asyncio.gather(*(accept(inbox, delivery) for delivery in deliveries))
        assert sorted(statuses) == [202] * 3 + [503] * 47
        collector.gate.set()


async def test_a_callback_that_is_not_async_is_called_once(deliver, secret):
    seen = []
    async with Inbox(lambda event: seen.append(event.id), secrets=[secret]) as inbox:
        await accept(inbox, deliver())
    assert seen == ["evt_1"]


async def test_what_is_not_authentic_is_answered_400_and_handed_to_nobody(deliver, secret, collector, caplog):
    async with Inbox(collector, secrets=[secret]) as inbox:
        delivery = deliver(secret="whsec_of_somebody_else")
        with caplog.at_level(logging.DEBUG):
            receipt = await inbox.accept(delivery.raw, delivery.headers)
    assert (receipt.status, collector.calls) == (400, 0)
    assert [record.levelname for record in caplog.records if "openrelay" in record.name] == ["WARNING"]
    assert secret not in caplog.text


@pytest.mark.parametrize(("age", "status"), [(370, 202), (590, 202), (610, 400)])
async def test_the_last_attempt_of_the_service_is_still_fresh(deliver, secret, collector, age, status):
    """It comes 370 s after the event, with the event's own time in it."""
    async with Inbox(collector, secrets=[secret]) as inbox:
        assert await accept(inbox, deliver(age=age)) == status


async def test_a_callback_that_fails_is_called_again_later(deliver, secret, collector, caplog):
    clock = TurnedSleep()
    collector.failures = 2
    async with Inbox(collector, secrets=[secret], clock=clock) as inbox:
        await accept(inbox, deliver())
        await collector.wait_for(1)
    assert (collector.calls, clock.slept) == (3, [1.0, 10.0])
    assert "it will be called again" in caplog.text


async def test_a_callback_that_fails_does_not_hold_up_the_others(deliver, secret, collector):
    async with Inbox(collector, secrets=[secret]) as inbox:
        collector.failures = 1
        await accept(inbox, deliver("evt_1"))
        await accept(inbox, deliver("evt_2"))
        await collector.wait_for(1, limit=0.9)
        assert collector.ids == ["evt_2"]
        await inbox.aclose(timeout=0.01)


async def test_a_callback_that_never_succeeds_is_given_up_with_an_error(deliver, secret, collector, caplog):
    collector.failures = 99
    async with Inbox(collector, secrets=[secret], clock=TurnedSleep(), attempts=2) as inbox:
        await accept(inbox, deliver())
        async with asyncio.timeout(5):
            while inbox.unhandled:
                await asyncio.sleep(0.005)
    assert collector.calls == 2
    assert "evt_1 (vm.running), attempt 2: it is given up" in caplog.text


async def test_concurrency_runs_callbacks_side_by_side(deliver, secret, collector):
    collector.gate.clear()
    async with Inbox(collector, secrets=[secret], concurrency=3) as inbox:
        for number in range(5):
            await accept(inbox, deliver(f"evt_{number}"))
        async with asyncio.timeout(5):
            while collector.calls < 3:
                await asyncio.sleep(0.005)
        await asyncio.sleep(0)
        assert collector.calls == 3
        collector.gate.set()


async def test_closing_lets_events_under_way_end(deliver, secret, collector):
    inbox = Inbox(collector, secrets=[secret])
    collector.gate.clear()
    for number in range(3):
        await accept(inbox, deliver(f"evt_{number}"))
    closing = asyncio.create_task(inbox.aclose(timeout=5))
    await asyncio.sleep(0)
    assert await accept(inbox, deliver("evt_9")) == 503
    collector.gate.set()
    await closing
    assert len(collector.events) == 3


async def test_closing_cancels_what_takes_too_long_and_says_so(deliver, secret, collector, caplog):
    inbox = Inbox(collector, secrets=[secret])
    collector.gate.clear()
    await accept(inbox, deliver("evt_1"))
    await accept(inbox, deliver("evt_2"))
    started = time.perf_counter()
    await inbox.aclose(timeout=0.05)
    assert time.perf_counter() - started < 1
    assert "2 webhook events were not handled" in caplog.text
    assert inbox.unhandled == 0


async def test_an_idle_inbox_has_no_task(deliver, secret, collector):
    inbox = Inbox(collector, secrets=[secret])
    before = asyncio.all_tasks()
    await accept(inbox, deliver())
    await collector.wait_for(1)
    async with asyncio.timeout(5):
        while asyncio.all_tasks() != before:
            await asyncio.sleep(0.005)


def test_an_inbox_serves_one_loop_after_another(deliver, secret):
    seen: list[str] = []

    async def on_event(event) -> None:
        seen.append(event.id)

    inbox = Inbox(on_event, secrets=[secret])

    async def run(number: int) -> None:
        await accept(inbox, deliver(f"evt_{number}"))
        while inbox.unhandled:
            await asyncio.sleep(0.001)

    for number in range(3):
        asyncio.run(run(number))
    assert seen == ["evt_0", "evt_1", "evt_2"]


async def test_secrets_can_be_changed_while_it_runs(deliver, secret, collector):
    secrets = WebhookSecrets(secret)
    async with Inbox(collector, secrets=secrets) as inbox:
        assert await accept(inbox, deliver("evt_1", secret="whsec_new")) == 400
        secrets.add("whsec_new")
        assert await accept(inbox, deliver("evt_2", secret="whsec_new")) == 202
        assert await accept(inbox, deliver("evt_3")) == 202
        secrets.retire(secret, at=time.time())
        assert await accept(inbox, deliver("evt_4")) == 400


async def test_a_delivery_with_a_secret_that_is_on_its_way_is_asked_for_again(deliver, secret, collector):
    secrets = WebhookSecrets(secret)
    async with Inbox(collector, secrets=secrets) as inbox:
        with secrets.rolling():
            assert await accept(inbox, deliver("evt_1", secret="whsec_new")) == 503
            assert await accept(inbox, deliver("evt_2")) == 202
        assert await accept(inbox, deliver("evt_1", secret="whsec_new")) == 400


async def test_the_memory_of_ids_is_bounded_and_forgets_what_is_stale():
    store = MemoryStore(most=3)
    assert await store.add("a", b"", now=0, until=10)
    assert not await store.add("a", b"", now=9, until=10)
    assert await store.add("a", b"", now=10, until=20)
    for name in "bcd":
        assert await store.add(name, b"", now=10, until=20)
    assert await store.add("a", b"", now=10, until=20), "the oldest went first"


@pytest.mark.parametrize(
    "options",
    [
        {"secrets": []},
        {"secrets": [""]},
        {"secrets": [None]},
        {"secrets": None},
        {"queue_size": 0},
        {"concurrency": True},
        {"attempts": 0},
        {"tolerance": -1},
        {"tolerance": 10**400},
        {"signature_header": None},
    ],
)
def test_what_cannot_work_is_refused_when_it_is_made(secret, options):
    async def on_event(event) -> None: ...

    with pytest.raises(ConfigurationError):
        Inbox(on_event, **{"secrets": [secret], **options})
