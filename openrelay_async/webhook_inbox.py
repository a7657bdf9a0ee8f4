"""The way of a delivery inside a receiver: verified, remembered, queued, answered; then handed over."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypedDict, TypeVar

import attrs

from openrelay_async.clock import Clock, SystemClock
from openrelay_async.config import check_integer, check_seconds
from openrelay_async.errors import WebhookError
from openrelay_async.events import AnyWebhookEvent, parse_event, time_of
from openrelay_async.signatures import SIGNATURE_HEADER, WRONG_SIGNATURE, HeadersInput
from openrelay_async.webhook_secrets import SecretsInput, WebhookSecrets, conceal_secrets, keep_secrets
from openrelay_async.webhook_store import EventStore, MemoryStore
from openrelay_async.webhook_verification import check_header_name, check_tolerance, verify

T = TypeVar("T")

logger = logging.getLogger("openrelay_async.webhooks")

OnEvent = Callable[[AnyWebhookEvent], Awaitable[object]]

RECEIVER_TOLERANCE = 600.0
"""Seconds: the service's last attempt comes 370 s after the event, with the event's own time in it."""

_RETRY_AFTER = 10
_FIRST_DELAY = 1.0
_LONGEST_DELAY = 60.0
# Where no tolerance bounds an event's age, its id is remembered this long.
_REMEMBERED = 7 * 86400.0


class InboxOptions(TypedDict, total=False):
    """Options of an inbox, which the receivers take too; `Inbox` describes them."""

    tolerance: float | None
    queue_size: int
    concurrency: int
    attempts: int
    store: EventStore | None
    clock: Clock
    signature_header: str


@attrs.frozen
class Receipt:
    """What to answer to a delivery."""

    status: int
    """202 accepted, 200 a repeat, 400 not authentic or malformed, 503 to be sent again later."""
    message: str
    """Why, in words that may be shown to a stranger."""
    retry_after: int | None = None
    """Seconds for the header `Retry-After`."""

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


@attrs.frozen
class _Work:
    event: AnyWebhookEvent
    attempt: int = 1


class Inbox:
    """Takes deliveries and hands their events to a callback, each event once.

    `accept` answers as soon as the event is stored and queued, however long the callback takes. With the
    default store, events that were accepted and not handled are lost when the process dies, because the
    service will not send again what was answered with 2xx; with a `SQLiteStore` they are handed over at the
    next start.

    A callback that raises is called again, up to `attempts` times, after 1 s, 10 s, 60 s; then the error is
    logged. There is no task while there is nothing to do, so an inbox that is idle needs no closing;
    `aclose` lets the events under way end.

    Args:
        on_event: async callback.
        secrets: the webhook's secret, several while one is rolled, or `WebhookSecrets`, which can change.
        tolerance: seconds that an event's time may be from now; `None` for any.
        queue_size: events accepted and not handled yet, at most; more are answered 503, and sent again.
        concurrency: callbacks at once; 1 keeps the order of arrival.
        attempts: calls of the callback for one event.
        store: remembers ids and events; by default a `MemoryStore`.
        clock: time, for tests.
        signature_header: name of the signature's header.

    Raises:
        ConfigurationError: an option that cannot work, or a blank secret.
    """

    def __init__(
        self,
        on_event: OnEvent,
        *,
        secrets: SecretsInput,
        tolerance: float | None = RECEIVER_TOLERANCE,
        queue_size: int = 1000,
        concurrency: int = 1,
        attempts: int = 3,
        store: EventStore | None = None,
        clock: Clock = SystemClock(),  # noqa: B008 - has no state
        signature_header: str = SIGNATURE_HEADER,
    ) -> None:
        secrets = conceal_secrets(secrets)
        given = keep_secrets(secrets)
        check_tolerance(tolerance)
        check_header_name(signature_header)
        self._on_event = on_event
        self._secrets = given
        self._tolerance = tolerance
        self._queue_size = check_integer("queue_size", queue_size, minimum=1)
        self._concurrency = check_integer("concurrency", concurrency, minimum=1)
        self._attempts = check_integer("attempts", attempts, minimum=1)
        self._store: EventStore = MemoryStore() if store is None else store
        self._clock = clock
        self._signature_header = signature_header
        self._queue: deque[_Work] = deque()
        self._unhandled = 0
        self._is_closing = False
        self._workers: set[asyncio.Task[None]] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loading: asyncio.Task[None] | None = None

    @property
    def unhandled(self) -> int:
        """Events that were accepted and whose callback has not returned yet."""
        return self._unhandled

    @property
    def secrets(self) -> WebhookSecrets:
        """The secrets that are accepted; change them here."""
        return self._secrets

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def start(self) -> None:
        """Hand over what the store has from before. The first delivery does so too, if nobody did.

        Raises:
            ConfigurationError: the store cannot be used.
        """
        self._is_closing = False
        await self._ensure_loaded()

    async def accept(self, raw: bytes, headers: HeadersInput) -> Receipt:
        """Take one delivery: its body as received, and its headers. Raises nothing for what a stranger
        sends."""
        if self._is_closing:
            return Receipt(503, "shutting down", _RETRY_AFTER)
        now = self._clock.wall()
        try:
            event = verify(
                raw,
                headers,
                self._secrets,
                tolerance=self._tolerance,
                now=now,
                signature_header=self._signature_header,
            )
        except WebhookError as error:
            if self._secrets.is_rolling and error.code == WRONG_SIGNATURE:
                # Signed with the new secret, perhaps, which is still on its way to here.
                return Receipt(503, "a secret is being rolled", 1)
            logger.warning("a webhook delivery was refused: %s", error)
            return Receipt(400, error.message)
        if self._unhandled >= self._queue_size:
            return Receipt(503, "the queue is full", _RETRY_AFTER)
        self._unhandled += 1  # the place in the queue is taken before anybody else can
        # In a task of its own: a sender that hangs up must not leave an event stored and not queued.
        return await asyncio.shield(self._spawn(self._admit(event, raw, now)))

    async def aclose(self, timeout: float = 10.0) -> None:
        """Refuse new deliveries, let events under way end for `timeout` seconds, then cancel them."""
        check_seconds("timeout", timeout)
        self._is_closing = True
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        while (left := end - loop.time()) > 0:
            self._employ()
            if not (tasks := self._running()):
                break
            await asyncio.wait(tasks, timeout=left)
        if rest := self._running():
            logger.error("%d webhook events were not handled before the end", self._unhandled)
            for task in rest:
                task.cancel()
            await asyncio.wait(rest)
        self._queue.clear()
        self._unhandled = 0
        self._loading = None
        await self._store.aclose()

    async def _ensure_loaded(self) -> None:
        # Once, and before anything is added: what is added meanwhile would be found in the store a second
        # time.
        if self._loading is None or _has_failed(self._loading):
            self._loading = self._spawn(self._load())
        await asyncio.shield(self._loading)

    async def _load(self) -> None:
        for raw in await self._store.pending():
            try:
                event = parse_event(raw)
            except WebhookError as error:
                logger.error("the webhook store has what is no event: %s", error)
                continue
            self._put(_Work(event))

    async def _admit(self, event: AnyWebhookEvent, raw: bytes, now: float) -> Receipt:
        age_limit = _REMEMBERED if self._tolerance is None else self._tolerance
        # A repeat is refused as stale from then on. A second more: at the very tolerance it still passes, and
        # a store forgets at the time that it is told.
        until = (now if self._tolerance is None else time_of(event).timestamp()) + age_limit + 1.0
        is_new = False
        try:
            await self._ensure_loaded()
            is_new = await self._store.add(event.id, raw, now=now, until=until)
        except Exception:
            logger.exception("a webhook event could not be stored; the service will send it again")
            return Receipt(503, "the event could not be stored", _RETRY_AFTER)
        finally:
            self._unhandled -= 1
        if not is_new:
            return Receipt(200, "received before")
        self._put(_Work(event))
        return Receipt(202, "accepted")

    def _put(self, work: _Work) -> None:
        self._unhandled += 1
        self._enqueue(work)

    def _enqueue(self, work: _Work) -> None:
        self._queue.append(work)
        self._employ()

    def _employ(self) -> None:
        """Have workers for what waits, as many as there may be."""
        self._workers = {worker for worker in self._workers if not _is_over(worker)}
        for _ in range(min(self._concurrency - len(self._workers), len(self._queue))):
            worker = self._spawn(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._replace)

    def _replace(self, worker: asyncio.Task[None]) -> None:
        # One that its callback cancelled has left events behind. Those of a closing inbox are `aclose`'s, and
        # a loop that ends cancels all its tasks: then nothing is begun.
        if worker.cancelled() and not self._is_closing and not all(map(_is_cancelled, asyncio.all_tasks())):
            self._employ()

    async def _work(self) -> None:
        while self._queue:
            await self._hand_over(self._queue.popleft())

    async def _hand_over(self, work: _Work) -> None:
        is_over = True
        try:
            handling = self._on_event(work.event)
            # A callback that is no async function has done its work already: that is no reason to call it
            # again.
            if inspect.isawaitable(handling):
                await handling
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and _is_cancelled(asyncio.current_task()):
                if not self._is_closing:
                    logger.error("webhook event %s was not handled: its worker was cancelled", work.event.id)
                raise
            # Also what the callback awaited may have been cancelled, and not this worker.
            is_over = work.attempt >= self._attempts
            outlook = "it is given up" if is_over else "it will be called again"
            logger.exception(
                "the callback failed for webhook event %s (%s), attempt %d: %s",
                work.event.id, work.event.type, work.attempt, outlook,
            )  # fmt: skip
            if not is_over:
                self._spawn(self._hand_over_later(work))
        else:
            await self._finish(work.event.id)
        finally:
            if is_over:
                self._unhandled -= 1

    async def _hand_over_later(self, work: _Work) -> None:
        await self._clock.sleep(min(_FIRST_DELAY * 10 ** (work.attempt - 1), _LONGEST_DELAY))
        self._enqueue(attrs.evolve(work, attempt=work.attempt + 1))

    async def _finish(self, event_id: str) -> None:
        try:
            await self._store.finish(event_id)
        except Exception:
            logger.exception("webhook event %s was handled, but the store does not know it", event_id)

    def _spawn(self, coroutine: Coroutine[object, object, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _running(self) -> set[asyncio.Task[Any]]:
        return {task for task in self._tasks if not _is_over(task)}


def _is_cancelled(task: asyncio.Task[Any] | None) -> bool:
    """Return whether somebody has asked a task to end."""
    return task is not None and task.cancelling() > 0


def _is_over(task: asyncio.Task[Any]) -> bool:
    return task.done() or task.get_loop().is_closed()


def _has_failed(task: asyncio.Task[None]) -> bool:
    if not task.done():
        return task.get_loop().is_closed()
    return task.cancelled() or task.exception() is not None
