"""Requests written by hand, byte for byte: what anyone would check first with a packet dump."""

from __future__ import annotations

import pickle
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from openrelay_async import UNSET, AsyncClient, Secret, errors, models

from .answers import BYTES, SCRIPT, sample_answer, sample_json
from .conftest import KEY
from .description import case
from .recording_server import Answer, Seen, answer_json

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHOWN = ("Authorization", "Content-Type", "Idempotency-Key", "Content-Length")


def dump(seen: Seen) -> str:
    """The request as one would write it down: request line, the headers that matter, body."""
    lines = [f"{seen.method} {seen.target}"]
    lines += [f"{name}: {seen.headers[name]}" for name in SHOWN if name in seen.headers]
    return "\n".join(lines).replace(KEY, "KEY") + ("\n\n" + seen.body.decode() if seen.body else "")


async def test_headers_of_every_request(client, server):
    server.default = sample_answer(case("whoami"))
    await client.account.whoami()
    headers = dict(server.take().headers)
    version = headers.pop("User-Agent")
    assert version.startswith("openrelay-async/")
    assert " python/3." in version
    assert headers == {
        "Host": server.url.removeprefix("http://"),
        "Accept": "application/json",
        "Accept-Encoding": "gzip, deflate",
        "Authorization": f"Bearer {KEY}",
    }


async def test_whoami(client, server):
    server.default = sample_answer(case("whoami"))
    await client.account.whoami()
    assert dump(server.take()) == "GET /v1/whoami\nAuthorization: Bearer KEY"


async def test_a_key_with_few_scopes(client, server):
    server.default = sample_answer(case("createOrgApiKey"))
    await client.api_keys.create(name="ci-pipeline", scopes=["clusters:read"])
    assert dump(server.take()) == (
        "POST /v1/orgs/org_home/api-keys/create\n"
        "Authorization: Bearer KEY\n"
        "Content-Type: application/json\n"
        "Content-Length: 49\n"
        "\n"
        '{"name":"ci-pipeline","scopes":["clusters:read"]}'
    )


async def test_first_page_with_a_boolean_filter(client, server):
    server.default = answer_json({"items": []})
    assert await client.vms.list(active_only=False, page_size=100) == []
    assert dump(server.take()) == (
        "GET /v1/orgs/org_home/vms?activeOnly=false&limit=100\nAuthorization: Bearer KEY"
    )


async def test_second_page_by_cursor(client, server):
    vm = sample_json(case("getVm"))
    server.answers.append(answer_json({"items": [vm], "nextCursor": "a+b/c=&d é"}))
    server.answers.append(answer_json({"items": [vm], "nextCursor": ""}))
    assert len(await client.vms.list(active_only=True, page_size=1)) == 2
    assert [seen.target for seen in server.seen] == [
        "/v1/orgs/org_home/vms?activeOnly=true&limit=1",
        "/v1/orgs/org_home/vms?activeOnly=true&limit=1&cursor=a%2Bb/c%3D%26d+%C3%A9",
    ]


async def test_second_page_by_last_id(two_hosts):
    client, inference = two_hosts
    batch = sample_json(case("getBatch"))
    inference.answers.append(answer_json({"data": [batch], "last_id": "batch_7", "has_more": True}))
    inference.answers.append(answer_json({"data": [], "last_id": "", "has_more": False}))
    assert len(await client.batches.list(page_size=1)) == 1
    assert [seen.target for seen in inference.seen] == [
        "/v1/batches?limit=1",
        "/v1/batches?limit=1&after=batch_7",
    ]


async def test_second_page_by_offset(client, server):
    job = sample_json(case("listRunnerJobs"))[0]
    server.answers.append(answer_json([job] * 50))
    server.answers.append(answer_json([job] * 2))
    assert len(await client.runners.list_jobs("pool_1")) == 52
    assert [seen.target for seen in server.seen] == [
        "/v1/orgs/org_home/runner-pools/pool_1/jobs",
        "/v1/orgs/org_home/runner-pools/pool_1/jobs?offset=50",
    ]


async def test_upload_as_multipart(two_hosts):
    client, inference = two_hosts
    inference.default = sample_answer(case("uploadFile"))
    await client.files.upload(file=b'{"custom_id": "1"}\n', purpose="batch", filename='in "1".jsonl')
    seen = inference.take()
    boundary = seen.headers["Content-Type"].partition("boundary=")[2]
    assert len(boundary) == 32
    assert dump(seen).replace(boundary, "BOUNDARY") == (
        "POST /v1/files\n"
        "Authorization: Bearer KEY\n"
        "Content-Type: multipart/form-data; boundary=BOUNDARY\n"
        "Content-Length: 304\n"
        "\n"
        "--BOUNDARY\r\n"
        'Content-Disposition: form-data; name="purpose"\r\n'
        "\r\n"
        "batch\r\n"
        "--BOUNDARY\r\n"
        'Content-Disposition: form-data; name="file"; filename="in %221%22.jsonl"\r\n'
        "Content-Type: application/octet-stream\r\n"
        "\r\n"
        '{"custom_id": "1"}\n\r\n'
        "--BOUNDARY--\r\n"
    )


