"""R9.3: rotations that meet each other, calls that wait, and keys with fewer scopes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from openrelay_async import AsyncClient, FileKey, RetryPolicy, Secret
from openrelay_async.emulator import Emulator, Fault
from openrelay_async.rotation import Rotation, RotationError
from tests.credentials.conftest import working_keys

REVOKE = "revokeOrgApiKey"
ONCE = RetryPolicy(max_attempts=1)


def statuses(emulator: Emulator) -> list[int | None]:
    return [request.status for request in emulator.requests]


async def time_to_ask(client: AsyncClient) -> None:
    """Return when the client's provider is to be asked again."""
    async with asyncio.timeout(5):
        while client._calls.transport.key_source.current is not None:
            await asyncio.sleep(0.001)


class Lagging:
    """A provider that never hears of a rotation."""

    check_every = 0.01

    def __init__(self, key: str) -> None:
        self.key = Secret(key)

    def __call__(self) -> Secret:
        return self.key


@pytest.mark.parametrize("kind", ["static", "provided"])
async def test_calls_that_wait_for_their_turn_are_sent_with_the_new_key(
    kind: str, emulator: Emulator
) -> None:
    """R9.3: they wait in another thread's loop, so that the rotation does not stand in line behind them."""
    reasons: list[str] = []

    class Observer:
        def on_retry(self, event: object) -> None:
            reasons.append(getattr(event, "reason", ""))

    async def work() -> None:
        await asyncio.gather(*(client.vms.list().first() for _ in range(100)))

    key = emulator.api_key if kind == "static" else Lagging(emulator.api_key)
    async with emulator.client(api_key=key, max_requests_per_second=50, hooks=[Observer()]) as client:
        working = asyncio.create_task(asyncio.to_thread(asyncio.run, work()))
        governor = client._calls.transport.shared.pacing.api
        async with asyncio.timeout(20):
            while governor.waiting < 80:
                await asyncio.sleep(0.001)
        await client.api_keys.rotate(store=lambda key: None)
        assert governor.waiting > 0, "some still wait when the old key is revoked"
        await working
    assert statuses(emulator).count(401) == 0
    assert reasons == []


async def test_a_view_is_switched_when_it_is_time_to_ask_its_provider_again(emulator: Emulator) -> None:
    """R9.3."""
    async with emulator.client() as client:
        view = client.with_options(api_key=Lagging(emulator.api_key))
        await view.vms.list()
        await time_to_ask(view)
        await client.api_keys.rotate(store=lambda key: None)
        await view.vms.list()
    assert statuses(emulator).count(401) == 0


async def test_a_file_may_be_several_rotations_behind(emulator: Emulator, tmp_path: Path) -> None:
    """R9.3: a mounted secret follows its store by minutes."""
    file = tmp_path / "key"
    file.touch(mode=0o600)
    file.write_text(emulator.api_key)
    stored = [emulator.api_key]
    async with emulator.client(api_key=FileKey(file, check_every=0.01)) as client:
        for _ in range(3):
            await client.api_keys.rotate(store=stored.append)
            for behind in stored:
                file.write_text(behind)
                await time_to_ask(client)
                await client.vms.list()
    assert statuses(emulator).count(401) == 0


async def test_two_views_do_not_rotate_one_key_at_once(emulator: Emulator) -> None:
    """R9.3: each would make a key, and only one of the two would be stored last."""
    storing, go_on = asyncio.Event(), asyncio.Event()

    async def store(key: str) -> None:
        storing.set()
        await go_on.wait()

    async with emulator.client() as client:
        view = client.with_options(api_key=emulator.api_key)
        first = asyncio.create_task(client.api_keys.rotate(store=store))
        await asyncio.wait_for(storing.wait(), 20)
        go_on.set()
        with pytest.raises(RotationError, match="under way"):
            await view.api_keys.rotate(store=store)
        rotation = await first
        assert [key.id for key in await working_keys(emulator)] == [rotation.new_key_id]
        # It is over for both.
        again = await view.api_keys.rotate(store=store)
        await client.vms.list()
    assert [key.id for key in await working_keys(emulator)] == [again.new_key_id]


