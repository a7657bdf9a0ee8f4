"""Whether there is room for an order now, as far as the service tells."""

from __future__ import annotations

from typing import Literal

from openrelay_async.generated.resources.catalog import Catalog
from openrelay_async.generated.resources.pods import Pods
from openrelay_async.resource import Calls
from openrelay_async.unset import Unset


def given_count(count: int | Unset) -> int:
    """Return a number of GPUs or replicas; the service takes one where none is given."""
    return 1 if isinstance(count, Unset) else count


async def has_free_gpus(
    calls: Calls,
    model_id: str | Unset,
    together: int,
    *,
    in_all: int | None = None,
    of: Literal["vm", "cluster"] = "vm",
) -> bool:
    """Return whether so many GPUs of a model can be had.

    An order that names no model, or one that the service does not list, may as well be tried.

    Args:
        together: GPUs that must be in one machine.
        in_all: GPUs of all machines together.
        of: for what.
    """
    if isinstance(model_id, Unset):
        return True
    for model in await Catalog(calls.without_retries()).list_gpu_availability():
        if model.gpu_model_id == model_id:
            free = (model.cluster if of == "cluster" else None) or model.vm
            return free.max_placeable_gpus >= together and free.free_gpus >= (in_all or together)
    return True


async def has_free_units(calls: Calls, model_id: str | Unset, together: int) -> bool:
    """Return whether a pod can have so many GPUs of a model."""
    if isinstance(model_id, Unset):
        return True
    for model in (await Pods(calls.without_retries()).list_capacity()).items:
        if model.gpu_model_id == model_id:
            return model.free_units >= together and model.max_gpu_count >= together
    return True
