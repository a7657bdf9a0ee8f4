"""Faults as data: which operation, which call, what goes wrong; and a rate limit per key."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import attrs

from openrelay_async.emulator.arguments import find_number_problem, require
from openrelay_async.emulator.fault_fields import find_fault_problem, find_missing_status
from openrelay_async.errors import ConfigurationError


def _check(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    require(f"Fault: {attribute.name}", find_fault_problem(attribute.name, value))


@attrs.frozen(kw_only=True)
class Fault:
    """One thing that goes wrong.

    Without `call` it hits the next `times` requests of the operation; with it, the requests number `call` to
    `call + times - 1`, counted from 1 since the emulator started (or `faults.clear()`). A fault with a
    `status` does nothing else: the operation is not carried out.

    Raises:
        ConfigurationError: a field that could never do anything, such as an operation that there is not.
    """

    operation: str = attrs.field(default="*", validator=_check)
    """Operation id such as `createVm`; `*` is any, control endpoints excepted."""
    call: int | None = attrs.field(default=None, validator=_check)
    """Number of the first request that it hits, from 1; None is the next one."""
    times: int | None = attrs.field(default=1, validator=_check)
    """How many requests; None is all from then on."""
    status: int | None = attrs.field(default=None, validator=_check)
    """HTTP status of the error that is answered instead of doing anything; None is no error."""
    code: str | None = attrs.field(default=None, validator=_check)
    """Code in the error's body, such as `INSUFFICIENT_GPU_CAPACITY`; None leaves it out."""
    message: str | None = attrs.field(default=None, validator=_check)
    """Message in the error's body; None is one that says that the fault was asked for."""
    retry_after: float | str | None = attrs.field(default=None, validator=_check)
    """Seconds, or any text for the header."""
    delay: float = attrs.field(default=0.0, validator=_check)
    """Seconds, on the emulator's clock, before anything happens; with `body="slow"` also what the body
    takes.
    """
    reset: Literal["before", "after"] | None = attrs.field(default=None, validator=_check)
    """A TCP reset: before anything was done, or after the commit, instead of the answer."""
    body: Literal["truncated", "garbage", "slow"] | None = attrs.field(default=None, validator=_check)
    """What happens to the answer's body: half of it and then the end, bytes that are no JSON, or all of it
    in pieces that take `delay` seconds together (1 unless given).
    """

    def __attrs_post_init__(self) -> None:
        missing = find_missing_status(attrs.asdict(self))
        if missing is not None:
            raise ConfigurationError(f"Fault: {missing} needs a status: it is a part of that answer")

    def retry_after_header(self) -> str | None:
        if self.retry_after is None or isinstance(self.retry_after, str):
            return self.retry_after
        return f"{self.retry_after:g}"


class FaultPlan:
    """The faults of an emulator; add to it at any time, from any thread."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        if not isinstance(faults, Iterable):
            raise ConfigurationError(
                f"faults must be a list of Fault objects, not {type(faults).__name__}: put it in brackets"
            )
        self._faults: list[tuple[Fault, list[int]]] = []  # each with how often it hit
        self._calls: Counter[str] = Counter()
        self.add(*faults)

    def add(self, *faults: Fault) -> None:
        """From now on these go wrong, too.

        Raises:
            ConfigurationError: one is no `Fault`; none is added then.
        """
        for fault in faults:
            if not isinstance(fault, Fault):
                raise ConfigurationError(
                    f'faults must be Fault objects, such as Fault(operation="createVm", status=503), '
                    f"not {type(fault).__name__}"
                )
        self._faults.extend((fault, []) for fault in faults)

    def clear(self) -> None:
        """Forget the faults, and count calls from 1 again."""
        self._faults.clear()
        self._calls.clear()

    def __iter__(self) -> Iterator[Fault]:
        return iter([fault for fault, _ in self._faults])

    def __len__(self) -> int:
        return len(self._faults)

    def __repr__(self) -> str:
        return f"FaultPlan({[fault for fault, _ in self._faults]!r})"

    def strike(self, operation: str) -> Fault | None:
        """Count one request of `operation`; the first fault that is meant for it."""
        self._calls[operation] += 1
        self._calls["*"] += 1
        for fault, hits in list(self._faults):
            if fault.operation not in (operation, "*"):
                continue
            number = self._calls[fault.operation]
            if fault.call is None:
                meant = fault.times is None or len(hits) < fault.times
            else:
                meant = fault.call <= number and (fault.times is None or number < fault.call + fault.times)
            if meant:
                if fault.times is not None:
                    hits.append(number)
                return fault
        return None


class RateLimit:
    """A bucket of tokens for each key: `per_second` come in, at most as many are kept."""

    def __init__(self, per_second: float) -> None:
        require("rate_limit", find_number_problem(per_second, above=0))
        self.per_second = per_second
        self._full = max(1.0, per_second)
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, key: str, now: float) -> tuple[bool, dict[str, str]]:
        """Is there a token for this request? With the headers that tell it."""
        level, seen = self._buckets.get(key, (self._full, now))
        level = min(self._full, level + max(0.0, now - seen) * self.per_second)
        allowed = level >= 1
        if allowed:
            level -= 1
        self._buckets[key] = (level, now)
        headers = {
            "X-RateLimit-Limit": f"{self.per_second:g}",
            "X-RateLimit-Remaining": str(int(level)),
        }
        if not allowed:
            headers["Retry-After"] = str(max(1, math.ceil((1 - level) / self.per_second)))
        return allowed, headers
