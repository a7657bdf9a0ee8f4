"""`client.vms`: virtual machines with GPUs, and waiting for them."""

from __future__ import annotations

import builtins
import uuid
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Literal, Unpack, cast, overload

from openrelay_async.generated.models.shared import VmSummary
from openrelay_async.generated.models.vms import VmDetail
from openrelay_async.generated.resources.vms import Vms as GeneratedVms
from openrelay_async.redaction import Secret, conceal
from openrelay_async.unset import UNSET, Unset
from openrelay_async.wait_limits import DEFAULT_FAILURES, DEFAULT_TIMEOUT

if TYPE_CHECKING:
    # Waiting and leasing load what they need when they are used: most programs that read a VM never do.
    from openrelay_async.fleets import Fleet
    from openrelay_async.lease import Lease
    from openrelay_async.machines import AnyVm
    from openrelay_async.orders import VmOrder
    from openrelay_async.waiting import OnUpdate, WaitOutcome
    from openrelay_async.watching import Change


class Vms(GeneratedVms):
    """Virtual machines with GPUs."""

    __slots__ = ()

    async def _fleet(self, org_id: str | None) -> Fleet[AnyVm]:
        from openrelay_async.fleets import find_fleet
        from openrelay_async.lifecycles import VMS
        from openrelay_async.machines import vm_source

        return await find_fleet(self._calls, VMS, vm_source, org_id)

    async def create(
        self,
        *,
        name: str,
        allow_fallback: bool | Unset = UNSET,
        container_command: Sequence[str] | Unset = UNSET,
        container_port: int | Unset = UNSET,
        disk_size_gb: int | Unset = UNSET,
        env_vars: Mapping[str, str | Secret] | Unset = UNSET,
        gpu_count: int | Unset = UNSET,
        gpu_model_id: str | Unset = UNSET,
        health_check_path: str | Unset = UNSET,
        health_check_port: int | Unset = UNSET,
        health_checks: Sequence[str] | Unset = UNSET,
        image_url: str | Unset = UNSET,
        kernel_modules: Sequence[str] | Unset = UNSET,
        preferred_regions: Sequence[str] | Unset = UNSET,
        privileged: bool | Unset = UNSET,
        public: bool | Unset = UNSET,
        registry_credential_id: str | Unset = UNSET,
        resource_size: str | Unset = UNSET,
        service_type: str | Unset = UNSET,
        ssh_key_ids: Sequence[str] | Unset = UNSET,
        template_id: str | Unset = UNSET,
        tier: str | Unset = UNSET,
        cloud_init: str | Secret | Unset = UNSET,
        guest_mem_mb: int | Unset = UNSET,
        node_id: str | Unset = UNSET,
        org_id: str | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
        wait_for_capacity: float | None = None,
    ) -> VmSummary:
        """Create as the API's operation does, and if wanted wait until there is room for it.

        Args:
            wait_for_capacity: seconds to wait when there is no room: availability is watched, and only
                `CapacityUnavailable` has it tried again, with the same idempotency key where there is one.
                Without it, `CapacityUnavailable` is raised at once.

        All else is as in the generated method.
        """
        env_vars = conceal(env_vars)
        cloud_init = conceal(cloud_init)
        key = str(uuid.uuid4()) if idempotency_key is None else idempotency_key

        async def create() -> VmSummary:
            return await GeneratedVms.create(
                self,
                name=name,
                allow_fallback=allow_fallback,
                container_command=container_command,
                container_port=container_port,
                disk_size_gb=disk_size_gb,
                env_vars=env_vars,
                gpu_count=gpu_count,
                gpu_model_id=gpu_model_id,
                health_check_path=health_check_path,
                health_check_port=health_check_port,
                health_checks=health_checks,
                image_url=image_url,
                kernel_modules=kernel_modules,
                preferred_regions=preferred_regions,
                privileged=privileged,
                public=public,
                registry_credential_id=registry_credential_id,
                resource_size=resource_size,
                service_type=service_type,
                ssh_key_ids=ssh_key_ids,
                template_id=template_id,
                tier=tier,
                cloud_init=cloud_init,
                guest_mem_mb=guest_mem_mb,
                node_id=node_id,
                org_id=org_id,
                timeout=timeout,
                idempotency_key=key,
            )

        if wait_for_capacity is None:
            return await create()
        from openrelay_async.availability import given_count, has_free_gpus
        from openrelay_async.capacity import create_when_possible

        async def has_room() -> bool:
            return await has_free_gpus(self._calls, gpu_model_id, given_count(gpu_count))

        return await create_when_possible(
            create,
            has_room,
            shared=self._calls.transport.shared,
            wanted=("vms", org_id, gpu_model_id, gpu_count),
            patience=wait_for_capacity,
        )

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
        """
        fleet = await self._fleet(org_id)
        options = fleet.options(timeout, interval, max_failures)
        return cast("AnyVm", await fleet.wait(id, until, options, on_update))

    def lease(
        self,
        *,
        until: Literal["running", "ssh_ready"] = "running",
        wait_timeout: float = DEFAULT_TIMEOUT,
        wait_for_capacity: float | None = None,
        max_duration: float | None = None,
        max_cost_cents: float | None = None,
        record: str | PathLike[str] | None = None,
        on_update: OnUpdate[AnyVm] | None = None,
        **order: Unpack[VmOrder],
    ) -> Lease[VmSummary, AnyVm]:
        """Return a context manager that creates a vm, waits for it, and always terminates it.

        async with client.vms.lease(name="job", gpu_model_id="rtx-4090") as vm:
            ...

        Also after an error, a cancellation, Ctrl-C, and a create of which nobody knows whether it succeeded.

        Args:
            until: what to wait for before the block begins.
            wait_timeout: seconds for that.
            wait_for_capacity: seconds to wait if there is no room for it.
            max_duration: ends it after so many seconds from its creation.
            max_cost_cents: ends it when it has cost so much, by its price an hour (US cents).
            record: a file of leases, with which `leases.sweep` ends what a crash has left.
            on_update: told of its changes while it is waited for.
            order: the arguments of `create`.

        Raises:
            LeaseExpired: it came to its limit; the block was cancelled.
            LeaseError: it could not be terminated and may still run: its id is named.
            WaitError: it did not get ready; it is terminated.
        """
        if "env_vars" in order:
            order["env_vars"] = conceal(order["env_vars"])
        if "cloud_init" in order:
            order["cloud_init"] = conceal(order["cloud_init"])
        from openrelay_async.lease import Lease, LeaseLimits, LeaseSteps, find_named
        from openrelay_async.lease_record import LeaseRecord

        name, org_id = order["name"], order.get("org_id")
        key = str(uuid.uuid4())

        async def create() -> VmSummary:
            return await self.create(idempotency_key=key, wait_for_capacity=wait_for_capacity, **order)

        async def find(since: float) -> VmSummary | None:
            return await find_named(GeneratedVms.list(self, page_size=1000, org_id=org_id), name, since)

        async def wait(id: str, seconds: float) -> AnyVm:
            return await self.wait(id, until=until, timeout=seconds, on_update=on_update, org_id=org_id)

        steps = LeaseSteps(
            "VM",
            "vms",
            name,
            org_id,
            create,
            is_repeatable=True,
            find=find,
            wait=wait,
            terminate=self.terminate,
            price=lambda vm: vm.price_per_hour_cents,
        )
        limits = LeaseLimits(wait_timeout, max_duration, max_cost_cents)
        clock = self._calls.transport.shared.clock
        return Lease(steps, limits, clock, None if record is None else LeaseRecord(record))

    async def resume_wait(
        self,
        token: str,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[AnyVm] | None = None,
    ) -> AnyVm:
        """Go on with a wait whose `WaitError` has this token, for another `timeout` seconds."""
        from openrelay_async.waiting import WaitToken

        resumed = WaitToken.decode(token, "vms")
        fleet = await self._fleet(resumed.org_id)
        options = fleet.options(timeout, interval, max_failures)
        return cast(
            "AnyVm",
            await fleet.wait(resumed.id, resumed.until, options, on_update, resumed),
        )

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

        The first error ends it; `as_completed` gives results and errors apart. Arguments are those of `wait`.
        """
        fleet = await self._fleet(org_id)
        options = fleet.options(timeout, interval, max_failures)
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

        If none reaches the goal, the last error is raised. Arguments are those of `wait`.
        """
        fleet = await self._fleet(org_id)
        options = fleet.options(timeout, interval, max_failures)
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
        """Yield a `WaitOutcome` for each VM as its wait ends: the VM, or the error."""
        fleet = await self._fleet(org_id)
        options = fleet.options(timeout, interval, max_failures)
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
        Errors that pass are polled through.

        Args:
            existing: whether VMs that are there at the start are told as `appeared`; those that had ended
                by then never are.
            interval: longest pause between two polls in seconds; by default they back off to 60 s.
            org_id: organization id; by default the client's organization.

        Raises:
            Unauthenticated, PermissionDenied: the key may not list VMs.
        """
        fleet = await self._fleet(org_id)
        changes = fleet.watch(existing=existing, interval=interval)
        try:
            async for change in changes:
                yield change
        finally:
            await changes.aclose()

    async def look_now(self, *, org_id: str | None = None) -> None:
        """Let waits and watches on VMs in this event loop poll now: what a webhook receiver does."""
        (await self._fleet(org_id)).look_now()
