"""When a poller looks next: decided without a loop, on a clock that is turned and whose chance is chosen."""

from __future__ import annotations

import pytest

from openrelay_async import errors
from openrelay_async.emulator import TurnedClock
from openrelay_async.generated.operation_rows.vms import LIST_ORG_VMS
from openrelay_async.poll_pace import PollPace, RequestedIntervals
from openrelay_async.poll_plan import PollPlan

PACE = PollPace(shortest=0.5, longest=60.0, share=0.2, page_gap=0.5, jitter=0.1)


class ChosenClock(TurnedClock):
    """A clock whose random numbers are chosen: so far between their bounds, from 0 to 1."""

    chance = 0.5

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * self.chance


@pytest.fixture
def clock() -> ChosenClock:
    return ChosenClock()


@pytest.fixture
def plan(clock: ChosenClock) -> PollPlan:
    return PollPlan(clock, PACE)


def look(
    plan: PollPlan,
    *failures: errors.OpenRelayError,
    quiet: float = 0.0,
    limit: float | None = None,
    clock: ChosenClock,
) -> float:
    """Return the pause after a look in which nothing has changed for `quiet` seconds."""
    plan.begin_look()
    for error in failures:
        plan.note(error)
    plan.end_look(clock.monotonic() - quiet, limit)
    return plan.delay


def unavailable(retry_after: float | None = None) -> errors.Unavailable:
    return errors.Unavailable("down", status=503, retry_after=retry_after)


def test_the_longer_nothing_changes_the_longer_is_the_pause(plan, clock):
    pauses = [look(plan, quiet=quiet, clock=clock) for quiet in (0, 1, 10, 100, 1000)]
    assert pauses == pytest.approx([0.5, 0.5, 2.0, 20.0, 60.0])


def test_a_requested_interval_is_the_limit(plan, clock):
    assert look(plan, quiet=1000, limit=5, clock=clock) == pytest.approx(5)
    assert look(plan, quiet=1000, limit=90, clock=clock) == pytest.approx(90)


def test_each_failed_look_in_a_row_doubles_the_pause_up_to_the_limit(plan, clock):
    pauses = [look(plan, unavailable(), clock=clock) for _ in range(9)]
    assert pauses == pytest.approx([0.5, 1, 2, 4, 8, 16, 32, 60, 60])


def test_a_requested_interval_limits_the_pause_after_failures_too(plan, clock):
    pauses = [look(plan, unavailable(), limit=3, clock=clock) for _ in range(5)]
    assert pauses == pytest.approx([0.5, 1, 2, 3, 3])


def test_a_look_without_a_failure_ends_the_back_off(plan, clock):
    for _ in range(5):
        look(plan, unavailable(), clock=clock)
    assert look(plan, clock=clock) == pytest.approx(0.5)
    assert look(plan, unavailable(), clock=clock) == pytest.approx(0.5)


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_nobody_looks_before_the_time_that_the_service_asks_for(plan, clock, chance):
    """R5.1: not even somebody who has just come."""
    clock.chance = chance
    clock.advance(7)
    assert look(plan, unavailable(retry_after=30), clock=clock) >= 30
    assert plan.soonest >= 7 + 30
    assert plan.next_look(early=False) >= 7 + 30


def test_what_the_service_asks_for_counts_from_the_end_of_a_long_look(plan, clock):
    plan.pages = 10
    plan.begin_look()
    plan.note(unavailable(retry_after=30))
    clock.advance(20)
    plan.end_look(clock.monotonic(), None)
    assert plan.next_look(early=False) == pytest.approx(20 + 30)


def test_what_the_service_asks_for_is_longer_than_any_interval(plan, clock):
    assert look(plan, unavailable(retry_after=300), limit=5, clock=clock) == pytest.approx(300)


