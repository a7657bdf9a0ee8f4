"""Writing a VM down, with everything that follows from its timeline: events, usage."""

from __future__ import annotations

from openrelay_async.emulator.areas.vms.rendering import endpoint_url
from openrelay_async.emulator.areas.vms.rules import BILLED
from openrelay_async.emulator.areas.vms.storage import VMS, Vm
from openrelay_async.emulator.events import Planned, plan_events
from openrelay_async.emulator.lifecycle import all_spans, entries
from openrelay_async.emulator.metering import write_spans
from openrelay_async.emulator.storage import Database

_ANNOUNCED = ("running", "stopped", "terminated", "interrupted")


def save_vm(database: Database, vm: Vm, now: float, *, is_new: bool = False) -> Vm:
    """Insert or update a VM or pod."""
    if is_new:
        VMS.insert(database, vm)
    else:
        VMS.update(database, vm)
    item = vm.gpu_model_id or f"cpu-{vm.resource_size}"
    times = [
        (max(began, vm.billed_from), ended)
        for began, ended in all_spans(vm.timeline, BILLED)
        if ended is None or ended > vm.billed_from
    ]
    write_spans(database, vm.org_id, vm.id, item, vm.price_per_hour_cents, times)
    planned = [
        Planned(
            f"{index}:{status}",
            f"vm.{status}",
            at,
            {"vm_id": vm.id, "status": status, "endpoint": endpoint_url(vm) or ""},
        )
        for index, (at, status) in enumerate(entries(vm.timeline))
        if status in _ANNOUNCED
    ]
    plan_events(database, vm.org_id, vm.id, planned, now)
    return vm
