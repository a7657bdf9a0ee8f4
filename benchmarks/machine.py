"""The machine that is measured on: its cores, and programs that run in processes of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
from attrs import frozen

ROOT = Path(__file__).resolve().parents[1]

_ENVIRONMENT = {
    # Without bytecode every import would be a compilation; with a key or an address of the caller's, another client.
    name: value
    for name, value in os.environ.items()
    if name not in ("PYTHONDONTWRITEBYTECODE", "PYTHONDEVMODE") and not name.startswith("OPENRELAY_")
}


@frozen
class Cores:
    """Where client and server run: apart, if there are two cores."""

    client: int | None = None
    server: int | None = None

    @classmethod
    def find(cls) -> Cores:
        available = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        if len(available) < 2 or shutil.which("taskset") is None:
            return cls()
        return cls(available[0], available[1])


CORES = Cores.find()
"""Found before anything is pinned: a process that is pinned to one core sees no other."""


def pin_client() -> None:
    """Keep this process, and what it starts, on the client's core."""
    if CORES.client is not None:
        os.sched_setaffinity(0, {CORES.client})


def _command(core: int | None, arguments: tuple[str, ...]) -> list[str]:
    pin = [] if core is None else ["taskset", "-c", str(core)]
    return [*pin, sys.executable, *arguments]


def run_program(code: str, *arguments: str) -> bytes:
    """Run Python source in a new process on the client's core and return what it prints."""
    return _run("-c", code, *arguments)


def run_module(name: str, *arguments: str) -> bytes:
    """Run a module in a new process on the client's core and return what it prints."""
    return _run("-m", name, *arguments)


def _run(*arguments: str) -> bytes:
    done = subprocess.run(
        _command(CORES.client, arguments), cwd=ROOT, env=_ENVIRONMENT, stdout=subprocess.PIPE, check=True
    )
    return done.stdout


def time_program(code: str, *arguments: str) -> Callable[[], float]:
    """Return a run of a program in a new process: wall milliseconds from start to end."""

    def run() -> float:
        began = time.perf_counter()
        run_program(code, *arguments)
        return (time.perf_counter() - began) * 1e3

    return run


def ask_program(code: str, *arguments: str) -> Callable[[], float]:
    """Return a run of a program that prints its own measurement as its last line."""
    return lambda: float(run_program(code, *arguments).split()[-1])


def read_program(code: str, *arguments: str) -> Callable[[], dict[str, float]]:
    """Return a run of a program that prints several measurements as a JSON object."""

    def run() -> dict[str, float]:
        told: dict[str, float] = orjson.loads(run_program(code, *arguments))
        return told

    return run


@contextmanager
def server_process(*arguments: str) -> Iterator[tuple[str, int]]:
    """Run a Python program on the server's core; yield the first line that it prints, and its process id."""
    with subprocess.Popen(
        _command(CORES.server, arguments), cwd=ROOT, env=_ENVIRONMENT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), process.pid
        finally:
            process.kill()


def resident_kib(what: str = "VmRSS") -> int:
    """Return this process's resident memory (Linux); `VmHWM` is the most that it ever was."""
    status = Path("/proc/self/status").read_text("ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(what))
