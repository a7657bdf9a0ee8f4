"""A loopback server that keeps every request as it came and answers what it was told to."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web
from attrs import field, frozen


@frozen
class Seen:
    """A request as it came over the wire."""

    method: str
    target: str
    """Path and query, undecoded."""
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    def json(self) -> Any:
        return orjson.loads(self.body)


@frozen
class Answer:
    """What the server sends back."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(factory=lambda: {"Content-Type": "application/json"})


def answer_json(value: object, status: int = 200, **headers: str) -> Answer:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, orjson.dumps(value), {"Content-Type": "application/json", **named})


class RecordingServer:
    """Answers with what stands in `routes` for a path, else in `answers`, one by one, else with `default`."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.answers: deque[Answer] = deque()
        self.routes: dict[str, deque[Answer]] = {}
        """By method and path: one after the other, the last one again and again."""
        self.default = Answer()
        self.url = ""

    def reset(self) -> None:
        self.seen.clear()
        self.answers.clear()
        self.routes.clear()
        self.default = Answer()

    def take(self) -> Seen:
        """Return the one request that came since the last look."""
        (seen,) = self.seen
        self.seen.clear()
        return seen

    def _choose(self, place: str) -> Answer:
        planned = self.routes.get(place) or self.answers
        if not planned:
            return self.default
        return planned[0] if place in self.routes and len(planned) == 1 else planned.popleft()

    async def handle(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        self.seen.append(Seen(request.method, request.raw_path, request.headers, body))
        answer = self._choose(f"{request.method} {request.raw_path.partition('?')[0]}")
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)


@asynccontextmanager
async def running_server() -> AsyncIterator[RecordingServer]:
    server = RecordingServer()
    runner = web.ServerRunner(web.Server(server.handle))
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()
