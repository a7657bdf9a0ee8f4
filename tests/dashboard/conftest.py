"""Fixtures of the dashboard's tests: an emulator that serves it, and a plain HTTP visitor."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from html import unescape

import aiohttp
import attrs
import pytest

from openrelay_async.emulator import Emulator, TurnedClock


@attrs.frozen
class Seen:
    """A page that was fetched."""

    status: int
    html: str
    headers: aiohttp.typedefs.LooseHeaders = attrs.field(repr=False)
    url: str

    @property
    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="(\w+)"', self.html)
        return found[1] if found else ""

    @property
    def plaintext(self) -> str | None:
        found = re.search(r'id="plaintext"[^>]*>([^<]+)<', self.html)
        return unescape(found[1]) if found else None


class Visitor:
    """A browser without JavaScript: cookies and redirects."""

    def __init__(self, emulator: Emulator, http: aiohttp.ClientSession) -> None:
        self.emulator = emulator
        self.http = http

    async def get(self, path: str = "", **options: object) -> Seen:
        return await self._fetch("GET", path, **options)

    async def post(self, path: str, form: dict[str, object] | None = None, **options: object) -> Seen:
        return await self._fetch("POST", path, data=form or {}, **options)

    async def _fetch(self, method: str, path: str, **options: object) -> Seen:
        url = self.emulator.dashboard_url + path
        async with self.http.request(method, url, **options) as response:
            return Seen(response.status, await response.text(), response.headers, str(response.url))

    async def sign_in(self) -> Seen:
        return await self.post("/sign-in", {"token": self.emulator.session_token})

    async def create(self, name: str = "ci", scopes: tuple[str, ...] = ("vms:read",), **more: str) -> Seen:
        csrf = (await self.get()).csrf
        pairs = [("csrf", csrf), ("name", name), *(("scope", scope) for scope in scopes), *more.items()]
        return await self.post("/keys", aiohttp.FormData(pairs))

    async def count_keys(self) -> int:
        async with self.emulator.client() as client:
            return len(await client.api_keys.list())

    @property
    def token(self) -> str:
        (cookie,) = self.http.cookie_jar
        return cookie.value


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
async def emulator(clock: TurnedClock) -> AsyncIterator[Emulator]:
    async with Emulator(clock=clock, dashboard=True) as running:
        yield running


@asynccontextmanager
async def open_visitor(emulator: Emulator) -> AsyncIterator[Visitor]:
    # Browsers keep cookies of an address without a name, too.
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        yield Visitor(emulator, http)


@pytest.fixture
def visit() -> Callable[[Emulator], AbstractAsyncContextManager[Visitor]]:
    """Opens visitors of any emulator."""
    return open_visitor


@pytest.fixture
async def visitor(emulator: Emulator) -> AsyncIterator[Visitor]:
    async with open_visitor(emulator) as visitor:
        yield visitor


@pytest.fixture
async def stranger(emulator: Emulator) -> AsyncIterator[Visitor]:
    async with open_visitor(emulator) as stranger:
        yield stranger
