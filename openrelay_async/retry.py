"""Whether a failed attempt is followed by another, after how long, and why: decided without I/O."""

from __future__ import annotations

from typing import NamedTuple

from attrs import Attribute, field, frozen

from openrelay_async.config import check_integer, delay, positive_integer
from openrelay_async.errors import ConfigurationError
from openrelay_async.messages import AttemptFailure, HttpRequest, Outcome

RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})
"""501 is not among them: what is not implemented now will not be in a second."""

CAPACITY_CODES = frozenset(
    {
        "INSUFFICIENT_GPU_CAPACITY",
        "INSUFFICIENT_CPU_CAPACITY",
        "INSUFFICIENT_HOST_CAPACITY",
        "INSUFFICIENT_IP_CAPACITY",
        "NODE_AT_CAPACITY",
        "VM_NODE_BUSY",
        "POD_NODE_BUSY",
    }
)
"""With 503: no room now. Asking again in a second does not make any; the caller decides."""

NOTHING_DONE_CODES = frozenset({"CONCURRENT_UPDATE"})
"""With 409: the service says that it did nothing, so even a change may be sent again."""

SHORTEST_ATTEMPT = 0.01
"""Seconds below which an attempt is not worth beginning: the error that is known says more than a timeout."""


def _count(instance: object, attribute: Attribute[int], value: int) -> None:
    check_integer(attribute.name, value, minimum=0)


def _ratio(instance: object, attribute: Attribute[float], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ConfigurationError(f"{attribute.name} must be a number from 0 to 1")


@frozen(kw_only=True)
class RetryPolicy:
    """How often and how patiently a call is tried again."""

    max_attempts: int = field(default=4, validator=positive_integer)
    """Requests of one call, the first one included; 1 turns retrying off."""
    base: float = field(default=0.5, validator=delay)
    """Seconds of the first wait; each further one is twice as long."""
    cap: float = field(default=8.0, validator=delay)
    """Longest wait in seconds, unless the service asks for more."""
    max_retry_after: float = field(default=60.0, validator=delay)
    """A `Retry-After` above this many seconds is not waited for: the call raises at once."""
    budget_ratio: float = field(default=0.1, validator=_ratio)
    """Retries earned by each call of the client: with 0.1, a dead service sees 10 % more requests."""
    budget_burst: int = field(default=10, validator=_count)
    """Retries that may be saved up."""

    def backoff(self, attempt: int) -> float:
        """Return the longest wait in seconds after the given attempt (1 is the first)."""
        return min(self.cap, self.base * 2.0 ** min(attempt - 1, 60))


class RetryBudget:
    """Retries that all calls of a client share: what keeps a failing service from being hammered.

    Each call earns a part of a retry, each retry costs a whole one.
    """

    __slots__ = ("_burst", "_ratio", "_saved")

    def __init__(self, policy: RetryPolicy) -> None:
        self._ratio = policy.budget_ratio
        self._burst = float(policy.budget_burst)
        self._saved = self._burst

    def earn(self) -> None:
        if self._saved < self._burst:
            self._saved = min(self._burst, self._saved + self._ratio)

    def spend(self) -> bool:
        """Take one retry; return whether there was one."""
        if self._saved < 1:
            return False
        self._saved -= 1
        return True

    def __repr__(self) -> str:
        return f"RetryBudget({self._saved:.1f} of {self._burst:g})"


class Decision(NamedTuple):
    """What follows an attempt."""

    retry: bool
    reason: str
    """Short, for hooks and logs: `status 503`, `connection failed`, `not resendable`."""
    delay: float = 0.0
    """Seconds to wait before the next attempt."""
    lacks_time: bool = False
    """Whether there is none only because the call has no time to wait for `delay`."""


def decide(
    policy: RetryPolicy,
    request: HttpRequest,
    outcome: Outcome,
    *,
    attempt: int,
    code: str | None,
    retry_after: float | None,
    remaining: float,
    jitter: float,
) -> Decision:
    """Return whether an attempt that did not succeed is followed by another.

    Args:
        attempt: number of this attempt, from 1.
        code: the error code of the answer's body, if it has one.
        retry_after: seconds that the answer asks to wait: a lower bound of the delay.
        remaining: seconds left of the call's timeout.
        jitter: a random number from 0 to 1; spreads callers that failed together.
    """
    reason, resendable = _judge(request, outcome, code)
    if not resendable:
        return Decision(False, reason)
    if attempt >= policy.max_attempts:
        return Decision(False, f"{reason}, {attempt} attempts made")
    backoff = policy.backoff(attempt)
    delay = backoff * (0.5 + 0.5 * jitter)
    if retry_after is not None and retry_after >= delay:
        if retry_after > policy.max_retry_after:
            return Decision(False, f"{reason}, asked to wait {retry_after:g} s")
        # All who were refused together were told the same time: a little apart, they are served sooner.
        delay = retry_after + 0.1 * backoff * jitter
    if delay + SHORTEST_ATTEMPT >= remaining:
        return Decision(False, f"{reason}, no time left to wait {delay:.1f} s", delay, lacks_time=True)
    return Decision(True, reason, delay)


def _judge(request: HttpRequest, outcome: Outcome, code: str | None) -> tuple[str, bool]:
    """Return what happened in a few words, and whether sending again can help and does no harm."""
    if isinstance(outcome, AttemptFailure):
        if outcome.is_permanent:
            return outcome.message, False
        return outcome.message, outcome.phase == "connect" or request.may_resend()
    status = outcome.status
    reason = f"status {status}" + (f" {code}" if code else "")
    if status == 429:
        # Refused before any work; but a device login that is told to slow down keeps its own pace.
        return reason, code != "slow_down" and request.can_repeat()
    if status == 409:
        return reason, code in NOTHING_DONE_CODES and request.can_repeat()
    if status not in RETRIED_STATUSES or (status == 503 and code in CAPACITY_CODES):
        return reason, False
    return reason, request.may_resend()


def was_done_before(request: HttpRequest, status: int, maybe_applied: bool) -> bool:
    """Return whether a DELETE finds nothing because an earlier attempt of it has deleted it."""
    return status == 404 and maybe_applied and request.operation.http_method == "DELETE"


def may_have_acted(request: HttpRequest, outcome: Outcome, code: str | None = None) -> bool:
    """Return whether the service may have acted on an attempt that did not succeed.

    A 4xx is a refusal. A 5xx says that something failed, not when: before the work or after it. The
    exceptions are codes and statuses that are answered before any work.

    Args:
        code: what the body of an answer calls its error, if that is known.
    """
    if request.changes_nothing():
        return False
    if isinstance(outcome, AttemptFailure):
        return outcome.phase == "exchange"
    if outcome.status < 500 or outcome.status == 501:
        return False
    return code not in CAPACITY_CODES and code not in NOTHING_DONE_CODES
