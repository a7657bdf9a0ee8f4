"""Records of money."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.storage import Collection


@attrs.frozen
class Transaction:
    id: str
    org_id: str
    amount_cents: int
    type: str
    source: str
    description: str
    created_at: float


@attrs.frozen
class Card:
    id: str
    org_id: str
    brand: str
    last4: str
    exp_month: int
    exp_year: int
    is_default: bool


@attrs.frozen
class BillingSettings:
    """One for each organization; its id is the organization's."""

    id: str
    org_id: str
    auto_recharge: bool = False
    threshold_cents: int = 1000
    amount_cents: int = 5000
    low_announced: bool = False
    depleted_announced: bool = False


@attrs.frozen
class SetupIntent:
    id: str
    org_id: str
    created_at: float
    is_complete: bool = False


@attrs.frozen
class SpendLimitRequest:
    id: str
    org_id: str
    requested_cents: int
    reason: str | None
    created_at: float
    submitted_by: str | None


TRANSACTIONS = Collection("transactions", Transaction)
CARDS = Collection("cards", Card)
BILLING_SETTINGS = Collection("billing_settings", BillingSettings)
SETUP_INTENTS = Collection("setup_intents", SetupIntent)
SPEND_LIMIT_REQUESTS = Collection("spend_limit_requests", SpendLimitRequest)
