"""What users get wrong: a type checker must mark each line that ends with `# refused`, and no other."""

from __future__ import annotations

from openrelay_async import AsyncClient, PoolLimits, RetryPolicy, models
from openrelay_async import Asyncclient as Misspelt  # refused
from openrelay_sync import Cleint as MisspeltToo  # refused
from openrelay_sync import Client


def make_clients() -> None:
    AsyncClient(7)  # refused
    AsyncClient("key", "org_1")  # refused
    AsyncClient(base_ulr="https://api.openrelay.inc")  # refused
    AsyncClient(timeout="5")  # refused
    AsyncClient(retry=PoolLimits())  # refused
    AsyncClient(clock=object())  # refused
    AsyncClient().with_options(time_out=5)  # refused
    RetryPolicy(7)  # refused
    RetryPolicy(max_attempts=2).max_attempts = 3  # refused


async def call(client: AsyncClient) -> None:
    print(client.virtual_machines)  # refused
    client.vms.lst()  # refused
    await client.vms.get()  # refused
    await client.vms.get(7)  # refused
    await client.vms.get("vm_1", org_id="org_1")  # refused
    await client.vms.create()  # refused
    await client.vms.create("dev-box")  # refused
    await client.vms.create(name=None)  # refused
    await client.vms.create(name="x", gpu_count="1")  # refused
    await client.vms.create(name="x", gpu_count=None)  # refused
    await client.vms.create(name="x", gpuCount=1)  # refused
    await client.vms.create(name="x", ssh_key_ids=[7])  # refused
    await client.vms.create(name="x", env_vars={"A": 7})  # refused
    await client.organizations.delete()  # refused
    await client.organizations.delete(org_id=None)  # refused
    await client.provider.list_nodes(include_removed="yes")  # refused
    await client.reservations.update("n", "r", ends_at=7)  # refused
    await client.api_keys.create(name="x", budget=models.KeyRestrictions())  # refused
    await client.files.upload(file=7, purpose="batch")  # refused
    client.vms.list(page_size="7")  # refused
    client.vms.list(cursor=7)  # refused
    for vm in client.vms.list():  # refused
        print(vm)


async def wait(client: AsyncClient, goal: str) -> None:
    await client.kubernetes.wait("k_1", until=goal)  # refused
    await client.kubernetes.wait_all(["k_1"], until="deleted")  # refused
    detail: models.VmDetail = await client.pods.wait("pod_1", until="running")  # refused
    await client.vms.create(name="job", wait_for_capacity="600")  # refused
    client.vms.lease(name="job", timeout="5")  # refused
    client.clusters.lease(name="job", idempotency_key="k")  # refused
    print(detail)


async def read(client: AsyncClient) -> None:
    vm = await client.vms.get("vm_1")
    vm.name = "other"  # refused
    print(vm.gpuModelId)  # refused
    vm.created_at.isoformat()  # refused
    wrong: int = vm.status  # refused
    key = await client.api_keys.create(name="x")
    text: str = key.key  # refused
    len(key.key)  # refused
    models.KeyBudgetRequest()  # refused
    models.KeyBudgetRequest(limit_nano_usd="7")  # refused
    models.KeyBudgetRequest(7)  # refused
    print(models.NoSuchModel)  # refused
    none: str = await client.ssh_keys.delete("key_1")  # refused
    print(wrong, text, none, Misspelt, MisspeltToo)


async def without_await(client: Client) -> None:
    client.vms.get(7)  # refused
    client.vms.create()  # refused
    client.vms.create(name="x", gpu_count="1")  # refused
    client.organizations.delete(org_id=None)  # refused
    client.virtual_machines.list()  # refused
    await client.account.whoami()  # refused
    async for vm in client.vms.list():  # refused
        print(vm)
    text: str = client.api_keys.create(name="x").key  # refused
    print(text)
