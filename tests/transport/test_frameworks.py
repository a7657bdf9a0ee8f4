"""A client of a whole test session in tests that have a loop each, as users' suites have it (R1.7)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SERVICE = """
import http.server
import json
import threading

import pytest

from openrelay_async import AsyncClient

VM = {"id": "vm_1", "name": "box", "organizationId": "org_1", "status": "running"}


class Service(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = json.dumps(VM).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="session")
def url():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
"""

FIXTURES = '''

@pytest.fixture(scope="session")
def client_of_no_loop(url):
    """Made where there is no loop, closed where there is another."""
    import asyncio

    client = AsyncClient("vl_framework_0123456789abcdefgh", base_url=url)
    yield client
    asyncio.run(client.aclose())


{decorator}
async def client_of_the_session(url):
    """Made and closed in the session's loop, used in those of the tests."""
    async with AsyncClient("vl_framework_0123456789abcdefgh", base_url=url) as client:
        await client.vms.get("vm_1")
        yield client
'''

OF_PYTEST_ASYNCIO = 'import pytest_asyncio\n@pytest_asyncio.fixture(scope="session", loop_scope="session")'
OF_ANYIO = """
@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="session")"""

TESTS = """
import asyncio
import pytest

pytestmark = [{mark}]


@pytest.mark.parametrize("number", range(3))
async def test_a_call(client_of_no_loop, client_of_the_session, number):
    for client in (client_of_no_loop, client_of_the_session):
        vms = await asyncio.gather(*(client.vms.get("vm_1") for _ in range(3)))
        assert [vm.id for vm in vms] == ["vm_1"] * 3


class TestGroup:
    async def test_another(self, client_of_no_loop):
        assert (await client_of_no_loop.vms.get("vm_1")).name == "box"
"""


@pytest.mark.parametrize(
    ("plugin", "options", "decorator", "mark"),
    [
        ("asyncio", ["--asyncio-mode=strict"], OF_PYTEST_ASYNCIO, "pytest.mark.asyncio"),
        ("asyncio", ["--asyncio-mode=auto"], OF_PYTEST_ASYNCIO, ""),
        ("anyio", [], OF_ANYIO, "pytest.mark.anyio"),
    ],
    ids=["strict", "auto", "anyio"],
)
def test_a_session_scoped_client_works_in_function_scoped_tests(
    plugin: str, options: list[str], decorator: str, mark: str, tmp_path: Path
):
    """R1.7: every warning is an error there, as in a strict user's suite."""
    (tmp_path / "conftest.py").write_text(SERVICE + FIXTURES.format(decorator=decorator))
    (tmp_path / "test_users.py").write_text(TESTS.format(mark=mark))
    if plugin == "asyncio":
        options = [*options, "-o", "asyncio_default_fixture_loop_scope=function"]
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", plugin, "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *options, f"--rootdir={tmp_path}", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTEST_ADDOPTS": "",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "OPENRELAY_API_KEY": "",
        },
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout
    assert done.stderr == ""
