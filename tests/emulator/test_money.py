"""Usage, burn and balance: Σ price × running time, to the cent."""

from __future__ import annotations

from fractions import Fraction

import pytest

from openrelay_async.emulator import Emulator

CREATE = "/v1/orgs/{org}/vms/create"
BALANCE = "/v1/orgs/{org}/billing/balance"
USAGE = "/v1/orgs/{org}/usage/current"
DAY = 86400


def half_up(amount: Fraction) -> int:
    return int(amount + Fraction(1, 2))


async def test_a_running_vm_costs_its_price_to_the_cent(api, clock):
    vm = await api.post(CREATE, {"name": "a", "gpuModelId": "h100", "gpuCount": 3})
    assert vm["pricePerHourCents"] == 3 * 249
    clock.advance(2)
    assert (await api.get(USAGE))["usageCents"] == 0, "deploying costs nothing"
    clock.advance(3600)
    usage = await api.get(USAGE)
    assert (usage["usageCents"], usage["usageHours"]) == (747, 1.0)
    assert usage["breakdown"] == [{"key": "h100", "cents": 747, "hours": 1.0}]
    assert usage["burnPerHourCents"] == 747
    assert usage["projectedRunwayHours"] == round((10_000_000 - 747) / 747, 2)
    burn = await api.get(f"/v1/vms/{vm['id']}/burn")
    assert (burn["accruedSessionCents"], burn["perGpuCents"], burn["rateBasis"]) == (747, 249, "gpu")
    await api.post(f"/v1/vms/{vm['id']}/stop")
    clock.advance(10 * 3600)
    usage = await api.get(USAGE)
    assert (usage["usageCents"], usage["burnPerHourCents"], usage["projectedRunwayHours"]) == (747, 0, None)
    assert "sessionStartedAt" not in await api.get(f"/v1/vms/{vm['id']}/burn")


async def test_usage_is_the_sum_over_everything_that_ran(api, clock):
    """An account kept by hand, of VMs and replicas that start and stop at odd moments."""
    expected = Fraction(0)
    small = await api.post(CREATE, {"name": "s", "resourceSize": "small"})
    clock.advance(0.5)
    gpu = await api.post(CREATE, {"name": "g", "gpuModelId": "rtx-4090"})
    clock.advance(2)
    order = {"name": "c", "gpuModelId": "a100", "replicaCount": 2}
    cluster = await api.post("/v1/orgs/{org}/clusters/create", order)
    clock.advance(1234.25)
    await api.post(f"/v1/vms/{small['id']}/stop")
    expected += 3 * Fraction("1234.75")
    clock.advance(777)
    await api.post(f"/v1/clusters/{cluster['id']}/scale", {"replicaCount": 1})
    expected += 149 * (Fraction("2011.25") - 4)
    clock.advance(333)
    await api.post(f"/v1/vms/{gpu['id']}/terminate")
    await api.post(f"/v1/clusters/{cluster['id']}/stop")
    expected += 49 * Fraction("2344.25") + 149 * (Fraction("2344.25") - 3)
    clock.advance(5000)
    usage = await api.get(USAGE)
    assert usage["usageCents"] == half_up(expected / 3600)
    assert sum(item["cents"] for item in usage["breakdown"]) == usage["usageCents"]
    balance = await api.get(BALANCE)
    assert balance["accruedUsageCents"] == usage["usageCents"]
    assert balance["availableCents"] == balance["balanceCents"] - balance["accruedUsageCents"]


async def test_parts_add_up_to_the_whole_however_they_are_rounded(api, clock):
    for model in ("rtx-4090", "h100", "a100", "b200"):
        await api.post(CREATE, {"name": model, "gpuModelId": model})
    await api.post(CREATE, {"name": "cpu", "resourceSize": "medium"})
    clock.advance(2)
    for _ in range(25):
        clock.advance(7.3)
        usage = await api.get(USAGE)
        assert sum(item["cents"] for item in usage["breakdown"]) == usage["usageCents"]


