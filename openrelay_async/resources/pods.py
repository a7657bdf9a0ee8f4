"""`client.pods`: containers with GPUs, and leasing them."""

from __future__ import annotations

import uuid
from os import PathLike
from typing import TYPE_CHECKING, Literal, Unpack

from openrelay_async.generated.models.shared import VmSummary
from openrelay_async.generated.resources.pods import Pods as GeneratedPods
from openrelay_async.redaction import conceal
from openrelay_async.wait_limits import DEFAULT_TIMEOUT

if TYPE_CHECKING:
    # Leasing loads what it needs when it is used: most programs that read a pod never do.
    from openrelay_async.generated.resources.vms import AnyVm
    from openrelay_async.lease import Lease
    from openrelay_async.orders import PodOrder
    from openrelay_async.waiting import OnUpdate


class Pods(GeneratedPods):
    """Containers with GPUs."""

    __slots__ = ()

    def lease(
        self,
        *,
        until: Literal["running", "ssh_ready"] = "running",
        wait_timeout: float = DEFAULT_TIMEOUT,
        wait_for_capacity: float | bool | None = None,
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
            wait_for_capacity: seconds to wait if there is no room for it; `True` for as long as it takes.
            max_duration: ends it after so many seconds from its creation.
            max_cost_cents: ends it when it has cost so much, by its price an hour (US cents).
            record: a file of leases, with which `leases.sweep` ends what a crash has left.
            on_update: told of its changes while it is waited for.
            order: the arguments of `create`.

        Raises:
            LeaseExpired: it came to its limit; the block was cancelled.
            LeaseError: it could not be terminated and may still run: its id is named. Or nobody knows what
                a create without an answer has created: its name is told, and ended is only what is its own.
            WaitError: it did not get ready; it is terminated.
            ConfigurationError, TypeError, ValueError: an argument that cannot work, before anything is sent.
        """
        if "env_vars" in order:
            order["env_vars"] = conceal(order["env_vars"])
        from openrelay_async.generated.resources.vms import Vms
        from openrelay_async.lease import Lease
        from openrelay_async.lease_terms import LeaseSteps, LeaseTerms, check_order
        from openrelay_async.lifecycles import PODS

        terms = LeaseTerms(
            lifecycle=PODS,
            until=until,
            wait_timeout=wait_timeout,
            wait_for_capacity=wait_for_capacity,
            max_duration=max_duration,
            max_cost_cents=max_cost_cents,
            record=record,
            on_update=on_update,
        )
        name = order.setdefault("name", f"lease-{uuid.uuid4().hex[:12]}")
        check_order(self.create, order)
        key = str(uuid.uuid4())

        async def create(patience: float | None) -> VmSummary:
            return await self.create(idempotency_key=key, wait_for_capacity=patience, **order)

        async def wait(id: str, seconds: float) -> AnyVm:
            return await self.wait(id, until=until, timeout=seconds, on_update=on_update)

        steps = LeaseSteps(
            PODS,
            name,
            None,
            create,
            is_repeatable=True,
            listed=self.list(page_size=1000),
            wait=wait,
            terminate=Vms(self._calls).terminate,
            price=lambda vm: vm.price_per_hour_cents,
        )
        return Lease(steps, terms, self._calls.transport)
