"""R9.3: creates whose answer is lost, and keys that show up when nobody waits for them any more."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from openrelay_async import AsyncClient, RetryPolicy
from openrelay_async.emulator import Emulator, Fault, TurnedClock
from openrelay_async.hooks import AttemptEnded, AttemptStarted
from openrelay_async.rotation import Rotation, RotationError
from tests.credentials.conftest import working_keys

CREATE, REVOKE, WHOAMI, LIST = "createOrgApiKey", "revokeOrgApiKey", "whoami", "listOrgApiKeys"

LONG = 1000.0
"""Seconds that the service takes for a key: until the test turns its clock."""


class Observer:
    """Counts the requests that began and those that ended."""

    def __init__(self) -> None:
        self.begun: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()

    def on_attempt(self, event: AttemptStarted) -> None:
        self.begun[event.operation] += 1

    def on_response(self, event: AttemptEnded) -> None:
        self.ended[event.operation] += 1

    async def until(self, operation: str, ended: int) -> None:
        """Return when so many requests of an operation have ended."""
        async with asyncio.timeout(20):
            while self.ended[operation] < ended:
                await asyncio.sleep(0.001)


@pytest.fixture
def clock() -> TurnedClock:
    """The service's clock. The clients have others: the service is slow, they are not."""
    return TurnedClock()


@pytest.fixture
async def emulator(clock: TurnedClock) -> AsyncIterator[Emulator]:
    async with Emulator(clock=clock) as running:
        yield running


async def until_asked(clock: TurnedClock) -> None:
    """Return when the service is at work on a request that takes `LONG`."""
    async with asyncio.timeout(20):
        while clock.next_waking() == math.inf:
            await asyncio.sleep(0.001)


async def finish_work(clock: TurnedClock, emulator: Emulator, keys: int) -> None:
    """Let the service come to the end of what takes `LONG`, and return when there are so many keys."""
    clock.advance(LONG)
    async with asyncio.timeout(20):
        while len(await working_keys(emulator)) < keys:
            await asyncio.sleep(0.001)


async def begin_and_cancel(client: AsyncClient, clock: TurnedClock) -> asyncio.Task[Rotation]:
    """Return a rotation that was cancelled while the service is at work on its create."""
    rotating = asyncio.create_task(client.api_keys.rotate(store=lambda key: None))
    await until_asked(clock)
    rotating.cancel()
    return rotating


async def test_a_key_that_shows_up_after_a_cancelled_create_is_revoked(
    emulator: Emulator, clock: TurnedClock
) -> None:
    """R3.5: the service goes on with what it was asked for."""
    [before] = await working_keys(emulator)
    emulator.faults.add(Fault(operation=CREATE, delay=LONG))
    observer = Observer()
    async with emulator.client(hooks=[observer]) as client:
        rotating = await begin_and_cancel(client, clock)
        await observer.until(LIST, 2)  # the first was before the create
        clock.advance(LONG)
        with pytest.raises(asyncio.CancelledError) as caught:
            await rotating
    [note] = caught.value.__notes__
    assert "was revoked, the old key stays in use" in note
    assert [key.id for key in await working_keys(emulator)] == [before.id]


async def test_the_search_after_a_cancelled_create_goes_on_when_all_tasks_are_cancelled(
    emulator: Emulator, clock: TurnedClock
) -> None:
    """R3.5: as when a loop ends."""
    [before] = await working_keys(emulator)
    emulator.faults.add(Fault(operation=CREATE, delay=LONG))
    observer = Observer()
    async with emulator.client(hooks=[observer]) as client:
        rotating = await begin_and_cancel(client, clock)
        await observer.until(LIST, 2)
        # Not those of the emulator, which runs in this loop too.
        [undoing] = [task for task in asyncio.all_tasks() if task.get_coro().__qualname__.endswith("undo")]
        rotating.cancel()
        undoing.cancel()
        await observer.until(LIST, 3)
        clock.advance(LONG)
        with pytest.raises(asyncio.CancelledError) as caught:
            await rotating
    [note] = caught.value.__notes__
    assert "was revoked, the old key stays in use" in note
    assert [key.id for key in await working_keys(emulator)] == [before.id]


async def test_a_cancelled_create_of_which_nothing_shows_up_says_that_something_may(
    emulator: Emulator, clock: TurnedClock
) -> None:
    """R3.2 R3.5: it is not known that no key was made."""
    emulator.faults.add(Fault(operation=CREATE, delay=LONG))
    async with emulator.client(clock=TurnedClock().jumping()) as client:
        rotating = await begin_and_cancel(client, clock)
        with pytest.raises(asyncio.CancelledError) as caught:
            await rotating
    [note] = caught.value.__notes__
    assert "a new key named 'bootstrap' may still show up (look with api_keys.list()" in note
    assert "no new key was made" not in note


async def test_a_rotation_that_is_cancelled_before_its_create_has_made_no_key(emulator: Emulator) -> None:
    """R3.5: it looks for nothing."""
    observer = Observer()

    class Cancelling:
        def on_attempt(self, event: AttemptStarted) -> None:
            if event.operation == LIST:
                rotating.cancel()

    async with emulator.client(hooks=[observer, Cancelling()]) as client:
        rotating = asyncio.create_task(client.api_keys.rotate(store=lambda key: None))
        with pytest.raises(asyncio.CancelledError):
            await rotating
    assert observer.begun == {WHOAMI: 1, LIST: 1}


