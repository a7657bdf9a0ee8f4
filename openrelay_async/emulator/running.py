"""A service that runs: database, clock, courier and server, put together and taken apart in order.

Imported when an emulator starts: `aiohttp.web` takes a fifth of a second to load.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

import attrs

from openrelay_async.clock import Clock
from openrelay_async.emulator.areas.billing.enforcement import BillingWatch
from openrelay_async.emulator.areas.webhooks.storage import Delivery, list_attempts
from openrelay_async.emulator.call import Settings
from openrelay_async.emulator.clocks import TurnedClock
from openrelay_async.emulator.control import Control, Operated
from openrelay_async.emulator.courier import Courier
from openrelay_async.emulator.faults import FaultPlan, RateLimit
from openrelay_async.emulator.seen import RequestLog
from openrelay_async.emulator.server import Server
from openrelay_async.emulator.service import Service
from openrelay_async.emulator.storage import Database

T = TypeVar("T")

_REMEMBERED = 20_000


@attrs.frozen
class Running:
    """The parts of an emulator while it runs, and the loop and thread that they run in."""

    database: Database
    clock: Clock
    watch: BillingWatch
    courier: Courier
    server: Server
    loop: asyncio.AbstractEventLoop = attrs.field(factory=asyncio.get_running_loop)
    thread: int = attrs.field(factory=threading.get_ident)

    def change(self, change: Callable[[Database, float], T]) -> T:
        """Run `change` in a transaction, in the thread of the emulator, from any thread."""
        # Asked by thread, not by running loop: a synchronous fixture is called in the thread of the
        # emulator's loop while that loop stands still, and would wait for ever for it to do something.
        if threading.get_ident() == self.thread:
            return self._change_here(change)

        async def change_there() -> T:
            return self._change_here(change)

        return asyncio.run_coroutine_threadsafe(change_there(), self.loop).result()

    def _change_here(self, change: Callable[[Database, float], T]) -> T:
        now = self.clock.wall()
        self.watch.catch_up(now)
        with self.database.transaction():
            result = change(self.database, now)
        self.watch.refresh(self.clock.wall())
        self.courier.notify()
        return result

    async def settle(self) -> None:
        """Return when every delivery that is due by now was attempted; from any loop."""
        if asyncio.get_running_loop() is self.loop:
            await self.courier.settle()
        else:
            there = asyncio.run_coroutine_threadsafe(self.courier.settle(), self.loop)
            await asyncio.wrap_future(there)

    async def stop(self) -> list[Delivery]:
        """Close the port first, the database last; the last attempts to deliver, for who asks afterwards."""
        await self.server.stop()
        await self.courier.stop()
        try:
            return list_attempts(self.database, _REMEMBERED)
        finally:
            self.database.close()


async def run(
    database: Database,
    clock: Clock,
    settings: Settings,
    faults: FaultPlan,
    requests: RequestLog,
    *,
    host: str,
    port: int,
    rate_limit: RateLimit | None,
    speed: float,
    has_dashboard: bool,
    sign_in: Callable[[str, str], str] | None,
    operated: Operated | None,
    settle: Callable[[Database, float], None],
) -> Running:
    """Accept requests over `database`, which `settle` has made ready.

    Raises:
        EmulatorError: the port is not to be had.
    """
    if isinstance(clock, TurnedClock):
        clock = clock.serving()
    with database.transaction():
        settle(database, clock.wall())
    seen_until = float(database.read_meta("time") or clock.wall())
    watch = BillingWatch(database, seen_until)
    courier = Courier(database, clock, watch)
    service = Service(database, clock, settings, faults, rate_limit, watch=watch, on_commit=courier.notify)
    dashboard = None
    if has_dashboard:
        from openrelay_async.emulator.dashboard.handling import Dashboard

        dashboard = Dashboard(service, speed=speed, sign_in=sign_in)
    control = None if operated is None else Control(operated)
    server = Server(service, requests, dashboard, control)
    await server.start(host, port)
    courier.start()
    return Running(database, clock, watch, courier, server)
