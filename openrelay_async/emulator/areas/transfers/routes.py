"""Transfers: offer, look, accept, reject, cancel."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.answers import (
    NO_CONTENT,
    Answer,
    Refusal,
    bad_request,
    conflict,
    moment,
    not_found,
    rfc3339,
    without_absent,
)
from openrelay_async.emulator.areas.account.storage import ORGANIZATIONS
from openrelay_async.emulator.areas.clusters.rules import cluster_status
from openrelay_async.emulator.areas.clusters.storage import Cluster
from openrelay_async.emulator.areas.ssh_keys.storage import choose_ssh_keys
from openrelay_async.emulator.areas.transfers.handover import find_resource, hand_over_cluster, hand_over_vm
from openrelay_async.emulator.areas.transfers.storage import TRANSFERS, Transfer
from openrelay_async.emulator.areas.vms.storage import Vm
from openrelay_async.emulator.call import Call
from openrelay_async.emulator.lifecycle import status_at


def initiate(call: Call) -> Answer:
    body = call.body
    kind = body.text("resourceType")
    resource = find_resource(call.database, kind, body.text("resourceId"))
    if resource is None or resource.org_id != call.org_id:
        raise not_found(kind)
    targets = [
        item
        for item in ORGANIZATIONS.find(call.database, slug=body.text("targetOrgSlug"))
        if not item.deleted_at
    ]
    if not targets:
        raise bad_request("targetOrgSlug", "is no organization")
    if targets[0].id == call.org_id:
        raise bad_request("targetOrgSlug", "has it already")
    if _status(resource, call.now) in ("terminated", "failed"):
        raise conflict("it has ended", "INVALID_STATE")
    if any(
        item.status_at(call.now) == "pending"
        for item in TRANSFERS.find(call.database, resource_id=resource.id)
    ):
        raise conflict("it is on offer already", "TRANSFER_PENDING")
    transfer = Transfer(
        id=call.new_id("tr_"),
        org_id=call.org_id,
        target_org_id=targets[0].id,
        resource_type=kind,
        resource_id=resource.id,
        resource_name=resource.name,
        created_at=call.now,
        initiated_by=call.principal.responsible_user_id,
        note=body.optional_text("note") or None,
    )
    TRANSFERS.insert(call.database, transfer)
    call.audit("transfer.initiated", kind, resource.id, after=targets[0].id)
    return Answer(_render_request(transfer, call.now))


def _status(resource: Vm | Cluster, now: float) -> str:
    return (
        cluster_status(resource, now) if isinstance(resource, Cluster) else status_at(resource.timeline, now)
    )


def accept(call: Call) -> Answer:
    transfer = _require(call, as_target=True)
    resource = find_resource(call.database, transfer.resource_type, transfer.resource_id)
    if resource is None or _status(resource, call.now) in ("terminated", "failed"):
        raise conflict("it has ended meanwhile", "INVALID_STATE")
    target = transfer.target_org_id
    if isinstance(resource, Cluster):
        hand_over_cluster(call.database, resource, target, transfer.id, call.now)
    else:
        ids = choose_ssh_keys(
            call.database, call.body.texts("sshKeyIds"), target, owner="the organization that accepts"
        )
        hand_over_vm(call.database, resource, target, ids, transfer.id, call.now)
    return _respond(call, transfer, "accepted")


def reject(call: Call) -> Answer:
    return _respond(call, _require(call, as_target=True), "rejected")


def cancel(call: Call) -> Answer:
    return _respond(call, _require(call, as_target=False), "cancelled")


def _respond(call: Call, transfer: Transfer, state: str) -> Answer:
    who = call.principal.responsible_user_id
    changed = attrs.evolve(transfer, state=state, responded_at=call.now, responded_by=who)
    TRANSFERS.update(call.database, changed)
    for org_id in (transfer.org_id, transfer.target_org_id):
        call.audit(f"transfer.{state}", transfer.resource_type, transfer.resource_id, org_id=org_id)
    return NO_CONTENT


def _require(call: Call, *, as_target: bool) -> Transfer:
    transfer = TRANSFERS.get(call.database, call.path["id"])
    sees = transfer and any(
        call.principal.may_do(call.operation, org_id) for org_id in (transfer.org_id, transfer.target_org_id)
    )
    if transfer is None or not sees:
        raise not_found("transfer")
    side = transfer.target_org_id if as_target else transfer.org_id
    if not call.principal.may_do(call.operation, side):
        raise Refusal(403, "that is for the other side to do", "FORBIDDEN")
    status = transfer.status_at(call.now)
    if status != "pending":
        raise conflict(f"the transfer is {status}", "TRANSFER_CLOSED")
    return transfer


def list_incoming(call: Call) -> Answer:
    found = TRANSFERS.find(call.database, target_org_id=call.org_id)[::-1]
    return Answer([_render_item(call, transfer) for transfer in found])


def list_outgoing(call: Call) -> Answer:
    found = TRANSFERS.find(call.database, org_id=call.org_id)[::-1]
    return Answer([_render_item(call, transfer) for transfer in found])


def count_pending(call: Call) -> Answer:
    found = TRANSFERS.find(call.database, target_org_id=call.org_id)
    return Answer({"count": sum(transfer.status_at(call.now) == "pending" for transfer in found)})


def list_targets(call: Call) -> Answer:
    """The organizations of the user: others can be named by their slug, too."""
    found = [ORGANIZATIONS.get(call.database, org_id) for org_id in call.principal.grants]
    return Answer([{"id": item.id, "name": item.name, "slug": item.slug} for item in found if item])


def _common(transfer: Transfer, now: float) -> dict[str, object]:
    return {
        "id": transfer.id,
        "resourceType": transfer.resource_type,
        "vmId": transfer.resource_id if transfer.resource_type == "vm" else None,
        "clusterId": transfer.resource_id if transfer.resource_type == "cluster" else None,
        "status": transfer.status_at(now),
        "note": transfer.note,
        "createdAt": moment(transfer.created_at),
        "expiresAt": moment(transfer.expires_at),
        "respondedAt": rfc3339(transfer.responded_at),
        "completedAt": rfc3339(transfer.responded_at) if transfer.state == "accepted" else None,
    }


def _render_request(transfer: Transfer, now: float) -> dict[str, object]:
    return without_absent(
        {
            **_common(transfer, now),
            "sourceOrganizationId": transfer.org_id,
            "targetOrganizationId": transfer.target_org_id,
            "initiatedBy": transfer.initiated_by,
            "respondedBy": transfer.responded_by,
        }
    )


def _render_item(call: Call, transfer: Transfer) -> dict[str, object]:
    source = ORGANIZATIONS.get(call.database, transfer.org_id)
    target = ORGANIZATIONS.get(call.database, transfer.target_org_id)
    return without_absent(
        {
            **_common(transfer, call.now),
            "resourceName": transfer.resource_name,
            "sourceOrgName": source.name if source else None,
            "sourceOrgSlug": source.slug if source else None,
            "targetOrgName": target.name if target else None,
            "targetOrgSlug": target.slug if target else None,
        }
    )


HANDLERS = {
    "initiateTransfer": initiate,
    "acceptTransfer": accept,
    "rejectTransfer": reject,
    "cancelTransfer": cancel,
    "listIncomingTransfers": list_incoming,
    "listOutgoingTransfers": list_outgoing,
    "getTransferPendingCount": count_pending,
    "listTransferTargetOrgs": list_targets,
}
