"""R9.3: rotations that are refused before they begin, whose journal fails, or that are cancelled."""

from __future__ import annotations

import asyncio
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from openrelay_async.emulator import Emulator, Fault
from openrelay_async.errors import ConfigurationError
from openrelay_async.hooks import AttemptEnded, AttemptStarted
from openrelay_async.rotation import Rotation, RotationError
from tests.canary.leaks import foreign_links
from tests.credentials.conftest import working_keys

CREATE, REVOKE, WHOAMI = "createOrgApiKey", "revokeOrgApiKey", "whoami"


class Losing:
    """Loses the journal's folder when an operation was answered for the `number`th time."""

    def __init__(self, folder: Path, operation: str, number: int = 1) -> None:
        self.folder = folder
        self.operation = operation
        self.left = number

    def on_response(self, event: AttemptEnded) -> None:
        if event.operation == self.operation:
            self.left -= 1
            if self.left == 0:
                shutil.rmtree(self.folder)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    folder = tmp_path / "journals"
    folder.mkdir()
    return folder / "journal"


@pytest.mark.parametrize(
    "expires_in",
    [float("inf"), float("nan"), "x", 0, -1, 0.5, True, timedelta(0), timedelta(days=-1)],
    ids=repr,
)
async def test_a_lifetime_that_is_none_is_refused_before_anything_is_sent(
    expires_in: float, emulator: Emulator
) -> None:
    """R9.3."""
    async with emulator.client() as client:
        with pytest.raises(ConfigurationError, match="expires_in"):
            await client.api_keys.rotate(store=lambda key: None, expires_in=expires_in)
    assert list(emulator.requests) == []


@pytest.mark.parametrize(
    ("step", "operation", "number"), [("verify", CREATE, 1), ("store", WHOAMI, 2)], ids=["verify", "store"]
)
async def test_a_journal_that_fails_before_the_key_is_stored_leaves_the_old_key(
    step: str, operation: str, number: int, emulator: Emulator, journal: Path
) -> None:
    """R9.3."""
    stored: list[str] = []
    [before] = await working_keys(emulator)
    async with emulator.client(hooks=[Losing(journal.parent, operation, number)]) as client:
        with pytest.raises(RotationError, match=f"step {step}: the journal: No such file") as caught:
            await client.api_keys.rotate(store=stored.append, journal=journal)
        await client.vms.list()
    assert stored == []
    assert [key.id for key in await working_keys(emulator)] == [before.id]
    rotation = caught.value.rotation
    assert rotation is not None
    assert rotation.step == "undone"
    assert f"the new key {rotation.new_key_id} was revoked" in str(caught.value)
    assert foreign_links(caught.value) == []


async def test_a_journal_that_fails_after_the_key_is_stored_leaves_the_new_key_in_use(
    emulator: Emulator, journal: Path
) -> None:
    """R9.3: what is stored is what the client uses, and the error is enough to finish."""
    stored: list[str] = []

    def store(key: str) -> None:
        stored.append(key)
        shutil.rmtree(journal.parent)

    async with emulator.client() as client:
        with pytest.raises(RotationError, match="step switch: the journal: No such file") as caught:
            await client.api_keys.rotate(store=store, journal=journal)
        rotation = caught.value.rotation
        assert rotation is not None
        assert f"the new key {rotation.new_key_id} is in use" in str(caught.value)
        assert f"the old key {rotation.old_key_id} still works" in str(caught.value)
        me = await client.account.whoami()
        assert me.key is not None
        assert me.key.id == rotation.new_key_id
        assert (await client.api_keys.resume_rotation(rotation)).step == "done"
    assert foreign_links(caught.value) == []
    assert [key.id for key in await working_keys(emulator)] == [rotation.new_key_id]
    async with emulator.client(api_key=stored[0]) as client:
        await client.vms.list()


async def test_a_journal_that_fails_at_the_end_says_that_the_old_key_was_revoked(
    emulator: Emulator, journal: Path
) -> None:
    """R9.3."""
    async with emulator.client(hooks=[Losing(journal.parent, REVOKE)]) as client:
        with pytest.raises(RotationError, match=r"the old key \S+ was revoked") as caught:
            await client.api_keys.rotate(store=lambda key: None, journal=journal)
    rotation = caught.value.rotation
    assert rotation is not None
    assert rotation.is_over
    assert [key.id for key in await working_keys(emulator)] == [rotation.new_key_id]


async def test_a_resumed_rotation_tells_of_its_journal_too(emulator: Emulator, journal: Path) -> None:
    """R9.3."""
    async with emulator.client() as client:
        old = await client.api_keys.create(name="old")
        [me] = [key for key in await working_keys(emulator) if key.id != old.id]
        Rotation(emulator.org_id, old.id, me.id, "old", "revoke").save(journal)
    async with emulator.client(hooks=[Losing(journal.parent, "listOrgApiKeys")]) as client:
        with pytest.raises(RotationError, match=f"step revoke: the journal.*{old.id} still works"):
            await client.api_keys.resume_rotation(journal)


