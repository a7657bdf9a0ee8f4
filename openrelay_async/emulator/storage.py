"""SQLite: opening a database that is ours, one transaction a request, records as rows."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import orjson

from openrelay_async.emulator.vault import Vault, load_master_key

# "ORLY" in the file's header tells our files from others'.
APPLICATION_ID = 0x4F524C59
SCHEMA_VERSION = 1

_META = "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"

Value = str | int | float | bytes | None


class EmulatorError(Exception):
    """The emulator cannot start, or is used in a way that cannot work; the message is one line."""


class Database:
    """One connection, used by the thread of the event loop only.

    One connection is enough: handlers do not await, so requests follow each other, and a read takes some 20
    µs. It also makes the lock exclusive, so that two emulators never share a file.

    Files are in WAL mode with `synchronous=NORMAL`: what was committed has reached the operating system, so
    it survives the death of the process (kill -9); only a loss of power can cost the last transactions,
    which keeps the file whole.
    """

    def __init__(self, path: str, tables: Iterable[str], *, seed: int) -> None:
        self.path = path
        self._seed = seed
        is_new = path == ":memory:" or not Path(path).exists() or Path(path).stat().st_size == 0
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0)
        except sqlite3.Error as error:
            raise EmulatorError(f"cannot open {path}: {error}") from None
        try:
            self._prepare(is_new, tables)
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self, is_new: bool, tables: Iterable[str]) -> None:
        run = self._connection.execute
        try:
            run("PRAGMA locking_mode = EXCLUSIVE")
            if not is_new and run("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                raise EmulatorError(f"{self.path} is not a database of the emulator")
            version = run("PRAGMA user_version").fetchone()[0]
            if not is_new and version != SCHEMA_VERSION:
                raise EmulatorError(
                    f"{self.path} has schema version {version}; this is version {SCHEMA_VERSION}"
                )
            run("PRAGMA journal_mode = WAL")
            run("PRAGMA synchronous = NORMAL")
            run("BEGIN EXCLUSIVE")
            if is_new:
                for statement in (_META, *tables):
                    run(statement)
                run(f"PRAGMA application_id = {APPLICATION_ID}")
                run(f"PRAGMA user_version = {SCHEMA_VERSION}")
            self.vault = self._open_vault(is_new)
            run("COMMIT")
        except sqlite3.OperationalError as error:
            busy = "locked" in str(error)
            reason = "another process has it open" if busy else str(error)
            raise EmulatorError(f"cannot use {self.path}: {reason}") from None
        except sqlite3.DatabaseError:
            raise EmulatorError(f"{self.path} is not a database of the emulator") from None

    def _open_vault(self, is_new: bool) -> Vault:
        try:
            vault = Vault(load_master_key(self.path, is_new=is_new))
        except OSError as error:
            raise EmulatorError(f"cannot read or write {self.path}.secret: {error.strerror}") from None
        fingerprint = vault.digest("fingerprint").hex()
        if is_new:
            self.write_meta("fingerprint", fingerprint)
        elif self.read_meta("fingerprint") != fingerprint:
            raise EmulatorError(f"{self.path}.secret belongs to another database")
        return vault

    def execute(self, statement: str, values: Sequence[Value] = ()) -> sqlite3.Cursor:
        return self._connection.execute(statement, values)

    def read_meta(self, name: str) -> str | None:
        row = self.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def write_meta(self, name: str, value: str) -> None:
        self.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing; joins one that is open."""
        if self._connection.in_transaction:
            yield
            return
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.execute("ROLLBACK")
            raise
        self.execute("COMMIT")

    def new_id(self, prefix: str) -> str:
        """An id that the same `seed` gives again for the same sequence of events."""
        count = int(self.read_meta("ids") or 0) + 1
        self.write_meta("ids", str(count))
        return prefix + hashlib.blake2b(f"{self._seed}:{count}".encode(), digest_size=10).hexdigest()

    def clear(self) -> None:
        """Forget everything but what `meta` knows of the file itself."""
        names = self.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('meta', 'sqlite_sequence')"
        ).fetchall()
        for (name,) in names:
            self.execute(f"DELETE FROM {name}")  # noqa: S608 - names of our own tables
        self.execute("DELETE FROM meta WHERE name = 'ids'")

    def close(self) -> None:
        self._connection.close()


