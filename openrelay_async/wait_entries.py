"""What a poller remembers of one wait, of one id that is waited for, and of the outcomes of many waits."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

from openrelay_async.lifecycles import Goal
from openrelay_async.operation import Operation
from openrelay_async.waiting import Living, OnUpdate, WaitOptions, WaitOutcome

R = TypeVar("R", bound=Living)


class Waiter(Generic[R]):
    """One wait for one id."""

    __slots__ = (
        "began", "deadline", "entry", "failures_before", "goal", "is_hopeless", "last_request_before",
        "on_update", "options", "polls_before", "sink",
    )  # fmt: skip

    def __init__(
        self,
        entry: Entry[R],
        goal: Goal,
        options: WaitOptions,
        on_update: OnUpdate[R] | None,
        sink: asyncio.Future[R | None] | Sink[R],
        *,
        began: float,
        deadline: float,
        polls_before: int,
        last_request_before: int,
    ) -> None:
        self.entry = entry
        self.goal = goal
        self.options = options
        self.on_update = on_update
        self.sink = sink
        """Where the outcome goes: a future for a single wait, a `Sink` for one of many."""
        self.began = began
        """In the clock's time; earlier than it was joined if it goes on with another wait."""
        self.deadline = deadline
        """In the clock's time; infinite if it has none."""
        self.failures_before = entry.failures
        """Those of the entry's failures in a row whose requests were sent before the wait began."""
        self.polls_before = polls_before
        """The entry's polls when the wait began, less those of the wait that it goes on with."""
        self.last_request_before = last_request_before
        """Number of the last request sent before the wait began: what was read until then does not count."""
        self.is_hopeless = False
        """Whether the goal is out of reach, and only the reason must still be read."""

    def __lt__(self, other: Waiter[R]) -> bool:
        return self.deadline < other.deadline


class Entry(Generic[R]):
    """What is known of one id that somebody waits for."""

    __slots__ = (
        "failures", "id", "misses", "needs_confirmation", "needs_reason", "operation", "polls", "resource",
        "unlisted", "waiters",
    )  # fmt: skip

    def __init__(self, id: str) -> None:
        self.id = id
        self.waiters: tuple[Waiter[R], ...] = ()
        self.resource: R | None = None
        """As it was last read; `None` until then."""
        self.polls = 0
        """How often it has been read."""
        self.failures = 0
        """Polls in a row that failed for reasons that pass."""
        self.misses = 0
        """Lists in a row that did not have it, where it cannot be read singly."""
        self.needs_confirmation = False
        """Whether a list shows it at its goal, and the full reading must say so too."""
        self.needs_reason = False
        """Whether the goal of somebody who waits is out of reach, and the reason must still be read."""
        self.operation: Operation | None = None
        """What its last poll was; `None` for the list."""
        self.unlisted = False
        """Whether the last list did not have it, or only far behind."""


class Sink(Generic[R]):
    """Collects the outcomes of many waits, in the order in which they end."""

    __slots__ = ("_arrival", "_outcomes")

    def __init__(self) -> None:
        self._outcomes: deque[WaitOutcome[R]] = deque()
        self._arrival: asyncio.Future[None] | None = None

    def put(self, outcome: WaitOutcome[R]) -> None:
        self._outcomes.append(outcome)
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    async def get(self) -> WaitOutcome[R]:
        """Return the next outcome; wait for one if there is none."""
        while not self._outcomes:
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        return self._outcomes.popleft()
