"""How long a poller pauses: often while things change, seldom while they do not. Decided without I/O."""

from __future__ import annotations

from collections import Counter

from attrs import frozen


@frozen
class PollPace:
    """The limits of a poller's interval, in seconds."""

    shortest: float = 0.5
    longest: float = 60.0
    """The limit where nobody asks for another one."""
    share: float = 0.2
    """The interval as a part of the time since something last changed: what happens is noticed that late."""
    page_gap: float = 0.5
    """Least time between two list calls: a list of many pages is not read in one burst."""
    jitter: float = 0.1
    """The interval varies by this part, so that clients do not march in step."""

    def interval(self, quiet: float, pages: int, interval_limit: float | None) -> float:
        """Return the seconds between two looks.

        Args:
            quiet: seconds since something changed, or somebody began to wait.
            pages: list calls of one look.
            interval_limit: seconds that waits have asked for instead of `longest`.
        """
        gaps = self.page_gap * pages if pages > 1 else 0.0
        return max(min(self._limit(interval_limit), max(self.shortest, quiet * self.share)), gaps)

    def after_failure(self, interval: float, failures: int, interval_limit: float | None) -> float:
        """Return the seconds to wait when so many looks in a row have failed: twice as long each time.

        Args:
            interval: seconds that it would be without a failure; it is never less.
            failures: looks in a row that have failed, at least 1.
            interval_limit: seconds that waits have asked for instead of `longest`.
        """
        backoff = self.shortest * 2.0 ** min(failures - 1, 30)
        return max(interval, min(self._limit(interval_limit), backoff))

    def _limit(self, interval_limit: float | None) -> float:
        return self.longest if interval_limit is None else interval_limit


class RequestedIntervals:
    """The intervals that waits and watches ask for, in seconds: the shortest limits the pace for all."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: Counter[float] = Counter()

    def add(self, interval: float | None) -> None:
        """Note what somebody asks for; `None` asks for nothing."""
        if interval is not None:
            self._counts[interval] += 1

    def remove(self, interval: float | None) -> None:
        """Forget what somebody had asked for who has left."""
        if interval is not None:
            self._counts[interval] -= 1
            if not self._counts[interval]:
                del self._counts[interval]

    def limit(self) -> float | None:
        """Return the longest interval that suits everybody, `None` if nobody asks for one."""
        return min(self._counts) if self._counts else None
