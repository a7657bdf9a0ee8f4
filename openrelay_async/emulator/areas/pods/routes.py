"""Pods: create, list, capacity. Everything else of a pod is done as with a VM, by its id."""

from __future__ import annotations

from openrelay_async.emulator.answers import Answer, bad_request, page_answer
from openrelay_async.emulator.areas.catalog.rules import gpu_price
from openrelay_async.emulator.areas.catalog.storage import used_gpus
from openrelay_async.emulator.areas.vms.ordering import order_vm
from openrelay_async.emulator.areas.vms.rendering import render_summary
from openrelay_async.emulator.areas.vms.storage import VMS
from openrelay_async.emulator.call import Call
from openrelay_async.emulator.fleet import GPU_KINDS, GpuKind
from openrelay_async.emulator.idempotency import create_once

_LARGEST_VOLUME = 4096


def create_pod(call: Call) -> Answer:
    key = call.header("Idempotency-Key")
    pod_id, headers = create_once(call, key, lambda: _order(call))
    pod = call.require(VMS, pod_id, "pod")
    return Answer(render_summary(pod, call.settings.fleet, call.now), headers=headers)


def _order(call: Call) -> str:
    body = call.body
    if not body.text("image").strip():
        raise bad_request("image", "must name a container image")
    port = body.optional_integer("httpPort")
    if port is not None and not 1 <= port <= 65535:
        raise bad_request("httpPort", "must be from 1 to 65535")
    for name in ("volumeGb", "shmSizeGb"):
        if name in body:
            body.bounded(name, 0, least=0, most=_LARGEST_VOLUME)
    return order_vm(call, kind="pod", require_name=False).id


def list_pods(call: Call) -> Answer:
    pods, cursor = call.page(VMS, org_id=call.org_id, kind="pod")
    return page_answer([render_summary(pod, call.settings.fleet, call.now) for pod in pods], cursor)


def list_capacity(call: Call) -> Answer:
    used = used_gpus(call.database, call.now)
    return Answer({"items": [_render_capacity(call, kind, used) for kind in GPU_KINDS]})


def _render_capacity(call: Call, kind: GpuKind, used: dict[str, int]) -> dict[str, object]:
    nodes = call.settings.fleet.with_model(kind.id)
    free = [node.gpus - used.get(node.id, 0) for node in nodes]
    return {
        "gpuModelId": kind.id,
        "name": kind.name,
        "manufacturer": kind.manufacturer,
        "vramGb": kind.vram_gb,
        "totalUnits": sum(node.gpus for node in nodes),
        "freeUnits": sum(free),
        "maxGpuCount": max(free, default=0),
        "rateOnDemandCentsPerHour": gpu_price(kind, "verified"),
        "rateInterruptibleCentsPerHour": gpu_price(kind, "verified", "interruptible"),
        "rateReservedCentsPerHour": gpu_price(kind, "verified", "reserved"),
    }


HANDLERS = {"createPod": create_pod, "listPods": list_pods, "listPodCapacity": list_capacity}