async def test_a_key_whose_create_outlasts_its_attempt_is_revoked_when_it_shows_up(
    emulator: Emulator, clock: TurnedClock
) -> None:
    """R9.3."""
    emulator.faults.add(Fault(operation=CREATE, call=1, delay=LONG))
    observer = Observer()
    async with emulator.client(hooks=[observer], attempt_timeout=1.0) as client:
        rotating = asyncio.create_task(client.api_keys.rotate(store=lambda key: None))
        await until_asked(clock)
        await observer.until(LIST, 2)
        await finish_work(clock, emulator, 2)
        rotation = await rotating
    assert rotation.step == "done"
    assert [key.id for key in await working_keys(emulator)] == [rotation.new_key_id]


async def test_creates_without_an_answer_never_say_that_no_key_was_made(emulator: Emulator) -> None:
    """R3.2: 'before' is known to the emulator only."""
    emulator.faults.add(Fault(operation=CREATE, reset="before", times=None))
    async with emulator.client(clock=TurnedClock().jumping()) as client:
        with pytest.raises(RotationError, match=r"step create: .*a new key named 'bootstrap' may still"):
            await client.api_keys.rotate(store=lambda key: None)


async def rotate_beside(
    emulator: Emulator, clock: TurnedClock, meanwhile: Callable[[], Awaitable[object]]
) -> Rotation:
    """Rotate with a first create that takes longer than it is looked for; its key is made before the store.

    Args:
        meanwhile: done after that, also before the key is stored.
    """
    emulator.faults.add(Fault(operation=CREATE, call=1, delay=LONG))

    async def store(key: str) -> None:
        await finish_work(clock, emulator, 3)
        await meanwhile()

    async with emulator.client(
        clock=TurnedClock().jumping(), attempt_timeout=1.0, retry=RetryPolicy(max_attempts=1)
    ) as client:
        return await client.api_keys.rotate(store=store)


async def test_a_key_that_shows_up_while_the_rotation_goes_on_is_revoked_before_the_old_one(
    emulator: Emulator, clock: TurnedClock, caplog: pytest.LogCaptureFixture
) -> None:
    """R9.3."""
    rotation = await rotate_beside(emulator, clock, lambda: asyncio.sleep(0))
    assert rotation.step == "done"
    assert [key.id for key in await working_keys(emulator)] == [rotation.new_key_id]
    assert caplog.messages == []


async def test_keys_that_cannot_be_told_apart_are_named(
    emulator: Emulator, clock: TurnedClock, caplog: pytest.LogCaptureFixture
) -> None:
    """R9.3: another rotation may run elsewhere, and its key must not be revoked."""
    [old] = await working_keys(emulator)

    async def make_another() -> None:
        async with emulator.client(api_key=emulator.session_token) as other:
            await other.api_keys.create(name=old.name, scopes=old.scopes)

    rotation = await rotate_beside(emulator, clock, make_another)
    assert rotation.step == "done"
    left = {key.id for key in await working_keys(emulator)} - {rotation.new_key_id}
    assert len(left) == 2
    [message] = caplog.messages
    assert "may be nobody's" in message
    assert all(key_id in message for key_id in left)


async def test_what_may_still_show_up_after_a_rotation_is_told(
    emulator: Emulator, clock: TurnedClock, caplog: pytest.LogCaptureFixture
) -> None:
    """R9.3."""
    emulator.faults.add(Fault(operation=CREATE, call=1, reset="before"))
    async with emulator.client(clock=TurnedClock().jumping()) as client:
        rotation = await client.api_keys.rotate(store=lambda key: None)
    assert rotation.step == "done"
    [message] = caplog.messages
    assert rotation.old_key_id in message
    assert "a new key named 'bootstrap' may still show up" in message


async def test_a_last_look_that_fails_does_not_keep_the_old_key(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """R9.3."""
    emulator.faults.add(Fault(operation=CREATE, call=1, reset="before"))

    async def store(key: str) -> None:
        emulator.faults.add(Fault(operation=LIST, status=500, times=1))

    retry = RetryPolicy(max_attempts=1)
    async with emulator.client(clock=TurnedClock().jumping(), retry=retry) as client:
        rotation = await client.api_keys.rotate(store=store)
    assert rotation.step == "done"
    [message] = caplog.messages
    assert "a second new key, if there is one, could not be revoked (500)" in message
    assert [key.id for key in await working_keys(emulator)] == [rotation.new_key_id]


async def test_a_look_that_fails_is_not_the_last(emulator: Emulator) -> None:
    """R9.3."""
    emulator.faults.add(Fault(operation=CREATE, call=1, reset="after"))
    emulator.faults.add(Fault(operation=LIST, call=2, status=500))
    retry = RetryPolicy(max_attempts=1)
    async with emulator.client(clock=TurnedClock().jumping(), retry=retry) as client:
        rotation = await client.api_keys.rotate(store=lambda key: None)
    assert [key.id for key in await working_keys(emulator)] == [rotation.new_key_id]


async def test_a_rotation_that_crashed_while_creating_looks_for_its_key_when_it_is_resumed(
    emulator: Emulator, clock: TurnedClock, caplog: pytest.LogCaptureFixture
) -> None:
    """R9.3: the service may be slower than the restart."""
    [old] = await working_keys(emulator)
    scopes, observer = tuple(old.scopes), Observer()
    rotation = Rotation(emulator.org_id, old.id, None, old.name, "create", scopes, (old.id,))
    emulator.faults.add(Fault(operation=CREATE, delay=LONG))
    async with emulator.client(hooks=[observer]) as client:
        crashed = asyncio.create_task(client.api_keys.create(name=old.name, scopes=old.scopes))
        await until_asked(clock)
        crashed.cancel()
        resuming = asyncio.create_task(client.api_keys.resume_rotation(rotation))
        await observer.until(LIST, 2)
        clock.advance(LONG)
        assert (await resuming).step == "undone"
    assert [key.id for key in await working_keys(emulator)] == [old.id]
    assert caplog.messages == []
