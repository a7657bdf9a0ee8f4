"""Answers of a service with one kind of VM: singly, and in a list of many."""

from __future__ import annotations

import asyncio
import json
import re

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
LISTED = 2_500


def make_page(size: int, start: int) -> dict[str, object]:
    """Return a page of VMs as the service gives it; the list ends after `LISTED`."""
    end = min(start + size, LISTED)
    items = [{**VM, "id": f"vm_{number:016x}"} for number in range(start, end)]
    return {"items": items, "nextCursor": str(end) if end < LISTED else ""}


def _answer(body: object) -> bytes:
    data = json.dumps(body).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode() + data


class CannedAnswers(asyncio.Protocol):
    """Answers each request by its first line."""

    one = _answer(VM)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            line = self.received.partition(b"\r\n")[0]
            self.received = self.received[end + 4 :]
            self.transport.write(self._list(line) if b"/orgs/" in line else self.one)

    def _list(self, line: bytes) -> bytes:
        query = {name: int(number) for name, number in re.findall(rb"[?&](limit|cursor)=(\d+)", line)}
        return _answer(make_page(query.get(b"limit", 50), query.get(b"cursor", 0)))
