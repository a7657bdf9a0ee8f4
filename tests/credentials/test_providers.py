"""R9.1: where keys come from."""

from __future__ import annotations

import asyncio
import os
import pickle
import stat
import sys
import threading
import time
from pathlib import Path

import pytest

from openrelay_async import AsyncClient, EnvironmentKey, FileKey, RetryPolicy, Secret, SystemClock
from openrelay_async.errors import ConfigurationError, RequestTimeout
from openrelay_async.key_providers import CommandKey, KeyringKey
from tests.canary.leaks import foreign_links, leaks_of_error
from tests.credentials.conftest import KeyServer

KEY = "vl_GoodKeyGoodKeyGoodKey0123456789"
OTHER = "or_OtherKeyOtherKeyOtherKey987654"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.touch(mode=0o600)
    path.write_text(KEY + "\n")
    return path


def printing(text: str, status: int = 0, stderr: str = "") -> CommandKey:
    script = f"import sys; print({text!r}); print({stderr!r}, file=sys.stderr); sys.exit({status})"
    return CommandKey(sys.executable, "-c", script)


async def test_a_callable_is_asked_once_for_a_thousand_concurrent_calls(keys: KeyServer) -> None:
    """R9.1."""
    keys.good = {KEY}
    asked = 0

    async def provide() -> str:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.02)
        return KEY

    async with AsyncClient(provide, base_url=keys.url) as client:
        await asyncio.gather(*(client.account.whoami() for _ in range(1000)))
    assert asked == 1
    assert set(keys.seen) == {KEY}


async def test_a_blocking_callable_runs_off_the_loop(keys: KeyServer) -> None:
    """R9.1."""
    keys.good = {KEY}
    threads: list[int] = []
    ticks = 0

    def provide() -> str:
        threads.append(threading.get_ident())
        time.sleep(0.3)
        return KEY

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1

    ticking = asyncio.create_task(tick())
    async with AsyncClient(provide, base_url=keys.url) as client:
        await client.account.whoami()
    ticking.cancel()
    assert threads != [threading.get_ident()]
    assert ticks >= 3


@pytest.mark.parametrize("given", [KEY, Secret(KEY), f"  {KEY}\r\n"], ids=["str", "Secret", "spaces"])
async def test_a_callable_may_return_text_or_a_secret_with_spaces_around(
    given: str | Secret, keys: KeyServer
) -> None:
    keys.good = {KEY}
    async with AsyncClient(lambda: given, base_url=keys.url) as client:
        await client.account.whoami()
    assert keys.seen == [KEY]


async def test_a_callable_that_returns_a_coroutine_is_awaited(keys: KeyServer) -> None:
    keys.good = {KEY}

    async def provide() -> str:
        return KEY

    async with AsyncClient(lambda: provide(), base_url=keys.url) as client:
        await client.account.whoami()
    assert keys.seen == [KEY]


async def test_a_provider_is_given_no_more_time_than_the_call_has(keys: KeyServer) -> None:
    """R9.1 R3.3."""

    async def provide() -> str:
        await asyncio.sleep(60)
        return KEY

    async with AsyncClient(provide, base_url=keys.url, timeout=0.1) as client:
        began = time.monotonic()
        with pytest.raises(RequestTimeout, match="the API key was not there"):
            await client.account.whoami()
    assert time.monotonic() - began < 1
    assert keys.seen == []


async def test_a_blocking_provider_that_hangs_does_not_keep_the_program_from_ending(tmp_path: Path) -> None:
    """R1.6 R9.1."""
    script = tmp_path / "hang.py"
    script.write_text(
        "import asyncio, time\n"
        "from openrelay_async import AsyncClient, errors\n"
        "async def main():\n"
        "    async with AsyncClient(lambda: time.sleep(60), base_url='http://127.0.0.1:9') as client:\n"
        "        try:\n"
        "            await client.account.whoami(timeout=0.1)\n"
        "        except errors.RequestTimeout:\n"
        "            print('gave up')\n"
        "asyncio.run(main())\n"
    )
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 20)
    assert output == b"gave up\n"
    assert time.monotonic() - began < 15


