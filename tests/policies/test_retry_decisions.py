"""Whether an attempt is followed by another: decided without I/O, so every combination can be tried."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openrelay_async.errors import ConfigurationError
from openrelay_async.messages import AttemptFailure, HttpRequest, HttpResponse
from openrelay_async.operation import Operation
from openrelay_async.redaction import Payload
from openrelay_async.retry import CAPACITY_CODES, Decision, RetryBudget, RetryPolicy, decide

READ = Operation("read", "things", "get", "GET", "/things/{id}", idempotent=True)
CREATE = Operation("create", "things", "create", "POST", "/things", idempotent=False)

REQUESTS = {
    "read": HttpRequest(READ, "/things/1"),
    "create": HttpRequest(CREATE, "/things"),
    "keyed": HttpRequest(CREATE, "/things", idempotency_key="key"),
}


def answer(status: int) -> HttpResponse:
    return HttpResponse(status, {}, Payload(b""))


def judge(request: HttpRequest, outcome: HttpResponse | AttemptFailure, **given: object) -> Decision:
    settings: dict[str, object] = {
        "attempt": 1,
        "code": None,
        "retry_after": None,
        "remaining": 60.0,
        "jitter": 0.5,
    }
    return decide(RetryPolicy(), request, outcome, **(settings | given))  # type: ignore[arg-type]


FAILURES = st.builds(
    AttemptFailure,
    st.sampled_from(["connect", "exchange"]),
    st.sampled_from(["connection", "timeout", "tls", "proxy", "too_large", "malformed", "closed"]),
    st.just("what happened"),
)
STATUSES = st.integers(min_value=300, max_value=599)
CODES = st.sampled_from([None, "CONCURRENT_UPDATE", "NAME_TAKEN", "slow_down", *sorted(CAPACITY_CODES)])
KINDS = st.sampled_from(sorted(REQUESTS))


@given(STATUSES, CODES)
def test_a_change_without_a_key_is_only_resent_after_a_refusal(status: int, code: str | None):
    """R3.1: (c) the code says that nothing was done, or (d) 429."""
    decision = judge(REQUESTS["create"], answer(status), code=code)
    allowed = (status == 409 and code == "CONCURRENT_UPDATE") or (status == 429 and code != "slow_down")
    assert decision.retry == allowed


@given(FAILURES)
def test_a_change_without_a_key_is_only_resent_if_no_byte_was_sent(failure: AttemptFailure):
    """R3.1 (a)"""
    decision = judge(REQUESTS["create"], failure)
    assert decision.retry == (failure.phase == "connect" and not failure.is_permanent)


@given(KINDS, STATUSES, CODES)
def test_only_the_documented_statuses_are_retried(kind: str, status: int, code: str | None):
    """R3.9, R3.1 (c)"""
    decision = judge(REQUESTS[kind], answer(status), code=code)
    if decision.retry:
        assert status in {429, 500, 502, 503, 504} or (status == 409 and code == "CONCURRENT_UPDATE")
    if status == 501:
        assert not decision.retry


@given(KINDS, st.sampled_from(sorted(CAPACITY_CODES)))
def test_no_room_is_never_retried(kind: str, code: str):
    """R3.7"""
    assert not judge(REQUESTS[kind], answer(503), code=code).retry


@given(st.sampled_from([500, 502, 503, 504]))
def test_a_read_and_a_create_with_a_key_are_resent_after_an_error_of_the_service(status: int):
    """R3.1 (b)"""
    assert judge(REQUESTS["read"], answer(status)).retry
    assert judge(REQUESTS["keyed"], answer(status)).retry
    assert not judge(REQUESTS["create"], answer(status)).retry


@given(
    st.integers(min_value=1, max_value=10),
    st.one_of(st.none(), st.floats(min_value=0, max_value=1e9)),
    st.floats(min_value=0, max_value=1e6),
    st.floats(min_value=0, max_value=1),
)
def test_what_the_service_asks_is_a_lower_bound_and_the_deadline_an_upper_one(
    attempt: int, retry_after: float | None, remaining: float, jitter: float
):
    """R3.4, R3.3"""
    policy = RetryPolicy(max_attempts=8)
    decision = decide(
        policy,
        REQUESTS["read"],
        answer(503),
        attempt=attempt,
        code=None,
        retry_after=retry_after,
        remaining=remaining,
        jitter=jitter,
    )
    if not decision.retry:
        longest = max(policy.backoff(attempt) * 1.1, (retry_after or 0) * 1.1 + policy.cap)
        holds_for_all = attempt >= 8 or (retry_after or 0) > policy.max_retry_after
        assert holds_for_all or longest >= remaining
        assert decision.lacks_time == (not holds_for_all)
        assert not decision.lacks_time or decision.delay >= (retry_after or 0)
        return
    assert attempt < 8
    assert 0 <= decision.delay < remaining
    assert decision.delay >= (retry_after or 0)
    assert retry_after is None or retry_after <= policy.max_retry_after
    assert decision.delay <= max(policy.cap, (retry_after or 0) + policy.cap)


@given(st.integers(min_value=1, max_value=10_000))
def test_waits_never_exceed_the_cap(attempt: int):
    assert 0 < RetryPolicy().backoff(attempt) <= RetryPolicy().cap


@given(st.lists(st.booleans(), max_size=400), st.integers(0, 20), st.sampled_from([0.0, 0.1, 0.5, 1.0]))
def test_the_budget_never_gives_more_than_it_was_earned(calls: list[bool], burst: int, ratio: float):
    """R3.6: retries ≤ burst + ratio × calls, whatever their order."""
    budget = RetryBudget(RetryPolicy(budget_ratio=ratio, budget_burst=burst))
    earned = spent = 0
    for is_call in calls:
        if is_call:
            budget.earn()
            earned += 1
        else:
            spent += budget.spend()
    assert spent <= burst + ratio * earned + 1e-6


def test_no_budget_at_all_means_no_retries():
    budget = RetryBudget(RetryPolicy(budget_ratio=0, budget_burst=0))
    budget.earn()
    assert not budget.spend()


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_attempts": 0},
        {"max_attempts": 1.5},
        {"max_attempts": True},
        {"base": -0.5},
        {"base": float("nan")},
        {"cap": "8"},
        {"max_retry_after": -1},
        {"budget_ratio": 1.1},
        {"budget_ratio": True},
        {"budget_burst": -1},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_by_name(wrong: dict[str, object]):
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        RetryPolicy(**wrong)  # type: ignore[arg-type]


def test_a_policy_is_a_value():
    policy = RetryPolicy(max_attempts=2)
    assert policy == RetryPolicy(max_attempts=2)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        policy.max_attempts = 3  # type: ignore[misc]
