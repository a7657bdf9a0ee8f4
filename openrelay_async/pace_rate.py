"""How many requests a second a service takes: learned from its refusals, probed upwards. No I/O.

As in TCP: after a 429 all wait as long as the service asks and go on at a lower rate. The first refusal says
little of where the limit is, or whether there is one: the rate doubles each second until the next refusal
shows it. From then on it goes on a little below what was taken and grows slowly, faster the longer nothing
happens, until the next 429 or the limit that the service names.
"""

from __future__ import annotations

import math
from collections import deque

SAMPLE_MASK = 31
"""Every 32nd request notes the time, so that the others cost one addition."""
_WINDOW = 1.0
"""Seconds over which the rate is measured at least: most services count by the second or longer."""
DECREASE = 0.85
SHARP_DECREASE = 0.6
SOON = 3.0
"""Seconds after a refusal in which another one says that the rate is far too high."""
FIRST = 10.0
"""Least rate after the first refusal."""
FIRST_GROWTH = 0.7
"""Part by which the rate grows in a second while only one refusal is known: it doubles, as it compounds."""
GROWTH = 0.02
"""Part by which the rate grows in a second, soon after a later refusal."""
GROWTH_DOUBLES = 10.0
"""Seconds in which the growth itself doubles."""
FASTEST_GROWTH = 0.5
QUIET = 60.0
"""Seconds after the last refusal, with nobody waiting, after which the limit is forgotten."""
LOWEST = 0.5
"""Least rate that refusals alone lead to; the service or the caller may name a lower one."""
BURST = 0.05
"""Seconds whose requests may come together: more would be a wave at the service."""
STRIDE = 0.02
"""Seconds of requests for which those who wait are woken together."""


class PaceRate:
    """The rate of one client at one host."""

    __slots__ = (
        "_ceiling", "_grown_at", "_is_probing", "_refused_at", "_samples", "_tokens", "_tokens_at",
        "blocked_until", "count", "maximum", "rate",
    )  # fmt: skip

    def __init__(self, maximum: float | None) -> None:
        """Take the most requests a second that the caller wants."""
        self.maximum = math.inf if maximum is None else maximum
        self.rate = self.maximum
        """Requests a second; infinite while nothing limits them."""
        self.count = 0
        """Requests that were answered, or refused, by anything but a 429."""
        self.blocked_until = -math.inf
        """Nothing is sent before."""
        self._ceiling = math.inf
        self._refused_at = -math.inf
        self._is_probing = False
        """Whether the limit is still looked for: only one refusal has come."""
        self._grown_at = -math.inf
        self._samples: deque[tuple[float, int]] = deque(maxlen=256)
        self._tokens = 1.0
        self._tokens_at = -math.inf

    def is_limited(self) -> bool:
        return self.rate != math.inf

    def note_sample(self, now: float) -> None:
        """Note the time; called at every 32nd request."""
        self._samples.append((now, self.count))

    def measure(self, now: float) -> float:
        """Return the requests a second that the service took lately."""
        began, before = now - _WINDOW, 0
        for at, count in self._samples:
            if at > now - _WINDOW:
                break
            began, before = at, count
        return max((self.count - before) / max(now - began, _WINDOW), LOWEST)

    def refuse(self, now: float, wait: float, named: float | None) -> None:
        """Take in a 429.

        Args:
            wait: seconds that the service asks to wait, or that the caller would.
            named: the rate that the service names, if it does.
        """
        if now <= self.blocked_until:
            # Sent before the last refusal was known: it says nothing new but how long to wait.
            self.blocked_until = max(self.blocked_until, now + wait)
            self._tokens = max(self._tokens, 0.0)
            return
        if self._refused_at == -math.inf:
            # Few requests tell little of what a service takes: somebody else may have used it up.
            taken = max(self.measure(now), FIRST)
            self._is_probing = True
        else:
            is_far_too_high = self._is_probing or now - self._refused_at < SOON
            taken = self.rate * (SHARP_DECREASE if is_far_too_high else DECREASE)
            self._is_probing = False
        self._ceiling = named if named is not None else math.inf
        self.rate = min(max(taken, LOWEST), self._ceiling, self.maximum)
        self.blocked_until = now + wait
        self._refused_at = self._grown_at = now + wait
        self._tokens, self._tokens_at = 0.0, now + wait

    def grow(self, now: float) -> None:
        """Let the rate grow for the time in which somebody had to wait for it."""
        elapsed = now - self._grown_at
        if elapsed <= 0 or self._refused_at == -math.inf:
            return
        self._grown_at = now
        growth = FIRST_GROWTH
        if not self._is_probing:
            growth = min(GROWTH * 2.0 ** ((now - self._refused_at) / GROWTH_DOUBLES), FASTEST_GROWTH)
        self.rate = min(self.rate * (1.0 + growth * min(elapsed, 1.0)), self._ceiling, self.maximum)

    def rest(self, now: float) -> None:
        """Take in that nobody waits: a limit that no longer limits is forgotten."""
        self._grown_at = now
        if now - self._refused_at > QUIET and self.rate != self.maximum:
            self.rate, self._ceiling, self._refused_at = self.maximum, math.inf, -math.inf

    def take(self, now: float, wanted: int) -> int:
        """Return how many of so many requests may go now."""
        if now < self.blocked_until:
            return 0
        if not self.is_limited():
            return wanted
        self._refill(now)
        count = max(min(wanted, int(self._tokens + 1e-9)), 0)
        self._tokens -= count
        return count

    def give_back(self, count: int) -> None:
        """Take back what was taken for requests that do not go."""
        if self.is_limited():
            self._tokens += count

    def borrow(self, now: float) -> bool:
        """Return whether one may go now, before its time; those after it wait for as much longer."""
        if now < self.blocked_until:
            return False
        if self.is_limited():
            self._refill(now)
            if self._tokens < 0:
                return False
            self._tokens -= 1
        return True

    def _refill(self, now: float) -> None:
        if self._tokens_at == -math.inf:
            self._tokens_at = now
        most = max(1.0, self.rate * BURST)
        self._tokens = min(self._tokens + (now - self._tokens_at) * self.rate, most)
        self._tokens_at = now

    def pause(self, now: float, wanted: int) -> float:
        """Return the seconds after which some of those who wait may go."""
        if now < self.blocked_until:
            return self.blocked_until - now
        missing = min(float(wanted), max(1.0, self.rate * STRIDE)) - self._tokens
        return max(missing / self.rate, 0.001)

    def __repr__(self) -> str:
        return f"PaceRate({self.rate:.3g} a second)"