async def test_days_and_months(api, clock):
    vm = await api.post(CREATE, {"name": "a", "gpuModelId": "rtx-4090"})
    clock.advance(2 + 3 * DAY)
    daily = (await api.get("/v1/orgs/{org}/usage/daily?days=4"))["daily"]
    assert [point["date"] for point in daily] == ["2026-11-01", "2026-11-02", "2026-11-03", "2026-11-04"]
    assert [point["cents"] for point in daily] == [1176, 1176, 1176, 0]
    assert daily[0]["segments"] == [{"key": "rtx-4090", "cents": 1176}]
    recent = await api.get("/v1/orgs/{org}/usage/daily?days=2")
    assert (recent["previousCents"], [point["cents"] for point in recent["daily"]]) == (2 * 1176, [1176, 0])
    clock.advance(27 * DAY + 3600 - 2)
    balance = await api.get(BALANCE)
    assert balance["currentMonthUsageCents"] == 49
    assert balance["priorUnsettledComputeCents"] + 49 == balance["accruedUsageCents"]
    await api.post(f"/v1/vms/{vm['id']}/terminate")


async def test_a_deposit_with_a_key_is_made_once(api):
    path, body = "/v1/orgs/{org}/billing/deposit", {"amountCents": 5000, "idempotencyKey": "d-1"}
    before = (await api.get(BALANCE))["balanceCents"]
    first = await api.post(path, body)
    again = await api("POST", path, body)
    assert again.json == first
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (await api("POST", path, {**body, "amountCents": 6000})).code == "IDEMPOTENCY_KEY_REUSED"
    balance = await api.get(BALANCE)
    assert balance["balanceCents"] == before + 5000
    assert [item["amountCents"] for item in balance["transactions"]] == [5000, before]
    await api.post(path, {"amountCents": 700})
    assert (await api.get(BALANCE))["balanceCents"] == before + 5700
    refused = await api("POST", path, {"amountCents": 499})
    assert (refused.status, refused.json["field"]) == (400, "amountCents")


@pytest.fixture
async def poor(clock, connect):
    async with Emulator(clock=clock, credit_cents=1000) as emulator:
        yield emulator, connect(emulator)


async def test_what_runs_is_stopped_when_the_money_is_used_up(poor, clock):
    _emulator, api = poor
    vm = await api.post(CREATE, {"name": "a", "gpuModelId": "h100", "gpuCount": 4})  # 996 cents per hour
    pod = await api.post("/v1/pods", {"image": "x", "sshKeyIds": [], "name": "p"})
    pool = {"name": "cpu", "count": 1, "sku": {"cpuSku": "small"}}
    cluster = {"name": "k", "locationId": "us-east", "nodePools": [pool]}
    await api("POST", "/v1/kubernetes/clusters", cluster)
    clock.advance(86400 * 40)
    ended = await api.get(f"/v1/vms/{vm['id']}")
    assert (ended["status"], ended["statusReason"]) == ("stopped", "balance depleted")
    assert (await api.get(f"/v1/vms/{pod['id']}"))["status"] == "stopped"
    balance = await api.get(BALANCE)
    assert balance["availableCents"] == 0, "stopped at that moment, not when somebody looked"
    for path, body in (
        (CREATE, {"name": "b", "resourceSize": "small"}),
        (f"/v1/vms/{vm['id']}/restart", None),
    ):
        refused = await api("POST", path, body)
        assert (refused.status, refused.code) == (402, "INSUFFICIENT_BALANCE")
    await api.post("/v1/orgs/{org}/billing/deposit", {"amountCents": 5000})
    assert (await api.post(f"/v1/vms/{vm['id']}/restart"))["status"] == "deploying"


