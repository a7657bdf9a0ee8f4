"""The packages' modules and what they import, read from their source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("openrelay_async", "openrelay_sync")


@cache
def find_modules() -> dict[str, Path]:
    """Return every module of both packages: dotted name → file."""
    return {
        _name(path): path
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if "__pycache__" not in path.parts
    }


def _name(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_generated(module: str) -> bool:
    return ".generated" in module


@cache
def find_imports(module: str) -> frozenset[str]:
    """Return the modules of our packages that a module imports anywhere in it, also inside functions."""
    tree = ast.parse(find_modules()[module].read_text("utf-8"))
    return frozenset(name for name in _walk_imports(tree, module) if name != module)


def _walk_imports(tree: ast.AST, module: str) -> Iterator[str]:
    known = find_modules()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            source = _absolute(node, module)
            for alias in node.names:
                # `from package import module` imports the module; the package itself is only passed through.
                submodule = f"{source}.{alias.name}"
                if submodule in known:
                    yield submodule
                elif source in known:
                    yield source


def _absolute(node: ast.ImportFrom, module: str) -> str:
    if not node.level:
        return node.module or ""
    path = find_modules()[module]
    parts = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    outer = parts[: len(parts) - node.level + 1]
    return ".".join([*outer, *([node.module] if node.module else [])])
