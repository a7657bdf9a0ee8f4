"""Timelines: what a resource is, was and is going to be. Pure rules.

A timeline is a list of `[at, status, reason]`, oldest first, as it is stored. Entries may lie in the
future: a VM that was just created is `deploying` now and `running` in two seconds. What it *is* follows
from the clock alone, so that no background task has to change it, and a clock that jumps by a month is
right at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

Entry = list[float | str | None]
Timeline = list[Entry]


def begin(at: float, status: str, reason: str | None = None) -> Timeline:
    return [[at, status, reason]]


def status_at(timeline: Timeline, now: float) -> str:
    return str(_entry_at(timeline, now)[1])


def reason_at(timeline: Timeline, now: float) -> str | None:
    reason = _entry_at(timeline, now)[2]
    return None if reason is None else str(reason)


def changed_at(timeline: Timeline, now: float) -> float:
    """When the status of now began."""
    return _time(_entry_at(timeline, now))


def then(timeline: Timeline, at: float, status: str, reason: str | None = None) -> Timeline:
    """The timeline with a change at `at` in place of everything that was to come after it."""
    return [*(entry for entry in timeline if _time(entry) <= at), [at, status, reason]]


def first_at(timeline: Timeline, status: str) -> float | None:
    """When the resource was, or will be, in `status` for the first time."""
    return next((_time(entry) for entry in timeline if entry[1] == status), None)


def last_at(timeline: Timeline, status: str, now: float) -> float | None:
    """When it last came into `status`, up to now."""
    times = [_time(entry) for entry in timeline if entry[1] == status and _time(entry) <= now]
    return max(times, default=None)


def entries(timeline: Timeline) -> list[tuple[float, str]]:
    """(time, status) of every entry."""
    return [(_time(entry), str(entry[1])) for entry in timeline]


def all_spans(timeline: Timeline, statuses: Collection[str]) -> Iterable[tuple[float, float | None]]:
    """The times in which it was, or is going to be, in one of `statuses`; the last may have no end."""
    for index, entry in enumerate(timeline):
        if entry[1] not in statuses:
            continue
        end = _time(timeline[index + 1]) if index + 1 < len(timeline) else None
        if end is None or _time(entry) < end:
            yield _time(entry), end


def _entry_at(timeline: Timeline, now: float) -> Entry:
    current = timeline[0]
    for entry in timeline:
        if _time(entry) > now:
            break
        current = entry
    return current


def _time(entry: Entry) -> float:
    at = entry[0]
    return at if isinstance(at, float | int) else 0.0
