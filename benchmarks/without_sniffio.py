"""The official client where `sniffio` is not installed, as its own dependencies leave it.

httpcore tries to import it at every request; where it is absent, each try searches all of `sys.path` anew.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

_NAME = "sniffio"


class _Absent:
    """Finds everything that `PathFinder` finds but sniffio, for which it searches as long and in vain."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return PathFinder.find_spec(f"{_NAME}_not_installed" if name == _NAME else name, path, target)


@contextmanager
def hide_sniffio() -> Iterator[None]:
    """Make sniffio as if it were not installed for whoever imports it meanwhile."""
    finders = sys.meta_path[:]
    hidden = sys.modules.pop(_NAME, None)
    sys.meta_path[:] = [_Absent if finder is PathFinder else finder for finder in finders]
    try:
        yield
    finally:
        sys.meta_path[:] = finders
        if hidden is not None:
            sys.modules[_NAME] = hidden
