"""The product's authentication page, lived: `python -m openrelay_async.demo`.

Every line it prints comes from a real request over a real socket: to the embedded emulator, or with
`--live` and `OPENRELAY_API_KEY` to the service itself, where it only reads.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from openrelay_async.client import AsyncClient
from openrelay_async.emulator import Emulator
from openrelay_async.errors import OpenRelayError, PermissionDenied, Unauthenticated
from openrelay_async.redaction import Secret

PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGRlbW8tb25seS1ub3QtYS1yZWFsLWtleS0wMDAw demo@laptop"
FEW_SCOPES = ["clusters:read", "clusters:write"]


class Story:
    """Prints what happens: numbered chapters, the call that each is about, and what came back."""

    def __init__(self) -> None:
        self._chapter = 0

    def chapter(self, title: str, code: str) -> None:
        self._chapter += 1
        print(f"\n{self._chapter:>2}  {title}")
        print(f"    >>> {code}")

    def tell(self, text: str) -> None:
        print(f"    {text}")

    def refused(self, error: OpenRelayError) -> None:
        print(f"    ✗ {type(error).__name__}: {error}")


class UnexpectedSuccessError(Exception):
    """A call went through that the service must refuse."""


async def live_the_authentication_page(story: Story) -> None:
    """Tell the whole story on an emulator of its own."""
    async with Emulator() as emulator, emulator.client() as client:
        print(f"The embedded emulator listens on {emulator.url}. Nothing leaves this machine.")
        other = emulator.add_organization("Somebody Else")
        client_org = await _who_am_i(story, client)
        key_id, plaintext = await _mint(story, client)
        async with AsyncClient(plaintext, base_url=emulator.url, org_id=client_org) as limited:
            await _use(story, limited)
            await _be_refused(story, limited, other.org_id)
            await _run_a_vm(story, client)
            await _rotate(story, limited, key_id, plaintext)
    print("\nThat was every step of it, with real requests. The same code runs against the service:")
    print("set OPENRELAY_API_KEY and leave out base_url.")


async def _who_am_i(story: Story, client: AsyncClient) -> str:
    story.chapter("Who am I?", "await client.account.whoami()")
    me = await client.account.whoami()
    kind = "An API key" if me.principal_type == "api_key" else f"A {me.principal_type}"
    story.tell(f"{kind} of {me.organization_name} ({me.organization_id})")
    story.tell(f"that may: {', '.join(me.scopes)}")
    return me.organization_id


async def _mint(story: Story, client: AsyncClient) -> tuple[str, Secret]:
    story.chapter(
        "Mint a key that may do little",
        f'await client.api_keys.create(name="ci-pipeline", scopes={FEW_SCOPES})',
    )
    created = await client.api_keys.create(name="ci-pipeline", scopes=FEW_SCOPES)
    story.tell(f"{created.id} named {created.name!r}, scopes {', '.join(created.scopes)}")
    story.tell(f"key: {created.key}   ← masked here; created.key.reveal() is the only way to its text")
    listed = next(key for key in await client.api_keys.list() if key.id == created.id)
    story.tell(f"The service shows it once. From now on it lists only the prefix: {listed.key_prefix}")
    return created.id, created.key


async def _use(story: Story, limited: AsyncClient) -> None:
    story.chapter("Use it", "AsyncClient(created.key);  await limited.clusters.list()")
    clusters = await limited.clusters.list()
    story.tell(f"✓ {len(clusters)} clusters in the organization that the key belongs to")


async def _be_refused(story: Story, limited: AsyncClient, other_org_id: str) -> None:
    story.chapter("Be refused where a scope is missing", 'await limited.ssh_keys.create(name="laptop", …)')
    try:
        await limited.ssh_keys.create(name="laptop", public_key=PUBLIC_KEY)
    except PermissionDenied as error:
        story.refused(error)
    else:
        raise UnexpectedSuccessError("a key without vms:write stored an SSH key")
    story.chapter("Be refused in another organization", f'await limited.vms.list(org_id="{other_org_id}")')
    try:
        await limited.vms.list(org_id=other_org_id)
    except PermissionDenied as error:
        story.refused(error)
    else:
        raise UnexpectedSuccessError("a key listed the VMs of an organization that is not its own")


async def _run_a_vm(story: Story, client: AsyncClient) -> None:
    story.chapter(
        "Create a VM and see it come to run",
        'await client.vms.create(name="dev-box", gpu_model_id="rtx-4090", gpu_count=1, …)',
    )
    ssh_key = await client.ssh_keys.create(name="laptop", public_key=PUBLIC_KEY)
    vm = await client.vms.create(
        name="dev-box", gpu_model_id="rtx-4090", gpu_count=1, ssh_key_ids=[ssh_key.id]
    )
    cents = vm.price_per_hour_cents or 0
    story.tell(f"{vm.id}: {vm.status}, {vm.gpu_count} × {vm.gpu_model_name}, ${cents / 100:.2f} an hour")
    await client.vms.wait(vm.id, until="running", timeout=60, on_update=lambda seen: story.tell(str(seen)))
    vm = await client.vms.terminate(vm.id)
    story.tell(f"{vm.id}: {vm.status}   ← nothing that costs money stays behind")


async def _rotate(story: Story, limited: AsyncClient, old_id: str, old_key: Secret) -> None:
    story.chapter(
        "Rotate the key: create, verify, store, switch, drain, revoke",
        "await limited.api_keys.rotate(store=save_to_vault)",
    )

    def save_to_vault(plaintext: str) -> None:
        story.tell(
            f"store   {Secret(plaintext)}   ← verified by now; nothing depends on it before this returns"
        )

    rotation = await limited.api_keys.rotate(store=save_to_vault)
    story.tell(
        f"switch  {rotation.old_key_id} → {rotation.new_key_id}, for the client, its views, calls under way"
    )
    story.tell(f"revoke  {rotation.old_key_id}")
    story.tell(f"✓ the client goes on: {len(await limited.clusters.list())} clusters")
    story.chapter(
        "The old key is worth nothing", "await limited.with_options(api_key=old_key).clusters.list()"
    )
    try:
        await limited.with_options(api_key=old_key, org_id=rotation.org_id).clusters.list()
    except Unauthenticated as error:
        story.refused(error)
    else:
        raise UnexpectedSuccessError(f"the revoked key {old_id} still worked")


async def read_the_live_service(story: Story) -> None:
    """Tell the part of the story that changes nothing, on the service that the environment names."""
    async with AsyncClient() as client:
        await _who_am_i(story, client)
        story.chapter("Which keys are there?", "await client.api_keys.list()")
        try:
            for key in await client.api_keys.list():
                story.tell(f"{key.id}  {key.key_prefix}…  {key.name}  {', '.join(key.scopes)}")
        except PermissionDenied as error:
            story.refused(error)
        story.chapter("What runs?", "async for vm in client.vms.list(max_items=10)")
        try:
            async for vm in client.vms.list(max_items=10):
                story.tell(f"{vm.id}  {vm.status:<12} {vm.name}")
        except PermissionDenied as error:
            story.refused(error)
        story.chapter("What could run?", "await client.catalog.list_gpu_models()")
        for model in await client.catalog.list_gpu_models():
            story.tell(f"{model.id:<16} {model.name}, {model.vram_gb} GB")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return the process's exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m openrelay_async.demo", description="OpenRelay's authentication page, lived."
    )
    parser.add_argument(
        "--live",
        action="store_true",
        help="read from the real service with OPENRELAY_API_KEY; changes nothing",
    )
    options = parser.parse_args(arguments)
    try:
        asyncio.run(read_the_live_service(Story()) if options.live else live_the_authentication_page(Story()))
    except OpenRelayError as error:
        print(f"\nThe demo ends here: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
