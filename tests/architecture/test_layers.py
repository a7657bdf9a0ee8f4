"""A module imports only from modules above it: `layers.py` says which are above."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from layers import FORBIDDEN_NAMES, LAYERS, LONGEST, SYNC_LAYERS
from modules import find_imports, find_modules, is_generated

ORDER = [
    *(f"openrelay_async.{name}".rstrip(".") for names in LAYERS.values() for name in names),
    *(f"openrelay_sync.{name}".rstrip(".") for names in SYNC_LAYERS.values() for name in names),
]
EXACT = {entry: rank for rank, entry in enumerate(ORDER) if not entry.endswith(".*")}
PACKAGES = {entry[:-2]: rank for rank, entry in enumerate(ORDER) if entry.endswith(".*")}


def rank(module: str) -> int | None:
    """Return a module's place in the order; that of the closest package that stands for it."""
    if module in EXACT:
        return EXACT[module]
    names = [package for package in PACKAGES if module == package or module.startswith(f"{package}.")]
    return PACKAGES[max(names, key=len)] if names else None


@pytest.mark.parametrize("module", find_modules())
def test_a_module_has_a_place_in_the_order(module: str) -> None:
    assert rank(module) is not None, f"add {module} to tests/architecture/layers.py, below what it imports"


@pytest.mark.parametrize("module", find_modules())
def test_a_module_imports_only_from_above(module: str) -> None:
    own = rank(module)
    if own is None or module in {"openrelay_async", "openrelay_sync"}:
        return  # packages name everything, for type checkers and for loading on first use
    below = [
        name for name in sorted(find_imports(module)) if (place := rank(name)) is not None and place > own
    ]
    assert not below, f"{module} imports from below itself: {', '.join(below)}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    finished: set[str] = set()

    def walk(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " → ".join((*path[path.index(module) :], module))
        if module in finished:
            return
        for name in sorted(find_imports(module)):
            # A package that loads its modules on first use names them for type checkers only.
            if find_modules()[name].name != "__init__.py" or not name.startswith(f"{module}."):
                walk(name, (*path, module))
        finished.add(module)

    for module in find_modules():
        if not is_index(module):
            walk(module, ())


def is_index(module: str) -> bool:
    """Whether a module only names what others define."""
    return find_modules()[module].name == "__init__.py"


def test_the_sync_package_is_never_imported_by_the_async_one() -> None:
    wrong = [
        f"{module} imports {name}"
        for module in find_modules()
        if module.startswith("openrelay_async")
        for name in find_imports(module)
        if name.startswith("openrelay_sync")
    ]
    assert not wrong


@pytest.mark.parametrize("module", [name for name in find_modules() if not is_generated(name)])
def test_a_hand_written_module_can_be_held_in_the_head(module: str) -> None:
    lines = len(find_modules()[module].read_text("utf-8").splitlines())
    assert lines <= LONGEST, f"{module} has {lines} lines: split it by what it is about"


@pytest.mark.parametrize("module", find_modules())
def test_a_module_is_named_for_what_it_is_about(module: str) -> None:
    assert not FORBIDDEN_NAMES & set(module.split("."))


def test_the_order_names_no_module_that_is_gone() -> None:
    planned = {"keys", "display", "distributed", "pytest_plugin"}
    gone = [
        entry for entry in EXACT if entry not in find_modules() and entry.rpartition(".")[2] not in planned
    ]
    assert not gone, f"remove from tests/architecture/layers.py: {', '.join(gone)}"
