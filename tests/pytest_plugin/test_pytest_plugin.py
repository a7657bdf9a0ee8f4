"""The fixtures of the pytest plugin, in test suites of their own: as a user's project has them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCOPE = ["-o", "asyncio_default_fixture_loop_scope=function"]
SYNC = """
import urllib.request, json
def test_the_emulator_answers(openrelay_emulator):
    headers = {"Authorization": "Bearer " + openrelay_emulator.api_key}
    request = urllib.request.Request(openrelay_emulator.url + "/v1/whoami", headers=headers)
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer)["organizationId"] == openrelay_emulator.org_id
"""
ASYNC = """
import pytest
{mark}
@pytest.mark.parametrize("turn", [1, 2])
async def test_the_client_works_in_each_tests_loop(openrelay_client, openrelay_emulator, turn):
    me = await openrelay_client.account.whoami()
    assert me.organization_id == openrelay_emulator.org_id
    assert await openrelay_client.clusters.list() == []
"""


@pytest.mark.parametrize(
    ("code", "options"),
    [
        pytest.param(SYNC, ["-p", "no:asyncio"], id="sync"),
        pytest.param(
            ASYNC.format(mark="@pytest.mark.asyncio"), [*SCOPE, "-o", "asyncio_mode=strict"], id="strict"
        ),
        pytest.param(ASYNC.format(mark=""), [*SCOPE, "-o", "asyncio_mode=auto"], id="auto"),
        pytest.param(
            ASYNC.format(mark='@pytest.fixture\ndef anyio_backend(): return "asyncio"\n@pytest.mark.anyio'),
            ["-p", "no:asyncio"],
            id="anyio",
        ),
    ],
)
def test_the_fixtures_work_under(code: str, options: list[str], tmp_path: Path) -> None:
    (tmp_path / "test_product.py").write_text(code, encoding="utf-8")
    run = subprocess.run(
        [
            *[sys.executable, "-X", "dev", "-m", "pytest", "-q", "-W", "error", "--rootdir", str(tmp_path)],
            *["-p", "no:xdist", "-p", "no:cacheprovider", *options, str(tmp_path)],
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_loading_the_plugin_loads_neither_the_client_nor_the_emulator() -> None:
    code = (
        "import sys; import openrelay_async.pytest_plugin; late = ('aiohttp', 'openrelay_async.client',"
        "'openrelay_async.emulator'); print([name for name in late if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.strip() == "[]"