def test_of_several_errors_the_one_that_asks_for_the_longest_pause_counts(plan, clock):
    slow_down = errors.RateLimited("slow down", status=429, retry_after=20)
    assert look(plan, unavailable(), slow_down, unavailable(10), clock=clock) == pytest.approx(20)
    assert plan.failure is slow_down


def test_of_several_errors_that_ask_for_no_pause_the_first_counts(plan, clock):
    first = errors.ConnectionFailed("reset")
    look(plan, first, unavailable(), clock=clock)
    assert plan.failure is first


@pytest.mark.parametrize(("chance", "pause"), [(0.0, 18.0), (0.5, 20.0), (1.0, 22.0)])
def test_the_pause_varies_by_a_tenth_at_most(plan, clock, chance, pause):
    clock.chance = chance
    assert look(plan, quiet=100, clock=clock) == pytest.approx(pause)


def test_who_has_just_come_waits_for_the_shortest_interval_only(plan, clock):
    look(plan, quiet=100, clock=clock)
    assert plan.soonest == pytest.approx(clock.monotonic() + PACE.shortest)


def test_a_look_in_between_does_not_put_off_the_next_regular_one(plan, clock):
    look(plan, quiet=100, clock=clock)
    assert plan.next_look(early=False) == pytest.approx(20)
    clock.advance(15)
    look(plan, quiet=100, clock=clock)
    assert plan.next_look(early=True) == pytest.approx(20)


def test_after_a_look_in_between_nobody_looks_before_the_time_that_the_service_asks_for(plan, clock):
    """R5.1: the next regular look is put off as well."""
    look(plan, quiet=100, clock=clock)
    assert plan.next_look(early=False) == pytest.approx(20)
    clock.advance(15)
    look(plan, unavailable(retry_after=30), quiet=100, clock=clock)
    assert plan.next_look(early=True) >= 15 + 30


def test_a_long_list_is_spread_over_the_interval(plan, clock):
    assert plan.page_gap(clock.monotonic() - 100, None) == 0
    plan.pages = 10
    assert plan.page_gap(clock.monotonic() - 100, None) == pytest.approx(2)
    assert plan.page_gap(clock.monotonic(), None) == pytest.approx(PACE.page_gap)


def test_a_look_that_took_the_interval_is_followed_by_the_next_after_one_gap(plan, clock):
    plan.pages = 10
    plan.begin_look()
    clock.advance(20)
    plan.end_look(clock.monotonic() - 100, None)
    assert plan.next_look(early=False) == pytest.approx(clock.monotonic() + 2)


@pytest.mark.parametrize(("failures", "name"), [((), None), ((unavailable(4),), "Unavailable")])
def test_a_tick_says_what_the_look_found_and_how_long_the_pause_is(plan, clock, failures, name):
    look(plan, *failures, clock=clock)
    tick = plan.tick(LIST_ORG_VMS, "vms", waiting=3, watching=2, requests=7)
    assert (tick.operation, tick.method, tick.path) == ("listOrgVms", "GET", LIST_ORG_VMS.path)
    assert (tick.resource, tick.waiting, tick.watching, tick.requests) == ("vms", 3, 2, 7)
    assert tick.failure == name
    assert tick.delay == pytest.approx(4 if failures else 0.5)


def test_a_tick_does_not_tell_of_an_earlier_look(plan, clock):
    look(plan, unavailable(), clock=clock)
    look(plan, clock=clock)
    assert plan.tick(LIST_ORG_VMS, "vms", waiting=1, watching=0, requests=1).failure is None


def test_the_shortest_requested_interval_is_the_limit_until_all_who_ask_for_it_have_left():
    intervals = RequestedIntervals()
    assert intervals.limit() is None
    for interval in (30.0, 5.0, None, 5.0):
        intervals.add(interval)
    assert intervals.limit() == 5
    intervals.remove(5.0)
    assert intervals.limit() == 5
    for interval in (5.0, None):
        intervals.remove(interval)
    assert intervals.limit() == 30
    intervals.remove(30.0)
    assert intervals.limit() is None
