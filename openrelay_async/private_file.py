"""Files that only their owner can read."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from openrelay_async.redaction import Payload


def write_private(path: Path, content: Payload) -> None:
    """Write a file, whole or not at all: what was there stays until all of it is on the disk.

    Raises:
        OSError: it cannot be written.
    """
    # A name that no earlier try can have left behind: a file that is there has a mode of its own.
    beside = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}")
    try:
        # Made with its mode: a file that is closed to others later was open before.
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content.data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
