"""R9.3: rotating the key in use."""

from __future__ import annotations

import asyncio
import os
import pickle
import random
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from openrelay_async import AsyncClient, FileKey, PoolLimits, RetryPolicy, errors
from openrelay_async.emulator import Emulator, Fault, TurnedClock
from openrelay_async.emulator.options import Generation
from openrelay_async.hooks import AttemptStarted
from openrelay_async.rotation import Rotation, RotationError
from tests.canary.leaks import foreign_links, leaks_of_error
from tests.credentials.conftest import working_keys

CREATE, REVOKE, WHOAMI, LIST = "createOrgApiKey", "revokeOrgApiKey", "whoami", "listOrgApiKeys"


async def test_rotation_replaces_the_key_stores_it_and_revokes_the_old_one(emulator: Emulator) -> None:
    """R9.3."""
    stored: list[str] = []
    async with emulator.client() as client:
        rotation = await client.api_keys.rotate(store=stored.append)
        await client.vms.list()
    assert rotation.step == "done"
    [left] = await working_keys(emulator)
    assert left.id == rotation.new_key_id
    async with emulator.client(api_key=stored[0]) as client:
        await client.account.whoami()
    async with emulator.client() as client:
        with pytest.raises(errors.Unauthenticated, match="revoked"):
            await client.account.whoami()


async def test_the_new_key_has_the_old_ones_name_and_scopes_unless_told(emulator: Emulator) -> None:
    """R9.3."""
    async with emulator.client() as admin:
        made = await admin.api_keys.create(name="ci", scopes=["clusters:write", "vms:read"])
    async with emulator.client(api_key=made.key) as client:
        await client.api_keys.rotate(store=lambda key: None)
        [same] = [key for key in await client.api_keys.list() if key.name == "ci" and not key.revoked_at]
        assert sorted(same.scopes) == ["clusters:write", "vms:read"]
        await client.api_keys.rotate(
            store=lambda key: None, name="ci-2", scopes=["clusters:write"], expires_in=3600
        )
        [other] = [key for key in await client.api_keys.list() if key.name == "ci-2"]
    assert other.scopes == ["clusters:write"]
    assert other.expires_at is not None
    assert other.created_at is not None
    assert round((other.expires_at - other.created_at).total_seconds()) == 3600


async def test_a_key_that_expires_is_replaced_by_one_of_the_same_lifetime(emulator: Emulator) -> None:
    async with emulator.client() as admin:
        made = await admin.api_keys.create(name="short", expires_in_seconds=7200)
    async with emulator.client(api_key=made.key) as client:
        rotation = await client.api_keys.rotate(store=lambda key: None)
        [new] = [key for key in await client.api_keys.list() if key.id == rotation.new_key_id]
    assert new.expires_at is not None
    assert new.created_at is not None
    assert round((new.expires_at - new.created_at).total_seconds()) == 7200


async def test_the_new_key_has_no_restriction_that_the_old_one_lacked(emulator: Emulator) -> None:
    restrictions = {"ipRanges": ["127.0.0.0/8"]}
    async with emulator.client() as admin:
        made = await admin.api_keys.create(name="confined", restrictions=restrictions)
    async with emulator.client(api_key=made.key) as client:
        await client.api_keys.rotate(store=lambda key: None)
    [_, again] = [request for request in emulator.requests if request.operation == CREATE]
    assert again.json()["restrictions"] == restrictions


