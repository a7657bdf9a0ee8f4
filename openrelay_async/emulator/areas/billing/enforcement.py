"""What happens when money runs out: a warning, a recharge, and the end of what runs.

The moment is computed, not polled: `next_check` says when an organization reaches its next threshold at the
present burn, and what happens then is dated to that moment even if the clock was turned far beyond it.
"""

from __future__ import annotations

import attrs

from openrelay_async.emulator.areas.account.storage import ORGANIZATIONS
from openrelay_async.emulator.areas.billing.ledger import (
    AUTO_STOP_FLOOR,
    FORGIVEN,
    LOW_BALANCE,
    add_transaction,
    default_card,
    estimate_available,
    read_settings,
    write_settings,
)
from openrelay_async.emulator.areas.catalog.storage import release
from openrelay_async.emulator.areas.clusters import rules as cluster_rules
from openrelay_async.emulator.areas.clusters.saving import end_replicas, save_cluster
from openrelay_async.emulator.areas.clusters.storage import CLUSTERS
from openrelay_async.emulator.areas.kubernetes.pools import remove
from openrelay_async.emulator.areas.kubernetes.rules import wanted_nodes
from openrelay_async.emulator.areas.kubernetes.storage import NODE_POOLS
from openrelay_async.emulator.areas.vms import rules as vm_rules
from openrelay_async.emulator.areas.vms.saving import save_vm
from openrelay_async.emulator.areas.vms.storage import VMS
from openrelay_async.emulator.events import Planned, plan_events
from openrelay_async.emulator.lifecycle import status_at, then
from openrelay_async.emulator.metering import MICROSECONDS, burn_per_hour, ticks
from openrelay_async.emulator.storage import Database

_REASON = "balance depleted"


def next_check(database: Database, now: float) -> float | None:
    """When the next organization reaches a threshold; None while nothing runs."""
    moments = [_next_threshold(database, str(row[0]), now) for row in _burning(database)]
    return min((at for at in moments if at is not None), default=None)


def _burning(database: Database) -> list[tuple[str]]:
    return database.execute("SELECT DISTINCT org_id FROM spans WHERE ended IS NULL").fetchall()


def _next_threshold(database: Database, org_id: str, now: float) -> float | None:
    burn = burn_per_hour(database, org_id, now)
    if burn == 0:
        # Something is going to run soon: look again when it does.
        row = database.execute(
            "SELECT MIN(began) FROM spans WHERE org_id = ? AND ended IS NULL AND began > ?",
            (org_id, ticks(now)),
        ).fetchone()
        return None if row[0] is None else float(row[0]) / MICROSECONDS
    available = estimate_available(database, org_id, now)
    settings = read_settings(database, org_id)
    if settings.depleted_announced:
        return None
    threshold: float = AUTO_STOP_FLOOR
    if settings.auto_recharge:
        threshold = max(threshold, settings.threshold_cents)
    if not settings.low_announced:
        threshold = max(threshold, LOW_BALANCE)
    return now + max(0.0, available - threshold) / burn * 3600


class BillingWatch:
    """Knows when the next threshold is reached, and acts when it was."""

    def __init__(self, database: Database, since: float) -> None:
        self._database = database
        self.due = next_check(database, since)

    def refresh(self, now: float) -> None:
        """Something was written: the burn may be another."""
        self.due = next_check(self._database, now)

    def catch_up(self, now: float) -> None:
        """Do all that has come due, in its order."""
        while self.due is not None and self.due <= now:
            at = self.due
            with self._database.transaction():
                enforce(self._database, at, now)
            self.due = next_check(self._database, at)
            if self.due == at:
                self.due = next_check(self._database, now)  # nothing came of it: not the same again
                return


def enforce(database: Database, at: float, now: float) -> None:
    """Do what is due: `at` is the moment of the threshold, `now` the time it is noticed."""
    for (org_id,) in _burning(database):
        if ORGANIZATIONS.get(database, org_id) is not None:
            _enforce_one(database, org_id, at, now)


def _enforce_one(database: Database, org_id: str, at: float, now: float) -> None:
    available = estimate_available(database, org_id, at) - FORGIVEN
    settings = read_settings(database, org_id)
    card = default_card(database, org_id)
    if settings.auto_recharge and card is not None and available <= settings.threshold_cents:
        text = f"Auto-recharge with {card.brand} {card.last4}"
        add_transaction(database, org_id, settings.amount_cents, "deposit", "auto_recharge", text, at)
        return
    if available <= AUTO_STOP_FLOOR:
        write_settings(database, attrs.evolve(settings, low_announced=True, depleted_announced=True))
        _announce(database, org_id, "balance.depleted", AUTO_STOP_FLOOR, at, now)
        _stop_all(database, org_id, at)
    elif available <= LOW_BALANCE and not settings.low_announced:
        write_settings(database, attrs.evolve(settings, low_announced=True))
        _announce(database, org_id, "balance.low", LOW_BALANCE, at, now)


def _announce(database: Database, org_id: str, kind: str, threshold: int, at: float, now: float) -> None:
    data = {"available_cents": round(estimate_available(database, org_id, at)), "threshold_cents": threshold}
    # Planned as of `at`, which may be past: an event is only dropped as past when it is older than the
    # plan's now.
    plan_events(database, org_id, f"{org_id}:{kind}:{at}", [Planned("once", kind, at, data)], min(at, now))


def _stop_all(database: Database, org_id: str, at: float) -> None:
    for vm in VMS.find(database, org_id=org_id):
        if status_at(vm.timeline, at) in vm_rules.HOLDING:
            release(database, vm.id)
            stopped = attrs.evolve(vm, timeline=then(vm.timeline, at, "stopped", _REASON), updated_at=at)
            save_vm(database, stopped, at)
    for cluster in CLUSTERS.find(database, org_id=org_id):
        if status_at(cluster.timeline, at) in cluster_rules.HOLDING:
            end_replicas(database, cluster, cluster_rules.list_replicas(cluster), at)
            stopped_cluster = attrs.evolve(
                cluster, timeline=then(cluster.timeline, at, "stopped", _REASON), updated_at=at
            )
            save_cluster(database, stopped_cluster, at)
    for pool in NODE_POOLS.find(database, org_id=org_id):
        remove(database, pool, {node.id for node in wanted_nodes(pool)}, at)
