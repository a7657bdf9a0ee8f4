"""What the emulator costs: start-up, single reads a second, latency of writes.

Run from the root of the repository: `python -m benchmarks.emulator`. The server runs in a process of its
own, the client speaks raw HTTP over keep-alive sockets, so that the server is what is measured. On a busy
machine the CPU time a request takes says more than the requests a second: both are printed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from urllib.parse import urlsplit

TARGETS = {"start_ms": 150.0, "reads_per_second": 1000.0, "write_p99_ms": 10.0}


async def measure_start(rounds: int) -> list[float]:
    """Milliseconds to start in a process that has imported everything already."""
    from openrelay_async.emulator import Emulator

    async with Emulator():
        pass
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        emulator = Emulator()
        await emulator.start()
        times.append((time.perf_counter() - began) * 1000)
        await emulator.stop()
    return times


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


def prepare(facts: dict[str, str], method: str, path: str, body: object = None) -> bytes:
    data = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {facts['api_key']}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far (Linux)."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def measure_requests(db: str, reads: int, writes: int) -> dict[str, float]:
    command = [sys.executable, "-m", "openrelay_async.emulator", "--port", "0", "--json", "--db", db]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        facts = json.loads(await process.stdout.readline())
        return await drive(facts, process.pid, reads, writes)
    finally:
        process.terminate()
        await process.wait()


async def drive(facts: dict[str, str], pid: int, reads: int, writes: int) -> dict[str, float]:
    address = urlsplit(facts["url"])
    connections = [
        Connection(*await asyncio.open_connection(address.hostname, address.port)) for _ in range(8)
    ]
    order = {"name": "vm", "resourceSize": "small"}
    create = prepare(facts, "POST", f"/v1/orgs/{facts['org_id']}/vms/create", order)
    vm = json.loads(await connections[0].call(create))
    read = prepare(facts, "GET", f"/v1/vms/{vm['id']}")
    before, began = cpu_seconds(pid), time.perf_counter()

    async def read_many(connection: Connection) -> None:
        for _ in range(reads // len(connections)):
            await connection.call(read)

    await asyncio.gather(*(read_many(connection) for connection in connections))
    wall, cpu = time.perf_counter() - began, cpu_seconds(pid) - before
    latencies: list[float] = []
    before = cpu_seconds(pid)
    visibility = [
        prepare(facts, "POST", f"/v1/vms/{vm['id']}/visibility", {"public": bool(number % 2)})
        for number in (0, 1)
    ]
    for number in range(writes):
        began = time.perf_counter()
        await connections[0].call(visibility[number % 2])
        latencies.append((time.perf_counter() - began) * 1000)
    latencies.sort()
    return {
        "reads_per_second": reads / wall,
        "reads_per_cpu_second": reads / max(cpu, 0.01),
        "write_cpu_ms": (cpu_seconds(pid) - before) * 1000 / writes,
        "write_p50_ms": statistics.median(latencies),
        "write_p99_ms": latencies[int(len(latencies) * 0.99) - 1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--reads", type=int, default=8000)
    parser.add_argument("--writes", type=int, default=1000)
    parser.add_argument("--db", default=":memory:", help="a file that does not exist yet, or memory")
    options = parser.parse_args()
    starts = asyncio.run(measure_start(options.rounds))
    print(f"start, imported: median {statistics.median(starts):.1f} ms, worst {max(starts):.1f} (target 150)")
    for number in range(options.rounds):
        db = options.db if options.db == ":memory:" else f"{options.db}.{number}"
        figures = asyncio.run(measure_requests(db, options.reads, options.writes))
        print(", ".join(f"{name} {value:.2f}" for name, value in figures.items()))
    print(f"targets: {TARGETS}")


if __name__ == "__main__":
    main()