@pytest.mark.parametrize("scopes", [None, ["vms:read"]], ids=["same scopes", "fewer scopes"])
async def test_a_rotation_during_anothers_grace_leaves_one_key(
    scopes: list[str] | None, emulator: Emulator
) -> None:
    """R9.3: the second may be urgent, the first one's grace may be long."""
    async with emulator.client() as client:
        first = asyncio.create_task(client.api_keys.rotate(store=lambda key: None, grace=1.0))
        async with asyncio.timeout(5):
            while client._calls.transport.key_source.current.secret == Secret(emulator.api_key):
                await asyncio.sleep(0.001)
        second = await client.api_keys.rotate(store=lambda key: None, scopes=scopes)
        assert not first.done()
        assert (await first).step == "done"
        await client.vms.list()
    assert [key.id for key in await working_keys(emulator)] == [second.new_key_id]
    assert statuses(emulator).count(401) == 0


async def test_a_rotation_that_stopped_is_finished_after_the_key_was_rotated_again(
    emulator: Emulator,
) -> None:
    """R9.3."""
    async with emulator.client(retry=ONCE) as client:
        emulator.faults.add(Fault(operation=REVOKE, status=500, times=1))
        with pytest.raises(RotationError, match="step revoke") as caught:
            await client.api_keys.rotate(store=lambda key: None)
        second = await client.api_keys.rotate(store=lambda key: None)
        assert len(await working_keys(emulator)) == 2
        assert caught.value.rotation is not None
        assert (await client.api_keys.resume_rotation(caught.value.rotation)).step == "done"
    assert [key.id for key in await working_keys(emulator)] == [second.new_key_id]


async def test_a_third_key_decides_nothing_about_a_key_that_may_be_stored_or_not(
    emulator: Emulator,
) -> None:
    """R9.3."""
    async with emulator.client() as client:
        old = await client.api_keys.create(name="old")
        new = await client.api_keys.create(name="new")
        rotation = Rotation(emulator.org_id, old.id, new.id, "old", "store")
        for step in ("create", "verify", "store"):
            with pytest.raises(RotationError, match="neither"):
                await client.api_keys.resume_rotation(rotation.at(step))
        elsewhere = Rotation("org_other", old.id, new.id, "old", "revoke")
        with pytest.raises(RotationError, match="neither"):
            await client.api_keys.resume_rotation(elsewhere)
    assert {old.id, new.id} <= {key.id for key in await working_keys(emulator)}


@pytest.mark.parametrize("lost", [False, True], ids=["plain", "answer lost"])
async def test_a_key_with_fewer_scopes_takes_the_place_of_one_that_revokes_itself(
    lost: bool, emulator: Emulator
) -> None:
    """R9.3: the new key may not revoke keys."""
    if lost:
        # The second try is the old key's own; when it is repeated the key is refused.
        emulator.faults.add(Fault(operation=REVOKE, call=2, reset="after"))
    stored: list[str] = []
    async with emulator.client(retry=RetryPolicy(base=0.001, cap=0.002)) as client:
        rotation = await client.api_keys.rotate(store=stored.append, scopes=["vms:read"])
        await client.vms.list()
    assert rotation.step == "done"
    [left] = await working_keys(emulator)
    assert left.id == rotation.new_key_id
    assert left.scopes == ["vms:read"]


async def test_an_old_key_that_neither_key_revoked_is_revoked_by_another(emulator: Emulator) -> None:
    """R9.3: the error says that it takes a key with the right to."""
    async with emulator.client() as client:
        admin = await client.api_keys.create(name="admin")
    emulator.faults.clear()  # counts from one again
    emulator.faults.add(Fault(operation=REVOKE, status=403, times=None))
    async with emulator.client(retry=ONCE) as client:
        with pytest.raises(RotationError, match="with a key that may revoke keys") as caught:
            await client.api_keys.rotate(store=lambda key: None, scopes=["vms:read"])
    emulator.faults.clear()
    rotation = caught.value.rotation
    assert rotation is not None
    assert rotation.old_key_id in str(caught.value)
    assert rotation.new_key_id is not None
    assert rotation.new_key_id in str(caught.value)
    async with AsyncClient(admin.key, base_url=emulator.url, inference_url=emulator.url) as other:
        assert (await other.api_keys.resume_rotation(rotation)).step == "done"
    assert {key.id for key in await working_keys(emulator)} == {admin.id, rotation.new_key_id}
