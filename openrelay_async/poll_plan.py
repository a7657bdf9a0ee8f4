"""When a poller looks next, by what it has seen, what has failed, and what the service asks for. No I/O."""

from __future__ import annotations

import math

from openrelay_async.clock import Clock
from openrelay_async.errors import OpenRelayError
from openrelay_async.hooks import WaitTick
from openrelay_async.operation import Operation
from openrelay_async.poll_pace import PollPace


class PollPlan:
    """The pauses between the looks of one poller. Durations are seconds, times are the clock's."""

    __slots__ = (
        "_began", "_clock", "_failed_looks", "_floor", "_next_at", "_pace", "delay", "failure", "pages",
        "soonest",
    )  # fmt: skip

    def __init__(self, clock: Clock, pace: PollPace) -> None:
        """Take the clock that tells the time and draws the jitter, and the limits of the pauses."""
        self.pages = 1
        """List calls of the last look that read the list."""
        self.failure: OpenRelayError | None = None
        """This look's error; of several, the one that asks for the longest pause, or else the first."""
        self.delay = 0.0
        """Seconds to the next look, as they were planned at the end of the last."""
        self.soonest = -math.inf
        """When one may look at the earliest, for somebody who has just come."""
        self._clock = clock
        self._pace = pace
        self._began = -math.inf
        self._failed_looks = 0
        self._floor = -math.inf
        self._next_at = -math.inf

    def begin_look(self) -> None:
        """Note that a look begins: nothing has failed in it yet."""
        self._began = self._clock.monotonic()
        self.failure = None

    def note(self, error: OpenRelayError) -> None:
        """Note that a request of this look has failed."""
        if self.failure is None or (error.retry_after or 0.0) > (self.failure.retry_after or 0.0):
            self.failure = error

    def page_gap(self, changed_at: float, interval_limit: float | None) -> float:
        """Return the pause between two list calls that spreads a long list over the interval; 0 for one page.

        The arguments are those of `end_look`.
        """
        return self._interval(changed_at, interval_limit) / self.pages if self.pages > 1 else 0.0

    def end_look(self, changed_at: float, interval_limit: float | None) -> None:
        """Plan the pause after a look that has just ended.

        Args:
            changed_at: when something last changed, or somebody began to wait.
            interval_limit: longest pause that waits have asked for, `None` if none does.
        """
        clock, pace, failure = self._clock, self._pace, self.failure
        delay, floor = self._interval(changed_at, interval_limit), 0.0
        self._failed_looks = 0 if failure is None else self._failed_looks + 1
        if failure is not None:
            delay = pace.after_failure(delay, self._failed_looks, interval_limit)
            floor = failure.retry_after or 0.0
        self.delay = max(floor, delay * clock.uniform(1.0 - pace.jitter, 1.0 + pace.jitter))
        self._floor = clock.monotonic() + floor
        self.soonest = clock.monotonic() + max(floor, min(self.delay, pace.shortest))

    def next_look(self, *, early: bool) -> float:
        """Return when the next look is due, at the end of one.

        Args:
            early: whether that was one between two regular looks, which does not put off the next of them.
        """
        # A look that was spread over the interval is followed by the next one at once.
        following = max(
            self._began + self.delay, self._clock.monotonic() + self.delay / self.pages, self._floor
        )
        # Nor does it bring that forward, if the service has just asked for a longer pause.
        self._next_at = max(min(following, self._next_at), self._floor) if early else following
        return self._next_at

    def tick(
        self, operation: Operation, resource: str, *, waiting: int, watching: int, requests: int
    ) -> WaitTick:
        """Return what hooks are told between `end_look` and the pause.

        Args:
            operation: the one that reads.
            resource: the client's attribute, such as `vms`.
            waiting: resources that somebody waits for.
            watching: iterators of `watch()` that are open.
            requests: requests of this look.
        """
        return WaitTick(
            **operation.facts(),
            resource=resource,
            waiting=waiting,
            watching=watching,
            requests=requests,
            failure=None if self.failure is None else type(self.failure).__name__,
            delay=self.delay,
        )

    def _interval(self, changed_at: float, interval_limit: float | None) -> float:
        return self._pace.interval(self._clock.monotonic() - changed_at, self.pages, interval_limit)
