"""Where a key can be read from when it is needed: environment, file, command, keyring.

A provider is any callable that gives the key; these are the ones that come with the library. None of them
keeps the key.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shlex
import signal
import stat
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, cast

from openrelay_async.config import check_delay, check_seconds
from openrelay_async.errors import ConfigurationError
from openrelay_async.redaction import Secret, scrub_text

_LARGEST_FILE = 64 * 1024
"""Bytes; a key has less than 200."""
_FRESH = 1.0
"""Seconds in which a file that has changed is read by every call."""
_LONGEST_REASON = 200
_SHORTEST_PART = 6
_MOST_WORDS = 100


class EnvironmentKey:
    """The key in an environment variable, read when it is needed."""

    __slots__ = ("name",)

    blocks = False

    def __init__(self, name: str = "OPENRELAY_API_KEY") -> None:
        self.name = name

    def __call__(self) -> Secret:
        """Return the variable's value.

        Raises:
            ConfigurationError: it is not set, or empty.
        """
        key = Secret(os.environ.get(self.name, ""))
        if not key:
            raise ConfigurationError(f"this call needs an API key, and {self.name} is not set")
        return key

    def __repr__(self) -> str:
        return f"EnvironmentKey({self.name!r})"


class FileKey:
    """The key in a file, such as a mounted secret. A call after the file has changed uses the new key.

    For that each call looks at the file's status, which takes microseconds; only a changed file is read.

    Args:
        path: the file; `~` is the home directory.
        check_every: seconds for which nobody looks again; on a slow network file system one may be better.
        allow_world_access: take a file that every user of the machine may read or write. Some systems mount
            secrets so; elsewhere it means that the key is everybody's.
    """

    __slots__ = ("allow_world_access", "check_every", "path")

    def __init__(
        self, path: str | os.PathLike[str], *, check_every: float = 0.0, allow_world_access: bool = False
    ) -> None:
        self.path = Path(path).expanduser()
        self.check_every = check_delay("check_every", check_every)
        self.allow_world_access = allow_world_access

    def __call__(self) -> Secret:
        """Return the file's content.

        Raises:
            ConfigurationError: it cannot be read, is open to everybody, or is no key's file.
        """
        try:
            with self.path.open("rb") as file:
                # Of the open file: between a check of the path and its opening it could be another one.
                self._check_mode(os.fstat(file.fileno()).st_mode)
                return Secret(file.read(_LARGEST_FILE).decode())
        except UnicodeDecodeError:
            reason = "it is not text"
        except OSError as error:
            reason = os.strerror(error.errno).lower() if error.errno else "it cannot be read"
        raise ConfigurationError(f"the key file {self.path}: {reason}")

    def read_version(self) -> object:
        """Return what differs once the file has changed: its status, or nothing comparable if it is fresh.

        Times of files are as coarse as the kernel's ticks: what was just written can change without a trace.
        """
        try:
            status = self.path.stat()
        except OSError:
            return object()
        if abs(time.time() - status.st_mtime) < _FRESH:
            return object()
        return status.st_mtime_ns, status.st_size, status.st_ino, status.st_mode

    def _check_mode(self, mode: int) -> None:
        is_open = os.name == "posix" and mode & (stat.S_IROTH | stat.S_IWOTH)
        if is_open and stat.S_ISREG(mode) and not self.allow_world_access:
            raise ConfigurationError(
                f"every user of this machine has access to the key file {self.path}: chmod 600 it, or say "
                "FileKey(…, allow_world_access=True)"
            )

    def __repr__(self) -> str:
        return f"FileKey({str(self.path)!r})"


class CommandKey:
    """The key that a command prints, such as `CommandKey("op", "read", "op://infra/openrelay/key")`.

    No shell is involved: each argument is one word of the command. The command is run when the key is
    first needed, and again after the service refused the key.

    Args:
        command: the program and its arguments.
        timeout: seconds after which the command and what it started are killed.
        env: environment of the command; by default the program's own.
    """

    __slots__ = ("command", "env", "timeout")

    def __init__(self, *command: str, timeout: float = 10.0, env: Mapping[str, str] | None = None) -> None:
        if not command or not all(isinstance(word, str) for word in command):
            raise ConfigurationError('CommandKey takes a command word by word: CommandKey("op", "read", …)')
        if len(command) == 1 and not _is_program(command[0]):
            raise ConfigurationError(
                "CommandKey takes a command word by word and uses no shell, so pass its parts as separate "
                'arguments: CommandKey("op", "read", …)'
            )
        self.command = command
        self.timeout = check_seconds("timeout", timeout)
        self.env = None if env is None else dict(env)

    def __call__(self) -> Secret:
        """Run the command and return what it prints.

        Raises:
            ConfigurationError: it cannot be run, fails, takes too long, or prints nothing.
        """
        program = Path(self.command[0]).name
        try:
            process = subprocess.Popen(  # noqa: S603 - the caller's own command, without a shell
                self.command,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            reason = os.strerror(error.errno).lower() if error.errno else type(error).__name__
        else:
            key, reason = self._read(process)
            if key:
                return key
        raise ConfigurationError(f"the key command {program}: {reason}")

    def _read(self, process: subprocess.Popen[bytes]) -> tuple[Secret, str]:
        """Return what the command prints, and why it is not the key if it is empty."""
        try:
            printed, complaint = process.communicate(timeout=self.timeout)
        except subprocess.TimeoutExpired:
            _kill(process)
            return Secret(""), f"not done within {self.timeout:g} s"
        if process.returncode != 0:
            # What it printed may be a part of the key; what it complained of usually says what to do.
            # A complaint may repeat it all the same, as that of a shell that traces its commands.
            known = [
                Secret(word)
                for word in printed.decode(errors="replace").split()
                if len(word) >= _SHORTEST_PART
            ]
            words = scrub_text(" ".join(complaint.decode(errors="replace").split()), known[:_MOST_WORDS])
            reason = f"exit status {process.returncode}"
            return Secret(""), f"{reason}: {words[:_LONGEST_REASON]}" if words else reason
        return Secret(printed.decode(errors="replace").strip()), "it printed nothing"

    def __repr__(self) -> str:
        # Its arguments may be secrets themselves.
        return f"CommandKey({self.command[0]!r}, …)"


def _is_program(text: str) -> bool:
    """Return whether a text may be a program: one word, or the path of a file, whatever is in its name."""
    try:
        return Path(text).exists() or len(shlex.split(text)) <= 1
    except (OSError, ValueError):
        # Longer than a file's name can be, or with a quotation mark that has no end.
        return False


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a command with all that it started: a child that keeps the pipe open would keep us waiting."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    process.wait()


class _Keyring(Protocol):
    def get_password(self, service_name: str, username: str) -> str | None: ...


class KeyringKey:
    """The key in the system's keyring, by the `keyring` package (extra `keyring`).

    Args:
        service: name of the entry.
        username: user of the entry.
    """

    __slots__ = ("service", "username")

    def __init__(self, service: str = "openrelay", username: str = "api-key") -> None:
        self.service = service
        self.username = username

    def __call__(self) -> Secret:
        """Return the entry.

        Raises:
            ConfigurationError: there is none, the keyring is locked, or the package is not installed.
        """
        try:
            keyring = cast("_Keyring", importlib.import_module("keyring"))
        except ImportError:
            reason = "the package is not installed: pip install 'openrelay-async[keyring]'"
        else:
            try:
                found = Secret(keyring.get_password(self.service, self.username) or "")
            except Exception as error:  # every backend has errors of its own
                reason = f"{type(error).__name__}"
            else:
                if found:
                    return found
                reason = f"it has no entry {self.service!r} for {self.username!r}"
        raise ConfigurationError(f"the keyring: {reason}")

    def __repr__(self) -> str:
        return f"KeyringKey({self.service!r}, {self.username!r})"
