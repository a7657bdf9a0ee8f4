"""What a user does in the first hour: the same stories on the emulator and, when asked, on the service."""

from __future__ import annotations

import pytest

from openrelay_async import AsyncClient, errors


async def test_a_key_says_whose_it_is(client: AsyncClient) -> None:
    me = await client.account.whoami()
    assert me.organization_id
    assert me.principal_type in {"api_key", "user", "platform_admin"}


async def test_lists_can_be_streamed_and_taken_whole(client: AsyncClient) -> None:
    whole = await client.vms.list()
    streamed = [vm.id async for vm in client.vms.list(page_size=2, max_items=7)]
    assert streamed == [vm.id for vm in whole][:7]


async def test_the_catalog_has_models_with_memory(client: AsyncClient) -> None:
    models = await client.catalog.list_gpu_models()
    assert models
    assert all(model.id and model.vram_gb > 0 for model in models)


async def test_what_is_not_there_is_not_found(client: AsyncClient) -> None:
    with pytest.raises((errors.NotFound, errors.PermissionDenied)) as caught:
        await client.vms.get("vm_that_is_not_there")
    assert caught.value.operation == "getVm"
    assert caught.value.attempts == 1


async def test_a_wrong_key_is_refused_without_being_shown(client: AsyncClient) -> None:
    wrong = "vl_" + "wrong" * 8
    with pytest.raises(errors.Unauthenticated) as caught:
        await client.with_options(api_key=wrong, org_id="org_any").account.whoami()
    assert wrong not in str(caught.value)


@pytest.mark.usefixtures("may_write")
async def test_a_key_is_minted_used_and_revoked(client: AsyncClient) -> None:
    created = await client.api_keys.create(name="openrelay-async-test", scopes=["clusters:read"])
    try:
        limited = client.with_options(api_key=created.key)
        assert (await limited.account.whoami()).organization_id == created.organization_id
        assert created.key.reveal() not in repr(created)
    finally:
        await client.api_keys.revoke(created.id)
    with pytest.raises(errors.Unauthenticated):
        await limited.account.whoami()


@pytest.mark.usefixtures("may_write")
async def test_a_vm_is_leased_and_gone_after(client: AsyncClient) -> None:
    try:
        async with client.vms.lease(
            name="openrelay-async-test", gpu_model_id="rtx-4090", gpu_count=1, wait_timeout=900
        ) as vm:
            assert vm.status == "running"
    except errors.CapacityUnavailable:
        pytest.skip("no RTX 4090 is free now")
    assert (await client.vms.wait(vm.id, until="terminated", timeout=300)).status == "terminated"