async def test_upload_from_a_path_takes_its_name(two_hosts, tmp_path):
    client, inference = two_hosts
    inference.default = sample_answer(case("uploadFile"))
    (tmp_path / "eingabe ü.jsonl").write_bytes(b"{}\n")
    await client.files.upload(file=tmp_path / "eingabe ü.jsonl", purpose="batch")
    assert 'name="file"; filename="eingabe ü.jsonl"\r\n'.encode() in inference.take().body


async def test_idempotency_key_in_a_header(client, server):
    server.default = sample_answer(case("createVm"))
    await client.vms.create(
        name="dev-box",
        gpu_model_id="rtx-4090",
        gpu_count=1,
        ssh_key_ids=["key_1"],
        env_vars={"TOKEN": "s3cr3t", "MODE": Secret("täglich")},
        idempotency_key="order-1",
    )
    assert dump(server.take()) == (
        "POST /v1/orgs/org_home/vms/create\n"
        "Authorization: Bearer KEY\n"
        "Content-Type: application/json\n"
        "Idempotency-Key: order-1\n"
        "Content-Length: 124\n"
        "\n"
        '{"name":"dev-box","envVars":{"TOKEN":"s3cr3t","MODE":"täglich"},'
        '"gpuCount":1,"gpuModelId":"rtx-4090","sshKeyIds":["key_1"]}'
    )


async def test_an_idempotency_key_of_a_body_is_a_property_as_others(client, server):
    """R7.3: made where it is left out; null is none."""
    server.default = sample_answer(case("createBillingDeposit"))
    await client.billing.deposit(amount_cents=1, idempotency_key=UNSET)
    assert len(server.take().json()["idempotencyKey"]) == 36
    with pytest.raises(TypeError, match=r"^idempotency_key must be str"):
        await client.billing.deposit(amount_cents=1, idempotency_key=None)


async def test_idempotency_key_in_the_body(client, server):
    server.default = sample_answer(case("createBillingDeposit"))
    await client.billing.deposit(amount_cents=2500, promo_code="", idempotency_key="pay-1")
    assert dump(server.take()) == (
        "POST /v1/orgs/org_home/billing/deposit\n"
        "Authorization: Bearer KEY\n"
        "Content-Type: application/json\n"
        "Content-Length: 60\n"
        "\n"
        '{"amountCents":2500,"promoCode":"","idempotencyKey":"pay-1"}'
    )


async def test_organization_is_asked_once(server):
    whoami = {"authMethod": "api_key", "organizationId": "org/mine"}
    server.answers.append(answer_json(sample_json(case("whoami")) | whoami))
    server.default = answer_json([])
    async with AsyncClient(KEY, base_url=server.url) as client:
        await client.ssh_keys.list()
        await client.api_keys.list()
        await client.ssh_keys.list(org_id="org_other")
    assert [seen.target for seen in server.seen] == [
        "/v1/whoami",
        "/v1/orgs/org%2Fmine/ssh-keys",
        "/v1/orgs/org%2Fmine/api-keys",
        "/v1/orgs/org_other/ssh-keys",
    ]


async def test_organization_that_is_deleted_must_be_named(client, server):
    server.default = Answer(204, b"", {})
    with pytest.raises(TypeError, match="org_id"):
        await client.organizations.delete()
    assert server.seen == []
    assert await client.organizations.delete(org_id="org_old") is None
    assert dump(server.take()) == "DELETE /v1/orgs/org_old\nAuthorization: Bearer KEY\nContent-Length: 0"


async def test_delete_answered_with_204(client, server):
    server.default = Answer(204, b"", {})
    assert await client.ssh_keys.delete("key/1 ü?#%.") is None
    assert dump(server.take()) == (
        "DELETE /v1/orgs/org_home/ssh-keys/key%2F1%20%C3%BC%3F%23%25.\n"
        "Authorization: Bearer KEY\n"
        "Content-Length: 0"
    )


async def test_a_delete_answered_with_a_page_of_the_network_is_no_success(client, server):
    """R7.2: a login page in between says 200 to everything."""
    server.default = Answer(200, b"<html>sign in</html>", {"Content-Type": "text/html"})
    with pytest.raises(errors.InvalidResponse, match="the answer is not JSON") as caught:
        await client.api_keys.revoke("key_1")
    assert caught.value.maybe_applied
    server.default = answer_json({"deleted": True})
    assert await client.api_keys.revoke("key_1") is None