async def test_the_journal_of_a_rotation_that_is_not_over_is_not_written_over(
    emulator: Emulator, journal: Path
) -> None:
    """R9.3: it is all that tells of the key that is to be revoked."""
    earlier = Rotation(emulator.org_id, "key_1", "key_2", "earlier", "revoke")
    earlier.save(journal)
    async with emulator.client() as client:
        with pytest.raises(RotationError, match="key_1 → key_2") as caught:
            await client.api_keys.rotate(store=lambda key: None, journal=journal)
        assert caught.value.rotation == earlier
        assert Rotation.load(journal) == earlier
        assert list(emulator.requests) == []
        for end in ("done", "undone"):
            earlier.at(end).save(journal)
            assert (await client.api_keys.rotate(store=lambda key: None, journal=journal)).step == "done"


async def test_the_journal_of_a_rotation_that_made_no_key_does_not_hinder_the_next(
    emulator: Emulator, journal: Path
) -> None:
    async with emulator.client() as client:
        with pytest.raises(RotationError, match="no new key was made"):
            await client.api_keys.rotate(store=lambda key: None, name="n" * 300, journal=journal)
        assert (await client.api_keys.rotate(store=lambda key: None, journal=journal)).step == "done"


async def test_a_rotation_that_is_cancelled_while_storing_names_both_keys(emulator: Emulator) -> None:
    """R3.5 R9.3."""
    storing = asyncio.Event()

    async def store(key: str) -> None:
        storing.set()
        await asyncio.Event().wait()

    async with emulator.client() as client:
        rotating = asyncio.create_task(client.api_keys.rotate(store=store))
        await asyncio.wait_for(storing.wait(), 20)
        rotating.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await rotating
    [note] = caught.value.__notes__
    assert "step store" in note
    assert "stored or not" in note
    alive = await working_keys(emulator)
    assert len(alive) == 2
    assert all(key.id in note for key in alive)


async def test_a_store_whose_own_work_was_cancelled_has_failed(emulator: Emulator) -> None:
    """R9.3: nobody has cancelled the rotation."""
    [before] = await working_keys(emulator)

    async def store(key: str) -> None:
        fetching = asyncio.ensure_future(asyncio.Event().wait())
        fetching.cancel()
        await fetching

    async with emulator.client() as client:
        with pytest.raises(
            RotationError, match=r"store\(\) raised CancelledError; the new key key_\w+ was revoked"
        ):
            await client.api_keys.rotate(store=store)
    assert [key.id for key in await working_keys(emulator)] == [before.id]


@pytest.mark.parametrize("store", [None, "vault", 7], ids=repr)
async def test_a_store_that_cannot_be_called_is_refused_before_anything_is_sent(
    store: object, emulator: Emulator
) -> None:
    """R9.3."""
    async with emulator.client() as client:
        with pytest.raises(ConfigurationError, match="store must be a function that takes the key"):
            await client.api_keys.rotate(store=store)  # type: ignore[arg-type]
    assert list(emulator.requests) == []


async def test_a_rotation_that_is_cancelled_in_its_grace_names_both_keys(emulator: Emulator) -> None:
    """R3.5 R9.3."""
    async with emulator.client() as client:
        source = client._calls.transport.key_source
        old = source.current
        rotating = asyncio.create_task(client.api_keys.rotate(store=lambda key: None, grace=3600.0))
        async with asyncio.timeout(20):
            while source.current is old:
                await asyncio.sleep(0.001)
        rotating.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await rotating
    [note] = caught.value.__notes__
    assert "resume_rotation() finishes it" in note
    assert all(key.id in note for key in await working_keys(emulator))


@pytest.mark.parametrize("cancellations", [1, 2, 3])
async def test_cancellations_wait_until_a_key_that_nobody_has_is_revoked(
    cancellations: int, emulator: Emulator
) -> None:
    """R3.5 R9.3."""
    [before] = await working_keys(emulator)
    emulator.faults.clear()  # counts from one again
    emulator.faults.add(
        Fault(operation=WHOAMI, call=2, status=403), Fault(operation=REVOKE, delay=0.3, times=None)
    )

    class Cancelling:
        def on_attempt(self, event: AttemptStarted) -> None:
            if event.operation == REVOKE:
                for number in range(cancellations):
                    asyncio.get_running_loop().call_later(number * 0.05, rotating.cancel)

    async with emulator.client(hooks=[Cancelling()]) as client:
        rotating = asyncio.create_task(client.api_keys.rotate(store=lambda key: None))
        with pytest.raises(asyncio.CancelledError) as caught:
            await rotating
        assert [key.id for key in await working_keys(emulator)] == [before.id]
    [note] = caught.value.__notes__
    assert "was revoked, the old key stays in use" in note


async def test_a_cancellation_is_not_hidden_by_a_journal_that_fails(
    emulator: Emulator, journal: Path
) -> None:
    """R3.5 R9.3."""
    emulator.faults.add(Fault(operation=WHOAMI, call=2, delay=0.3))

    class Cancelling:
        calls = 0

        def on_attempt(self, event: AttemptStarted) -> None:
            self.calls += event.operation == WHOAMI
            if self.calls == 2:
                # The new key is being verified.
                self.calls = 0
                shutil.rmtree(journal.parent)
                asyncio.get_running_loop().call_soon(rotating.cancel)

    async with emulator.client(hooks=[Cancelling()]) as client:
        rotating = asyncio.create_task(client.api_keys.rotate(store=lambda key: None, journal=journal))
        with pytest.raises(asyncio.CancelledError) as caught:
            await rotating
    [note] = caught.value.__notes__
    assert "was revoked, the old key stays in use" in note
    assert len(await working_keys(emulator)) == 1
