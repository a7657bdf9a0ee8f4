"""R4.1: keys that come from providers, rotations and logins."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from openrelay_async import AsyncClient, CommandKey, FileKey, RetryPolicy, Secret
from openrelay_async.device_login import DeviceLoginError, SessionToken, device_login
from openrelay_async.emulator import Emulator, Fault
from openrelay_async.errors import OpenRelayError
from openrelay_async.rotation import RotationError
from tests.canary.conftest import BadServer
from tests.canary.leaks import LogCatcher, foreign_links, leaks_of_error, leaks_of_value

ONCE = RetryPolicy(max_attempts=1)


async def error_of(call: Awaitable[object]) -> BaseException:
    try:
        await call
    except Exception as error:
        return error
    pytest.fail("the call was to fail")


def make_providers(canary: str, folder: Path) -> dict[str, Callable[[], object]]:
    file = folder / "key"
    file.touch(mode=0o600)
    file.write_text(f"{canary} {canary}")
    read = "import sys; print(open(sys.argv[1]).read()); sys.exit(int(sys.argv[2]))"

    def raising() -> str:
        raise RuntimeError(f"cannot decode {canary}", canary)

    async def raising_later() -> str:
        await asyncio.sleep(0)
        raise RuntimeError(f"cannot decode {canary}", canary)

    async def malformed() -> str:
        return f"{canary}\n{canary}"

    return {
        "raises": raising,
        "raises later": raising_later,
        "malformed": malformed,
        "malformed, sync": lambda: f"Bearer {canary}",
        "bytes": lambda: canary.encode(),
        "list": lambda: [canary],
        "file": FileKey(file),
        "command": CommandKey(sys.executable, "-c", read, str(file), "0"),
        "failing command": CommandKey(sys.executable, "-c", read, str(file), "3"),
        "command that traces": CommandKey("sh", "-c", 'set -x; echo "$(cat "$0")"; exit 3', str(file)),
        "secret with a space": lambda: Secret(f"{canary} "[:-1] + " x"),
    }


@pytest.mark.parametrize(
    "name",
    [
        "malformed",
        "malformed, sync",
        "bytes",
        "list",
        "file",
        "command",
        "failing command",
        "command that traces",
        "secret with a space",
    ],
)
async def test_a_provider_whose_key_is_none_shows_it_nowhere(
    name: str, canary: str, tmp_path: Path, logs: LogCatcher
) -> None:
    """R4.1 R4.5."""
    provider = make_providers(canary, tmp_path)[name]
    async with AsyncClient(provider, base_url="http://127.0.0.1:9", retry=ONCE) as client:  # type: ignore[arg-type]
        error = await error_of(client.vms.get("vm_1"))
        assert isinstance(error, OpenRelayError)
        assert leaks_of_value(canary, client, "client") == []
        assert leaks_of_value(canary, client._calls.transport.key_source, "source") == []
    assert leaks_of_error(canary, error) == []
    assert foreign_links(error) == []
    assert [line for line in logs.lines if canary in line] == []


@pytest.mark.parametrize("name", ["raises", "raises later"])
async def test_a_provider_that_raises_gives_its_kind_of_error_and_no_chain(
    name: str, tmp_path: Path, logs: LogCatcher
) -> None:
    """R4.1: its text is scrubbed by shape, as what it knows is not known yet."""
    canary = "vl_canary0123456789CANARY0123456789"
    provider = make_providers(canary, tmp_path)[name]
    async with AsyncClient(provider, base_url="http://127.0.0.1:9", retry=ONCE) as client:  # type: ignore[arg-type]
        error = await error_of(client.vms.get("vm_1"))
    assert "RuntimeError" in str(error)
    assert leaks_of_error(canary, error) == []
    assert foreign_links(error) == []
    assert [line for line in logs.lines if canary in line] == []


async def test_no_frame_of_a_failing_rotation_shows_either_key(logs: LogCatcher) -> None:
    """R4.1 R9.3."""
    seen: list[str] = []
    async with Emulator() as emulator:
        for operation, fault in (
            ("createOrgApiKey", {"status": 403}),
            ("createOrgApiKey", {"body": "truncated"}),
            ("whoami", {"status": 500, "call": 2}),
            ("revokeOrgApiKey", {"status": 500}),
        ):
            emulator.faults.clear()
            emulator.faults.add(Fault(operation=operation, times=None, **fault))  # type: ignore[arg-type]
            async with emulator.client(retry=ONCE) as client:
                error = await error_of(client.api_keys.rotate(store=seen.append))
            assert isinstance(error, RotationError)
            for key in (emulator.api_key, *seen):
                assert leaks_of_error(key, error) == []
            assert foreign_links(error) == []
        assert len(seen) == 1
        for key in (emulator.api_key, emulator.session_token, *seen):
            assert [line for line in logs.lines if key in line] == []


async def test_no_frame_of_a_failing_login_shows_its_code(
    server: BadServer, canary: str, logs: LogCatcher
) -> None:
    """R4.1."""
    server.reply(
        200,
        f'{{"deviceCode": "{canary}", "userCode": "1", "verificationUri": "u", "expiresIn": 600,'
        ' "verificationUriComplete": "u", "interval": 0}',
    )

    def refuse(code: object) -> None:
        server.reply(403, echo=True)

    async with AsyncClient(base_url=server.url) as client:
        error = await error_of(device_login(on_code=refuse, client=client))
    assert isinstance(error, DeviceLoginError)
    assert leaks_of_error(canary, error) == []
    assert foreign_links(error) == []
    assert [line for line in logs.lines if canary in line] == []


def test_a_session_token_shows_itself_nowhere(canary: str) -> None:
    session = SessionToken(Secret(canary), None, "ses_1", "org_1", None, "a@b.example", "usr_1")
    assert leaks_of_value(canary, session) == []
