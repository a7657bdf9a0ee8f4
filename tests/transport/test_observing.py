"""What an observer sees: hooks, recorded responses, logs (R2.3, R11.2, R11.3)."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from openrelay_async import AsyncClient, PoolLimits, RecordedResponse, errors
from tests.transport.programs import run_program
from tests.transport.servers import (
    KEY,
    ONCE,
    VM,
    Exchange,
    Watcher,
    answering,
    make_client,
    serving,
    until,
)


async def test_hooks_are_told_of_every_step_in_order():
    """R11.2: the retry before the wait, not after it."""
    watcher = Watcher()
    handler = answering(
        (503, {"error": "x"}, {"X-Request-Id": "req_1"}), (200, VM, {"X-Request-Id": "req_2"})
    )
    async with serving(handler) as server, make_client(server, hooks=[watcher]) as client:
        await client.vms.create(name="box")
    assert watcher.names() == ["attempt", "response", "retry", "attempt", "response"]
    assert {(event.operation, event.method, event.path) for _, event in watcher.events} == {
        ("createVm", "POST", "/v1/orgs/{orgId}/vms/create")
    }
    assert [event.attempt for event in watcher.of("attempt")] == [1, 2]
    assert {event.base_url for event in watcher.of("attempt")} == {server.url}
    keys = {event.idempotency_key for event in watcher.of("attempt")}
    assert keys == {server.seen[0].headers["idempotency-key"]}
    assert [(event.status, event.request_id) for event in watcher.of("response")] == [
        (503, "req_1"),
        (200, "req_2"),
    ]
    assert all(event.elapsed > 0 and event.failure is None for event in watcher.of("response"))
    (retry,) = watcher.of("retry")
    assert (retry.attempt, retry.reason) == (1, "status 503")
    assert 0.25 <= retry.delay <= 0.5


async def test_the_queue_hook_is_told_before_the_wait_and_only_if_there_is_one():
    """R11.2"""
    watcher = Watcher()
    release = asyncio.Event()

    async def hold(exchange: Exchange) -> None:
        await release.wait()
        await exchange.answer(200, VM)

    limits = PoolLimits(max_connections=1)
    async with serving(hold) as server, make_client(server, hooks=[watcher], limits=limits) as client:
        first = asyncio.create_task(client.vms.get("vm_1"))
        await until(lambda: len(server.seen) == 1)
        assert watcher.of("queue") == []
        others = [asyncio.create_task(client.vms.get("vm_1")) for _ in range(2)]
        await until(lambda: len(watcher.of("queue")) == 2)
        assert [event.waiting for event in watcher.of("queue")] == [0, 1]
        release.set()
        await asyncio.gather(first, *others)


@pytest.mark.parametrize("event", ["on_queue", "on_attempt", "on_response", "on_retry"])
async def test_a_hook_that_raises_breaks_nothing(event: str, caplog: pytest.LogCaptureFixture):
    """R11.2: and the other hooks are still told."""

    class Broken:
        pass

    def fail(_: object) -> None:
        raise RuntimeError(f"broken with {KEY}")

    setattr(Broken, event, staticmethod(fail))
    watcher = Watcher()
    caplog.set_level(logging.DEBUG)
    handler = answering((503, None), (200, VM))
    async with (
        serving(handler) as server,
        make_client(server, hooks=[Broken(), watcher], limits=PoolLimits(max_connections=1)) as client,
    ):
        await asyncio.gather(*(client.vms.get("vm_1") for _ in range(3)))
    assert len(server.seen) == 4
    assert getattr(Broken, event)
    assert {"queue", "attempt", "response", "retry"} <= set(watcher.names())
    # Not even the text of what it raised: it may quote the event or more.
    assert KEY not in caplog.text
    assert "a hook raised RuntimeError" in caplog.text


async def test_a_hook_whose_own_work_was_cancelled_breaks_nothing():
    """R11.2"""

    class Cancelled:
        def on_attempt(self, event: object) -> None:
            raise asyncio.CancelledError

    async with serving(answering((200, VM))) as server, make_client(server, hooks=[Cancelled()]) as client:
        assert (await client.vms.get("vm_1")).id == "vm_1"


async def test_a_hook_that_stops_the_program_stops_it():
    class Stopping:
        def on_attempt(self, event: object) -> None:
            raise SystemExit(3)

    async def call() -> None:
        async with serving(answering((200, VM))) as server, make_client(server, hooks=[Stopping()]) as client:
            await client.vms.get("vm_1")

    with pytest.raises(SystemExit):
        await call()


@pytest.mark.parametrize(
    ("hooks", "words"),
    [
        ([object()], "has at least one of the methods"),
        (5, "must be a list of hooks"),
        ([print], "has none"),
    ],
)
def test_what_is_no_hook_is_refused(hooks: Any, words: str):
    with pytest.raises(errors.ConfigurationError, match=words):
        AsyncClient(KEY, hooks=hooks)


def test_an_async_hook_is_refused_because_nobody_would_await_it():
    class Slow:
        async def on_response(self, event: object) -> None: ...

    with pytest.raises(errors.ConfigurationError, match=r"Slow\.on_response must not be async"):
        AsyncClient(KEY, hooks=[Slow()])


async def test_every_attempt_that_begins_ends_for_an_observer():
    """R11.2: with an answer, a failure, or because the caller gave it up."""
    watcher = Watcher()

    async def vary(exchange: Exchange) -> None:
        match exchange.number % 3:
            case 0:
                exchange.reset()
            case 1:
                await exchange.answer(200, VM)
            case _:
                await exchange.wait_for_client_to_leave()

    async with serving(vary) as server, make_client(server, hooks=[watcher]) as client:
        tasks = [asyncio.create_task(client.vms.get("vm_1")) for _ in range(30)]
        await until(lambda: any(event.failure is None for event in watcher.of("response")))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert watcher.names().count("attempt") == watcher.names().count("response")
    assert {event.failure for event in watcher.of("response")} >= {None, "given up by the caller"}


# -- recorded responses


async def test_responses_are_recorded_attempt_by_attempt():
    handler = answering(
        (503, {"error": "x"}, {"X-Request-Id": "req_1"}), (200, VM, {"X-Request-Id": "req_2", "X-More": "y"})
    )
    async with serving(handler) as server, make_client(server) as client:
        with client.record_responses() as responses:
            await client.vms.get("vm_1")
        await client.vms.get("vm_1")
    assert [(one.status, one.request_id, one.attempts, one.operation) for one in responses] == [
        (503, "req_1", 1, "getVm"),
        (200, "req_2", 2, "getVm"),
    ]
    assert all(isinstance(one, RecordedResponse) for one in responses)
    assert responses[1].headers["x-more"] == "y"
    assert b'"vm_1"' in responses[1].body
    assert "vm_1" not in repr(responses)
    assert "X-More" not in repr(responses)


async def test_only_the_context_that_asked_is_recorded():
    async with serving(answering((200, VM))) as server, make_client(server) as client:

        async def recorded(count: int) -> int:
            with client.record_responses() as responses:
                for _ in range(count):
                    await client.vms.get("vm_1")
                    await asyncio.sleep(0)
            return len(responses)

        outside = [client.vms.get("vm_1") for _ in range(5)]
        assert await asyncio.gather(recorded(1), recorded(4), recorded(0), *outside) is not None
        assert await asyncio.gather(recorded(3), recorded(2)) == [3, 2]


async def test_a_recorder_sees_tasks_begun_in_it_and_views_and_no_other_client():
    async with (
        serving(answering((200, VM))) as server,
        make_client(server) as client,
        make_client(server) as other,
    ):
        with client.record_responses() as responses:
            view = client.with_options(timeout=5)
            async with asyncio.TaskGroup() as group:
                group.create_task(view.vms.get("vm_1"))
                group.create_task(client.vms.get("vm_1"))
                group.create_task(other.vms.get("vm_1"))
            with client.record_responses() as inner:
                await client.vms.get("vm_1")
        assert len(responses) == 3
        assert len(inner) == 1


async def test_an_error_answer_is_recorded_whole():
    async with serving(answering((404, {"error": "no", "more": 1}))) as server, make_client(server) as client:
        with client.record_responses() as responses, pytest.raises(errors.NotFound):
            await client.vms.get("vm_1")
    assert responses[0].status == 404
    assert b'"more"' in responses[0].body


# -- logs


async def test_nothing_is_logged_at_info_or_above(caplog: pytest.LogCaptureFixture):
    """R11.3: whatever happens."""
    caplog.set_level(logging.DEBUG)
    handler = answering((503, None), (200, VM), (404, {"error": "no"}), (200, VM))
    async with serving(handler) as server, make_client(server) as client:
        await client.vms.get("vm_1")
        with pytest.raises(errors.NotFound):
            await client.vms.get("vm_1")
    async with make_client("http://127.0.0.1:9", retry=ONCE) as client:
        with pytest.raises(errors.ConnectionFailed):
            await client.vms.get("vm_1")
    loud = [record for record in caplog.records if record.levelno >= logging.INFO]
    assert loud == []


def test_the_library_adds_no_handlers_and_configures_nothing():
    """R11.3"""
    result = run_program("""
        import logging
        before = logging.root.level
        async def main():
            async with AsyncClient(KEY, base_url=url) as client:
                await client.vms.get("vm_1")
        asyncio.run(main())
        names = [name for name in logging.root.manager.loggerDict if name.startswith("openrelay")]
        assert names == ["openrelay_async"], names
        for name in ("", *names):
            logger = logging.getLogger(name)
            assert logger.handlers == [], name
            assert logger.propagate
        assert logging.getLogger("openrelay_async").level == logging.NOTSET
        assert logging.root.level == before
        """)
    assert result.err == ""
    assert result.code == 0
