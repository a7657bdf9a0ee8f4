"""VMs as the service shows them."""

from __future__ import annotations

from openrelay_async.emulator.answers import moment, rfc3339, without_absent
from openrelay_async.emulator.areas.catalog.rules import CPU_SIZES, IMAGES, PLACES
from openrelay_async.emulator.areas.vms.rules import is_ssh_ready, provisioning_stage
from openrelay_async.emulator.areas.vms.storage import Vm
from openrelay_async.emulator.fleet import Fleet
from openrelay_async.emulator.lifecycle import changed_at, last_at, reason_at, status_at


def render_summary(vm: Vm, fleet: Fleet, now: float) -> dict[str, object]:
    kind = fleet.kind(vm.gpu_model_id) if vm.gpu_model_id else None
    return without_absent(
        {
            "id": vm.id,
            "name": vm.name,
            "organizationId": vm.org_id,
            "status": status_at(vm.timeline, now),
            "statusReason": reason_at(vm.timeline, now),
            "provisioningStage": provisioning_stage(vm, now),
            "gpuModelId": vm.gpu_model_id,
            "gpuModelName": kind.name if kind else None,
            "gpuManufacturer": kind.manufacturer if kind else None,
            "gpuCount": vm.gpu_count,
            "pricePerHourCents": vm.price_per_hour_cents,
            "resourceSize": vm.resource_size,
            "diskSizeGb": vm.disk_size_gb,
            "volumeGb": vm.volume_gb,
            "tier": vm.tier,
            "computeClass": vm.compute_class,
            "serviceType": vm.service_type,
            "imageUrl": vm.image_url,
            "public": vm.public,
            "endpointUrl": endpoint_url(vm),
            "createdAt": moment(vm.created_at),
        }
    )


def render_detail(vm: Vm, fleet: Fleet, now: float) -> dict[str, object]:
    """Everything in the summary, and what only the machine knows."""
    summary = render_summary(vm, fleet, now)
    for name in ("gpuModelName", "gpuManufacturer"):
        summary.pop(name, None)
    status = status_at(vm.timeline, now)
    ready = is_ssh_ready(vm, now)
    detail = {
        **summary,
        "updatedAt": moment(max(vm.updated_at, changed_at(vm.timeline, now))),
        "startedAt": rfc3339(last_at(vm.timeline, "running", now)),
        "interruptedAt": rfc3339(last_at(vm.timeline, "interrupted", now)),
        "terminatedAt": rfc3339(last_at(vm.timeline, "terminated", now)),
        "healthy": status == "running",
        "containerPort": vm.container_port,
        "nodeId": vm.node_id,
        "nodeInfo": _render_node(vm, fleet),
        "gpuInfo": _render_gpu(vm, fleet),
        "templateInfo": _render_template(vm),
        "osType": "linux",
        "sshReady": ready,
        "sshState": "ready" if ready else "booting" if status in ("deploying", "running") else "offline",
        "guestVcpu": _vcpus(vm),
    }
    if status == "running":
        detail |= _render_access(vm)
    return without_absent(detail)


def endpoint_url(vm: Vm) -> str | None:
    """Where its service would answer: nothing listens there."""
    return f"https://{vm.id.replace('_', '-')}.vms.openrelay.example" if vm.container_port else None


def _render_access(vm: Vm) -> dict[str, object]:
    port = 20000 + int(vm.id[-4:], 16) % 10000
    host = f"{vm.node_id}.fleet.openrelay.example"
    return {
        "internalIp": f"10.{int(vm.id[-6:-4], 16)}.{int(vm.id[-4:-2], 16)}.{int(vm.id[-2:], 16)}",
        "sshHost": host,
        "sshPort": port,
        "sshUser": "ubuntu",
        "sshHandle": vm.id,
        "sshCommand": f"ssh -p {port} ubuntu@{host}",
        "diskTotalBytes": vm.disk_size_gb * 10**9,
        "diskUsedBytes": 6 * 10**9,
    }


def _render_node(vm: Vm, fleet: Fleet) -> dict[str, object]:
    node = fleet.node(vm.node_id)
    place = next((place for place in PLACES if place.id == vm.location_id), None)
    return {
        "hostname": node.hostname if node else vm.node_id,
        "location": f"{place.city}, {place.country}" if place else vm.location_id,
    }


def _render_gpu(vm: Vm, fleet: Fleet) -> dict[str, object] | None:
    kind = fleet.kind(vm.gpu_model_id) if vm.gpu_model_id else None
    if kind is None:
        return None
    return {
        "name": kind.name,
        "manufacturer": kind.manufacturer,
        "vramGb": kind.vram_gb,
        "pricePerHourCents": vm.price_per_hour_cents // max(vm.gpu_count, 1),
    }


def _render_template(vm: Vm) -> dict[str, object] | None:
    image = next((image for image in IMAGES if image.id == vm.template_id), None)
    if image is None:
        return None
    return {"name": image.name, "osType": image.os_type, "osVersion": image.os_version}


def _vcpus(vm: Vm) -> int:
    size = CPU_SIZES.get(vm.resource_size)
    return size.vcpus if size else vm.gpu_count * 16
