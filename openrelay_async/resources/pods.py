"""`client.pods`: containers with GPUs, and waiting for them."""

from __future__ import annotations

import builtins
from collections.abc import AsyncGenerator, Iterable
from typing import Literal, cast

from openrelay_async.fleets import Fleet
from openrelay_async.generated import operations
from openrelay_async.generated.models.shared import VmSummary
from openrelay_async.generated.models.vms import VmDetail
from openrelay_async.generated.resources.pods import Pods as GeneratedPods
from openrelay_async.generated.resources.vms import Vms as GeneratedVms
from openrelay_async.lifecycles import PODS
from openrelay_async.poll_source import Source
from openrelay_async.resource import Calls
from openrelay_async.waiting import (
    DEFAULT_FAILURES,
    DEFAULT_TIMEOUT,
    OnUpdate,
    WaitOptions,
    WaitOutcome,
    WaitToken,
)
from openrelay_async.watching import Change

AnyVm = VmSummary | VmDetail


def _pod_source(calls: Calls, org_id: str | None) -> Source[AnyVm]:
    pods, vms = GeneratedPods(calls), GeneratedVms(calls)
    return Source(
        PODS,
        operations.LIST_PODS,
        pages=lambda size: pods.list(page_size=size),  # type: ignore[arg-type,return-value]  # a PagedCall only gives
        # A pod is read singly, and ended, as the VM that it is.
        read=vms.get,
        read_full=vms.get_detail,
    )


class Pods(GeneratedPods):
    """Containers with GPUs."""

    __slots__ = ()

    async def wait(
        self,
        id: str,
        *,
        until: Literal["running", "ssh_ready", "stopped", "terminated"] | str = "running",
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[AnyVm] | None = None,
    ) -> AnyVm:
        """Wait until a pod is `running`, `ssh_ready`, `stopped` or `terminated`.

        All waits of a client share their polls. Cancelling a wait changes nothing at the pod.

        Args:
            id: pod id.
            until: what to wait for.
            timeout: seconds of wall clock to wait; `math.inf` for no limit.
            interval: longest pause between two polls in seconds; by default they back off to 60 s.
            max_failures: polls in a row that may fail for reasons that pass.
            on_update: told when it is first seen and whenever it has changed, with a `WaitProgress`.

        Raises:
            WaitTimeout: the time is up; it carries the pod as last seen and a token for `resume_wait`.
            WaitFailed: the pod is in a state from which the goal cannot be reached; it says why.
            WaitError: more than `max_failures` polls failed in a row.
            NotFound: no such pod.
        """
        options = WaitOptions.check(timeout, interval, max_failures)
        fleet = Fleet(self._calls, _pod_source(self._calls.without_retries(), None))
        return cast("AnyVm", await fleet.wait(id, until, options, on_update))

    async def resume_wait(
        self,
        token: str,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[AnyVm] | None = None,
    ) -> AnyVm:
        """Go on with a wait whose `WaitError` has this token, for another `timeout` seconds.

        Raises:
            ValueError: not the token of a wait on a pod.
        """
        resumed = WaitToken.decode(token, PODS.kind)
        options = WaitOptions.check(timeout, interval, max_failures)
        fleet = Fleet(self._calls, _pod_source(self._calls.without_retries(), None))
        return cast("AnyVm", await fleet.wait(resumed.id, resumed.until, options, on_update, resumed))

    async def wait_all(
        self,
        ids: Iterable[str],
        *,
        until: Literal["running", "ssh_ready", "stopped", "terminated"] | str = "running",
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[AnyVm] | None = None,
    ) -> builtins.list[AnyVm]:
        """Wait until all pods have reached the goal; return them in the order of their ids.

        The first error ends it; `as_completed` gives results and errors apart. Arguments and errors are
        those of `wait`.
        """
        options = WaitOptions.check(timeout, interval, max_failures)
        fleet = Fleet(self._calls, _pod_source(self._calls.without_retries(), None))
        return await fleet.wait_all(ids, until, options, on_update)

    async def wait_any(
        self,
        ids: Iterable[str],
        *,
        until: Literal["running", "ssh_ready", "stopped", "terminated"] | str = "running",
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[AnyVm] | None = None,
    ) -> AnyVm:
        """Wait until one of the pods has reached the goal; return it.

        One that fails does not end it: if none reaches the goal, the last error is raised. Arguments are
        those of `wait`.
        """
        options = WaitOptions.check(timeout, interval, max_failures)
        fleet = Fleet(self._calls, _pod_source(self._calls.without_retries(), None))
        return await fleet.wait_any(ids, until, options, on_update)

    async def as_completed(
        self,
        ids: Iterable[str],
        *,
        until: Literal["running", "ssh_ready", "stopped", "terminated"] | str = "running",
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[AnyVm] | None = None,
    ) -> AsyncGenerator[WaitOutcome[AnyVm], None]:
        """Yield a `WaitOutcome` for each pod as its wait ends: with it, or with the error."""
        options = WaitOptions.check(timeout, interval, max_failures)
        fleet = Fleet(self._calls, _pod_source(self._calls.without_retries(), None))
        outcomes = fleet.as_completed(ids, until, options, on_update)
        try:
            async for outcome in outcomes:
                yield outcome
        finally:
            await outcomes.aclose()

    async def watch(
        self, *, existing: bool = True, interval: float | None = None
    ) -> AsyncGenerator[Change[AnyVm], None]:
        """Yield each change of the organization's pods once: `appeared`, `changed`, `gone`.

        A slow reader is told the latest of each, and never misses a final state. Errors that pass are polled
        through; a key that is refused ends it.

        Args:
            existing: whether those that are there at the start are told as `appeared`; those that had ended
                by then never are.
            interval: longest pause between two polls in seconds; by default they back off to 60 s.
        """
        fleet = Fleet(self._calls, _pod_source(self._calls.without_retries(), None))
        changes = fleet.watch(existing=existing, interval=interval)
        try:
            async for change in changes:
                yield change
        finally:
            await changes.aclose()

    async def look_now(self) -> None:
        """Let waits and watches on pods in this event loop poll now: what a webhook receiver does."""
        Fleet(self._calls, _pod_source(self._calls.without_retries(), None)).look_now()
