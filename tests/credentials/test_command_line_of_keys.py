"""`python -m openrelay_async.keys`, in processes of its own against the emulator."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import attrs
import pytest

from openrelay_async.emulator import Emulator, Fault
from openrelay_async.errors import Unauthenticated
from openrelay_async.keys import format_table, main, parse_lifetime


@attrs.frozen
class Done:
    status: int
    out: str
    err: str


Run = Callable[..., Awaitable[Done]]


@pytest.fixture
def run(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Awaitable[Done]]:
    """The command, in a thread of this process: a process for each would take most of the time."""
    monkeypatch.setenv("OPENRELAY_API_KEY", emulator.api_key)
    monkeypatch.setenv("OPENRELAY_API_URL", emulator.url)

    async def run(*words: str) -> Done:
        capsys.readouterr()
        try:
            status = await asyncio.wait_for(asyncio.to_thread(main, words), 60)
        except SystemExit as end:  # argparse
            status = int(end.code or 0)
        written = capsys.readouterr()
        return Done(status, written.out, written.err)

    return run


async def names(emulator: Emulator) -> list[str]:
    async with emulator.client(api_key=emulator.session_token) as client:
        return [key.name for key in await client.api_keys.list() if key.revoked_at is None]


async def test_list_prints_a_table_and_json_without_any_key(emulator: Emulator, run: Run) -> None:
    async with emulator.client() as client:
        await client.api_keys.create(name="ci \x1b[31mred", scopes=["vms:read"], expires_in_seconds=86400)
    table = await run("list")
    assert table.status == 0
    assert table.out.splitlines()[0].split() == [
        "ID",
        "NAME",
        "KEY",
        "SCOPES",
        "CREATED",
        "EXPIRES",
        "LAST",
        "USED",
    ]
    assert "ci ·[31mred" in table.out
    assert "vms:read" in table.out
    assert emulator.api_key not in table.out + table.err
    lines = (await run("list", "--json")).out.splitlines()
    assert {json.loads(line)["name"] for line in lines} >= {"bootstrap"}


async def test_create_writes_the_key_to_a_file_of_its_owner(
    emulator: Emulator, run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    done = await run(
        "create",
        "--name",
        "ci",
        "--scope",
        "vms:read",
        "--expires-in",
        "90d",
        "--output",
        str(file),
    )
    assert done.status == 0, done.err
    key = file.read_text().strip()
    assert file.stat().st_mode & 0o777 == 0o600
    assert key not in done.out + done.err
    async with emulator.client(api_key=key) as client:
        assert (await client.account.whoami()).scopes == ["vms:read"]
    again = await run("create", "--name", "ci-2", "--output", str(file))
    assert again.status == 2
    assert "--force" in again.err
    assert "ci-2" not in await names(emulator)


async def test_create_gives_the_key_to_a_command_on_its_input(
    emulator: Emulator, run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "stored"
    script = f"import sys; text = sys.stdin.read(); print(text); open({str(file)!r}, 'w').write(text)"
    done = await run("create", "--name", "ci", "--store-command", f'{sys.executable} -c "{script}"')
    assert done.status == 0, done.err
    key = file.read_text().strip()
    assert key not in done.out + done.err
    async with emulator.client(api_key=key) as client:
        await client.account.whoami()


async def test_a_key_that_cannot_be_stored_is_revoked_again(emulator: Emulator, run: Run) -> None:
    done = await run("create", "--name", "lost", "--store-command", "false")
    assert done.status == 2
    assert "was revoked" in done.err
    assert "lost" not in await names(emulator)


async def test_a_key_is_shown_to_a_terminal_only(emulator: Emulator, run: Run) -> None:
    refused = await run("create", "--name", "shown", "--show")
    assert refused.status == 2
    assert "terminal" in refused.err
    assert "shown" not in await names(emulator)
    nowhere = await run("create", "--name", "shown")
    assert nowhere.status == 2
    assert "--store-command" in nowhere.err


async def test_a_key_is_shown_to_a_terminal_that_asks(emulator: Emulator) -> None:
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "openrelay_async.keys", "--base-url", emulator.url, "create", "--name", "shown", "--show"),
        env={**os.environ, "OPENRELAY_API_KEY": emulator.api_key},
        stdout=theirs,
        stderr=asyncio.subprocess.DEVNULL,
    )
    os.close(theirs)
    assert await asyncio.wait_for(process.wait(), 60) == 0
    key = os.read(ours, 4096).decode().strip()
    os.close(ours)
    async with emulator.client(api_key=key) as client:
        await client.account.whoami()


async def test_rotate_replaces_the_key_in_its_file(
    emulator: Emulator, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENRELAY_API_KEY")
    file = tmp_path / "key"
    file.touch(mode=0o600)
    file.write_text(emulator.api_key)
    done = await run("--key-file", str(file), "rotate", "--output", str(file), "--force")
    assert done.status == 0, done.err
    assert file.read_text().strip() != emulator.api_key
    async with emulator.client() as old:
        with pytest.raises(Unauthenticated):
            await old.account.whoami()
    listed = await run("--key-command", f"cat {file}", "list")
    assert listed.status == 0, listed.err


async def test_rotate_with_a_store_that_fails_leaves_the_key(emulator: Emulator, run: Run) -> None:
    done = await run("rotate", "--store-command", "false")
    assert done.status == 1
    assert "step store" in done.err
    assert await names(emulator) == ["bootstrap"]
    async with emulator.client() as client:
        await client.account.whoami()


async def test_revoke_revokes(emulator: Emulator, run: Run) -> None:
    async with emulator.client() as client:
        made = await client.api_keys.create(name="gone")
    done = await run("revoke", made.id)
    assert done.status == 0, done.err
    assert "gone" not in await names(emulator)
    missing = await run("revoke", "key_none")
    assert missing.status == 1
    assert missing.err.startswith("error: revokeOrgApiKey DELETE")
    assert len(missing.err.splitlines()) == 1


async def test_a_missing_key_is_one_line_and_status_2(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENRELAY_API_KEY")
    done = await run("list")
    assert done.status == 2
    assert "OPENRELAY_API_KEY" in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["revoke", ""],
        ["revoke", ".."],
        ["revoke", "a\x1bb"],
        ["--key-command", "vault 'token-of-mine", "list"],
        ["create", "--name", "new", "--store-command", "sh -c 'token-of-mine"],
        ["rotate", "--store-command", "sh -c token-of-mine\\"],
    ],
    ids=["no id", "dots", "control characters", "key command", "store command of create", "of rotate"],
)
async def test_a_wrong_command_line_is_one_line_and_status_2(
    words: list[str], emulator: Emulator, run: Run
) -> None:
    done = await run(*words)
    assert done.status == 2
    assert done.err.startswith("error: ")
    assert len(done.err.splitlines()) == 1
    assert "token-of-mine" not in done.err
    assert list(emulator.requests) == []


async def start_into(emulator: Emulator, out: int) -> tuple[int, str]:
    """Run `list` into a file that is open; return the exit status and what was said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "openrelay_async.keys", "--base-url", emulator.url, "list"),
        env={**os.environ, "OPENRELAY_API_KEY": emulator.api_key},
        stdout=out,
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(out)
    _, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, said.decode()


