"""Waiting on a Dask cluster: millions of ids, one SDK client per worker process. Needs the extra `dask`.

    from dask.distributed import Client
    from openrelay_async.distributed import wait_all

    with Client("tcp://scheduler:8786") as dask_client:
        result = wait_all({"org_1": ids}, client=dask_client, timeout=3600)
        result.errors

The ids are divided by organization and into shards; a shard whose worker dies is redone by another, so that
nothing is lost and each id is told once. Workers have their API key from their own environment or from a
provider (`FileKey`, `EnvironmentKey`): a key itself never travels.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from typing import Any, Literal, Protocol

from attrs import field, frozen
from dask import distributed as _distributed
from dask.distributed import Client, WorkerPlugin

from openrelay_async.client import AsyncClient
from openrelay_async.errors import OpenRelayError
from openrelay_async.redaction import Secret
from openrelay_async.wait_limits import DEFAULT_FAILURES, DEFAULT_TIMEOUT
from openrelay_async.waiting import Living, WaitOutcome

_dask: Any = _distributed
"""Most of Dask has no types."""

Kind = Literal["vms", "pods", "clusters", "batches", "snapshots"]
SHARD_SIZE = 1000
"""Ids of one shard: a page of the list."""
_BATCH_SECONDS = 0.2
_LOOK_FOR_STOP = 2.0


@frozen
class WaitResult:
    """What became of each id."""

    results: dict[str, Any] = field(factory=dict[str, Any])
    errors: dict[str, Exception] = field(factory=dict[str, Exception])

    def raise_first(self) -> None:
        """Raise one of the errors, if there are any."""
        for error in self.errors.values():
            raise error


@frozen
class Shard:
    """Some ids of one organization, and what is waited for."""

    org_id: str | None
    ids: tuple[str, ...]
    kind: Kind
    until: str
    deadline: float
    """Unix time: a shard that is redone gets no more time than was left."""
    interval: float | None
    max_failures: int


class ShardError(OpenRelayError):
    """A shard could not be run, also after its workers had died several times."""


def wait_all(
    ids: Iterable[str] | Mapping[str, Iterable[str]],
    *,
    client: Client,
    kind: Kind = "vms",
    until: str = "running",
    timeout: float = DEFAULT_TIMEOUT,
    interval: float | None = None,
    max_failures: int = DEFAULT_FAILURES,
    shard_size: int = SHARD_SIZE,
    options: Mapping[str, object] | None = None,
) -> WaitResult:
    """Wait until all resources have reached the goal or cannot; results and errors come apart.

    Arguments are those of `stream`.
    """
    result = WaitResult()
    outcomes = stream(
        ids,
        client=client,
        kind=kind,
        until=until,
        timeout=timeout,
        interval=interval,
        max_failures=max_failures,
        shard_size=shard_size,
        options=options,
    )
    for outcome in outcomes:
        if outcome.error is None:
            result.results[outcome.id] = outcome.resource
        else:
            result.errors[outcome.id] = outcome.error
    return result


def stream(
    ids: Iterable[str] | Mapping[str, Iterable[str]],
    *,
    client: Client,
    kind: Kind = "vms",
    until: str = "running",
    timeout: float = DEFAULT_TIMEOUT,
    interval: float | None = None,
    max_failures: int = DEFAULT_FAILURES,
    shard_size: int = SHARD_SIZE,
    options: Mapping[str, object] | None = None,
) -> Iterator[WaitOutcome[Living]]:
    """Yield how each wait ended, as it ends, each id once. Leaving the loop ends the waits.

    Args:
        ids: of the workers' own organization, or by organization.
        client: a synchronous Dask client.
        kind: the client's attribute.
        until: what to wait for, as in `client.vms.wait`.
        timeout: seconds of wall clock from now, also for shards that are redone.
        interval: longest pause between two polls in seconds.
        max_failures: polls in a row that may fail for reasons that pass.
        shard_size: ids of one shard.
        options: arguments of `AsyncClient` in the workers; a key only as a provider.

    Raises:
        TypeError: `options` hold a key.
    """
    given = dict(options or {})
    if isinstance(given.get("api_key"), str | Secret):
        del options, given
        raise TypeError("a key is not sent to workers: give a provider, such as FileKey or EnvironmentKey")
    deadline = time.time() + timeout
    shards = [
        Shard(org_id, part, kind, until, deadline, interval, max_failures)
        for org_id, members in _by_organization(ids).items()
        for part in _divide(dict.fromkeys(members), shard_size)
    ]
    name = f"openrelay-{uuid.uuid4().hex}"
    client.register_plugin(SdkPlugin(name, given))
    outcomes, stop = _dask.Queue(name, client=client), _dask.Event(name, client=client)
    sender: Any = client
    futures = sender.map(_run_shard, shards, name=name, pure=False, key=name)
    try:
        yield from _collect(outcomes, dict(zip(futures, shards, strict=True)))
    finally:
        stop.set()
        sender.cancel(futures)
        sender.unregister_worker_plugin(name)
        outcomes.close()


def _by_organization(ids: Iterable[str] | Mapping[str, Iterable[str]]) -> dict[str | None, Iterable[str]]:
    if isinstance(ids, str):
        raise TypeError("ids must be a list of ids, not a text")
    return dict[str | None, Iterable[str]](ids.items()) if isinstance(ids, Mapping) else {None: ids}


def _divide(ids: Iterable[str], size: int) -> Iterator[tuple[str, ...]]:
    rest = iter(ids)
    while part := tuple(itertools.islice(rest, size)):
        yield part


def _collect(outcomes: Any, shards: dict[Any, Shard]) -> Iterator[WaitOutcome[Living]]:
    missing = {resource_id for shard in shards.values() for resource_id in shard.ids}
    running = dict(shards)
    while missing:
        ended = {future: shard for future, shard in running.items() if future.status in _ENDED}
        # A shard ends after its last outcome is in the queue: what is read from now on is complete.
        for outcome in _drain(outcomes):
            if outcome.id in missing:
                missing.discard(outcome.id)
                yield outcome
        for future, shard in ended.items():
            del running[future]
            for resource_id in shard.ids:
                if resource_id in missing:
                    missing.discard(resource_id)
                    yield WaitOutcome(resource_id, None, _describe(future))


_ENDED = frozenset({"finished", "error", "cancelled", "lost"})


def _describe(future: Any) -> Exception:
    failure = future.exception() if future.status == "error" else None
    reason = type(failure).__name__ if failure is not None else future.status
    return ShardError(f"the shard of this id ended without it: {reason}")


def _drain(outcomes: Any) -> Iterator[WaitOutcome[Living]]:
    try:
        batch: Sequence[WaitOutcome[Living]] = outcomes.get(timeout=_BATCH_SECONDS)
    except TimeoutError:
        return
    yield from batch
    while outcomes.qsize():
        yield from outcomes.get()


# In the workers


class _Waits(Protocol):
    def as_completed(
        self,
        ids: Iterable[str],
        *,
        until: str,
        timeout: float,
        interval: float | None,
        max_failures: int,
    ) -> AsyncGenerator[WaitOutcome[Living], None]: ...


class SdkPlugin(WorkerPlugin):
    """One SDK client and one event loop for a worker process: all its shards share their polls."""

    def __init__(self, name: str, options: Mapping[str, object]) -> None:
        self.name = name
        self._options = dict(options)

    def setup(self, worker: object) -> None:
        """Start the loop; called by Dask in each worker, also in those that come later."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=self.name, daemon=True)
        self._thread.start()
        options: dict[str, Any] = self._options
        self.client = AsyncClient(**options)

    def teardown(self, worker: object) -> None:
        """Close the client and end the loop; called by Dask."""
        with suppress(NotYet, OpenRelayError):
            self.run(self.client.aclose()).result(timeout=5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)

    def run(self, work: Coroutine[object, object, None]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop)


