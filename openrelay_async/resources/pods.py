"""`client.pods`: containers with GPUs, and waiting for them."""

from __future__ import annotations

import builtins
import uuid
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Literal, Unpack, cast

from openrelay_async.generated.models.shared import VmSummary
from openrelay_async.generated.resources.pods import Pods as GeneratedPods
from openrelay_async.generated.resources.vms import Vms as GeneratedVms
from openrelay_async.redaction import Secret, conceal
from openrelay_async.unset import UNSET, Unset
from openrelay_async.wait_limits import DEFAULT_FAILURES, DEFAULT_TIMEOUT

if TYPE_CHECKING:
    # Waiting and leasing load what they need when they are used: most programs that read a VM never do.
    from openrelay_async.fleets import Fleet
    from openrelay_async.lease import Lease
    from openrelay_async.machines import AnyVm
    from openrelay_async.orders import PodOrder
    from openrelay_async.waiting import OnUpdate, WaitOutcome
    from openrelay_async.watching import Change


class Pods(GeneratedPods):
    """Containers with GPUs."""

    __slots__ = ()

    def _fleet(self) -> Fleet[AnyVm]:
        from openrelay_async.fleets import get_fleet
        from openrelay_async.lifecycles import PODS
        from openrelay_async.machines import pod_source

        return get_fleet(self._calls, PODS, pod_source)

    async def create(
        self,
        *,
        image: str,
        ssh_key_ids: Sequence[str],
        compute_class: Literal["interruptible", "on_demand", "reserved"] | str | Unset = UNSET,
        env_vars: Mapping[str, str | Secret] | Unset = UNSET,
        gpu_count: int | Unset = UNSET,
        gpu_model_id: str | Unset = UNSET,
        http_port: int | Unset = UNSET,
        name: str | Unset = UNSET,
        public: bool | Unset = UNSET,
        shm_size_gb: int | Unset = UNSET,
        volume_gb: int | Unset = UNSET,
        idempotency_key: str | None = None,
        timeout: float | None = None,
        wait_for_capacity: float | None = None,
    ) -> VmSummary:
        """Create as the API's operation does, and if wanted wait until there is room for it.

        Args:
            wait_for_capacity: seconds to wait when there is no room: availability is watched, and only
                `CapacityUnavailable` has it tried again, with the same idempotency key where there is one.
                Without it, `CapacityUnavailable` is raised at once.

        The other arguments, the result and the errors are those of the generated method.
        """
        env_vars = conceal(env_vars)
        key = str(uuid.uuid4()) if idempotency_key is None else idempotency_key

        async def create() -> VmSummary:
            return await GeneratedPods.create(
                self,
                image=image,
                ssh_key_ids=ssh_key_ids,
                compute_class=compute_class,
                env_vars=env_vars,
                gpu_count=gpu_count,
                gpu_model_id=gpu_model_id,
                http_port=http_port,
                name=name,
                public=public,
                shm_size_gb=shm_size_gb,
                volume_gb=volume_gb,
                timeout=timeout,
                idempotency_key=key,
            )

        if wait_for_capacity is None:
            return await create()
        from openrelay_async.availability import given_count, has_free_units
        from openrelay_async.capacity import create_when_possible

        async def has_room() -> bool:
            return await has_free_units(self._calls, gpu_model_id, given_count(gpu_count))

        return await create_when_possible(
            create,
            has_room,
            shared=self._calls.transport.shared,
            wanted=("pods", None, gpu_model_id, gpu_count),
            patience=wait_for_capacity,
        )

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
        fleet = self._fleet()
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
        **order: Unpack[PodOrder],
    ) -> Lease[VmSummary, AnyVm]:
        """Return a context manager that creates a pod, waits for it, and always terminates it.

        async with client.pods.lease(name="job", gpu_model_id="rtx-4090") as pod:
            ...

        It is terminated at the end of the block, after an error, a cancellation, Ctrl-C, and when waiting
        for it fails. After a create of which nobody knows whether it succeeded, it is looked for.

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
        from openrelay_async.lease import Lease, LeaseLimits, LeaseSteps, find_named
        from openrelay_async.lease_record import LeaseRecord

        name, org_id = order.setdefault("name", f"lease-{uuid.uuid4().hex[:12]}"), None
        key = str(uuid.uuid4())

        async def create() -> VmSummary:
            return await self.create(idempotency_key=key, wait_for_capacity=wait_for_capacity, **order)

        async def find(since: float) -> VmSummary | None:
            return await find_named(GeneratedPods.list(self, page_size=1000), name, since)

        async def wait(id: str, seconds: float) -> AnyVm:
            return await self.wait(id, until=until, timeout=seconds, on_update=on_update)

        steps = LeaseSteps(
            "pod",
            "pods",
            name,
            org_id,
            create,
            is_repeatable=True,
            find=find,
            wait=wait,
            terminate=GeneratedVms(self._calls).terminate,
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
        """Go on with a wait whose `WaitError` has this token, for another `timeout` seconds.

        Raises:
            ValueError: not the token of a wait on a pod.
        """
        from openrelay_async.waiting import WaitToken

        resumed = WaitToken.decode(token, "pods")
        fleet = self._fleet()
        options = fleet.options(timeout, interval, max_failures)
        return cast(
            "AnyVm",
            await fleet.wait(resumed.id, resumed.until, options, on_update, resumed),
        )

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
        fleet = self._fleet()
        options = fleet.options(timeout, interval, max_failures)
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
        fleet = self._fleet()
        options = fleet.options(timeout, interval, max_failures)
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
        fleet = self._fleet()
        options = fleet.options(timeout, interval, max_failures)
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
        fleet = self._fleet()
        changes = fleet.watch(existing=existing, interval=interval)
        try:
            async for change in changes:
                yield change
        finally:
            await changes.aclose()

    async def look_now(self) -> None:
        """Let waits and watches on pods in this event loop poll now: what a webhook receiver does."""
        self._fleet().look_now()