async def test_a_warning_comes_before_the_end(poor, clock):
    emulator, api = poor
    hook = {
        "name": "h",
        "url": "http://127.0.0.1:9/",
        "events": ["balance.low", "balance.depleted", "vm.stopped"],
    }
    await api.post("/v1/orgs/{org}/webhooks/create", hook)
    await api.post(CREATE, {"name": "a", "gpuModelId": "h100", "gpuCount": 4})
    seen = []
    for _ in range(8):
        clock.advance(600)
        await emulator.settle()
        first = [item for item in emulator.deliveries if item.attempt == 1]
        seen.append([item.event_type for item in first])
    assert seen[2] == []
    assert seen[3] == ["balance.low"]
    assert seen[-1] == ["balance.low", "balance.depleted", "vm.stopped"]


async def test_auto_recharge_keeps_things_running(poor, clock):
    _emulator, api = poor
    path = "/v1/orgs/{org}/billing/auto-recharge"
    settings = {"enabled": True, "thresholdCents": 600, "amountCents": 2000}
    answered = await api("PUT", path, settings)
    assert answered.json == settings == await api.get(path)
    vm = await api.post(CREATE, {"name": "a", "gpuModelId": "h100", "gpuCount": 4})
    clock.advance(2 + 10 * 3600)
    assert (await api.get(f"/v1/vms/{vm['id']}"))["status"] == "running"
    balance = await api.get(BALANCE)
    assert balance["accruedUsageCents"] == 9960
    assert balance["balanceCents"] == 1000 + 5 * 2000
    assert balance["transactions"][0]["source"] == "auto_recharge"


async def test_cards_are_added_chosen_and_removed(api):
    path = "/v1/orgs/{org}/billing/payment-methods"
    intent = await api.post("/v1/orgs/{org}/billing/setup-intent")
    intent_id = intent["clientSecret"].split("_secret_")[0]
    for _ in range(2):
        completed = await api.post(f"/v1/orgs/{{org}}/billing/setup-intent/{intent_id}/complete")
        assert completed["status"] == "saved"
    listed = await api.get(path)
    visa, mastercard = listed["paymentMethods"]
    assert listed["defaultPaymentMethodId"] == visa["id"]
    assert (await api("POST", f"{path}/{mastercard['id']}/default")).status == 204
    assert (await api.get(path))["defaultPaymentMethodId"] == mastercard["id"]
    assert (await api("DELETE", f"{path}/{mastercard['id']}")).status == 204
    assert (await api.get(path))["defaultPaymentMethodId"] == visa["id"]
    assert (await api("DELETE", f"{path}/{visa['id']}")).status == 204
    refused = await api("POST", "/v1/orgs/{org}/billing/deposit", {"amountCents": 5000})
    assert (refused.status, refused.code) == (402, "PAYMENT_METHOD_REQUIRED")


async def test_spend_limits_are_asked_for(api):
    asked = await api("POST", "/v1/spend-limit-requests", {"requestedCents": 100_000, "reason": "training"})
    assert asked.status == 201
    (listed,) = (await api.get("/v1/spend-limit-requests"))["requests"]
    assert (listed["id"], listed["requestedCents"]) == (asked.json["id"], 100_000)


async def test_inference_is_paid_too(api, clock):
    body = {"model": "llama-3.3-70b-instruct", "prompt": "x" * 40_000_0}
    requests = [{"custom_id": "a", "method": "POST", "url": "/v1/completions", "body": body}]
    order = {"endpoint": "/v1/completions", "completion_window": "24h", "requests": requests}
    batch = await api.post("/v1/batches", order)
    assert (await api.get(BALANCE))["accruedUsageCents"] == 0
    clock.advance(3)
    cost = (await api.get(f"/v1/batches/{batch['id']}"))["usage"]["cost_nano_usd"]
    balance = await api.get(BALANCE)
    assert balance["currentMonthInferenceCents"] == half_up(Fraction(cost, 10_000_000)) > 0
    assert balance["accruedUsageCents"] == balance["currentMonthInferenceCents"]
