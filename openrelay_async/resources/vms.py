"""`client.vms`: virtual machines with GPUs, and waiting for them."""

from __future__ import annotations

import builtins
from collections.abc import AsyncGenerator, Iterable
from typing import Literal, cast, overload

from openrelay_async.fleets import find_fleet
from openrelay_async.generated import operations
from openrelay_async.generated.models.shared import VmSummary
from openrelay_async.generated.models.vms import VmDetail
from openrelay_async.generated.resources.vms import Vms as GeneratedVms
from openrelay_async.lifecycles import VMS
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


def _vm_source(calls: Calls, org_id: str | None) -> Source[AnyVm]:
    vms = GeneratedVms(calls)
    return Source(
        VMS,
        operations.LIST_ORG_VMS,
        pages=lambda size: vms.list(page_size=size, org_id=org_id),  # type: ignore[arg-type,return-value]  # a PagedCall only gives
        read=vms.get,
        read_full=vms.get_detail,
    )


class Vms(GeneratedVms):
    """Virtual machines with GPUs."""

    __slots__ = ()

    @overload
    async def wait(
        self,
        id: str,
        *,
        until: Literal["ssh_ready"],
        timeout: float = ...,
        interval: float | None = ...,
        max_failures: int = ...,
        on_update: OnUpdate[AnyVm] | None = ...,
        org_id: str | None = ...,
    ) -> VmDetail: ...
    @overload
    async def wait(
        self,
        id: str,
        *,
        until: Literal["running", "stopped", "terminated"] = ...,
        timeout: float = ...,
        interval: float | None = ...,
        max_failures: int = ...,
        on_update: OnUpdate[AnyVm] | None = ...,
        org_id: str | None = ...,
    ) -> VmSummary: ...
    @overload
    async def wait(
        self,
        id: str,
        *,
        until: str,
        timeout: float = ...,
        interval: float | None = ...,
        max_failures: int = ...,
        on_update: OnUpdate[AnyVm] | None = ...,
        org_id: str | None = ...,
    ) -> AnyVm: ...
    async def wait(
        self,
        id: str,
        *,
        until: str = "running",
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[AnyVm] | None = None,
        org_id: str | None = None,
    ) -> AnyVm:
        """Wait until a VM is `running`, `ssh_ready`, `stopped` or `terminated`.

        All waits of a client share their polls: thousands cost as many list calls as there are pages.
        `ssh_ready` gives the VM in full, with its SSH address. Cancelling a wait changes nothing at the VM.

        Args:
            id: VM id.
            until: what to wait for. `interrupted` is no end: the VM comes back.
            timeout: seconds of wall clock to wait; `math.inf` for no limit.
            interval: longest pause between two polls in seconds; by default they back off to 60 s.
            max_failures: polls in a row that may fail for reasons that pass.
            on_update: told when the VM is first seen and whenever it has changed, with a `WaitProgress`.
            org_id: organization id; by default the client's organization.

        Raises:
            WaitTimeout: the time is up; it carries the VM as last seen and a token for `resume_wait`.
            WaitFailed: the VM is in a state from which the goal cannot be reached; it says why.
            WaitError: more than `max_failures` polls failed in a row.
            NotFound: no such VM.
        """
        options = WaitOptions.check(timeout, interval, max_failures)
        fleet = await find_fleet(self._calls, _vm_source, org_id)
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
            ValueError: not the token of a wait on a VM.
        """
        resumed = WaitToken.decode(token, VMS.kind)
        options = WaitOptions.check(timeout, interval, max_failures)
        fleet = await find_fleet(self._calls, _vm_source, resumed.org_id)
        return cast("AnyVm", await fleet.wait(resumed.id, resumed.until, options, on_update, resumed))

    async def wait_all(
        self,
        ids: Iterable[str],
        *,
        until: str = "running",
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[AnyVm] | None = None,
        org_id: str | None = None,
    ) -> builtins.list[AnyVm]:
        """Wait until all VMs have reached the goal; return them in the order of their ids.

        The first error ends it; `as_completed` gives results and errors apart. Arguments and errors are
        those of `wait`.
        """
        options = WaitOptions.check(timeout, interval, max_failures)
        fleet = await find_fleet(self._calls, _vm_source, org_id)
        return await fleet.wait_all(ids, until, options, on_update)

    async def wait_any(
        self,
        ids: Iterable[str],
        *,
        until: str = "running",
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[AnyVm] | None = None,
        org_id: str | None = None,
    ) -> AnyVm:
        """Wait until one of the VMs has reached the goal; return it.

        A VM that fails does not end it: if none reaches the goal, the last error is raised. Arguments are
        those of `wait`.
        """
        options = WaitOptions.check(timeout, interval, max_failures)
        fleet = await find_fleet(self._calls, _vm_source, org_id)
        return await fleet.wait_any(ids, until, options, on_update)

    async def as_completed(
        self,
        ids: Iterable[str],
        *,
        until: str = "running",
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[AnyVm] | None = None,
        org_id: str | None = None,
    ) -> AsyncGenerator[WaitOutcome[AnyVm], None]:
        """Yield a `WaitOutcome` for each VM as its wait ends: the VM, or the error. Arguments as in `wait`.

        async for outcome in client.vms.as_completed(ids):
            print(outcome.id, outcome.error or outcome.resource)
        """
        options = WaitOptions.check(timeout, interval, max_failures)
        fleet = await find_fleet(self._calls, _vm_source, org_id)
        outcomes = fleet.as_completed(ids, until, options, on_update)
        try:
            async for outcome in outcomes:
                yield outcome
        finally:
            await outcomes.aclose()

    async def watch(
        self, *, existing: bool = True, interval: float | None = None, org_id: str | None = None
    ) -> AsyncGenerator[Change[AnyVm], None]:
        """Yield each change of the organization's VMs once: `appeared`, `changed`, `gone`.

        A slow reader is told the latest of each VM, never an outdated state, and never misses a final one.
        Errors that pass are polled through; a key that is refused ends it.

        Args:
            existing: whether VMs that are there at the start are told as `appeared`; those that had ended
                by then never are.
            interval: longest pause between two polls in seconds; by default they back off to 60 s.
            org_id: organization id; by default the client's organization.

        Raises:
            Unauthenticated, PermissionDenied: the key may not list VMs.
        """
        fleet = await find_fleet(self._calls, _vm_source, org_id)
        changes = fleet.watch(existing=existing, interval=interval)
        try:
            async for change in changes:
                yield change
        finally:
            await changes.aclose()

    async def look_now(self, *, org_id: str | None = None) -> None:
        """Let waits and watches on VMs in this event loop poll now: what a webhook receiver does."""
        (await find_fleet(self._calls, _vm_source, org_id)).look_now()
