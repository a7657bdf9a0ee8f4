"""Snapshots: take, list, delete, and fork a VM from one."""

from __future__ import annotations

from openrelay_async.emulator.answers import NO_CONTENT, Answer, conflict, moment, without_absent
from openrelay_async.emulator.areas.snapshots.storage import SNAPSHOTS, Snapshot
from openrelay_async.emulator.areas.vms.ordering import order_vm
from openrelay_async.emulator.areas.vms.rules import check_allowed
from openrelay_async.emulator.areas.vms.storage import VMS
from openrelay_async.emulator.call import Call
from openrelay_async.emulator.fields import Fields
from openrelay_async.emulator.lifecycle import begin, entries, reason_at, status_at, then

TAKING = 3.0
"""Seconds until a snapshot is ready."""
_COPIED_BYTES_PER_GB = 60_000_000


def create_snapshot(call: Call) -> Answer:
    vm = call.require(VMS, call.path["id"], "VM")
    name = call.body.name()
    check_allowed("snapshot", vm, call.now)
    parents = [
        s
        for s in SNAPSHOTS.find(call.database, source_vm_id=vm.id)
        if status_at(s.timeline, call.now) == "ready"
    ]
    snapshot = Snapshot(
        id=call.new_id("snap_"),
        org_id=vm.org_id,
        name=name,
        source_vm_id=vm.id,
        created_at=call.now,
        timeline=then(begin(call.now, "pending"), call.now + TAKING, "ready"),
        disk_size_gb=vm.disk_size_gb,
        chain_depth=len(parents) + 1,
        gpu_model_id=vm.gpu_model_id,
        gpu_count=vm.gpu_count,
        resource_size=vm.resource_size,
        image_url=vm.image_url,
        template_id=vm.template_id,
        container_port=vm.container_port,
        node_id=vm.node_id,
        tier=vm.tier,
        sealed=vm.sealed,
    )
    SNAPSHOTS.insert(call.database, snapshot)
    return Answer({"id": snapshot.id, "name": name, "status": _status(call, snapshot)})


def list_snapshots(call: Call) -> Answer:
    vm_id = call.query.optional_text("vmId")
    found = SNAPSHOTS.find(call.database, org_id=call.org_id)
    return Answer([_render(call, item) for item in found if vm_id in (None, item.source_vm_id)])


def delete_snapshot(call: Call) -> Answer:
    SNAPSHOTS.delete(call.database, call.require(SNAPSHOTS, call.path["id"], "snapshot"))
    return NO_CONTENT


def fork_vm(call: Call) -> Answer:
    snapshot = call.require(SNAPSHOTS, call.body.text("snapshotId"), "snapshot")
    if _status(call, snapshot) != "ready":
        raise conflict(f"the snapshot is {_status(call, snapshot)}", "SNAPSHOT_NOT_READY")
    vm = order_vm(call, order=_as_order(call, snapshot))
    return Answer({"id": vm.id, "name": vm.name, "status": status_at(vm.timeline, call.now)})


def _as_order(call: Call, snapshot: Snapshot) -> Fields:
    """What the snapshot had, and what the caller wants otherwise."""
    kept = {
        "name": f"{snapshot.name}-fork",
        "gpuModelId": snapshot.gpu_model_id,
        "gpuCount": snapshot.gpu_count or None,
        "resourceSize": snapshot.resource_size,
        "imageUrl": snapshot.image_url,
        "templateId": snapshot.template_id,
        "containerPort": snapshot.container_port,
        "diskSizeGb": snapshot.disk_size_gb,
        "tier": snapshot.tier,
        **call.database.vault.unseal(snapshot.sealed),
    }
    return Fields({**without_absent(kept), **call.body.raw})


def _status(call: Call, snapshot: Snapshot) -> str:
    """A VM that ends while its disk is copied takes the snapshot with it."""
    return "failed" if _has_failed(call, snapshot) else status_at(snapshot.timeline, call.now)


def _has_failed(call: Call, snapshot: Snapshot) -> bool:
    vm = VMS.get(call.database, snapshot.source_vm_id)
    ready_at = snapshot.created_at + TAKING
    ends = [at for at, status in entries(vm.timeline) if status in ("terminated", "failed")] if vm else []
    return any(at < ready_at and at <= call.now for at in ends)


def _render(call: Call, snapshot: Snapshot) -> dict[str, object]:
    status = _status(call, snapshot)
    is_ready = status == "ready"
    secrets = call.database.vault.unseal(snapshot.sealed)
    error = (
        "the VM ended while its disk was copied"
        if status == "failed"
        else reason_at(snapshot.timeline, call.now)
    )
    return without_absent(
        {
            "id": snapshot.id,
            "name": snapshot.name,
            "organizationId": snapshot.org_id,
            "status": status,
            "errorMessage": error,
            "sourceVmId": snapshot.source_vm_id,
            "chainDepth": snapshot.chain_depth,
            "diskSizeGb": snapshot.disk_size_gb,
            "sizeBytes": snapshot.disk_size_gb * _COPIED_BYTES_PER_GB if is_ready else None,
            "gpuModelId": snapshot.gpu_model_id,
            "gpuCount": snapshot.gpu_count or None,
            "resourceSize": snapshot.resource_size,
            "imageUrl": snapshot.image_url,
            "templateId": snapshot.template_id,
            "containerPort": snapshot.container_port,
            "nodeId": snapshot.node_id,
            "envVars": secrets.get("envVars"),
            "createdAt": moment(snapshot.created_at),
        }
    )


HANDLERS = {
    "createVmSnapshot": create_snapshot,
    "listOrgSnapshots": list_snapshots,
    "deleteSnapshot": delete_snapshot,
    "forkVm": fork_vm,
}
