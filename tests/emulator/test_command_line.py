"""`python -m openrelay_async.emulator`, as a process."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest

COMMAND = [sys.executable, "-m", "openrelay_async.emulator"]


@contextmanager
def running(*arguments):
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", "--json", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def call(facts, method, path, body=None, token=None):
    request = urllib.request.Request(  # noqa: S310 - our own server
        facts["url"] + path.replace("{org}", facts["org_id"]),
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token or facts['api_key']}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - our own server
        return json.loads(response.read() or b"null")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_one_line_serves_and_ends_on_a_signal(number):
    with running() as (process, facts):
        assert set(facts) == {"url", "api_key", "org_id", "session_token"}
        assert call(facts, "GET", "/v1/whoami")["organizationId"] == facts["org_id"]
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
        assert (process.returncode, out, err) == (0, "", "")


def run(*arguments):
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=20)


def test_a_port_in_use_is_one_line_at_once():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = run("--port", str(port), "--json")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert re.fullmatch(rf"emulator: cannot listen on 127\.0\.0\.1 port {port}: .*in use.*\n", ended.stderr)


def test_an_unusable_file_is_one_line(tmp_path):
    foreign = tmp_path / "foreign.db"
    foreign.write_text("not a database" * 500)
    for file in (foreign, tmp_path / "none" / "state.db", tmp_path):
        ended = run("--port", "0", "--db", str(file), "--json")
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.startswith("emulator: ")
        assert ended.stderr.count("\n") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_one_line(tmp_path):
    tmp_path.chmod(0o500)
    ended = run("--port", "0", "--db", str(tmp_path / "state.db"))
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1


def test_a_wrong_speed_is_one_line():
    ended = run("--port", "0", "--speed", "0")
    assert (ended.returncode, ended.stderr) == (2, "emulator: speed must be more than 0\n")


def test_a_file_with_keys_starts_with_no_key_and_a_session_that_mints_one(tmp_path):
    file = str(tmp_path / "state.db")
    with running("--db", file) as (_, first):
        call(first, "GET", "/v1/whoami")
    with running("--db", file) as (_, second):
        assert second["api_key"] is None
        assert second["org_id"] == first["org_id"]
        assert call(second, "GET", "/v1/whoami", token=first["api_key"])["principalType"] == "api_key"
        made = call(
            second, "POST", "/v1/orgs/{org}/api-keys/create", {"name": "new"}, token=second["session_token"]
        )
        call(second, "GET", "/v1/whoami", token=made["key"])


def test_without_json_it_says_how_to_use_it():
    process = subprocess.Popen([*COMMAND, "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        lines = [process.stdout.readline() for _ in range(4)]
    finally:
        process.kill()
        process.communicate()
    assert "http://127.0.0.1:" in lines[0]
    assert [line.strip().partition("=")[0] for line in lines[1:]] == [
        "OPENRELAY_API_URL",
        "OPENRELAY_API_KEY",
        "OPENRELAY_ORG_ID",
    ]


def test_it_lists_what_is_modelled():
    lines = run("--list-operations").stdout.splitlines()
    assert len(lines) == 182
    assert any(re.match(r"modelled +vms\.create +POST +/v1/orgs/", line) for line in lines)
    assert len(run("--list-operations", "--generation", "2026-07").stdout.splitlines()) < 182


@pytest.mark.parametrize("round", range(3))
def test_what_was_acknowledged_survives_kill_9(tmp_path, round):
    file = str(tmp_path / "state.db")
    with running("--db", file) as (process, facts):
        names = [{"name": f"{index}"} for index in range(20 + 17 * round)]
        acknowledged = [call(facts, "POST", "/v1/orgs/{org}/vms/create", name)["id"] for name in names]
        process.send_signal(signal.SIGKILL)
        process.wait()
    with running("--db", file) as (_, again):
        again["api_key"] = facts["api_key"]
        found = call(again, "GET", "/v1/orgs/{org}/vms?limit=1000")["items"]
        assert [vm["id"] for vm in found] == acknowledged[::-1]
