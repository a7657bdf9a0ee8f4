"""A server that misbehaves as told, and a canary for each kind of secret."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import attrs
import pytest

from tests.canary.leaks import LogCatcher

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter, str], Awaitable[None]]


@attrs.define
class BadServer:
    """Answers every request with what it was told; keeps the heads that it saw."""

    url: str = ""
    answer: Answer | None = None
    heads: list[str] = attrs.field(factory=list[str])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                self.heads.append(head)
                if self.answer is not None:
                    await self.answer(reader, writer, head)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def reply(
        self,
        status: int,
        body: str | bytes = b"",
        *,
        headers: dict[str, str] | None = None,
        echo: bool = False,
    ) -> None:
        """Answer with this; `echo` adds the whole request head to the message of the error."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
            import json

            length = next(
                (int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:")),
                0,
            )
            sent = (await reader.readexactly(length)).decode("latin-1")
            content = body if isinstance(body, bytes) else body.encode()
            if echo:
                message = head + sent
                content = json.dumps(
                    {"error": message, "code": message, "requestId": message, "seen": [{message: message}]}
                ).encode()
            lines = [f"HTTP/1.1 {status} Told", f"Content-Length: {len(content)}"]
            if echo:
                token = head.lower().split("authorization: bearer ")[-1].split("\r\n")[0]
                lines.append(f"X-Request-Id: req {head.split('earer ')[-1].splitlines()[0] if token else ''}")
            lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
            writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content)
            await writer.drain()

        self.answer = answer

    def send_raw(self, content: bytes, *, then_close: bool = True) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
            writer.write(content)
            await writer.drain()
            if then_close:
                writer.close()
                await reader.read()

        self.answer = answer

    def reset(self) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
            own: socket.socket = writer.get_extra_info("socket")
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            raise asyncio.IncompleteReadError(b"", None)

        self.answer = answer

    def stall(self) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
            await reader.read()
            raise asyncio.IncompleteReadError(b"", None)

        self.answer = answer


@pytest.fixture
async def server() -> AsyncIterator[BadServer]:
    bad = BadServer()
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await bad.serve(reader, writer)

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    bad.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    yield bad
    listening.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def canary() -> str:
    """A key that looks like none: no pattern can find it, only knowing it."""
    return f"Canary{secrets.token_hex(4)}.plain+{secrets.token_hex(8)}~end"


@pytest.fixture
def closed_port_url() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture
def logs() -> Iterator[LogCatcher]:
    """Every log line of every logger at DEBUG."""
    catcher = LogCatcher()
    root = logging.getLogger()
    known = [root, *(logging.getLogger(name) for name in ("aiohttp.client", "asyncio", "openrelay_async"))]
    levels = [logger.level for logger in known]
    for logger in known:
        logger.setLevel(logging.DEBUG)
    root.addHandler(catcher)
    yield catcher
    root.removeHandler(catcher)
    for logger, level in zip(known, levels, strict=True):
        logger.setLevel(level)
