"""Writing what is generated, or telling what is out of date."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

FOLDERS = ("openrelay_async/generated", "openrelay_sync/generated", "openrelay_async/emulator/generated")
"""Folders that hold nothing but generated files: what is no longer generated is deleted."""


def find_stale(files: Mapping[str, str], root: Path) -> list[str]:
    """Return the paths that `publish` would write or delete, sorted."""
    changed = {path for path, source in files.items() if _read(root / path) != source}
    return sorted(changed | _find_orphans(files, root))


def publish(files: Mapping[str, str], root: Path) -> list[str]:
    """Write the files that changed, delete those that are no longer generated, and return both's paths."""
    stale = find_stale(files, root)
    for path in stale:
        target = root / path
        if path in files:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(files[path], "utf-8")
        else:
            target.unlink()
    return stale


def _read(path: Path) -> str | None:
    return path.read_text("utf-8") if path.exists() else None


def _find_orphans(files: Mapping[str, str], root: Path) -> set[str]:
    present = {
        path.relative_to(root).as_posix() for folder in FOLDERS for path in (root / folder).rglob("*.py")
    }
    return present - set(files)
