"""Moving a resource: from now on it is the other organization's, and so is what it costs."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.areas.clusters.rules import list_replicas
from openrelay_async.emulator.areas.clusters.saving import meter_replicas, save_cluster
from openrelay_async.emulator.areas.clusters.storage import CLUSTERS, Cluster
from openrelay_async.emulator.areas.vms.saving import save_vm
from openrelay_async.emulator.areas.vms.storage import VMS, Vm
from openrelay_async.emulator.lifecycle import status_at
from openrelay_async.emulator.metering import close_account
from openrelay_async.emulator.storage import Database


def hand_over_vm(
    database: Database, vm: Vm, target: str, ssh_key_ids: list[str], transfer_id: str, now: float
) -> None:
    """SSH keys stay behind: the new owner names their own."""
    close_account(database, vm.id, transfer_id, now)
    moved = attrs.evolve(vm, org_id=target, ssh_key_ids=ssh_key_ids, updated_at=now, billed_from=now)
    _move_events(database, vm.id, target)
    save_vm(database, moved, now)


def hand_over_cluster(
    database: Database, cluster: Cluster, target: str, transfer_id: str, now: float
) -> None:
    moved = attrs.evolve(cluster, org_id=target, updated_at=now)
    _move_events(database, cluster.id, target)
    if status_at(cluster.timeline, now) == "deploying":
        replicas = list_replicas(cluster)
        for replica in replicas:
            close_account(database, replica.id, transfer_id, now)
        meter_replicas(database, moved, replicas, since=now)
    save_cluster(database, moved, now)


def find_resource(database: Database, kind: str, resource_id: str) -> Vm | Cluster | None:
    return VMS.get(database, resource_id) if kind == "vm" else CLUSTERS.get(database, resource_id)


def _move_events(database: Database, subject: str, org_id: str) -> None:
    database.execute("UPDATE events SET org_id = ? WHERE subject = ? AND dispatched = 0", (org_id, subject))
