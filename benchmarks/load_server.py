"""A server that is not the bottleneck: canned answers over a bare asyncio protocol, in a process of its own.

It answers `GET /v1/vms/{id}` with one VM of about 450 bytes, and `…/vms?limit=N&cursor=C` with pages of N of
them. Started by `serving()`; prints its port.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import orjson

from benchmarks.machine import server_process

VM = {
    "id": "vm_0123456789abcdef",
    "name": "training-node-17",
    "organizationId": "org_0123456789abcdef",
    "status": "running",
    "createdAt": "2026-11-01T12:34:56.123456Z",
    "diskSizeGb": 200,
    "endpointUrl": "https://vm-0123456789abcdef.openrelay.example",
    "gpuCount": 1,
    "gpuModelId": "rtx-4090",
    "gpuModelName": "NVIDIA GeForce RTX 4090",
    "pricePerHourCents": 49,
    "provisioningStage": "ready",
    "public": False,
    "resourceSize": "standard",
    "serviceType": "vm",
    "statusReason": "",
    "tier": "verified",
}

_QUERY = re.compile(rb"[?&](limit|cursor)=(\d+)")


def page(size: int, cursor: int, total: int = 10**9) -> bytes:
    """Return the body of a page of VMs."""
    items = [{**VM, "id": f"vm_{cursor + index:016x}"} for index in range(min(size, total - cursor))]
    following = cursor + size
    return orjson.dumps({"items": items, "nextCursor": str(following) if following < total else ""})


def answer(body: bytes) -> bytes:
    """Return a whole HTTP answer around a body."""
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Request-Id: req_0123456789abcdef\r\n"
        f"Date: Mon, 23 Nov 2026 12:00:00 GMT\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class CannedAnswers(asyncio.Protocol):
    """Answers each request by its first line; bodies of requests are not expected."""

    total = 10**9
    one = answer(orjson.dumps(VM))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.received = b""
        self.pages: dict[tuple[int, int], bytes] = {}

    def data_received(self, data: bytes) -> None:
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            line = self.received[: self.received.find(b"\r\n")]
            self.received = self.received[end + 4 :]
            self.transport.write(self._page(line) if b"/orgs/" in line else self.one)

    def _page(self, line: bytes) -> bytes:
        query = {name: int(value) for name, value in _QUERY.findall(line)}
        asked = query.get(b"limit", 50), query.get(b"cursor", 0)
        if asked not in self.pages:
            if len(self.pages) > 1100:
                self.pages.clear()
            self.pages[asked] = answer(page(*asked, self.total))
        return self.pages[asked]


async def serve(total: int) -> None:
    CannedAnswers.total = total
    loop = asyncio.get_running_loop()
    server = await loop.create_server(CannedAnswers, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def serving(*, total: int = 10**9) -> Iterator[str]:
    """Run the server in a process of its own, on a core of its own if there is one; yield its URL.

    Args:
        total: items of its lists.
    """
    with server_process("-m", "benchmarks.load_server", str(total)) as (port, _):
        yield f"http://127.0.0.1:{int(port)}"


if __name__ == "__main__":
    try:
        asyncio.run(serve(int(sys.argv[1])))
    except KeyboardInterrupt:
        sys.exit(130)
