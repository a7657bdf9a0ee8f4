"""Whether there is room for an order now, as far as the service tells.

The order is given as its create takes it. One that names no GPU model, or one that the service does not list,
may as well be tried.
"""

from __future__ import annotations

from typing import Literal

from openrelay_async.generated.models.catalog import GpuAvailability
from openrelay_async.generated.models.pods import PodCapacityList
from openrelay_async.generated.operation_rows.catalog import GET_GPU_AVAILABILITY
from openrelay_async.generated.operation_rows.pods import LIST_POD_CAPACITY
from openrelay_async.resource import Calls
from openrelay_async.unset import Unset


async def has_room_for_vm(calls: Calls, gpu_model_id: str | Unset, gpu_count: int | Unset) -> bool:
    count = _given_count(gpu_count)
    return await _has_free_gpus(calls, gpu_model_id, "vm", together=count, in_all=count)


async def has_room_for_cluster(
    calls: Calls, gpu_model_id: str | Unset, gpus_per_replica: int | Unset, replica_count: int | Unset
) -> bool:
    """Return whether each replica can have its GPUs on one machine, and all together theirs."""
    each = _given_count(gpus_per_replica)
    return await _has_free_gpus(
        calls, gpu_model_id, "cluster", together=each, in_all=each * _given_count(replica_count)
    )


async def has_room_for_pod(calls: Calls, gpu_model_id: str | Unset, gpu_count: int | Unset) -> bool:
    if isinstance(gpu_model_id, Unset):
        return True
    count = _given_count(gpu_count)
    capacity = await calls.for_polls().call(LIST_POD_CAPACITY, PodCapacityList)
    for model in capacity.items:
        if model.gpu_model_id == gpu_model_id:
            return model.free_units >= count and model.max_gpu_count >= count
    return True


def _given_count(count: int | Unset) -> int:
    """Return a number of GPUs or replicas; the service takes one where none is given."""
    return 1 if isinstance(count, Unset) else count


async def _has_free_gpus(
    calls: Calls, model_id: str | Unset, of: Literal["vm", "cluster"], *, together: int, in_all: int
) -> bool:
    """Return whether so many GPUs of a model can be had.

    Args:
        of: for what.
        together: GPUs that must be in one machine.
        in_all: GPUs of all machines together.
    """
    if isinstance(model_id, Unset):
        return True
    for model in await calls.for_polls().call_list(GET_GPU_AVAILABILITY, GpuAvailability):
        if model.gpu_model_id == model_id:
            free = (model.cluster if of == "cluster" else None) or model.vm
            return free.max_placeable_gpus >= together and free.free_gpus >= in_all
    return True
