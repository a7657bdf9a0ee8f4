"""The machine that is measured on: its cores, and programs that run in processes of their own."""

from __future__ import annotations

import functools
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
from attrs import frozen

ROOT = Path(__file__).resolve().parents[1]

_ENVIRONMENT = {
    # Without bytecode every import would be a compilation; the caller's key and address are not for these.
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
        if len(available) < 2:
            return cls()
        return cls(available[0], available[1])


CORES = Cores.find()
"""Found before anything is pinned: a process that is pinned to one core sees no other."""


def pin_client() -> None:
    """Keep this process, and the programs that it runs, on the client's core."""
    _pin(CORES.client)


def _pin(core: int | None) -> None:
    if core is not None:
        os.sched_setaffinity(0, {core})


def cpu_seconds() -> float:
    """Return the CPU time of this process and of those it has run to their end."""
    return _cpu_of(resource.RUSAGE_SELF) + _cpu_of(resource.RUSAGE_CHILDREN)


def _cpu_of(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def run_program(code: str, *arguments: str) -> bytes:
    """Run Python source in a new process and return what it prints."""
    return _run("-c", code, *arguments)


def run_module(name: str, *arguments: str) -> bytes:
    """Run a module in a new process and return what it prints."""
    return _run("-m", name, *arguments)


def _run(*arguments: str) -> bytes:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=_ENVIRONMENT, stdout=subprocess.PIPE, check=True
    )
    return done.stdout


def time_program(code: str, *arguments: str) -> Callable[[], float]:
    """Return a run of a program in a new process: CPU milliseconds from its start to its end.

    A program that is alone on its core and hardly waits takes as long by the clock; on a busy machine only
    CPU time can be compared.
    """

    def run() -> float:
        before = _cpu_of(resource.RUSAGE_CHILDREN)
        run_program(code, *arguments)
        return (_cpu_of(resource.RUSAGE_CHILDREN) - before) * 1e3

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
        [sys.executable, *arguments],
        cwd=ROOT,
        env=_ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=functools.partial(_pin, CORES.server),
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
