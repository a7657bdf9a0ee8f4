"""What a lease is asked to do and how it does it: values, all checked before anything is sent.

A lease costs from its create on, so an argument that cannot work must be told before there is one.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable, Mapping
from os import PathLike
from typing import Generic, TypeVar

from attrs import field, frozen

from openrelay_async.config import check_patience, check_seconds
from openrelay_async.errors import ConfigurationError
from openrelay_async.lifecycles import Lifecycle
from openrelay_async.pagination import PagedCall
from openrelay_async.waiting import Living, check_listener
from openrelay_async.wire import encode_string

C = TypeVar("C", bound=Living)
W = TypeVar("W")


@frozen(eq=False)
class LeaseSteps(Generic[C, W]):
    """What a lease does at the service."""

    lifecycle: Lifecycle
    name: str
    org_id: str | None
    create: Callable[[float | None], Awaitable[C]]
    """Creates it, waiting so many seconds for room; each call carries the same idempotency key, if any."""
    is_repeatable: bool
    """Whether a repeat of `create` gives what an earlier one has created."""
    listed: PagedCall[C]
    """All that it may be among."""
    wait: Callable[[str, float], Awaitable[W]]
    """Waits until it can be used, for so many seconds."""
    terminate: Callable[[str], Awaitable[object]]
    price: Callable[[C], int | None] | None = None
    """Its cents an hour."""

    def __str__(self) -> str:
        return f"the {self.lifecycle.noun} {self.name!r}"


def _read_patience(given: float | None) -> float | None:
    return None if given is None or given is False else check_patience("wait_for_capacity", given)


@frozen(kw_only=True)
class LeaseTerms:
    """What a lease is told besides the order.

    Raises:
        ConfigurationError: a number that is none, or not above zero.
        ValueError: `until` is no goal in which a lease can be used.
        TypeError: `on_update` or `record` is of another kind.
    """

    lifecycle: Lifecycle
    until: str
    wait_timeout: float
    """Seconds until it must be usable."""
    wait_for_capacity: float | None = field(converter=_read_patience)
    """Seconds to wait for room; `None` for not at all."""
    max_duration: float | None
    """Seconds from creation after which it ends by itself."""
    max_cost_cents: float | None = None
    record: str | PathLike[str] | None
    on_update: Callable[..., object] | None

    def __attrs_post_init__(self) -> None:
        _check_goal(self.lifecycle, self.until)
        check_seconds("wait_timeout", self.wait_timeout)
        if self.max_duration is not None:
            check_seconds("max_duration", self.max_duration)
        _check_cost(self.max_cost_cents)
        _check_record(self.record)
        check_listener(self.on_update)

    def seconds(self, cents_an_hour: int | None) -> float:
        """Return how long a lease at this price may last."""
        duration = math.inf if self.max_duration is None else self.max_duration
        if self.max_cost_cents is None or cents_an_hour == 0:
            return duration
        if cents_an_hour is None:
            raise ConfigurationError("max_cost_cents needs a price, and the service has named none")
        return min(duration, self.max_cost_cents / cents_an_hour * 3600.0)


def _check_goal(lifecycle: Lifecycle, until: object) -> None:
    goals = [goal.name for goal in lifecycle.goals.values() if "running" in goal.reached]
    if until not in goals:
        # Only text is shown: another value may be anything that went astray.
        shown = repr(until) if isinstance(until, str) else type(until).__name__
        known = " or ".join(map(repr, goals))
        raise ValueError(f"until must be {known} for a lease of a {lifecycle.noun}, not {shown}")


def _check_cost(cents: object) -> None:
    if cents is None:
        return
    if isinstance(cents, bool) or not isinstance(cents, int | float):
        raise ConfigurationError(f"max_cost_cents must be a number of US cents, not {type(cents).__name__}")
    if not cents > 0:
        raise ConfigurationError(f"max_cost_cents must be above 0 US cents, not {cents}")


def _check_record(path: object) -> None:
    if path is not None and not isinstance(path, str | PathLike):
        kind = type(path).__name__
        raise TypeError(f"record must be the path of a file, such as 'leases.jsonl', not {kind}")


def check_order(create: Callable[..., object], order: Mapping[str, object]) -> None:
    """Refuse an order that `create` would not take.

    Raises:
        TypeError: an argument that is missing or unknown, or a name that is no text.
    """
    taken = inspect.signature(create).parameters
    for name in order:
        if name == "idempotency_key":
            raise TypeError("lease() makes its own idempotency_key: leave it out")
        if name not in taken:
            raise TypeError(f"lease() takes no argument {name!r}: beside its own, it takes those of create()")
    for name, parameter in taken.items():
        if parameter.default is parameter.empty and name not in order:
            raise TypeError(f"lease() needs the argument {name!r}, as create() does: give {name}=")
    encode_string(order["name"], "name")
