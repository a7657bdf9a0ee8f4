"""What an organization has, what it has used, and what is left."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.answers import Refusal
from openrelay_async.emulator.areas.batches.storage import BATCHES
from openrelay_async.emulator.areas.billing.storage import (
    BILLING_SETTINGS,
    CARDS,
    TRANSACTIONS,
    BillingSettings,
    Card,
    Transaction,
)
from openrelay_async.emulator.areas.usage.rules import month_start, total_cents
from openrelay_async.emulator.lifecycle import first_at, status_at
from openrelay_async.emulator.metering import estimate_cents, read_spans
from openrelay_async.emulator.storage import Database

AUTO_STOP_FLOOR = 0
"""Cents: what runs is stopped when this little is left."""
LOW_BALANCE = 500
FORGIVEN = 0.01
"""Cents: what floating point may lose on the way to a threshold."""
SMALLEST_DEPOSIT = 500
LARGEST_DEPOSIT = 10_000_000

_NANO_USD_PER_CENT = 10_000_000


@attrs.frozen
class Standing:
    """The money of an organization, in cents."""

    balance: int
    compute: int
    compute_this_month: int
    inference: int
    inference_this_month: int

    @property
    def accrued(self) -> int:
        return self.compute + self.inference

    @property
    def available(self) -> int:
        return self.balance - self.accrued


def read_standing(database: Database, org_id: str, now: float) -> Standing:
    """Exact to the cent."""
    month = month_start(now)
    return Standing(
        balance=sum(item.amount_cents for item in TRANSACTIONS.find(database, org_id=org_id)),
        compute=total_cents(read_spans(database, org_id, 0.0, now), 0.0, now),
        compute_this_month=total_cents(read_spans(database, org_id, month, now), month, now),
        inference=_inference_cents(database, org_id, 0.0, now),
        inference_this_month=_inference_cents(database, org_id, month, now),
    )


def estimate_available(database: Database, org_id: str, now: float) -> float:
    """Near enough to decide on credit, and fast."""
    balance = sum(item.amount_cents for item in TRANSACTIONS.find(database, org_id=org_id))
    return balance - estimate_cents(database, org_id, now) - _inference_cents(database, org_id, 0.0, now)


def _inference_cents(database: Database, org_id: str, since: float, until: float) -> int:
    nano = 0
    for batch in BATCHES.find(database, org_id=org_id):
        completed = first_at(batch.timeline, "completed")
        if status_at(batch.timeline, until) == "completed" and completed is not None and since <= completed:
            nano += batch.cost_nano_usd
    return (nano + _NANO_USD_PER_CENT // 2) // _NANO_USD_PER_CENT


def require_credit(database: Database, org_id: str, now: float) -> None:
    """Raise 402 when nothing is left to run something new with."""
    if estimate_available(database, org_id, now) - FORGIVEN <= AUTO_STOP_FLOOR:
        raise Refusal(402, "the balance is used up: make a deposit", "INSUFFICIENT_BALANCE")


def add_transaction(
    database: Database, org_id: str, cents: int, kind: str, source: str, description: str, now: float
) -> Transaction:
    transaction = Transaction(database.new_id("txn_"), org_id, cents, kind, source, description, now)
    settings = read_settings(database, org_id)
    if settings.low_announced or settings.depleted_announced:
        write_settings(database, attrs.evolve(settings, low_announced=False, depleted_announced=False))
    return TRANSACTIONS.insert(database, transaction)


def read_settings(database: Database, org_id: str) -> BillingSettings:
    return BILLING_SETTINGS.get(database, org_id) or BillingSettings(org_id, org_id)


def write_settings(database: Database, settings: BillingSettings) -> BillingSettings:
    if BILLING_SETTINGS.get(database, settings.id) is None:
        return BILLING_SETTINGS.insert(database, settings)
    return BILLING_SETTINGS.update(database, settings)


def default_card(database: Database, org_id: str) -> Card | None:
    return next((card for card in CARDS.find(database, org_id=org_id) if card.is_default), None)


def open_account(database: Database, org_id: str, cents: int, now: float) -> None:
    """What a new organization begins with: some credit and a test card."""
    add_transaction(database, org_id, cents, "credit", "promotion", "Welcome credit", now)
    CARDS.insert(database, Card(database.new_id("pm_"), org_id, "visa", "4242", 12, 2031, is_default=True))
