"""Importing a package costs nothing but its own few lines: everything else is loaded when it is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"aiohttp", "asyncio", "attr", "attrs", "cattrs", "orjson", "yarl"}


@pytest.mark.parametrize("package", ["openrelay_async", "openrelay_sync"])
def test_importing_a_package_loads_nothing_else(package: str) -> None:
    """targets.md: neither aiohttp, attrs, cattrs, orjson, asyncio nor a model."""
    code = (
        f"import sys, {package}\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)), [name for name in sys.modules if 'generated' in name])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[] []\n", "")
