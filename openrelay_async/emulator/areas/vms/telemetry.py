"""Logs, metrics and burn of a VM."""

from __future__ import annotations

from openrelay_async.emulator.answers import Answer, rfc3339, without_absent
from openrelay_async.emulator.areas.billing.ledger import AUTO_STOP_FLOOR, read_standing
from openrelay_async.emulator.areas.usage.rules import runway_hours, total_cents
from openrelay_async.emulator.areas.vms.observation import measure, write_log
from openrelay_async.emulator.areas.vms.rules import BILLED
from openrelay_async.emulator.areas.vms.storage import VMS, Vm
from openrelay_async.emulator.call import Call
from openrelay_async.emulator.lifecycle import last_at, status_at
from openrelay_async.emulator.metering import burn_per_hour, read_spans


def get_logs(call: Call) -> Answer:
    vm = call.require(VMS, call.path.get("vmId") or call.path["podId"], "VM")
    content = write_log(vm, call.now)
    if content is None:
        return Answer({"found": False, "content": None, "message": "it has not run yet"})
    return Answer({"found": True, "content": content})


def get_metrics(call: Call) -> Answer:
    vm = call.require(VMS, call.path["id"], "VM")
    kind = call.settings.fleet.kind(vm.gpu_model_id) if vm.gpu_model_id else None
    return Answer(measure(vm, kind, call.query.text("range", "1h"), call.now))


def get_burn(call: Call) -> Answer:
    vm = call.require(VMS, call.path["id"], "VM")
    is_running = status_at(vm.timeline, call.now) in BILLED
    began = last_at(vm.timeline, "running", call.now) if is_running else None
    spans = read_spans(call.database, vm.org_id, began or call.now, call.now)
    session = total_cents([span for span in spans if span.resource_id == vm.id], began or call.now, call.now)
    standing = read_standing(call.database, vm.org_id, call.now)
    burn = burn_per_hour(call.database, vm.org_id, call.now)
    return Answer(
        without_absent(_locate(vm))
        | {
            "pricePerHourCents": vm.price_per_hour_cents,
            "rateBasis": "gpu" if vm.gpu_model_id else "cpu",
            "rateSource": "locked",
            "diskBilled": False,
            "accruedSessionCents": session,
            "orgAccruedCents": standing.accrued,
            "orgAccruedMonthCents": standing.compute_this_month + standing.inference_this_month,
            "orgAvailableCents": standing.available,
            "orgBurnPerHourCents": burn,
            "autoStopFloorCents": AUTO_STOP_FLOOR,
            "projectedRunwayHours": runway_hours(standing.available, burn),
        }
        | ({"sessionStartedAt": rfc3339(began)} if began is not None else {})
    )


def _locate(vm: Vm) -> dict[str, object]:
    per_gpu = vm.price_per_hour_cents // vm.gpu_count if vm.gpu_count else None
    return {"vmId": vm.id, "gpuCount": vm.gpu_count or None, "perGpuCents": per_gpu}


def get_telegram_link(call: Call) -> Answer:
    """Nobody links a chat to an emulated VM: the honest answer is that there is none."""
    call.require(VMS, call.path["id"], "VM")
    return Answer({"present": False})


HANDLERS = {
    "getVmLogs": get_logs,
    "getPodLogs": get_logs,
    "getVmMetrics": get_metrics,
    "getVmBurn": get_burn,
    "getVmTelegramLink": get_telegram_link,
}
