"""Creating something when there is room for it: availability is watched, creating is not hammered.

Those who wait for the same thing queue up: one asks, the others wait for their turn. A place that becomes
free is not fought over by a hundred creates, and first come is first served.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar, cast

from attrs import define, field, frozen

from openrelay_async.client_state import Shared
from openrelay_async.config import check_patience
from openrelay_async.errors import CapacityUnavailable, ConnectionFailed, InvalidResponse, OpenRelayError
from openrelay_async.poll_pace import PollPace
from openrelay_async.poll_source import may_pass
from openrelay_async.program_end import let_program_end
from openrelay_async.uncancelled import stoppable

T = TypeVar("T")

_PACE = PollPace(shortest=2.0, longest=30.0, share=0.1)
_FAILURES = 3
"""So often in a row asking for room may fail for reasons that pass; then creating is tried all the same."""

_on_try: ContextVar[Callable[[], object]] = ContextVar("openrelay_on_try", default=lambda: None)


@contextmanager
def telling_tries(tell: Callable[[], object]) -> Iterator[None]:
    """Have `tell` called before each further create of this context, once there may be room."""
    token = _on_try.set(tell)
    try:
        yield
    finally:
        _on_try.reset(token)


@frozen
class _Queue:
    """Whom to wait behind: those who want the same, in the same loop."""

    loop: asyncio.AbstractEventLoop
    wanted: tuple[object, ...]


@define(eq=False)
class _Gate:
    """Where those who want the same wait, until the client takes no more calls."""

    shared: Shared
    loop: asyncio.AbstractEventLoop
    turn: asyncio.Lock = field(factory=asyncio.Lock)
    users: int = 0
    sleeper: asyncio.Task[None] | None = None

    def close(self, reason: str) -> None:
        """End the waiting, from whatever thread."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        if self.sleeper is not None:
            self.sleeper.cancel()

    async def sleep(self, seconds: float) -> None:
        """Sleep on the client's clock.

        Raises:
            ConnectionFailed: the client takes no more calls.
        """
        if self.shared.refusing is None:
            sleeper = self.sleeper = self.loop.create_task(self.shared.clock.sleep(seconds))
            try:
                await asyncio.wait({sleeper})
            finally:
                self.sleeper = None
                sleeper.cancel()
            if not sleeper.cancelled():
                return sleeper.result()
        raise ConnectionFailed(self.shared.refusing or "the wait for room was ended")


async def create_when_possible(
    create: Callable[[], Awaitable[T]],
    has_room: Callable[[], Awaitable[bool]],
    *,
    shared: Shared,
    wanted: tuple[object, ...],
    patience: float,
) -> T:
    """Create something; if there is no room, wait for it, for at most `patience` seconds (`True`: no limit).

    Args:
        create: makes the one attempt; only `CapacityUnavailable` has it made again.
        has_room: asks whether it may succeed now.
        wanted: what is wanted, such as the GPU model: equal orders queue up behind each other.

    Raises:
        CapacityUnavailable: there was no room in all that time.
    """
    clock = shared.clock
    deadline = clock.monotonic() + check_patience("wait_for_capacity", patience)
    try:
        return await create()
    except CapacityUnavailable as error:
        refusal = error
    loop = asyncio.get_running_loop()
    place = _Queue(loop, wanted)
    gate = cast("_Gate", shared.pollers.setdefault(place, _Gate(shared, loop)))
    gate.users += 1
    try:
        with stoppable():
            await _take_turn(gate, deadline - clock.monotonic(), refusal)
        try:
            return await _create_in_turn(create, has_room, gate, shared, deadline, refusal)
        finally:
            gate.turn.release()
    except ConnectionFailed as error:
        if shared.refusing is not None:
            await let_program_end(error)  # not in turn: those behind would do so one after the other
        raise
    finally:
        gate.users -= 1
        if not gate.users:
            shared.pollers.pop(place, None)


async def _take_turn(gate: _Gate, patience: float, refusal: CapacityUnavailable) -> None:
    if not gate.turn.locked():
        await gate.turn.acquire()
        return
    try:
        # Real time: whoever is first sleeps on the clock for all.
        async with asyncio.timeout(min(patience, 1e9)):
            await gate.turn.acquire()
    except TimeoutError:
        pass
    else:
        return
    raise refusal


async def _create_in_turn(
    create: Callable[[], Awaitable[T]],
    has_room: Callable[[], Awaitable[bool]],
    gate: _Gate,
    shared: Shared,
    deadline: float,
    refusal: CapacityUnavailable,
) -> T:
    clock = shared.clock
    began = clock.monotonic()
    pause, failures = refusal.retry_after or 0.0, 0
    while True:
        pause = max(pause, _PACE.interval(clock.monotonic() - began, 1, None) * clock.uniform(0.9, 1.1))
        remaining = deadline - clock.monotonic()
        if remaining <= 0:
            raise refusal
        with stoppable():
            await gate.sleep(min(pause, remaining))
        pause = 0.0
        try:
            with stoppable():
                room = await has_room()
        except OpenRelayError as error:
            if shared.refusing is not None:
                raise
            failures += 1
            # Where availability cannot be read, one can still try, at the same pace.
            passes = may_pass(error) and not isinstance(error, InvalidResponse)
            room, pause = not passes or failures > _FAILURES, error.retry_after or 0.0
        else:
            failures = 0
        if not room:
            continue
        _on_try.get()()
        try:
            return await create()
        except CapacityUnavailable as error:
            refusal = error
            pause = error.retry_after or 0.0
