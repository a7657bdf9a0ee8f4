"""A server that does on purpose what servers do by accident: it resets, truncates, stalls and lies.

It is a plain `asyncio.start_server` on a free port of this machine; a test says what happens to each request.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from openrelay_async import AsyncClient, RetryPolicy

KEY = "vl_transport_0123456789abcdefghij"
VM = {
    "id": "vm_1",
    "name": "box",
    "organizationId": "org_1",
    "status": "running",
    "createdAt": "2026-11-01T00:00:00Z",
    "gpuCount": 1,
    "pricePerHourCents": 1,
}


@dataclass
class Seen:
    """A request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""
    fields: list[tuple[str, str]] = field(default_factory=list)
    """The headers as they came, one by one."""
    at: float = field(default_factory=time.monotonic)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Exchange:
    """One request and the means to answer it, or not."""

    seen: Seen
    number: int
    """From 1, over all connections."""
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(
        self,
        status: int = 200,
        body: object = None,
        *,
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
    ) -> None:
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(content)}"]
        if raw is None and body is not None:
            lines.append("Content-Type: application/json")
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        await self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content)

    def close(self) -> None:
        """An orderly end (FIN)."""
        self.writer.close()

    def reset(self) -> None:
        """A disorderly end (RST)."""
        own = self.writer.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def wait_for_client_to_leave(self) -> None:
        """Return when the client has closed or reset the connection; whatever it still sends is dropped."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass


Handler = Callable[[Exchange], Awaitable[None]]


class RawServer:
    """Gives each request to `handler`; goes on with the connection unless that closed it."""

    def __init__(self, handler: Handler, *, reads_body: bool = True) -> None:
        self.handler = handler
        self.reads_body = reads_body
        self.seen: list[Seen] = []
        self.connections = 0
        self.open = 0
        self.url = ""
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open += 1
        try:
            while True:
                seen = await self._read_request(reader)
                if seen is None:
                    return
                self.seen.append(seen)
                await self.handler(Exchange(seen, len(self.seen), reader, writer))
                if writer.is_closing():
                    return
        except (ConnectionError, asyncio.CancelledError):
            return
        finally:
            self.open -= 1
            self._tasks.discard(task)
            writer.close()

    async def _read_request(self, reader: asyncio.StreamReader) -> Seen | None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers, fields = {}, []
        for line in lines:
            name, colon, value = line.partition(":")
            if colon:
                headers[name.lower()] = value.strip()
                fields.append((name, value.strip()))
        seen = Seen(method, target, headers, fields=fields)
        if self.reads_body:
            if "content-length" in headers:
                seen.body = await reader.readexactly(int(headers["content-length"]))
            elif "chunked" in headers.get("transfer-encoding", ""):
                while size := int(await reader.readline(), 16):
                    seen.body += await reader.readexactly(size)
                    await reader.readline()
                await reader.readline()
        return seen

    async def finish(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def serving(
    handler: Handler,
    *,
    reads_body: bool = True,
    tls: ssl.SSLContext | None = None,
    receive_buffer: int | None = None,
) -> AsyncIterator[RawServer]:
    raw = RawServer(handler, reads_body=reads_body)
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    if receive_buffer is not None:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    limit = 2**20 if receive_buffer is None else receive_buffer
    server = await asyncio.start_server(raw._serve, sock=listening, ssl=tls, limit=limit)
    raw.port = listening.getsockname()[1]
    raw.url = f"http{'s' if tls else ''}://{'localhost' if tls else '127.0.0.1'}:{raw.port}"
    try:
        yield raw
    finally:
        server.close()
        await raw.finish()


def answering(*answers: tuple[int, object] | tuple[int, object, dict[str, str]]) -> Handler:
    """Answer the n-th request with the n-th answer, all further ones with the last."""

    async def handle(exchange: Exchange) -> None:
        status, body, *headers = answers[min(exchange.number, len(answers)) - 1]
        await exchange.answer(status, body, headers=headers[0] if headers else None)

    return handle


class JumpingClock:
    """Real time, but sleeps return at once and the time they would have taken has passed."""

    def __init__(self, uniform: float = 0.5) -> None:
        self.sleeps: list[float] = []
        self._jumped = 0.0
        self._uniform = uniform

    def monotonic(self) -> float:
        return time.monotonic() + self._jumped

    def wall(self) -> float:
        return time.time() + self._jumped

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self._jumped += seconds
        await asyncio.sleep(0)

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * self._uniform


def make_client(server: RawServer | str, **options: Any) -> AsyncClient:
    """A client of a server, whose waits between attempts take no time unless the test gives a clock."""
    url = server if isinstance(server, str) else server.url
    options.setdefault("clock", JumpingClock())
    options.setdefault("org_id", "org_1")
    return AsyncClient(options.pop("api_key", KEY), base_url=url, **options)


ONCE = RetryPolicy(max_attempts=1)


async def until(condition: Callable[[], bool], *, within: float = 5.0) -> None:
    """Return when a condition holds; fail if it does not in time."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.002)


class Watcher:
    """A hook that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    def on_queue(self, event: Any) -> None:
        self.events.append(("queue", event))

    def on_attempt(self, event: Any) -> None:
        self.events.append(("attempt", event))

    def on_response(self, event: Any) -> None:
        self.events.append(("response", event))

    def on_retry(self, event: Any) -> None:
        self.events.append(("retry", event))

    def names(self) -> list[str]:
        return [name for name, _ in self.events]

    def of(self, name: str) -> list[Any]:
        return [event for kind, event in self.events if kind == name]


def pages(items: Iterable[object], size: int) -> list[list[object]]:
    everything = list(items)
    return [everything[start : start + size] for start in range(0, len(everything), size)]
