"""Balance, deposits, cards, auto-recharge, spend limits."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.answers import (
    NO_CONTENT,
    Answer,
    Refusal,
    bad_request,
    conflict,
    moment,
    without_absent,
)
from openrelay_async.emulator.areas.account.storage import USERS
from openrelay_async.emulator.areas.billing import ledger
from openrelay_async.emulator.areas.billing.storage import (
    CARDS,
    SETUP_INTENTS,
    SPEND_LIMIT_REQUESTS,
    TRANSACTIONS,
    BillingSettings,
    Card,
    SetupIntent,
    SpendLimitRequest,
    Transaction,
)
from openrelay_async.emulator.call import Call
from openrelay_async.emulator.idempotency import create_once

_PUBLISHABLE_KEY = "pk_test_emulator"
_SHOWN_TRANSACTIONS = 100


def get_balance(call: Call) -> Answer:
    standing = ledger.read_standing(call.database, call.org_id, call.now)
    transactions = TRANSACTIONS.find(call.database, org_id=call.org_id)[::-1][:_SHOWN_TRANSACTIONS]
    return Answer(
        {
            "balanceCents": standing.balance,
            "accruedUsageCents": standing.accrued,
            "availableCents": standing.available,
            "monthlySpendLimitCents": None,
            "minDepositCents": ledger.SMALLEST_DEPOSIT,
            "currentMonthComputeCents": standing.compute_this_month,
            "currentMonthInferenceCents": standing.inference_this_month,
            "currentMonthUsageCents": standing.compute_this_month + standing.inference_this_month,
            "pendingInferenceCents": 0,
            "pendingInferenceReservedCents": 0,
            "priorUnsettledComputeCents": standing.compute - standing.compute_this_month,
            "transactions": [_render_transaction(item) for item in transactions],
        }
    )


def _render_transaction(item: Transaction) -> dict[str, object]:
    return {
        "id": item.id,
        "amountCents": item.amount_cents,
        "type": item.type,
        "source": item.source,
        "description": item.description,
        "createdAt": moment(item.created_at),
    }


def deposit(call: Call) -> Answer:
    cents = call.body.bounded("amountCents", 0, least=ledger.SMALLEST_DEPOSIT, most=ledger.LARGEST_DEPOSIT)
    key = call.body.optional_text("idempotencyKey")
    if key is not None and not 1 <= len(key) <= 255:
        raise bad_request("idempotencyKey", "must have 1 to 255 characters")
    card = ledger.default_card(call.database, call.org_id)
    if card is None:
        raise Refusal(402, "there is no card to charge", "PAYMENT_METHOD_REQUIRED")

    def charge() -> str:
        text = f"Deposit with {card.brand} {card.last4}"
        ledger.add_transaction(call.database, call.org_id, cents, "deposit", "card", text, call.now)
        return call.new_id("pi_")

    intent, headers = create_once(call, key, charge)
    secret = call.database.vault.derive(f"{intent}_secret_", "deposit", intent)
    body = {
        "paymentIntentId": intent,
        "status": "succeeded",
        "clientSecret": secret,
        "publishableKey": _PUBLISHABLE_KEY,
    }
    return Answer(body, headers=headers)


def get_auto_recharge(call: Call) -> Answer:
    return Answer(_render_recharge(ledger.read_settings(call.database, call.org_id)))


def update_auto_recharge(call: Call) -> Answer:
    body = call.body
    settings = attrs.evolve(
        ledger.read_settings(call.database, call.org_id),
        auto_recharge=body.boolean("enabled"),
        threshold_cents=body.bounded("thresholdCents", 0, least=0, most=ledger.LARGEST_DEPOSIT),
        amount_cents=body.bounded(
            "amountCents", 0, least=ledger.SMALLEST_DEPOSIT, most=ledger.LARGEST_DEPOSIT
        ),
    )
    if settings.auto_recharge and ledger.default_card(call.database, call.org_id) is None:
        raise Refusal(402, "there is no card to charge", "PAYMENT_METHOD_REQUIRED")
    return Answer(_render_recharge(ledger.write_settings(call.database, settings)))


def _render_recharge(settings: BillingSettings) -> dict[str, object]:
    return {
        "enabled": settings.auto_recharge,
        "thresholdCents": settings.threshold_cents,
        "amountCents": settings.amount_cents,
    }


def list_payment_methods(call: Call) -> Answer:
    cards = CARDS.find(call.database, org_id=call.org_id)
    default = next((card.id for card in cards if card.is_default), None)
    body = {"paymentMethods": [_render_card(card) for card in cards], "defaultPaymentMethodId": default}
    return Answer(without_absent(body))


def _render_card(card: Card) -> dict[str, object]:
    return {
        "id": card.id,
        "brand": card.brand,
        "last4": card.last4,
        "expMonth": card.exp_month,
        "expYear": card.exp_year,
    }


def delete_payment_method(call: Call) -> Answer:
    card = _find_card(call)
    settings = ledger.read_settings(call.database, call.org_id)
    if card.is_default and settings.auto_recharge:
        raise conflict("auto-recharge needs this card", "PAYMENT_METHOD_IN_USE")
    CARDS.delete(call.database, card)
    left = CARDS.find(call.database, org_id=call.org_id)
    if card.is_default and left:
        CARDS.update(call.database, attrs.evolve(left[0], is_default=True))
    return NO_CONTENT


def set_default_payment_method(call: Call) -> Answer:
    chosen = _find_card(call)
    for card in CARDS.find(call.database, org_id=call.org_id):
        CARDS.update(call.database, attrs.evolve(card, is_default=card.id == chosen.id))
    return NO_CONTENT


def _find_card(call: Call) -> Card:
    return call.require(CARDS, call.path["paymentMethodId"], "payment method")


def create_setup_intent(call: Call) -> Answer:
    intent = SetupIntent(call.new_id("seti_"), call.org_id, call.now)
    SETUP_INTENTS.insert(call.database, intent)
    secret = call.database.vault.derive(f"{intent.id}_secret_", "setup", intent.id)
    return Answer({"clientSecret": secret, "publishableKey": _PUBLISHABLE_KEY, "bankCheck": False})


def complete_setup_intent(call: Call) -> Answer:
    intent = call.require(SETUP_INTENTS, call.path["setupIntentId"], "setup intent")
    if not intent.is_complete:
        SETUP_INTENTS.update(call.database, attrs.evolve(intent, is_complete=True))
        is_first = ledger.default_card(call.database, call.org_id) is None
        card = Card(call.new_id("pm_"), call.org_id, "mastercard", "4444", 11, 2032, is_default=is_first)
        CARDS.insert(call.database, card)
    return Answer({"status": "saved", "message": "The card is saved."})


def request_spend_limit(call: Call) -> Answer:
    cents = call.body.bounded("requestedCents", 0, least=1, most=10**9)
    request = SpendLimitRequest(
        id=call.new_id("slr_"),
        org_id=call.org_id,
        requested_cents=cents,
        reason=call.body.optional_text("reason"),
        created_at=call.now,
        submitted_by=call.principal.responsible_user_id,
    )
    SPEND_LIMIT_REQUESTS.insert(call.database, request)
    return Answer({"id": request.id, "status": "new"}, status=201)


def list_spend_limit_requests(call: Call) -> Answer:
    found = SPEND_LIMIT_REQUESTS.find(call.database, org_id=call.org_id)[::-1]
    return Answer({"requests": [_render_request(call, request) for request in found]})


def _render_request(call: Call, request: SpendLimitRequest) -> dict[str, object]:
    user = USERS.get(call.database, request.submitted_by) if request.submitted_by else None
    return without_absent(
        {
            "id": request.id,
            "organizationId": request.org_id,
            "requestedCents": request.requested_cents,
            "reason": request.reason,
            "status": "new",
            "submittedByEmail": user.email if user else None,
            "createdAt": moment(request.created_at),
            "updatedAt": moment(request.created_at),
        }
    )


HANDLERS = {
    "getBalance": get_balance,
    "createBillingDeposit": deposit,
    "getAutoRecharge": get_auto_recharge,
    "updateAutoRecharge": update_auto_recharge,
    "listBillingPaymentMethods": list_payment_methods,
    "deleteBillingPaymentMethod": delete_payment_method,
    "setBillingPaymentMethod": set_default_payment_method,
    "createBillingSetupIntent": create_setup_intent,
    "completeBillingSetupIntent": complete_setup_intent,
    "createSpendLimitRequest": request_spend_limit,
    "listSpendLimitRequests": list_spend_limit_requests,
}
