"""R4.1, for the sync package: its frames, its objects, its bridge."""

from __future__ import annotations

import asyncio
import gc
import pickle
import threading
import warnings
from collections.abc import Callable

import pytest

from openrelay_async import RetryPolicy
from openrelay_async.emulator import Emulator
from openrelay_async.errors import OpenRelayError
from openrelay_async.rotation import RotationError
from openrelay_sync import Client
from tests.canary.conftest import BadServer
from tests.canary.leaks import LogCatcher, foreign_links, leaks_of_error, leaks_of_value
from tests.canary.test_no_key_on_failing_paths import ANSWERS, CONSTRUCTORS

ONCE = RetryPolicy(max_attempts=1)

CALLS: dict[str, Callable[[Client, str], object]] = {
    "read": lambda client, canary: client.vms.get("vm_1"),
    "pages": lambda client, canary: client.vms.list().all(),
    "first": lambda client, canary: client.vms.list().first(),
    "iteration": lambda client, canary: list(client.vms.list()),
    "change with a secret": lambda client, canary: client.registry_credentials.create(
        name="r", auth_type="basic", server="r.example", credentials={"password": canary}
    ),
    "raw request": lambda client, canary: client.request(
        "POST", "/v1/x", json={"password": canary}, headers={"X-Token": canary}, params={"t": canary}
    ),
}
SUCCESSES = {"not JSON", "JSON of the wrong shape", "empty"}


def error_of(call: Callable[[], object]) -> BaseException:
    try:
        call()
    except Exception as error:
        return error
    pytest.fail("the call was to fail")


@pytest.mark.parametrize("call", CALLS)
async def test_no_frame_of_a_failing_sync_call_shows_the_key(
    call: str, server: BadServer, canary: str, logs: LogCatcher
) -> None:
    """R4.1."""

    def fail_in_every_way() -> list[BaseException]:
        errors = []
        with Client(canary, base_url=server.url, org_id="org_1", retry=ONCE, attempt_timeout=0.1) as client:
            for answer in ANSWERS:
                if answer == "body over the limit" or (call == "raw request" and answer in SUCCESSES):
                    continue
                loop.call_soon_threadsafe(ANSWERS[answer], server)
                errors.append(error_of(lambda: CALLS[call](client, canary)))
        return errors

    loop = asyncio.get_running_loop()
    for error in await asyncio.to_thread(fail_in_every_way):
        assert isinstance(error, OpenRelayError)
        assert leaks_of_error(canary, error) == []
        assert foreign_links(error) == []
    assert [line for line in logs.lines if canary in line] == []


@pytest.mark.parametrize("name", CONSTRUCTORS)
def test_no_frame_shows_the_key_when_a_sync_client_cannot_be_made(name: str, canary: str) -> None:
    """R4.1 R4.5."""
    error = error_of(lambda: Client(**CONSTRUCTORS[name](canary)))  # type: ignore[arg-type]
    assert isinstance(error, OpenRelayError)
    assert leaks_of_error(canary, error) == []
    assert foreign_links(error) == []


@pytest.mark.parametrize("name", ["key with a line break", "key with the word Bearer", "key as bytes"])
def test_no_frame_shows_the_key_when_a_sync_view_cannot_be_made(name: str, canary: str) -> None:
    """R4.1."""
    with Client("k" * 30) as client:
        error = error_of(lambda: client.with_options(**CONSTRUCTORS[name](canary)))  # type: ignore[arg-type]
    assert leaks_of_error(canary, error) == []


def test_no_sync_object_shows_the_key(canary: str) -> None:
    """R4.1."""
    with Client(canary, proxy=f"http://u:{canary}@proxy:3128") as client:
        objects = {
            "client": client,
            "view": client.with_options(timeout=3),
            "resource": client.vms,
            "pages": client.vms.list(),
            **{f"bridge {name}": value for name, value in vars(client).items()},
        }
        for name, value in objects.items():
            assert leaks_of_value(canary, value, name) == []
        with pytest.raises(TypeError):
            pickle.dumps(client)


def fail_and_forget(canary: str) -> tuple[BaseException, list[str]]:
    """The error of a call, and the names of the threads, of a client that is not closed."""
    client = Client(canary, base_url="http://127.0.0.1:9", retry=ONCE)
    error = error_of(lambda: client.vms.get("vm_1"))
    return error, [thread.name for thread in threading.enumerate()]


def test_no_name_of_a_thread_and_no_warning_shows_the_key(canary: str) -> None:
    """R4.1."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        error, texts = fail_and_forget(canary)
        assert leaks_of_error(canary, error) == []
        del error
        gc.collect()
    texts += [str(warning.message) for warning in caught]
    assert [text for text in texts if canary in text] == []


def test_a_sync_rotation_that_fails_shows_neither_key() -> None:
    """R4.1 R9.3."""
    seen: list[str] = []

    def store(key: str) -> None:
        seen.append(key)
        raise OSError(28, f"no room for {key}")

    with Emulator.in_thread() as emulator:
        with Client(emulator.api_key, base_url=emulator.url, org_id=emulator.org_id) as client:
            error = error_of(lambda: client.api_keys.rotate(store=store))
            assert isinstance(error, RotationError)
            assert client.account.whoami().organization_id == emulator.org_id
            done = client.api_keys.rotate(store=seen.append)
            assert done.step == "done"
            client.account.whoami()
        for key in (seen[0], emulator.api_key):
            assert leaks_of_error(key, error) == []
        assert foreign_links(error) == []
