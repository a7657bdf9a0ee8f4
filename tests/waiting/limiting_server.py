"""A server that takes so many requests a second and answers 429 to the others: raw, to be cheap."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

VM = json.dumps({"id": "vm_1", "name": "x", "organizationId": "org_1", "status": "running"}).encode()


class LimitingServer:
    """A bucket of tokens, filled with what comes in a second."""

    def __init__(
        self,
        per_second: float,
        *,
        names_limit: bool = False,
        retry_after: bool = True,
        takes: float = 0.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take how many a second, by the clock `now`, and the real seconds that an answer takes."""
        self.per_second = per_second
        self.names_limit = names_limit
        self.retry_after = retry_after
        self.url = ""
        self.answers: list[tuple[float, int]] = []
        self.takes = takes
        self._now = now
        self._tokens, self._at = per_second, now()
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                answer = self._answer()
                if self.takes:
                    await asyncio.sleep(self.takes)
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self._writers.discard(writer)

    def _answer(self) -> bytes:
        now = self._now()
        self._tokens = min(self.per_second, self._tokens + (now - self._at) * self.per_second)
        self._at = now
        status, body, more = 200, VM, ""
        if self._tokens < 1:
            wait = max(1, math.ceil((1 - self._tokens) / self.per_second))
            status, body = 429, b"{}"
            more = f"Retry-After: {wait}\r\n" if self.retry_after else ""
        else:
            self._tokens -= 1
        if self.names_limit:
            more += f"X-RateLimit-Limit: {self.per_second:g}\r\nX-RateLimit-Remaining: {self._tokens:.0f}\r\n"
        self.answers.append((now, status))
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{more}Content-Length: {len(body)}"
        return f"{head}\r\n\r\n".encode() + body

    def refusals(self) -> int:
        return sum(status == 429 for _, status in self.answers)

    def wasted_after_first_refusal(self) -> float:
        """Return the part of refusals among the requests after the first 429; a slow machine sees none."""
        statuses = [status for _, status in self.answers]
        after = statuses[statuses.index(429) + 1 :] if 429 in statuses else []
        return after.count(429) / max(len(after), 1)


@asynccontextmanager
async def limiting(
    per_second: float,
    *,
    names_limit: bool = False,
    retry_after: bool = True,
    takes: float = 0.0,
    now: Callable[[], float] = time.monotonic,
) -> AsyncIterator[LimitingServer]:
    server = LimitingServer(
        per_second, names_limit=names_limit, retry_after=retry_after, takes=takes, now=now
    )
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()[:2]
    server.url = f"http://{host}:{port}"
    try:
        yield server
    finally:
        listening.close()
        for writer in list(server._writers):
            writer.close()
        await listening.wait_closed()
