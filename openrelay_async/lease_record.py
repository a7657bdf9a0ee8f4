"""Leases on disk, so that those of a crashed process can be found and ended.

A file of JSON lines that is only appended to: each lease writes a line before it creates, one when it knows
the id, one when it has ended. Lines are written at once and whole, so that processes may share the file.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import orjson
from attrs import asdict, evolve, frozen


@frozen
class LeaseLine:
    """One lease, as far as it has come."""

    lease: str
    kind: str
    name: str
    org_id: str | None
    began_at: float
    """Unix time at which creating began."""
    host: str
    pid: int
    process_started: str | None
    """Tells a process from a later one with the same number; `None` where the system does not say."""
    id: str | None = None
    ended: bool = False
    before: list[str] | None = None
    """Ids that bore the name before the create: none of them is the lease's. `None`: not known."""
    latest: float | None = None
    """Unix time by which it was created, if it was; `None`: not known."""

    def is_running(self) -> bool:
        """Return whether the process that has the lease is alive, as far as this machine can tell."""
        if self.host != socket.gethostname():
            return True
        started = _process_start(self.pid)
        if self.process_started is not None:
            return started == self.process_started
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


def begin_line(
    lease: str,
    kind: str,
    name: str,
    org_id: str | None,
    began_at: float,
    *,
    before: list[str] | None = None,
    latest: float | None = None,
) -> LeaseLine:
    """Return the first line of a lease of this process."""
    pid = os.getpid()
    return LeaseLine(
        lease,
        kind,
        name,
        org_id,
        began_at,
        socket.gethostname(),
        pid,
        _process_start(pid),
        before=before,
        latest=latest,
    )


def _process_start(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    # The program's name is in parentheses and may hold anything; field 22 is the start in clock ticks.
    return stat.rpartition(")")[2].split()[19]


class LeaseRecord:
    """A file of leases."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"LeaseRecord({str(self.path)!r})"

    def write(self, line: LeaseLine) -> None:
        """Append the present state of a lease; it is on disk when this returns."""
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, orjson.dumps(asdict(line)) + b"\n")
            os.fsync(file)
        finally:
            os.close(file)

    def read_open(self) -> list[LeaseLine]:
        """Return the leases that have not ended, in the order in which they began."""
        leases: dict[str, LeaseLine] = {}
        for line in self._lines():
            leases.pop(line.lease, None)
            if not line.ended:
                leases[line.lease] = line
        return list(leases.values())

    def read_ids(self) -> set[str]:
        """Return the ids of all leases, also of those that have ended."""
        return {line.id for line in self._lines() if line.id is not None}

    def _lines(self) -> Iterator[LeaseLine]:
        if not self.path.exists():
            return
        for text in self.path.read_bytes().splitlines():
            try:
                yield LeaseLine(**orjson.loads(text))
            except (orjson.JSONDecodeError, TypeError):
                continue  # cut off by a crash while it was written: the line before still holds


def ended(line: LeaseLine) -> LeaseLine:
    return evolve(line, ended=True)