def refuse() -> str:
    raise LookupError(f"no entry for {KEY}")


async def refuse_later() -> str:
    raise LookupError(f"no entry for {KEY}")


@pytest.mark.parametrize(
    "provide", [refuse, refuse_later, lambda: None, lambda: 3, lambda: f"{KEY} {KEY}", lambda: ""]
)
async def test_a_provider_that_fails_fails_the_call_without_showing_a_key(
    provide: object, keys: KeyServer
) -> None:
    """R4.1."""
    async with AsyncClient(provide, base_url=keys.url) as client:  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError) as caught:
            await client.vms.get("vm_1")
    assert caught.value.operation == "getVm"
    assert leaks_of_error(KEY, caught.value) == []
    assert foreign_links(caught.value) == []
    assert keys.seen == []


async def test_callers_that_share_a_failing_provider_get_errors_of_their_own(keys: KeyServer) -> None:
    async with AsyncClient(refuse_later, base_url=keys.url, org_id="org_1") as client:
        results = await asyncio.gather(client.vms.get("v"), client.api_keys.list(), return_exceptions=True)
    assert [getattr(result, "operation", None) for result in results] == ["getVm", "listOrgApiKeys"]


async def test_a_provider_whose_own_work_was_cancelled_has_failed(keys: KeyServer) -> None:
    """R9.1: nobody has cancelled the calls that wait for it."""

    async def fetch() -> str:
        fetching = asyncio.ensure_future(asyncio.Event().wait())
        fetching.cancel()
        await fetching
        return KEY

    async with AsyncClient(fetch, base_url=keys.url) as client:
        results = await asyncio.gather(*(client.vms.get("v") for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [ConfigurationError] * 3
    assert all("the provider raised CancelledError" in str(result) for result in results)
    assert all(foreign_links(result) == [] for result in results if isinstance(result, BaseException))
    assert keys.seen == []


async def test_a_blocking_provider_that_raises_a_cancellation_has_failed(keys: KeyServer) -> None:
    """R9.1."""

    def fetch() -> str:
        raise asyncio.CancelledError

    async with AsyncClient(fetch, base_url=keys.url) as client:
        with pytest.raises(ConfigurationError, match="the provider raised CancelledError"):
            await client.account.whoami()


async def test_a_question_that_is_cancelled_with_all_tasks_of_the_loop_ends(keys: KeyServer) -> None:
    """R3.5: as at the end of `asyncio.run`."""
    asked = asyncio.Event()

    async def fetch() -> str:
        asked.set()
        await asyncio.Event().wait()
        return KEY

    async with AsyncClient(fetch, base_url=keys.url) as client:
        before = asyncio.all_tasks()
        calling = asyncio.ensure_future(client.account.whoami())
        await asyncio.wait_for(asked.wait(), 20)
        started = asyncio.all_tasks() - before
        assert len(started) == 2, "the call and the question"
        for task in started:
            task.cancel()
        await asyncio.wait(started, timeout=20)
        assert all(task.cancelled() for task in started)
        assert calling.cancelled()


async def test_an_environment_key_is_read_when_it_is_needed(
    keys: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.good = {KEY}
    async with AsyncClient(EnvironmentKey("TEAM_KEY"), base_url=keys.url) as client:
        with pytest.raises(ConfigurationError, match="TEAM_KEY is not set"):
            await client.account.whoami()
        monkeypatch.setenv("TEAM_KEY", KEY)
        await client.account.whoami()
    assert keys.seen == [KEY]


def set_age(file: Path, seconds: int) -> None:
    at = time.time() - seconds
    os.utime(file, (at, at))


async def test_a_raw_request_asks_the_provider_too(keys: KeyServer) -> None:
    keys.good = {KEY}
    async with AsyncClient(lambda: KEY, base_url=keys.url) as client:
        await client.request("GET", "/v1/anything")
    assert keys.seen == [KEY]


async def test_a_changed_file_is_picked_up_without_a_401(keys: KeyServer, key_file: Path) -> None:
    """R9.1."""
    keys.good = {KEY, OTHER}
    async with AsyncClient(FileKey(key_file, check_every=0.05), base_url=keys.url) as client:
        await client.account.whoami()
        key_file.write_text(OTHER)
        async with asyncio.timeout(5):
            while keys.seen[-1] != OTHER:
                await client.account.whoami()
                await asyncio.sleep(0.01)
    assert set(keys.seen) == {KEY, OTHER}


async def test_no_request_goes_out_without_its_key_when_it_is_time_to_ask_again(
    keys: KeyServer, key_file: Path
) -> None:
    """R9.1: that time may come between any two looks at the key."""

    class Halting(SystemClock):
        """Goes on by two hundredths of a second with every look at it."""

        now = 0.0

        def monotonic(self) -> float:
            self.now += 0.02
            return self.now

    keys.good = {KEY}
    async with AsyncClient(FileKey(key_file, check_every=0.3), base_url=keys.url, clock=Halting()) as client:
        for _ in range(200):
            await client.request("GET", "/v1/whoami")
    assert keys.seen == [KEY] * 200


@pytest.mark.parametrize("age", [0, 3600])
async def test_the_call_after_a_file_has_changed_uses_the_new_key(
    keys: KeyServer, key_file: Path, age: int
) -> None:
    """R9.1: also one of the same size, in the same tick of the file system's clock."""
    keys.good = {KEY, OTHER}
    set_age(key_file, age)
    async with AsyncClient(FileKey(key_file), base_url=keys.url) as client:
        for key in (OTHER, KEY, OTHER):
            await client.account.whoami()
            key_file.write_text(key)
            await client.account.whoami()
    assert keys.seen == [KEY, OTHER, OTHER, KEY, KEY, OTHER]


async def test_a_file_that_has_not_changed_is_not_read_again(keys: KeyServer, key_file: Path) -> None:
    """R9.1."""
    read = 0

    class Counted(FileKey):
        __slots__ = ()

        def __call__(self) -> Secret:
            nonlocal read
            read += 1
            return super().__call__()

    keys.good = {KEY, OTHER}
    set_age(key_file, 3600)
    async with AsyncClient(Counted(key_file), base_url=keys.url) as client:
        for _ in range(20):
            await client.account.whoami()
        assert read == 1
        key_file.write_text(OTHER)
        set_age(key_file, 1800)
        for _ in range(20):
            await client.account.whoami()
    assert read == 2


async def test_a_changed_file_is_read_after_a_401(keys: KeyServer, key_file: Path) -> None:
    """R9.1 R9.2."""
    keys.good = {KEY}
    async with AsyncClient(FileKey(key_file, check_every=3600), base_url=keys.url) as client:
        await client.account.whoami()
        key_file.write_text(OTHER)
        keys.good = {OTHER}
        await client.account.whoami()
    assert keys.seen == [KEY, KEY, OTHER]


async def test_a_file_that_is_being_replaced_does_not_fail_calls(keys: KeyServer, key_file: Path) -> None:
    """R9.1."""
    keys.good = {KEY}
    async with AsyncClient(FileKey(key_file, check_every=0.01), base_url=keys.url) as client:
        await client.account.whoami()
        key_file.unlink()
        await asyncio.sleep(0.02)
        await client.account.whoami()
    assert keys.seen == [KEY, KEY]


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o666], ids=oct)
def test_a_file_that_everybody_may_read_or_write_is_refused(mode: int, key_file: Path) -> None:
    key_file.chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        FileKey(key_file)()


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_a_file_that_everybody_may_read_is_taken_when_told(key_file: Path) -> None:
    key_file.chmod(0o644)
    assert FileKey(key_file, allow_world_access=True)().reveal().strip() == KEY
    key_file.chmod(0o640)
    assert FileKey(key_file)().reveal().strip() == KEY


def test_a_missing_file_a_folder_and_a_binary_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such file"):
        FileKey(tmp_path / "none")()
    with pytest.raises(ConfigurationError, match="directory"):
        FileKey(tmp_path)()
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\xff")
    binary.chmod(stat.S_IRUSR)
    with pytest.raises(ConfigurationError, match="not text"):
        FileKey(binary)()


async def test_a_commands_output_is_the_key(keys: KeyServer) -> None:
    keys.good = {KEY}
    async with AsyncClient(printing(KEY), base_url=keys.url) as client:
        await client.account.whoami()
    assert keys.seen == [KEY]


def test_a_command_runs_without_a_shell(tmp_path: Path) -> None:
    marker = tmp_path / "shell-was-here"
    with pytest.raises(ConfigurationError, match="exit status"):
        CommandKey(sys.executable, "-c", "import sys; sys.exit(len(sys.argv))", f"; touch {marker}")()
    assert not marker.exists()
    with pytest.raises(ConfigurationError, match="word by word"):
        CommandKey("op read op://vault/item")


@pytest.mark.parametrize(
    "command", ["/opt/it's/key", 'op read "op://vault/item', "op " * 1000], ids=["'", '"', "long"]
)
def test_a_command_that_is_no_program_is_to_be_given_word_by_word(command: str) -> None:
    with pytest.raises(ConfigurationError, match="pass its parts as separate arguments"):
        CommandKey(command)


def test_a_program_may_have_any_characters_in_its_path(tmp_path: Path) -> None:
    program = tmp_path / "it's my key"
    program.write_text(f"#!/bin/sh\necho {KEY}\n")
    program.chmod(0o700)
    assert CommandKey(str(program))() == Secret(KEY)


def test_a_command_that_takes_too_long_is_killed_with_its_children() -> None:
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    began = time.monotonic()
    with pytest.raises(ConfigurationError, match=r"not done within 0\.5 s"):
        CommandKey(sys.executable, "-c", child, timeout=0.5)()
    assert time.monotonic() - began < 5


def test_a_failing_commands_complaint_is_told_without_keys_and_its_output_is_not() -> None:
    with pytest.raises(ConfigurationError, match="not signed in") as caught:
        printing(KEY, status=1, stderr=f"not signed in with {KEY}")()
    assert leaks_of_error(KEY, caught.value) == []


def test_a_command_that_cannot_be_run_or_prints_nothing_says_so() -> None:
    with pytest.raises(ConfigurationError, match="no such file"):
        CommandKey("/nonexistent/op", "read")()
    with pytest.raises(ConfigurationError, match="printed nothing"):
        printing("")()


def test_no_argument_of_a_command_is_shown() -> None:
    """R4.1: `vault` and the like take tokens as arguments."""
    assert KEY not in repr(CommandKey("vault", "read", f"-token={KEY}"))


def test_the_keyring_gives_its_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = pytest.importorskip("keyring")
    entries = {("openrelay", "ci"): KEY}
    monkeypatch.setattr(keyring, "get_password", lambda service, user: entries.get((service, user)))
    assert KeyringKey(username="ci")().reveal() == KEY
    with pytest.raises(ConfigurationError, match="no entry"):
        KeyringKey(username="other")()


async def test_a_401_causes_one_refresh_and_one_resend(keys: KeyServer) -> None:
    """R9.2."""
    given = iter([KEY, OTHER, OTHER, OTHER])
    asked = 0

    def provide() -> str:
        nonlocal asked
        asked += 1
        return next(given)

    keys.good = {OTHER}
    async with AsyncClient(provide, base_url=keys.url) as client:
        await client.account.whoami()
    assert keys.seen == [KEY, OTHER]
    assert asked == 2


async def test_a_401_is_not_resent_when_the_key_is_still_the_same(keys: KeyServer) -> None:
    """R9.2."""
    asked = 0

    def provide() -> str:
        nonlocal asked
        asked += 1
        return KEY

    async with AsyncClient(provide, base_url=keys.url) as client:
        with pytest.raises(Exception, match="401"):
            await client.vms.get("vm_1")
    assert keys.seen == [KEY]
    assert asked == 2


async def test_a_new_key_that_is_refused_too_ends_the_call(keys: KeyServer) -> None:
    """R9.2."""
    given = iter([KEY, OTHER, "vl_third" * 5])
    async with AsyncClient(lambda: next(given), base_url=keys.url) as client:
        with pytest.raises(Exception, match="401"):
            await client.vms.get("vm_1")
    assert keys.seen == [KEY, OTHER]


async def test_a_static_key_is_never_resent(keys: KeyServer) -> None:
    """R9.2."""
    async with AsyncClient(KEY, base_url=keys.url, retry=RetryPolicy(max_attempts=9)) as client:
        with pytest.raises(Exception, match="401"):
            await client.vms.get("vm_1")
    assert keys.seen == [KEY]


async def test_a_thousand_calls_that_are_refused_together_cause_one_refresh(keys: KeyServer) -> None:
    """R9.1 R9.2."""
    given = iter([KEY, OTHER])  # a third question would fail
    keys.good = {OTHER}
    async with AsyncClient(lambda: next(given), base_url=keys.url) as client:
        await asyncio.gather(*(client.account.whoami() for _ in range(1000)))
    assert keys.seen.count(OTHER) == 1000
    assert keys.seen.count(KEY) < 500


async def test_a_provider_that_fails_after_a_401_leaves_the_401(keys: KeyServer) -> None:
    """R9.2."""
    given = iter([KEY])
    async with AsyncClient(lambda: next(given), base_url=keys.url) as client:
        with pytest.raises(Exception, match="401") as caught:
            await client.vms.get("vm_1")
    assert leaks_of_error(KEY, caught.value) == []


async def test_a_missing_key_raises_at_the_first_operation_that_needs_one(
    keys: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R9.4."""
    monkeypatch.delenv("OPENRELAY_API_KEY", raising=False)
    async with AsyncClient(base_url=keys.url) as client:
        with pytest.raises(ConfigurationError, match="OPENRELAY_API_KEY"):
            await client.vms.get("vm_1")
    assert keys.seen == []


@pytest.mark.parametrize("check_every", ["x", -1, float("nan"), True], ids=repr)
def test_an_interval_that_is_none_is_refused_when_the_client_is_made(check_every: object) -> None:
    """R9.1."""

    class Vault:
        def __init__(self) -> None:
            self.check_every = check_every

        def __call__(self) -> str:
            return KEY

    with pytest.raises(ConfigurationError, match="check_every of Vault"):
        AsyncClient(Vault(), base_url="http://127.0.0.1:9")


async def test_an_interval_of_0_asks_for_every_call(keys: KeyServer) -> None:
    """R9.1."""

    class Vault:
        check_every = 0
        blocks = False
        asked = 0

        def __call__(self) -> str:
            self.asked += 1
            return KEY

    keys.good = {KEY}
    vault = Vault()
    async with AsyncClient(vault, base_url=keys.url) as client:
        for _ in range(3):
            await client.account.whoami()
    assert vault.asked == 3


def test_a_secret_that_was_pickled_is_no_key() -> None:
    """R4.1: what is left of it is its mask."""
    sealed = pickle.loads(pickle.dumps(Secret(KEY)))  # noqa: S301 - made here
    with pytest.raises(ConfigurationError, match="api_key is a Secret that was pickled") as caught:
        AsyncClient(sealed, base_url="http://127.0.0.1:9")
    assert foreign_links(caught.value) == []


async def test_a_secret_that_was_pickled_is_no_key_of_a_provider(keys: KeyServer) -> None:
    sealed = pickle.loads(pickle.dumps(Secret(KEY)))  # noqa: S301 - made here
    async with AsyncClient(lambda: sealed, base_url=keys.url) as client:
        with pytest.raises(ConfigurationError, match="is a Secret that was pickled"):
            await client.account.whoami()
    assert keys.seen == []