async def test_two_ids_that_only_2026_10_has(client, server):
    server.default = Answer(204, b"", {})
    await client.vms.detach_ssh_key("vm_1", "🔑")
    assert server.take().target == "/v1/vms/vm_1/ssh-keys/%F0%9F%94%91"


async def test_operation_that_only_2026_07_has(client, server):
    assert case("scaleCluster").generations == ("2026-07",)
    server.default = sample_answer(case("scaleCluster"))
    await client.clusters.scale("cl_1", replica_count=0)
    assert dump(server.take()) == (
        "POST /v1/clusters/cl_1/scale\n"
        "Authorization: Bearer KEY\n"
        "Content-Type: application/json\n"
        "Content-Length: 18\n"
        "\n"
        '{"replicaCount":0}'
    )


async def test_health_needs_no_key_and_gets_none(client, server):
    server.default = sample_answer(case("getHealth"))
    await client.health.get()
    assert dump(server.take()) == "GET /health"


async def test_boolean_query(client, server):
    server.default = sample_answer(case("deleteKubernetesNode"))
    await client.kubernetes.delete_node("k_1", "n_1", drain=True)
    assert dump(server.take()) == (
        "DELETE /v1/kubernetes/clusters/k_1/nodes/n_1?drain=true\n"
        "Authorization: Bearer KEY\n"
        "Content-Length: 0"
    )


async def test_secret_query_and_text_answer(client, server):
    server.default = Answer(200, SCRIPT, {"Content-Type": "text/plain; charset=utf-8"})
    script = await client.provider.get_bootstrap_script(token=Secret("vlp_a+b"), gpu="h100 sxm")
    assert script.reveal() == SCRIPT.decode()
    assert "TOKEN" not in f"{script} {script!r}"
    assert dump(server.take()) == (
        "GET /v1/provider/bootstrap?token=vlp_a%2Bb&gpu=h100+sxm\nAuthorization: Bearer KEY"
    )


async def test_text_answer_without_a_key(client, server):
    server.default = Answer(200, SCRIPT, {"Content-Type": "text/plain"})
    await client.provider.get_interruptible_bootstrap_script(token="vlp_1")
    assert dump(server.take()) == "GET /v1/provider/interruptible/bootstrap?token=vlp_1"


async def test_nested_model_and_mapping_are_the_same_bytes(client, server):
    server.default = sample_answer(case("createOrgApiKey"))
    await client.api_keys.create(
        name="ci",
        budget=models.KeyBudgetRequest(limit_nano_usd=5_000_000_000, period="daily"),
        restrictions=models.KeyRestrictions(ip_ranges=["10.0.0.0/8"]),
    )
    await client.api_keys.create(
        name="ci",
        budget={"limitNanoUsd": 5_000_000_000, "period": "daily"},
        restrictions={"ipRanges": ["10.0.0.0/8"]},
    )
    as_model, as_mapping = server.seen
    assert as_model.body == as_mapping.body
    assert as_model.body == (
        b'{"name":"ci","budget":{"limitNanoUsd":5000000000,"period":"daily"},'
        b'"restrictions":{"ipRanges":["10.0.0.0/8"]}}'
    )


async def test_a_nested_model_that_answers_hold_too_sends_what_it_was_given(client, server):
    """R7.3: an empty list clears, what was left out stays as it is."""
    server.default = sample_answer(case("updateOrgApiKey"))
    bodies = []
    for restrictions in (
        models.KeyRestrictions(ip_ranges=[]),
        models.KeyRestrictions(ip_ranges=UNSET, models=["m"]),
        models.KeyRestrictions(),
        models.KeyRestrictions.from_wire({"ipRanges": []}),
    ):
        await client.api_keys.update("key_1", restrictions=restrictions)
        bodies.append(server.take().json()["restrictions"])
        assert pickle.loads(pickle.dumps(restrictions)) == restrictions  # noqa: S301 - made here
    assert bodies == [{"ipRanges": []}, {"models": ["m"]}, {}, {"ipRanges": []}]
    with pytest.raises(TypeError, match=r"restrictions\.ip_ranges must be a list"):
        await client.api_keys.update("key_1", restrictions=models.KeyRestrictions(ip_ranges=None))
    assert models.KeyRestrictions(ip_ranges=[]).to_wire() == {"ipRanges": []}
    assert models.KeyRestrictions.from_wire({}).ip_ranges == []


async def test_nested_models_in_a_list(client, server):
    server.default = sample_answer(case("createKubernetesCluster"))
    sku = models.KubernetesNodePoolSku(gpu_model_id="h100")
    pool = models.CreateKubernetesNodePoolRequest(name="gpu", count=2, sku=sku)
    await client.kubernetes.create(name="k", location_id="fsn", node_pools=[pool])
    body = server.take().json()
    assert body == {
        "name": "k",
        "locationId": "fsn",
        "nodePools": [{"name": "gpu", "count": 2, "sku": {"gpuModelId": "h100"}}],
    }