async def test_a_reader_that_goes_away_is_no_error(emulator: Emulator) -> None:
    """`… list | head -0`: quiet, with the status that the signal would give."""
    reader, writer = os.pipe()
    os.close(reader)
    assert await start_into(emulator, writer) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk that Linux has")
async def test_output_that_cannot_be_written_is_one_line(emulator: Emulator) -> None:
    status, said = await start_into(emulator, os.open("/dev/full", os.O_WRONLY))
    assert status == 1
    assert said == "error: the output cannot be written: No space left on device\n"


async def test_a_key_that_is_neither_stored_nor_revoked_is_named(emulator: Emulator, run: Run) -> None:
    emulator.faults.add(Fault(operation="revokeOrgApiKey", status=403, times=None))
    done = await run("create", "--name", "lost", "--store-command", "false")
    async with emulator.client() as client:
        [lost] = [key for key in await client.api_keys.list() if key.name == "lost"]
    assert done.status == 1
    assert f"the new key {lost.id} could not be revoked (403): do it yourself" in done.err


def test_lifetimes_are_numbers_with_units() -> None:
    assert [parse_lifetime(text) for text in ("90d", "12h", "30m", "45s", "45")] == [
        7776000,
        43200,
        1800,
        45,
        45,
    ]
    for wrong in ("", "d", "-1d", "1.5h", "0", "²"):
        with pytest.raises(Exception, match="duration"):
            parse_lifetime(wrong)


def test_a_table_has_columns_as_wide_as_needed() -> None:
    assert format_table(("A", "B"), [("aaa", "b"), ("a", "bbb")]) == ["A    B", "aaa  b", "a    bbb"]


async def test_a_rotation_that_stopped_is_finished_by_resume(
    emulator: Emulator, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R9.3."""
    file, journal = tmp_path / "key", tmp_path / "journal"
    emulator.faults.add(Fault(operation="revokeOrgApiKey", status=403, times=None))
    stopped = await run("rotate", "--output", str(file), "--journal", str(journal))
    assert stopped.status == 1
    assert "step revoke" in stopped.err
    emulator.faults.clear()
    monkeypatch.setenv("OPENRELAY_API_KEY", file.read_text().strip())
    resumed = await run("rotate", "--resume", str(journal))
    assert resumed.status == 0, resumed.err
    assert "done" in resumed.err
    assert len(await names(emulator)) == 1
    missing = await run("rotate", "--resume", str(tmp_path / "none"))
    assert missing.status == 2
    assert len(missing.err.splitlines()) == 1
