"""Every Python block of the README runs as it stands, in a process of its own, against the emulator."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from openrelay_async.emulator import Emulator

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    with Emulator.in_thread(speed=20) as emulator:
        yield {
            **os.environ,
            "OPENRELAY_API_KEY": emulator.api_key,
            "OPENRELAY_API_URL": emulator.url,
        }


def test_there_are_blocks() -> None:
    assert len(BLOCKS) >= 4


@pytest.mark.parametrize("block", BLOCKS, ids=[f"block {number}" for number in range(1, len(BLOCKS) + 1)])
def test_a_pasted_block_runs(block: str, environment: dict[str, str]) -> None:
    run = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", block],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip()


@pytest.mark.parametrize(
    "checker",
    [["-m", "mypy", "--strict"], ["-m", "basedpyright", "--pythonpath", sys.executable]],
    ids=["mypy", "pyright"],
)
def test_the_blocks_are_typed(checker: list[str], tmp_path: Path) -> None:
    for number, block in enumerate(BLOCKS):
        (tmp_path / f"block_{number}.py").write_text(block, encoding="utf-8")
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "standard"}', encoding="utf-8")
    run = subprocess.run(
        [sys.executable, *checker, "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
