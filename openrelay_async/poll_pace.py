"""How long a poller pauses: often while things change, seldom while they do not. Decided without I/O."""

from __future__ import annotations

from attrs import frozen


@frozen
class PollPace:
    """The limits of a poller's interval, in seconds."""

    shortest: float = 0.5
    longest: float = 60.0
    share: float = 0.2
    """The interval as a part of the time since something last changed: what happens is noticed that late."""
    page_gap: float = 0.5
    """Least time between two list calls: a list of many pages is not read in one burst."""
    jitter: float = 0.1
    """The interval varies by this part, so that clients do not march in step."""

    def interval(self, quiet: float, pages: int, longest: float | None) -> float:
        """Return the seconds between two looks.

        Args:
            quiet: seconds since something changed, or somebody began to wait.
            pages: list calls of one look.
            longest: what the waits have asked for instead of `longest`.
        """
        limit = self.longest if longest is None else longest
        gaps = self.page_gap * pages if pages > 1 else 0.0
        return max(min(limit, max(self.shortest, quiet * self.share)), gaps)

    def after_failure(self, interval: float, failures: int, longest: float | None) -> float:
        """Return the seconds to wait when so many looks in a row have failed."""
        limit = self.longest if longest is None else longest
        return max(interval, min(limit, self.shortest * 2.0 ** min(failures - 1, 30)))
