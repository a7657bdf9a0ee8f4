"""What users of the sync package must not write: each line that ends in `refused` is an error."""

from __future__ import annotations

import openrelay_sync
from openrelay_sync import Client, RetryPolicy


async def awaits(client: Client) -> None:
    await client.account.whoami()  # refused
    async for vm in client.vms.list():  # refused
        print(vm)


def mistakes(client: Client) -> None:
    client.vmz.list()  # refused
    client.vms.lst()  # refused
    client.vms.get(1)  # refused
    client.vms.get("vm_1", timeout="5")  # refused
    client.vms.create(gpu_count=1)  # refused
    client.vms.create(name="a", gpu_cnt=1)  # refused
    client.vms.create(name=None)  # refused
    name: int = client.vms.get("vm_1").name  # refused
    print(client.vms.list()[0])  # refused
    print(len(client.vms.list()))  # refused
    print(client.vms.list().first().id)  # refused
    client.files.get_content("file_1").decode()  # refused
    client.vms.get("vm_1").status = "stopped"  # refused
    Client(retries=3)  # refused
    Client(retry=3)  # refused
    Client(retry=RetryPolicy(attempts=3))  # refused
    client.with_options(proxy="http://localhost")  # refused
    client.bulk([client.vms.get("vm_1")])  # refused
    print(openrelay_sync.bulk)  # refused
    print(name)
