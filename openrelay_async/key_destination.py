"""Where the command line puts a new key's plaintext: a terminal, a file, or another program."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Protocol

from openrelay_async.errors import ConfigurationError
from openrelay_async.private_file import write_private
from openrelay_async.redaction import Payload, Secret

STORE_TIMEOUT = 60.0
"""Seconds that a store command may take."""


def split_command(command: str, *, option: str) -> list[str]:
    """Return the words of a command; no shell is involved.

    Raises:
        ConfigurationError: a quote without its end. The command is not in the message: its words may be
            secrets.
    """
    try:
        return shlex.split(command)
    except ValueError:
        problem = f"{option} has a quote or a backslash without what belongs to it"
    raise ConfigurationError(problem)


class Destination(Protocol):
    """Takes a plaintext once."""

    def check(self) -> None:
        """Raise before any key is made if it cannot be stored."""
        ...

    def store(self, plaintext: str) -> None:
        """Keep the key, or raise."""
        ...


class Terminal:
    """Shows the key to the person in front of the screen, and to nothing else."""

    def check(self) -> None:
        if not sys.stdout.isatty():
            raise ConfigurationError(
                "--show writes to a terminal only: a pipe or a log would keep the key. Use --output FILE or "
                "--store-command COMMAND"
            )

    def store(self, plaintext: str) -> None:
        sys.stdout.write(f"{plaintext}\n")
        sys.stdout.flush()


class KeyFile:
    """Writes the key to a file that only its owner can read, whole or not at all."""

    def __init__(self, path: str, *, overwrite: bool) -> None:
        self.path = Path(path).expanduser()
        self.overwrite = overwrite

    def check(self) -> None:
        if self.path.exists() and not self.overwrite:
            raise ConfigurationError(f"{self.path} exists: --force replaces it")
        if not os.access(self.path.parent, os.W_OK | os.X_OK):
            raise ConfigurationError(f"{self.path.parent} is no folder that can be written to")

    def store(self, plaintext: str) -> None:
        key = Secret(plaintext)
        del plaintext
        write_private(self.path, Payload(f"{key.reveal()}\n".encode()))


class StoreCommand:
    """Gives the key to a program on its standard input. Arguments could be read by everyone."""

    def __init__(self, command: str) -> None:
        self.words = split_command(command, option="--store-command")

    def check(self) -> None:
        if not self.words:
            raise ConfigurationError("--store-command is empty")

    def store(self, plaintext: str) -> None:
        key = Secret(plaintext)
        del plaintext
        try:
            done = subprocess.run(  # noqa: S603 - the user's own command, without a shell
                self.words,
                input=f"{key.reveal()}\n".encode(),
                # What it prints could repeat the key.
                stdout=subprocess.DEVNULL,
                timeout=STORE_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            problem = f"was not done within {STORE_TIMEOUT:g} s"
        except OSError as error:
            problem = f"cannot be run: {os.strerror(error.errno).lower()}" if error.errno else "cannot be run"
        else:
            if done.returncode == 0:
                return
            problem = f"failed with exit status {done.returncode}"
        raise ConfigurationError(f"the store command {Path(self.words[0]).name} {problem}")