def _run_shard(shard: Shard, name: str) -> int:
    """Run a shard in a worker; its outcomes go into the queue, its result is their number."""
    worker = _dask.get_worker()
    plugin: SdkPlugin = worker.plugins[name]
    outcomes, stop = _dask.Queue(name), _dask.Event(name)
    # It waits, it does not compute: the worker's threads are for others.
    _dask.secede()
    running = plugin.run(_wait_shard(plugin.client, shard, outcomes.put))
    while True:
        try:
            running.result(timeout=_LOOK_FOR_STOP)
        except (NotYet, TimeoutError):
            if running.done():
                raise
            if stop.is_set():
                running.cancel()
                return 0
        else:
            return len(shard.ids)


async def _wait_shard(
    client: AsyncClient, shard: Shard, put: Callable[[list[WaitOutcome[Living]]], object]
) -> None:
    view = client if shard.org_id is None else client.with_options(org_id=shard.org_id)
    resource: _Waits = getattr(view, shard.kind)
    outcomes = resource.as_completed(
        shard.ids,
        until=shard.until,
        timeout=max(shard.deadline - time.time(), 0.001),
        interval=shard.interval,
        max_failures=shard.max_failures,
    )
    batch: list[WaitOutcome[Living]] = []
    flushed = time.monotonic()
    upcoming: asyncio.Future[WaitOutcome[Living]] | None = None
    try:
        left = len(shard.ids)
        while left or batch:
            if left and upcoming is None:
                upcoming = asyncio.ensure_future(anext(outcomes))
            if upcoming is not None:
                await asyncio.wait({upcoming}, timeout=_BATCH_SECONDS)
                if upcoming.done():
                    batch.append(upcoming.result())
                    upcoming, left = None, left - 1
            if batch and (not left or time.monotonic() - flushed >= _BATCH_SECONDS):
                await asyncio.to_thread(put, batch)
                batch, flushed = [], time.monotonic()
    finally:
        if upcoming is not None:
            upcoming.cancel()
            await asyncio.gather(upcoming, return_exceptions=True)
        await outcomes.aclose()
