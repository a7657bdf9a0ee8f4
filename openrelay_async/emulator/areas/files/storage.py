"""Records of files, and their contents in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from openrelay_async.emulator.storage import Collection, Database

KEPT = 30 * 86400.0
"""Seconds until a file is gone."""

TABLES = (
    "CREATE TABLE file_pieces (file_id TEXT NOT NULL, number INTEGER NOT NULL, data BLOB NOT NULL, "
    "PRIMARY KEY (file_id, number))",
)


@attrs.frozen
class StoredFile:
    id: str
    org_id: str
    filename: str
    purpose: str
    bytes: int
    created_at: float
    available_from: float
    """Output of a batch is there when the batch is complete."""
    state: str = "complete"
    """`presigned` → `uploaded` → `complete`."""

    def is_there(self, now: float) -> bool:
        return self.state == "complete" and self.available_from <= now < self.created_at + KEPT


FILES = Collection("files", StoredFile)


def write_pieces(database: Database, file_id: str, pieces: Iterable[bytes]) -> int:
    """Replace the contents of a file; the number of bytes."""
    database.execute("DELETE FROM file_pieces WHERE file_id = ?", (file_id,))
    size = 0
    for number, piece in enumerate(pieces):
        database.execute("INSERT INTO file_pieces VALUES (?, ?, ?)", (file_id, number, piece))
        size += len(piece)
    return size


def read_pieces(database: Database, file_id: str) -> Iterator[bytes]:
    """The contents, a piece at a time: the file is never in memory as a whole."""
    number = 0
    while True:
        statement = "SELECT data FROM file_pieces WHERE file_id = ? AND number = ?"
        row = database.execute(statement, (file_id, number)).fetchone()
        if row is None:
            return
        yield bytes(row[0])
        number += 1


def add_file(
    database: Database,
    org_id: str,
    filename: str,
    purpose: str,
    pieces: Iterable[bytes],
    *,
    now: float,
    at: float,
) -> StoredFile:
    """A file that the service itself makes, there from `at` on."""
    file_id = database.new_id("file_")
    size = write_pieces(database, file_id, pieces)
    return FILES.insert(database, StoredFile(file_id, org_id, filename, purpose, size, now, at))


def delete_file(database: Database, file: StoredFile) -> None:
    FILES.delete(database, file)
    database.execute("DELETE FROM file_pieces WHERE file_id = ?", (file.id,))
