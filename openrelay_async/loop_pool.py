"""The connections of one event loop: made in it, used in it, and gone with it.

A loop says nothing when it is closed, and a client may outlive many. So a pool has three ends: its client
closes it; `asyncio.run` (and all that shut a loop's generators down) closes it while the loop still runs;
or it is abandoned, where its loop or process is gone. None of them leaves a socket open or a warning.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
import os
import ssl
import sys
import weakref
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import cast

import aiohttp

from openrelay_async.attempt_timer import Limits
from openrelay_async.config import PoolLimits
from openrelay_async.connector import PoolConnector
from openrelay_async.slots import Slots

NO_LIMIT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
"""aiohttp's limits are off: its total includes waiting for the pool, and ours are one timer."""

LOOK_AFTER = 60.0
"""Seconds between two looks whether the client of a pool still exists."""


class LoopPool:
    """The connections of one event loop, and the queue of calls that wait for one."""

    __slots__ = (
        "__weakref__",
        "_anchor",
        "_closing",
        "_pid",
        "connector",
        "idle",
        "limits",
        "loop",
        "running",
        "session",
        "slots",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: PoolLimits,
        headers: Mapping[str, str],
        ssl_context: ssl.SSLContext | None,
        *,
        owner: object,
    ) -> None:
        """Make a pool for the running loop.

        Args:
            owner: whose pool it is; it is referenced weakly.
        """
        self.loop = loop
        self.limits = Limits(loop)
        self.slots = Slots(loop, limits.max_connections)
        self.running = 0
        self.idle = asyncio.Event()
        self.idle.set()
        self._pid = os.getpid()
        self._closing: asyncio.Task[None] | None = None
        # The queue before aiohttp is ours (`slots`), so its own must never be the shorter one.
        self.connector = PoolConnector(
            limit=0,
            keepalive_timeout=None if limits.idle == math.inf else limits.idle,
            ssl=True if ssl_context is None else ssl_context,
            # Named, because aiohttp takes another one as soon as aiodns is installed.
            resolver=aiohttp.ThreadedResolver(loop=loop),
        )
        self.session = aiohttp.ClientSession(
            connector=self.connector,
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=NO_LIMIT,
            auto_decompress=False,
            trust_env=False,
        )
        # aiohttp would send GET, PUT and DELETE a second time by itself when a kept connection breaks:
        # hooks would not see it, and a limit of one attempt would be two requests.
        self.session._retry_connection = False
        _close_with_generators(self)
        self._anchor = _hold(self, weakref.ref(owner))

    def __del__(self, _getpid: Callable[[], int] = os.getpid) -> None:
        # Sockets are closed, nothing is scheduled: there is no loop any more that could run it.
        anchor = getattr(self, "_anchor", None)
        if anchor is not None and (self.loop.is_closed() or self._pid != _getpid()):
            self.abandon()

    def enter(self) -> None:
        """Note that a call begins; `leave()` must follow."""
        self.running += 1
        self.idle.clear()

    def leave(self) -> None:
        self.running -= 1
        if self.running == 0:
            self.idle.set()

    def end_stream(self) -> None:
        """Note that a call ends which kept its connection after it was answered."""
        self.slots.give_back()
        self.leave()

    async def aclose(self) -> None:
        """Close all connections. Called in the pool's loop."""
        handle = self._anchor()
        if handle is not None:
            handle.cancel()
        await self.session.close()

    def abandon(self) -> None:
        """Let go of the connections without a word to their loop, which is closed or the parent's."""
        self.session.detach()
        self.connector.abandon()


def _close_with_generators(pool: LoopPool) -> None:
    """Let the loop close the pool when it shuts its asynchronous generators down.

    `asyncio.run`, `Runner` and their like do that last: it is the only notice of its end that a loop gives.
    All they do with a generator is `await generator.aclose()`, so a pool can stand for one. A real
    generator would do too, but its finalizer schedules work whenever a client is collected.
    """
    notice = sys.get_asyncgen_hooks().firstiter
    if notice is not None:
        notice(cast("AsyncGenerator[object, object]", pool))


def _hold(pool: LoopPool, owner: weakref.ref[object]) -> weakref.ref[asyncio.TimerHandle]:
    """Keep a pool alive as long as its loop, or until it is closed.

    A client that is collected without being closed must not take open connections with it: only their loop
    can close them properly. So the loop looks, now and then, whether the client still exists.
    """
    # An empty context: a copy of the caller's would keep alive what the caller put there.
    handle = pool.loop.call_later(LOOK_AFTER, _look, pool, owner, context=contextvars.Context())
    return weakref.ref(handle)


def _look(pool: LoopPool, owner: weakref.ref[object]) -> None:
    if pool.session.closed:
        return
    if owner() is None and pool.running == 0:
        pool._closing = pool.loop.create_task(pool.aclose())
        return
    pool._anchor = _hold(pool, owner)
