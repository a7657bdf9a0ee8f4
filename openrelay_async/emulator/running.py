"""A service that runs: database, clock, courier and server, put together and taken apart in order.

Imported when an emulator starts: `aiohttp.web` takes a fifth of a second to load.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import attrs

from openrelay_async.clock import Clock
from openrelay_async.emulator.areas.billing.enforcement import BillingWatch
from openrelay_async.emulator.call import Settings
from openrelay_async.emulator.control import Control, Operated
from openrelay_async.emulator.courier import Courier
from openrelay_async.emulator.faults import FaultPlan, RateLimit
from openrelay_async.emulator.seen import SeenRequest
from openrelay_async.emulator.server import Server
from openrelay_async.emulator.service import Service
from openrelay_async.emulator.storage import Database


@attrs.frozen
class Running:
    """The parts of an emulator while it runs."""

    database: Database
    watch: BillingWatch
    courier: Courier
    server: Server

    async def stop(self) -> None:
        """Close the port first, the database last."""
        await self.server.stop()
        await self.courier.stop()
        self.database.close()


async def run(
    database: Database,
    clock: Clock,
    settings: Settings,
    faults: FaultPlan,
    requests: deque[SeenRequest],
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
    with database.transaction():
        settle(database, clock.wall())
    seen_until = float(database.read_meta("time") or clock.wall())
    watch = BillingWatch(database, settings.seed, seen_until)
    courier = Courier(database, clock, settings.seed, watch)
    service = Service(database, clock, settings, faults, rate_limit, watch=watch, on_commit=courier.notify)
    dashboard = None
    if has_dashboard:
        from openrelay_async.emulator.dashboard.handling import Dashboard

        dashboard = Dashboard(service, speed=speed, sign_in=sign_in)
    control = None if operated is None else Control(operated)
    server = Server(service, requests, dashboard, control)
    await server.start(host, port)
    courier.start()
    return Running(database, watch, courier, server)
