"""The one background task: posts deliveries and minds balances when due, and sleeps until the next.

Nothing else waits for it: what resources are follows from the clock alone.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

import aiohttp

from openrelay_async.clock import Clock
from openrelay_async.emulator.areas.billing.enforcement import BillingWatch
from openrelay_async.emulator.areas.webhooks.dispatch import Parcel, fan_out, list_parcels, record_attempt
from openrelay_async.emulator.areas.webhooks.storage import next_delivery_due
from openrelay_async.emulator.clocks import gone_by_itself, waits_by_itself
from openrelay_async.emulator.events import next_event_due
from openrelay_async.emulator.storage import Database

logger = logging.getLogger("openrelay_async.emulator")

# Real seconds: a receiver that hangs is real, whatever the clock of the emulator says.
_ATTEMPT_TIMEOUT = 10.0
_AT_ONCE = 20
_LOOK_AGAIN = 0.05
"""Real seconds between looks at a clock that must not be slept on: the most that a delivery is late."""


class Courier:
    """Delivers to webhooks as time goes by."""

    def __init__(self, database: Database, clock: Clock, watch: BillingWatch) -> None:
        self._database = database
        self._clock = clock
        self._watch = watch
        self._settled = clock.wall(), gone_by_itself(clock)
        """When there was last nothing due, by the clock and by how far it had gone by itself."""
        self._news = asyncio.Event()
        self._busy = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._http: aiohttp.ClientSession | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="openrelay-emulator-courier")

    async def stop(self) -> None:
        """What is under way is given up; after the next start it is tried again."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._http is not None:
            await self._http.close()

    def notify(self) -> None:
        """Something was written: there may be something due earlier."""
        self._news.set()

    async def settle(self) -> None:
        """Return when everything that is due by now was attempted."""
        while await self._deliver_due():
            pass

    async def _run(self) -> None:
        while True:
            self._news.clear()
            try:
                await self.settle()
            except Exception:
                logger.exception("delivering webhooks failed")
            await self._wait_for_more()

    async def _wait_for_more(self) -> None:
        dues = (next_event_due(self._database), next_delivery_due(self._database), self._watch.due)
        times = [at for at in dues if at is not None]
        waits = [asyncio.create_task(self._wait_for_news())]
        if times:
            waits.append(asyncio.create_task(self._sleep_until(min(times))))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _sleep_until(self, at: float) -> None:
        if waits_by_itself(self._clock):
            await self._clock.sleep(max(0.0, at - self._clock.wall()))
            return
        # Somebody else's clock is theirs to turn. A fake one that sleeping turns would leap from one
        # moment of the emulator's to the next, years within a second: this one is looked at instead.
        while self._clock.wall() < at:  # noqa: ASYNC110 - no event tells that such a clock has gone on
            await asyncio.sleep(_LOOK_AGAIN)

    async def _wait_for_news(self) -> None:
        await self._news.wait()

    async def _deliver_due(self) -> bool:
        """Attempt what is due; was there anything?"""
        async with self._busy:
            now, gone = self._clock.wall(), gone_by_itself(self._clock)
            self._watch.catch_up(now)
            due = next_event_due(self._database)
            if due is not None and due <= now:
                with self._database.transaction():
                    fan_out(self._database, now)
            parcels = list_parcels(self._database, now, _AT_ONCE)
            if not parcels:
                self._settled = now, gone
                return False
            settled_at, gone_then = self._settled
            # What was due before this has waited for the process, which did not run or was suspended; what
            # is due after this is so because the clock was turned.
            unturned = min(now, settled_at + gone - gone_then)
            await asyncio.gather(*(self._attempt(parcel, unturned) for parcel in parcels))
            return True

    async def _attempt(self, parcel: Parcel, unturned: float) -> None:
        status_code: int | None = None
        error: str | None = None
        try:
            status_code = await self._post(parcel)
            if not 200 <= status_code < 300:
                error = f"the receiver answered {status_code}"
        except TimeoutError:
            error = f"no answer within {_ATTEMPT_TIMEOUT:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as failure:
            error = f"could not be delivered: {type(failure).__name__}"
        with self._database.transaction():
            record_attempt(
                self._database,
                parcel.delivery,
                self._clock.wall(),
                unturned=unturned,
                status_code=status_code,
                error=error,
            )

    async def _post(self, parcel: Parcel) -> int:
        if self._http is None:
            # No proxy and no netrc of the environment, no cookies, no redirects: only the URL that was
            # registered.
            self._http = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=_ATTEMPT_TIMEOUT), cookie_jar=aiohttp.DummyCookieJar()
            )
        async with self._http.post(
            parcel.url, data=parcel.body, headers=parcel.headers, allow_redirects=False
        ) as response:
            return response.status
