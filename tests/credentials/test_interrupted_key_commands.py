"""Ctrl-C at `python -m openrelay_async.keys`, which its store command gets as well: real processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest

from openrelay_async.emulator import Emulator
from tests.credentials.conftest import working_keys

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals to groups of processes are POSIX")

WAITING = b"interrupted: waiting until the new key is stored or revoked"


@attrs.define
class Terminal:
    """A command with its store command in a group of processes of their own, as in a terminal."""

    emulator: Emulator
    folder: Path
    process: asyncio.subprocess.Process | None = None
    going_on: int | None = None

    @property
    def stored(self) -> Path:
        return self.folder / "stored"

    async def start(self, *words: str, ignores_it: bool) -> None:
        """Start a command and return when its store command runs.

        Args:
            ignores_it: the store command goes on after Ctrl-C.
        """
        os.mkfifo(self.folder / "begun")
        os.mkfifo(self.folder / "go_on")
        begun = os.open(self.folder / "begun", os.O_RDONLY | os.O_NONBLOCK)
        # Open for both, so that neither opening nor writing waits for the other side.
        self.going_on = os.open(self.folder / "go_on", os.O_RDWR)
        trap = "trap '' INT; " if ignores_it else ""
        # Its standard error is not the command's, which ends when the command does.
        script = f'{trap}exec 2> /dev/null; cd "$0"; echo > begun; read line < go_on; cat > stored'
        command = shlex.join(["sh", "-c", script, str(self.folder)])
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "openrelay_async.keys", "--base-url", self.emulator.url, *words),
            *("--store-command", command),
            env={**os.environ, "OPENRELAY_API_KEY": self.emulator.api_key},
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        running = asyncio.Event()
        asyncio.get_running_loop().add_reader(begun, running.set)
        try:
            await asyncio.wait_for(running.wait(), 60)
        finally:
            asyncio.get_running_loop().remove_reader(begun)
            os.close(begun)

    def press(self) -> None:
        """Press Ctrl-C."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGINT)

    async def read_line(self) -> bytes:
        assert self.process is not None
        assert self.process.stderr is not None
        return await asyncio.wait_for(self.process.stderr.readline(), 60)

    def go_on(self) -> None:
        """Let the store command end."""
        assert self.going_on is not None
        os.write(self.going_on, b"\n")

    async def end(self) -> tuple[int, str]:
        """Return the exit status, and what was written to the user."""
        assert self.process is not None
        _, written = await asyncio.wait_for(self.process.communicate(), 60)
        assert self.process.returncode is not None
        return self.process.returncode, written.decode()


@pytest.fixture
async def terminal(emulator: Emulator, tmp_path: Path) -> AsyncIterator[Terminal]:
    terminal = Terminal(emulator, tmp_path)
    yield terminal
    if terminal.process is not None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(terminal.process.pid, signal.SIGKILL)
        await terminal.process.communicate()
    if terminal.going_on is not None:
        os.close(terminal.going_on)


@pytest.mark.parametrize("words", [["rotate"], ["create", "--name", "new"]], ids=["rotate", "create"])
async def test_a_key_whose_store_command_was_interrupted_is_revoked(
    words: list[str], terminal: Terminal
) -> None:
    """R9.3."""
    [before] = await working_keys(terminal.emulator)
    await terminal.start(*words, ignores_it=False)
    [new] = [key for key in await working_keys(terminal.emulator) if key.id != before.id]
    terminal.press()
    status, written = await terminal.end()
    assert status == 130
    assert "the store command sh failed" in written
    assert f"the new key {new.id} was revoked" in written
    assert "Traceback" not in written
    assert [key.id for key in await working_keys(terminal.emulator)] == [before.id]


async def test_a_rotation_whose_store_command_goes_on_is_finished(terminal: Terminal) -> None:
    """R9.3."""
    await terminal.start("rotate", ignores_it=True)
    terminal.press()
    assert (await terminal.read_line()).startswith(WAITING)
    terminal.go_on()
    status, written = await terminal.end()
    assert status == 130
    assert "the old key was revoked" in written
    [left] = await working_keys(terminal.emulator)
    assert left.id in written
    async with terminal.emulator.client(api_key=terminal.stored.read_text().strip()) as client:
        await client.vms.list()


async def test_a_created_key_whose_store_command_goes_on_stays(terminal: Terminal) -> None:
    await terminal.start("create", "--name", "new", ignores_it=True)
    terminal.press()
    assert (await terminal.read_line()).startswith(WAITING)
    terminal.go_on()
    status, written = await terminal.end()
    assert status == 130
    assert "was created" in written
    async with terminal.emulator.client(api_key=terminal.stored.read_text().strip()) as client:
        await client.vms.list()


async def test_an_interrupted_rotation_does_not_wait_for_its_grace(terminal: Terminal) -> None:
    """R9.3: the new key is stored, the old one is still valid for others, and both are named."""
    await terminal.start("rotate", "--grace", "12h", ignores_it=True)
    terminal.press()
    assert (await terminal.read_line()).startswith(WAITING)
    terminal.go_on()
    status, written = await terminal.end()
    assert status == 130
    alive = await working_keys(terminal.emulator)
    assert len(alive) == 2
    assert all(key.id in written for key in alive)
    assert "Traceback" not in written


@pytest.mark.parametrize("words", [["rotate"], ["create", "--name", "new"]], ids=["rotate", "create"])
async def test_a_second_interrupt_waits_for_nothing_and_names_the_key(
    words: list[str], terminal: Terminal
) -> None:
    """R9.3."""
    [before] = await working_keys(terminal.emulator)
    await terminal.start(*words, ignores_it=True)
    terminal.press()
    assert (await terminal.read_line()).startswith(WAITING)
    terminal.press()
    status, written = await terminal.end()
    terminal.go_on()
    [new] = [key for key in await working_keys(terminal.emulator) if key.id != before.id]
    assert status == 130
    assert len(written.splitlines()) == 1
    assert new.id in written
    assert "stored or not" in written
