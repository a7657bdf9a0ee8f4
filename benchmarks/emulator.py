"""What the emulator costs: start-up in a process that has imported it, single reads a second, writes.

The server runs in a process of its own, the client speaks raw HTTP over keep-alive sockets, so that the
server is what is measured.
"""

from __future__ import annotations

import asyncio
import functools
import os
import statistics
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from benchmarks.machine import ask_program, server_process
from benchmarks.measuring import Figure, compare, pick, take_turns
from benchmarks.targets import Target, at_least, at_most

CONNECTIONS = 8
IN_MEMORY, IN_A_FILE = "in memory", "in a file"
_START = """
import asyncio, time
from openrelay_async.emulator import Emulator
async def main():
    async with Emulator():
        pass
    began = time.perf_counter()
    emulator = Emulator()
    await emulator.start()
    print((time.perf_counter() - began) * 1e3)
    await emulator.stop()
asyncio.run(main())
"""


class Connection:
    """One keep-alive connection that sends prepared bytes and reads whole responses."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def call(self, request: bytes) -> bytes:
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        body = await self._reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{head!r} {body!r}")
        return body

    def close(self) -> None:
        self._writer.close()


def _prepare(facts: dict[str, str], method: str, path: str, body: object = None) -> bytes:
    data = b"" if body is None else orjson.dumps(body)
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {facts['api_key']}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


def _cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _serve_and_drive(database: str, reads: int, writes: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        db = ":memory:" if database == IN_MEMORY else f"{folder}/emulator.db"
        arguments = ("-m", "openrelay_async.emulator", "--port", "0", "--json", "--db", db)
        with server_process(*arguments) as (line, pid):
            return asyncio.run(_drive(orjson.loads(line), pid, reads, writes))


async def _drive(facts: dict[str, str], pid: int, reads: int, writes: int) -> dict[str, float]:
    address = urlsplit(facts["url"])
    connections = [
        Connection(*await asyncio.open_connection(address.hostname, address.port)) for _ in range(CONNECTIONS)
    ]
    order = {"name": "vm", "resourceSize": "small"}
    create = _prepare(facts, "POST", f"/v1/orgs/{facts['org_id']}/vms/create", order)
    vm = orjson.loads(await connections[0].call(create))
    read = _prepare(facts, "GET", f"/v1/vms/{vm['id']}")

    async def read_many(connection: Connection, count: int) -> None:
        for _ in range(count):
            await connection.call(read)

    await read_many(connections[0], 20)
    cpu_before, began = _cpu_seconds(pid), time.perf_counter()
    await asyncio.gather(*(read_many(connection, reads // CONNECTIONS) for connection in connections))
    wall, cpu = time.perf_counter() - began, _cpu_seconds(pid) - cpu_before
    path = f"/v1/vms/{vm['id']}/visibility"
    changes = [_prepare(facts, "POST", path, {"public": is_public}) for is_public in (False, True)]
    latencies = []
    cpu_before = _cpu_seconds(pid)
    for number in range(writes):
        began = time.perf_counter()
        await connections[0].call(changes[number % 2])
        latencies.append((time.perf_counter() - began) * 1e3)
    write_cpu = _cpu_seconds(pid) - cpu_before
    for connection in connections:
        connection.close()
    return {
        "reads a second": reads / wall,
        "reads a second of its CPU": reads / max(cpu, 0.01),
        "writes, median": statistics.median(latencies),
        "writes, 99th percentile": statistics.quantiles(latencies, n=100)[-1],
        "writes, CPU of the server": write_cpu * 1e3 / writes,
    }


_ASKED: dict[str, tuple[str, list[Target]]] = {
    "reads a second": ("reads", [at_least(1000)]),
    "reads a second of its CPU": ("reads", [at_least(1000)]),
    "writes, median": ("ms", []),
    "writes, 99th percentile": ("ms", [at_most(10)]),
    "writes, CPU of the server": ("ms", []),
}


def measure(*, quick: bool) -> list[Figure]:
    """Measure the start, then reads and writes with the database in memory and in a file."""
    rounds, reads, writes = (1, 400, 200) if quick else (5, 3_000, 500)
    started = take_turns({"Emulator()": ask_program(_START)}, rounds=max(rounds, 3), is_warm=True)
    figures = compare("emulator: start, imported", started, unit="ms", targets={"Emulator()": [at_most(150)]})
    served = {
        database: functools.partial(_serve_and_drive, database, reads, writes)
        for database in (IN_MEMORY, IN_A_FILE)
    }
    told = take_turns(served, rounds=rounds, is_warm=True)
    for quantity, (unit, targets) in _ASKED.items():
        figures += compare(
            f"emulator: {quantity}",
            pick(told, quantity),
            unit=unit,
            targets=dict.fromkeys(served, targets),
        )
    return figures