@pytest.mark.timeout(600)
async def test_ten_rotations_under_load_and_resets_fail_no_call(emulator: Emulator) -> None:
    """R9.3: none failed, none refused; a twentieth of all requests is reset, half of them after the commit.

    The load is 2,000 calls here, and 20,000 with OPENRELAY_SOAK=1.
    """
    calls, rotations = (20_000 if os.environ.get("OPENRELAY_SOAK") else 2_000), 10
    randomness = random.Random(5)
    for number in range(1, calls):
        if randomness.random() < 0.05:
            side = randomness.choice(["before", "after"])
            emulator.faults.add(Fault(operation="listOrgVms", call=number, reset=side))
            if number % 5 == 0:
                for operation in (CREATE, WHOAMI, LIST, REVOKE):
                    emulator.faults.add(Fault(operation=operation, call=number // 5, reset=side))
    reasons: list[str] = []

    class Observer:
        def on_retry(self, event: object) -> None:
            reasons.append(getattr(event, "reason", ""))

    retry = RetryPolicy(max_attempts=8, base=0.001, cap=0.01, budget_ratio=1.0, budget_burst=1000)
    stored = [emulator.api_key]
    left = calls
    async with emulator.client(
        retry=retry, hooks=[Observer()], limits=PoolLimits(max_connections=20)
    ) as client:
        view = client.with_options(timeout=30)

        async def work() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                await (client if left % 2 else view).vms.list(page_size=1).first()

        async def rotate() -> None:
            for number in range(rotations):
                while left > calls * (rotations - number) / (rotations + 1):
                    await asyncio.sleep(0.002)
                await client.api_keys.rotate(store=stored.append)

        async with asyncio.timeout(600), asyncio.TaskGroup() as group:
            group.create_task(rotate())
            for _ in range(40):
                group.create_task(work())
    assert len(stored) == rotations + 1
    seen = [request.status for request in emulator.requests]
    assert seen.count(None) >= calls * 0.03, "the resets happened"
    assert seen.count(401) == 0
    assert not any("401" in reason for reason in reasons)
    [last] = await working_keys(emulator)
    async with emulator.client(api_key=stored[-1]) as client:
        me = await client.account.whoami()
    assert me.key is not None
    assert me.key.id == last.id


@pytest.mark.parametrize(
    ("step", "faults"),
    [
        ("create", [Fault(operation=CREATE, status=403, code="ESCALATION_REFUSED")]),
        ("create", [Fault(operation=CREATE, reset="before", times=None)]),
        ("create", [Fault(operation=CREATE, reset="after", times=None)]),
        ("create", [Fault(operation=CREATE, body="truncated", times=None)]),
        ("verify", [Fault(operation=WHOAMI, call=2, status=403, times=1)]),
        ("verify", [Fault(operation=WHOAMI, call=2, body="garbage", times=None)]),
    ],
    ids=["refused", "reset before", "reset after", "answer cut off", "verify refused", "verify garbage"],
)
async def test_a_failure_before_the_key_is_stored_leaves_the_old_key_and_no_new_one(
    step: str, faults: list[Fault], emulator: Emulator
) -> None:
    """R9.3."""
    for fault in faults:
        emulator.faults.add(fault)
    stored: list[str] = []
    retry = RetryPolicy(max_attempts=3, base=0.001, cap=0.002, budget_ratio=1, budget_burst=1000)
    # A create without an answer is looked for during 5 s each time.
    async with emulator.client(retry=retry, clock=TurnedClock().jumping()) as client:
        [before] = await working_keys(emulator)
        with pytest.raises(RotationError, match=f"step {step}") as caught:
            await client.api_keys.rotate(store=stored.append)
        emulator.faults.clear()
        await client.vms.list()
    assert stored == []
    assert [key.id for key in await working_keys(emulator)] == [before.id]
    assert "the old key stays in use" in str(caught.value)
    assert foreign_links(caught.value) == []


@pytest.mark.parametrize("kind", ["sync", "async", "callable object"])
async def test_a_store_that_fails_leaves_the_old_key_and_shows_no_new_one(
    kind: str, emulator: Emulator
) -> None:
    """R9.3 R4.1."""
    seen: list[str] = []

    def fail(key: str) -> None:
        seen.append(key)
        raise OSError(28, f"the vault is full of {key}")

    async def fail_later(key: str) -> None:
        await asyncio.sleep(0)
        fail(key)

    class Vault:
        def __call__(self, key: str) -> None:
            fail(key)

    store: Callable[[str], object] = {"sync": fail, "async": fail_later, "callable object": Vault()}[kind]
    async with emulator.client() as client:
        [before] = await working_keys(emulator)
        with pytest.raises(RotationError, match=r"step store: store\(\) raised OSError") as caught:
            await client.api_keys.rotate(store=store)
        await client.vms.list()
    assert [key.id for key in await working_keys(emulator)] == [before.id]
    assert leaks_of_error(seen[0], caught.value) == []
    assert foreign_links(caught.value) == []
    assert "was revoked" in str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).rotation == caught.value.rotation  # noqa: S301 - made here


async def test_nothing_uses_the_new_key_before_it_is_stored(emulator: Emulator) -> None:
    """R9.3."""
    alive_at_store: list[int] = []

    async def store(key: str) -> None:
        alive_at_store.append(len(await working_keys(emulator)))
        await client.vms.list()
        seen.append(emulator.api_key in repr(client._calls.transport.key_source.current.secret.reveal()))

    seen: list[bool] = []
    async with emulator.client() as client:
        await client.api_keys.rotate(store=store)
    assert alive_at_store == [2]
    assert seen == [True]


async def test_calls_under_the_old_key_end_before_it_is_revoked(emulator: Emulator) -> None:
    """R9.3."""
    emulator.faults.add(Fault(operation="listOrgVms", delay=0.3))
    async with emulator.client() as client:
        slow = asyncio.create_task(client.vms.list().first())
        async with asyncio.timeout(5):
            while not client._calls.transport.key_source.current.in_flight:
                await asyncio.sleep(0.001)
        await client.api_keys.rotate(store=lambda key: None)
        assert slow.done()
        await slow
    assert [request.status for request in emulator.requests].count(401) == 0


async def test_a_drain_that_takes_too_long_leaves_both_keys_and_can_be_resumed(emulator: Emulator) -> None:
    """R9.3."""
    emulator.faults.add(Fault(operation="listOrgVms", delay=2.0))
    async with emulator.client() as client:
        slow = asyncio.create_task(client.vms.list().first())
        async with asyncio.timeout(5):
            while not client._calls.transport.key_source.current.in_flight:
                await asyncio.sleep(0.001)
        with pytest.raises(RotationError, match="step drain") as caught:
            await client.api_keys.rotate(store=lambda key: None, drain_timeout=0.05)
        assert len(await working_keys(emulator)) == 2
        await slow
        assert caught.value.rotation is not None
        rotation = await client.api_keys.resume_rotation(caught.value.rotation)
        await client.vms.list()
    assert rotation.step == "done"
    assert [key.id for key in await working_keys(emulator)] == [rotation.new_key_id]


async def test_grace_keeps_the_old_key_for_other_processes(emulator: Emulator) -> None:
    """R9.3."""
    async with emulator.client() as client, emulator.client() as other:
        rotating = asyncio.create_task(client.api_keys.rotate(store=lambda key: None, grace=1.0))
        async with asyncio.timeout(5):
            while client._calls.transport.key_source.current.secret.reveal() == emulator.api_key:
                await other.vms.list()
        await other.vms.list()
        await rotating
        with pytest.raises(errors.Unauthenticated):
            await other.vms.list()


async def test_a_failed_revocation_can_be_resumed_from_the_journal_by_another_process(
    emulator: Emulator, tmp_path: Path
) -> None:
    """R9.3."""
    stored: list[str] = []
    journal = tmp_path / "rotation.json"
    emulator.faults.add(Fault(operation=REVOKE, status=500, times=None))
    async with emulator.client(retry=RetryPolicy(max_attempts=1)) as client:
        with pytest.raises(RotationError, match="step revoke"):
            await client.api_keys.rotate(store=stored.append, journal=journal)
        await client.vms.list()
    emulator.faults.clear()
    assert stored[0] not in journal.read_text()
    assert journal.stat().st_mode & 0o077 == 0
    assert Rotation.load(journal).step == "revoke"
    async with emulator.client() as old:
        with pytest.raises(RotationError, match="what is stored"):
            await old.api_keys.resume_rotation(journal)
    async with emulator.client(api_key=stored[0]) as new:
        assert (await new.api_keys.resume_rotation(journal)).step == "done"
        assert (await new.api_keys.resume_rotation(journal)).step == "done"
    assert len(await working_keys(emulator)) == 1


async def test_a_crash_before_storing_is_undone_from_the_journal(emulator: Emulator, tmp_path: Path) -> None:
    """R9.3."""
    journal = tmp_path / "rotation.json"
    [old] = await working_keys(emulator)
    async with emulator.client() as client:
        made = await client.api_keys.create(name="bootstrap", scopes=old.scopes)
        rotation = Rotation(
            emulator.org_id, old.id, None, "bootstrap", "create", tuple(old.scopes), (old.id,)
        )
        for known in (None, made.id):
            rotation.at("create" if known is None else "verify", new_key_id=known).save(journal)
            assert (await client.api_keys.resume_rotation(journal)).step == "undone"
            assert [key.id for key in await working_keys(emulator)] == [old.id]


@pytest.mark.parametrize("operation", [WHOAMI, LIST, CREATE])
async def test_a_cancelled_rotation_leaves_the_old_key_and_no_new_one(
    operation: str, emulator: Emulator
) -> None:
    """R9.3 R3.5."""
    [before] = await working_keys(emulator)
    emulator.faults.clear()  # counts from one again
    # The second whoami is the new key's.
    number = 2 if operation == WHOAMI else 1
    emulator.faults.add(Fault(operation=operation, delay=0.3, call=number))
    attempts: Counter[str] = Counter()
    begun = asyncio.Event()

    class Observer:
        def on_attempt(self, event: AttemptStarted) -> None:
            attempts[event.operation] += 1
            if attempts[operation] == number:
                begun.set()

    stored: list[str] = []
    async with emulator.client(hooks=[Observer()]) as client:
        rotating = asyncio.create_task(client.api_keys.rotate(store=stored.append))
        await asyncio.wait_for(begun.wait(), 20)
        await asyncio.sleep(0.05)  # it is on its way
        rotating.cancel()
        with pytest.raises(asyncio.CancelledError):
            await rotating
        await client.vms.list()
    assert stored == []
    assert [key.id for key in await working_keys(emulator)] == [before.id]


async def test_two_rotations_of_one_key_do_not_run_at_once(emulator: Emulator) -> None:
    async with emulator.client() as client:
        first = asyncio.create_task(client.api_keys.rotate(store=lambda key: None))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with pytest.raises(RotationError, match="under way"):
            await client.api_keys.rotate(store=lambda key: None)
        await first


async def test_views_with_the_same_key_are_switched_and_views_with_another_are_not(
    emulator: Emulator,
) -> None:
    """R9.3."""
    async with emulator.client() as client:
        other = await client.api_keys.create(name="other")
        same = client.with_options(api_key=emulator.api_key)
        different = client.with_options(api_key=other.key)
        await client.api_keys.rotate(store=lambda key: None)
        await same.vms.list()
        await different.vms.list()
        assert different._calls.transport.key_source.current.secret == other.key


async def test_a_provider_that_still_gives_the_old_key_does_not_bring_it_back(emulator: Emulator) -> None:
    """R9.3: the store has the new key, and what the provider reads follows later."""

    class Lagging:
        check_every = 0.01

        def __call__(self) -> str:
            return emulator.api_key

    async with emulator.client(api_key=Lagging()) as client:
        await client.api_keys.rotate(store=lambda key: None)
        for _ in range(5):
            await asyncio.sleep(0.02)
            await client.vms.list()
    assert [request.status for request in emulator.requests].count(401) == 0


async def test_a_session_cannot_be_rotated(emulator: Emulator) -> None:
    async with emulator.client(api_key=emulator.session_token) as client:
        with pytest.raises(RotationError, match="session"):
            await client.api_keys.rotate(store=lambda key: None)


async def test_a_key_without_the_right_to_make_keys_says_what_it_lacks(emulator: Emulator) -> None:
    """R9.4."""
    async with emulator.client() as client:
        weak = await client.api_keys.create(name="weak", scopes=["vms:read"])
        async with emulator.client(api_key=weak.key) as own:
            with pytest.raises(RotationError, match="clusters:read") as caught:
                await own.api_keys.rotate(store=lambda key: None)
    assert caught.value.status == 403


def test_a_journal_that_is_none_is_refused(tmp_path: Path) -> None:
    for text in ("{}", '{"step": "revoke"}', "[]"):
        (tmp_path / "j").write_text(text)
        with pytest.raises((ValueError, TypeError)):
            Rotation.load(tmp_path / "j")


async def test_a_client_alone_needs_no_key_id(emulator: Emulator) -> None:
    """Keys that begin alike are told apart by whoami where it tells the id."""
    async with AsyncClient(emulator.api_key, base_url=emulator.url, inference_url=emulator.url) as client:
        assert (await client.api_keys.rotate(store=lambda key: None)).step == "done"


@pytest.mark.parametrize("generation", ["2026-07", "2026-10"])
async def test_a_key_of_either_generation_is_found_and_replaced(generation: Generation) -> None:
    """2026-07 does not tell a key's id in whoami: there its prefix does."""
    async with Emulator(generation=generation) as emulator, emulator.client() as client:
        stored: list[str] = []
        for _ in range(2):
            assert (await client.api_keys.rotate(store=stored.append)).step == "done"
        assert len([key for key in await client.api_keys.list() if not key.revoked_at]) == 1
        assert stored[0].startswith("or_" if generation == "2026-10" else "vl_")


async def test_two_processes_share_a_file_through_a_rotation(emulator: Emulator, tmp_path: Path) -> None:
    """R9.1 R9.3: one rotates, the other reads the file; the grace covers the time between."""
    file = tmp_path / "key"
    file.touch(mode=0o600)
    file.write_text(emulator.api_key)

    def replace_file(key: str) -> None:
        beside = tmp_path / "key.new"
        beside.touch(mode=0o600)
        beside.write_text(key)
        beside.replace(file)

    ends = False
    async with (
        emulator.client(api_key=FileKey(file, check_every=0.05)) as rotating,
        emulator.client(api_key=FileKey(file, check_every=0.05)) as other,
    ):

        async def work(client: AsyncClient) -> int:
            calls = 0
            while not ends:
                await client.vms.list()
                calls += 1
            return calls

        async with asyncio.timeout(30):
            workers = [asyncio.create_task(work(client)) for client in (rotating, other) * 4]
            for _ in range(2):
                await rotating.api_keys.rotate(store=replace_file, grace=1.0)
            ends = True
            assert min(await asyncio.gather(*workers)) > 0
    assert [request.status for request in emulator.requests].count(401) == 0


async def test_calls_in_loops_of_other_threads_are_switched_and_drained_too(emulator: Emulator) -> None:
    """R1.2 R9.3."""
    ends = threading.Event()

    async def work(client: AsyncClient) -> int:
        calls = 0
        while not ends.is_set():
            await client.vms.list()
            calls += 1
        return calls

    async with emulator.client() as client:
        threads = [asyncio.create_task(asyncio.to_thread(asyncio.run, work(client))) for _ in range(2)]
        try:
            for _ in range(3):
                await client.api_keys.rotate(store=lambda key: None)
        finally:
            ends.set()
        assert min(await asyncio.gather(*threads)) > 0
    assert [request.status for request in emulator.requests].count(401) == 0
