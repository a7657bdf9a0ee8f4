"""kill -9 under load, twenty times over one file: nothing acknowledged is lost, nothing is half-done."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import sys

import aiohttp
import pytest

ROUNDS = 20
CALLERS = 8


class Ledger:
    """What callers were told, and what they never heard back."""

    def __init__(self):
        self.acknowledged: dict[str, str] = {}
        self.unanswered: list[str] = []
        self.enough = asyncio.Event()
        self.wanted = 0

    def expect(self, more):
        """Set `enough` when that many more were acknowledged: the kill comes by progress, not by time."""
        self.wanted = len(self.acknowledged) + more
        self.enough.clear()

    def acknowledge(self, name, vm_id):
        self.acknowledged[name] = vm_id
        if len(self.acknowledged) >= self.wanted:
            self.enough.set()


@pytest.fixture
def start():
    """Starts emulators over a file; none outlives the test, however it ends."""
    processes = []

    async def start(file):
        process, facts = await launch(file)
        processes.append(process)
        return process, facts

    yield start
    for process in processes:
        if process.returncode is None:
            os.kill(process.pid, signal.SIGKILL)


async def launch(file):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "openrelay_async.emulator", "--port", "0", "--json", "--db", file),
        stdout=asyncio.subprocess.PIPE,
    )
    return process, json.loads(await process.stdout.readline())


async def call_until_it_dies(session, facts, key, ledger, prefix):
    """Order VMs, each under an idempotency key of its own, until the connection breaks."""
    url = f"{facts['url']}/v1/orgs/{facts['org_id']}/vms/create"
    for number in range(10_000):
        name = f"{prefix}-{number}"
        headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": name}
        ledger.unanswered.append(name)
        try:
            async with session.post(
                url, json={"name": name, "resourceSize": "small"}, headers=headers
            ) as response:
                made = await response.json()
                assert response.status == 200, made
        except (aiohttp.ClientError, ConnectionError):
            return
        ledger.unanswered.remove(name)
        ledger.acknowledge(name, made["id"])
        stop = f"{facts['url']}/v1/vms/{made['id']}/terminate"
        try:
            async with session.post(stop, headers=headers) as response:
                await response.read()
        except (aiohttp.ClientError, ConnectionError):
            return


def look_into(file):
    """Straight into the file: what belongs together is there together."""
    connection = sqlite3.connect(file)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = connection.execute("SELECT id, document FROM vms")
        vms = {vm_id: json.loads(document) for vm_id, document in rows}
        running = {vm_id for vm_id, vm in vms.items() if vm["timeline"][-1][1] != "terminated"}
        allocated = [row[0] for row in connection.execute("SELECT resource_id FROM allocations")]
        assert sorted(allocated) == sorted(running), "a VM holds its CPUs, and nothing else does"
        named = dict(connection.execute("SELECT key, resource_id FROM idempotency"))
        assert sorted(named.values()) == sorted(vms), "a VM and its idempotency key come together"
        billed = {row[0] for row in connection.execute("SELECT resource_id FROM spans")}
        assert running <= billed
        return vms, named
    finally:
        connection.close()


@pytest.mark.timeout(240)
async def test_nothing_acknowledged_is_lost_in_twenty_kills(tmp_path, start):
    file = str(tmp_path / "state.db")
    chance = random.Random(7)
    ledger, key = Ledger(), None
    for round_number in range(ROUNDS):
        ledger.expect(chance.randint(3, 40))
        process, facts = await start(file)
        key = key or facts["api_key"]
        async with aiohttp.ClientSession() as session:
            callers = [
                asyncio.create_task(
                    call_until_it_dies(session, facts, key, ledger, f"r{round_number}c{caller}")
                )
                for caller in range(CALLERS)
            ]
            await ledger.enough.wait()
            process.send_signal(signal.SIGKILL)
            await process.wait()
            await asyncio.gather(*callers)
        vms, named = look_into(file)
        for name, vm_id in ledger.acknowledged.items():
            assert named[name] == vm_id
            assert vm_id in vms
        assert len(vms) <= len(ledger.acknowledged) + len(ledger.unanswered)
    assert ledger.unanswered, "it was killed in the middle of things"
    # What was never answered is cleared up by sending it again: one VM each, whether it had been made or not.
    process, facts = await start(file)
    url = f"{facts['url']}/v1/orgs/{facts['org_id']}/vms/create"
    async with aiohttp.ClientSession() as session:
        for name in ledger.unanswered:
            headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": name}
            async with session.post(
                url, json={"name": name, "resourceSize": "small"}, headers=headers
            ) as response:
                made = await response.json()
                assert response.status == 200, made
                if name in named:
                    assert made["id"] == named[name]
    process.send_signal(signal.SIGTERM)
    await process.wait()
