"""Where received events wait: which ids were seen, and which events are not handled yet."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from openrelay_async.errors import ConfigurationError

T = TypeVar("T")


class EventStore(Protocol):
    """What a receiver asks of a store; all times are seconds since 1970."""

    async def add(self, event_id: str, raw: bytes, *, now: float, until: float) -> bool:
        """Keep an event and remember its id until `until`. Return `False` if the id is remembered already."""
        ...

    async def finish(self, event_id: str) -> None:
        """The event was handled: its body is needed no more, its id still is."""
        ...

    async def pending(self) -> list[bytes]:
        """Return the bodies of all events that were added and not finished, oldest first."""
        ...

    async def aclose(self) -> None:
        """Let go of files. What is used afterwards opens again."""
        ...


class MemoryStore:
    """Remembers ids in memory and keeps no bodies: what was accepted and not handled dies with the process.

    Args:
        most: ids remembered at most; the oldest goes first. An id takes some 200 bytes.
    """

    def __init__(self, *, most: int = 50_000) -> None:
        self._most = most
        self._ids: OrderedDict[str, float] = OrderedDict()

    async def add(self, event_id: str, raw: bytes, *, now: float, until: float) -> bool:
        while self._ids and (len(self._ids) >= self._most or next(iter(self._ids.values())) <= now):
            self._ids.popitem(last=False)
        if self._ids.get(event_id, now) > now:
            return False
        self._ids[event_id] = until
        return True

    async def finish(self, event_id: str) -> None:
        pass

    async def pending(self) -> list[bytes]:
        return []

    async def aclose(self) -> None:
        pass


# "ORWH" in the file's header tells our files from others'.
_APPLICATION_ID = 0x4F525748
_VERSION = 1
_TABLE = """
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, forget_at REAL NOT NULL, raw BLOB
    )
"""
_FORGET_EVERY = 256


class SQLiteStore:
    """Keeps events in a file until they are handled: a receiver that was killed goes on where it was.

    An event is in the file before the service gets its 2xx, and is handed over again by the next receiver if
    its callback had not returned: at least once, so a callback must bear an event a second time. What is in
    the file survives the death of the process; with `synchronous="FULL"` a loss of power too, at the price
    of a disk flush for each event.

    One process has the file at a time; its events are as private as the file (mode 0600).

    Args:
        path: the file; it is made if it does not exist.
        synchronous: SQLite's `NORMAL` or `FULL`.

    Raises:
        ConfigurationError: at first use: the file is another's, or another process has it.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, synchronous: Literal["NORMAL", "FULL"] = "NORMAL"
    ) -> None:
        if synchronous not in ("NORMAL", "FULL"):
            raise ConfigurationError("synchronous must be NORMAL or FULL")
        self._path = Path(path)
        self._synchronous = synchronous
        self._connection: sqlite3.Connection | None = None
        # One thread, because a disk can stall and the event loop must not; and one connection is never
        # shared.
        self._thread: ThreadPoolExecutor | None = None
        self._added = 0

    def __repr__(self) -> str:
        return f"SQLiteStore({str(self._path)!r})"

    async def add(self, event_id: str, raw: bytes, *, now: float, until: float) -> bool:
        def add(connection: sqlite3.Connection) -> bool:
            if self._added % _FORGET_EVERY == 0:
                connection.execute("DELETE FROM events WHERE raw IS NULL AND forget_at <= ?", (now,))
            self._added += 1
            done = connection.execute(
                "INSERT OR IGNORE INTO events (id, forget_at, raw) VALUES (?, ?, ?)", (event_id, until, raw)
            )
            return done.rowcount == 1

        return await self._run(add)

    async def finish(self, event_id: str) -> None:
        await self._run(lambda db: db.execute("UPDATE events SET raw = NULL WHERE id = ?", (event_id,)))

    async def pending(self) -> list[bytes]:
        statement = "SELECT raw FROM events WHERE raw IS NOT NULL ORDER BY seq"
        return await self._run(lambda db: [bytes(row[0]) for row in db.execute(statement)])

    async def aclose(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._close)
            thread.shutdown(wait=False)

    async def _run(self, action: Callable[[sqlite3.Connection], T]) -> T:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="openrelay-webhook-store")
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: action(self._connection or self._open())
        )

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        problem = ""
        try:
            # Made before SQLite does, to be private from the first byte on.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            self._connection = _open_database(self._path, self._synchronous)
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or str(error)
            problem = "another process has it open" if "locked" in reason else reason
        if self._connection is None:
            raise ConfigurationError(f"cannot use {self._path} as a webhook store: {problem}")
        return self._connection


def _open_database(path: Path, synchronous: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=0)
    try:
        run = connection.execute
        run("PRAGMA locking_mode = EXCLUSIVE")
        run("BEGIN EXCLUSIVE")
        identity = (run("PRAGMA application_id").fetchone()[0], run("PRAGMA user_version").fetchone()[0])
        if identity == (0, 0) and not run("SELECT 1 FROM sqlite_master").fetchone():
            run(_TABLE)
            run(f"PRAGMA application_id = {_APPLICATION_ID}")
            run(f"PRAGMA user_version = {_VERSION}")
        elif identity != (_APPLICATION_ID, _VERSION):
            raise sqlite3.DatabaseError("it is not a webhook store of this version")
        run("COMMIT")
        run("PRAGMA journal_mode = WAL")
        run(f"PRAGMA synchronous = {synchronous}")
    except BaseException:
        connection.close()
        raise
    return connection