async def test_times_are_sent_in_utc(client, server):
    server.default = sample_answer(case("createNodeReservation"))
    await client.reservations.create(
        "node_1",
        allowed_org_ids=["org_1"],
        unit_ids=[],
        starts_at=datetime(2026, 11, 23, 17, 0, tzinfo=timezone(timedelta(hours=1))),
        ends_at="2026-12-01T00:00:00.123456789Z",
    )
    assert dump(server.take()).partition("\n\n")[2] == (
        '{"allowedOrgIds":["org_1"],"unitIds":[],"endsAt":"2026-12-01T00:00:00.123456789Z",'
        '"startsAt":"2026-11-23T16:00:00Z"}'
    )


async def test_times_in_a_query(client, server):
    server.default = answer_json({"items": []})
    await client.audit_events.list(since=datetime(2026, 11, 1, tzinfo=UTC).isoformat())
    assert server.take().target == "/v1/audit-events?since=2026-11-01T00:00:00%2B00:00"
    paris = timezone(timedelta(hours=1))
    await client.audit_events.list(since=datetime(2026, 11, 1, tzinfo=UTC), until="2026-11-02")
    assert server.take().target == "/v1/audit-events?since=2026-11-01T00:00:00Z&until=2026-11-02"
    await client.audit_events.list(until=datetime(2026, 11, 1, 1, 30, tzinfo=paris))
    assert server.take().target == "/v1/audit-events?until=2026-11-01T00:30:00Z"
    with pytest.raises(ValueError, match="since must be an aware datetime"):
        await client.audit_events.list(since=datetime(2026, 11, 1))  # noqa: DTZ001 - naive on purpose
    with pytest.raises(TypeError, match="until must be an aware datetime or text, not date"):
        await client.audit_events.list(until=date(2026, 11, 1))
    assert server.seen == []


async def test_names_that_are_python_keywords(client, server):
    server.default = answer_json([])
    await client.provider.list_nodes(include_removed=True, class_="persistent")
    assert server.take().target == ("/v1/orgs/org_home/provider/nodes?includeRemoved=true&class=persistent")
    server.default = sample_answer(case("generateProvisioningToken"))
    await client.provider.create_token(class_="interruptible")
    assert server.take().body == b'{"class":"interruptible"}'


async def test_device_login_sends_its_code_and_no_key(client, server):
    server.default = sample_answer(case("pollCliLoginToken"))
    await client.account.poll_device_login(device_code="d3v1c3")
    assert dump(server.take()) == (
        "POST /v1/cli-auth/token\n"
        "Content-Type: application/json\n"
        "Content-Length: 23\n"
        "\n"
        '{"deviceCode":"d3v1c3"}'
    )


async def test_post_without_a_body(client, server):
    server.default = sample_answer(case("restartVm"))
    await client.vms.restart("vm_1")
    assert dump(server.take()) == ("POST /v1/vms/vm_1/restart\nAuthorization: Bearer KEY\nContent-Length: 0")


async def test_download_from_the_inference_host(two_hosts):
    client, inference = two_hosts
    inference.default = Answer(200, BYTES, {"Content-Type": "application/octet-stream"})
    assert await client.files.get_content("file_1") == BYTES
    seen = inference.take()
    assert dump(seen) == "GET /v1/files/file_1/content\nAuthorization: Bearer KEY"
    assert seen.headers["Accept-Encoding"] == "identity"


async def test_error_body_of_the_inference_host(two_hosts):
    client, inference = two_hosts
    error = {"message": "no such file", "type": "invalid_request_error", "code": "file_not_found"}
    inference.default = answer_json({"error": error}, 404, X_Request_Id="req_1")
    with pytest.raises(errors.NotFound, match="no such file") as caught:
        await client.files.get("file_1")
    assert (caught.value.code, caught.value.request_id) == ("file_not_found", "req_1")
    assert caught.value.details == {"type": "invalid_request_error"}


async def test_request_without_a_method_of_its_own(client, server):
    server.default = answer_json({"ok": True})
    answer = await client.request(
        "post",
        "/v2/things",
        json={"at": datetime(2026, 1, 2, tzinfo=UTC), "key": Secret("s3cr3t"), "none": None},
        params={"dry_run": True, "left_out": None, "n": 5},
        headers={"X-Trace": "1"},
    )
    assert answer == {"ok": True}
    assert dump(server.take()) == (
        "POST /v2/things?dry_run=true&n=5\n"
        "Authorization: Bearer KEY\n"
        "Content-Type: application/json\n"
        "Content-Length: 56\n"
        "\n"
        '{"at":"2026-01-02T00:00:00Z","key":"s3cr3t","none":null}'
    )