class Record(Protocol):
    """An attrs class whose fields are plain JSON; it belongs to an organization."""

    @property
    def id(self) -> str: ...
    @property
    def org_id(self) -> str: ...


R = TypeVar("R", bound=Record)


class Collection(Generic[R]):
    """Records of one kind in a table of their own: id, organization, the columns to search by, and the rest
    as JSON.
    """

    def __init__(self, table: str, record: type[R], *, indexed: Sequence[str] = ()) -> None:
        self._table = table
        self._record = record
        self._indexed = tuple(indexed)
        self._fields: tuple[str, ...] = tuple(getattr(record, "__slots__", ()))
        self._fields = tuple(name for name in self._fields if not name.startswith("__"))

    def tables(self) -> list[str]:
        """The statements that make the table."""
        columns = "".join(f", {name} TEXT" for name in self._indexed)
        statements = [
            f"CREATE TABLE {self._table} (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, "
            f"org_id TEXT NOT NULL{columns}, document BLOB NOT NULL)",
            f"CREATE INDEX {self._table}_org ON {self._table} (org_id, seq)",
        ]
        statements += [
            f"CREATE INDEX {self._table}_{name} ON {self._table} ({name})" for name in self._indexed
        ]
        return statements

    def insert(self, database: Database, record: R) -> R:
        values = (record.id, record.org_id, *(self._column(record, name) for name in self._indexed))
        marks = ", ".join("?" * (len(values) + 1))
        columns = ", ".join(("id", "org_id", *self._indexed, "document"))
        statement = f"INSERT INTO {self._table} ({columns}) VALUES ({marks})"  # noqa: S608 - names are constants
        database.execute(statement, (*values, self._pack(record)))
        return record

    def update(self, database: Database, record: R) -> R:
        sets = "".join(f", {name} = ?" for name in self._indexed)
        statement = f"UPDATE {self._table} SET org_id = ?{sets}, document = ? WHERE id = ?"  # noqa: S608 - as above
        columns = tuple(self._column(record, name) for name in self._indexed)
        database.execute(statement, (record.org_id, *columns, self._pack(record), record.id))
        return record

    def delete(self, database: Database, record: R) -> None:
        database.execute(f"DELETE FROM {self._table} WHERE id = ?", (record.id,))  # noqa: S608 - as above

    def get(self, database: Database, id: str) -> R | None:
        statement = f"SELECT document FROM {self._table} WHERE id = ?"  # noqa: S608 - as above
        row = database.execute(statement, (id,)).fetchone()
        return None if row is None else self._unpack(row[0])

    def find(self, database: Database, **equal: Value) -> list[R]:
        """Records whose columns (`org_id` or indexed ones) have these values, oldest first."""
        where = " AND ".join(f"{name} IS ?" for name in equal) or "1"
        statement = f"SELECT document FROM {self._table} WHERE {where} ORDER BY seq"  # noqa: S608 - as above
        return [self._unpack(row[0]) for row in database.execute(statement, tuple(equal.values()))]

    def page(
        self,
        database: Database,
        *,
        before: int | None,
        limit: int,
        keep: Callable[[R], bool] | None = None,
        **equal: Value,
    ) -> tuple[list[R], int | None]:
        """At most `limit` records that `keep` accepts, newest first, and where the next page begins."""
        found: list[R] = []
        where = "".join(f" AND {name} IS ?" for name in equal)
        statement = f"SELECT seq, document FROM {self._table} WHERE seq < ?{where} ORDER BY seq DESC"  # noqa: S608
        rows = database.execute(statement, (2**63 - 1 if before is None else before, *equal.values()))
        last = 0
        for seq, document in rows:
            record = self._unpack(document)
            if keep is not None and not keep(record):
                continue
            if len(found) == limit:
                rows.close()
                return found, last
            found.append(record)
            last = seq
        return found, None

    def _pack(self, record: R) -> bytes:
        return orjson.dumps({name: getattr(record, name) for name in self._fields})

    def _unpack(self, document: bytes) -> R:
        return self._record(**orjson.loads(document))

    def _column(self, record: R, name: str) -> str | None:
        value = getattr(record, name)
        return None if value is None else str(value)
