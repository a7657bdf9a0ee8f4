"""The sync client: the async one behind a bridge, with the same resources, typed, without `await`."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Self, TypeVar

from openrelay_async.client import AsyncClient
from openrelay_async.clock import Clock, SystemClock
from openrelay_async.config import PoolLimits
from openrelay_async.fork_guard import importing
from openrelay_async.key_source import KeyInput
from openrelay_async.pacing import SharedPace
from openrelay_async.retry import RetryPolicy
from openrelay_async.unset import UNSET, Unset
from openrelay_sync.exit_care import ExitCare
from openrelay_sync.generated.client_resources import ClientResources
from openrelay_sync.loop_thread import LoopThread

if TYPE_CHECKING:
    from openrelay_async.bulk_calls import BulkResult
    from openrelay_async.recorded_response import RecordedResponse

T = TypeVar("T")


class Client(ClientResources):
    """The OpenRelay API for scripts, threads and notebooks.

    One client serves any number of threads. Its calls run in an event loop that lives in a thread of its
    own; it works where a loop is running already, as in a notebook, and after a fork. Ctrl-C ends any call.
    Use it with `with`, or `close()` it at the end. Without `api_key` the environment's `OPENRELAY_API_KEY`
    is used, without `base_url` its `OPENRELAY_API_URL`, without `org_id` its `OPENRELAY_ORG_ID`, else the
    organization of the key.

    Args:
        api_key: `str`, `Secret`, or a callable (sync or async) that returns one; asked again when the
            service refuses the last one.
        org_id: organization for calls that name none.
        base_url: address of the API; `http://` only for this machine.
        inference_url: address of the inference host; follows from `base_url`.
        timeout: seconds for a whole call: queue, attempts and waits; `math.inf` for no limit.
        attempt_timeout: seconds for one attempt; for uploads and downloads, seconds in which nothing moves.
        retry: how often and how patiently a call is tried again.
        limits: connections, queue, idle time, size of answers.
        proxy: URL of a proxy; else `HTTPS_PROXY` and `NO_PROXY` count. `http://` to this machine stays on it.
        ssl_context: for TLS with a private CA or a client certificate; `SSL_CERT_FILE` works too.
        hooks: observers, see `openrelay_async.hooks`; they are called in the loop's thread, where no sync
            call can be made.
        clock: time and chance, for tests.
        default_headers: sent with every request; they replace the client's own `Accept`, `User-Agent`.
        app_name: put in front of the User-Agent, such as `trainer/1.4`.
        max_requests_per_second: a pace never to exceed; without it, only the service's refusals set one.
        shared_pace: keeps one pace for several processes, such as `openrelay_async.redis_pace.RedisPace`.
        loop_thread: a thread to share with other clients, which closes it when all are closed.

    Raises:
        ConfigurationError: an argument that cannot work. It names the argument, never a key.
    """

    _async_client: AsyncClient
    _bridge: LoopThread
    _exit_care: ExitCare
    _owns_connections: bool

    def __init__(
        self,
        api_key: KeyInput = None,
        *,
        org_id: str | None = None,
        base_url: str | None = None,
        inference_url: str | None = None,
        timeout: float = 60.0,
        attempt_timeout: float = 20.0,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
        limits: PoolLimits = PoolLimits(),  # noqa: B008 - frozen
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        hooks: Iterable[object] = (),
        clock: Clock = SystemClock(),  # noqa: B008 - has no state
        default_headers: Mapping[str, str] | None = None,
        app_name: str | None = None,
        max_requests_per_second: float | None = None,
        shared_pace: SharedPace | None = None,
        loop_thread: LoopThread | None = None,
    ) -> None:
        try:
            self._async_client = AsyncClient(
                api_key,
                org_id=org_id,
                base_url=base_url,
                inference_url=inference_url,
                timeout=timeout,
                attempt_timeout=attempt_timeout,
                retry=retry,
                limits=limits,
                proxy=proxy,
                ssl_context=ssl_context,
                hooks=hooks,
                clock=clock,
                default_headers=default_headers,
                app_name=app_name,
                max_requests_per_second=max_requests_per_second,
                shared_pace=shared_pace,
            )
        finally:
            # No frame of a failing call shows a credential.
            del api_key, base_url, inference_url, proxy, default_headers
        self._bridge = LoopThread() if loop_thread is None else loop_thread.share()
        self._owns_connections = True
        self._exit_care = ExitCare(self, self._bridge)

    def __repr__(self) -> str:
        behind = self.__dict__.get("_async_client", "nothing yet")  # in a traceback of a failing constructor
        return f"<{type(self).__name__} over {behind!r}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a client holds connections and a key, so it cannot be pickled: make one in each process, "
            "with its key from the environment or a file (EnvironmentKey, FileKey)"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections and end the thread. Calls under way in other threads fail, later ones too.

        A view (`with_options`) closes nothing.

        Raises:
            BridgeError: this is the loop's own thread, which cannot wait for itself.
        """
        if not self._owns_connections:
            return
        closed = self._bridge.close_after(self._async_client._close)
        self._exit_care.end()
        if not closed:
            # There is no loop to close anything in: never begun, dead, or left behind by a fork.
            shared = self._async_client._calls.transport.shared
            shared.refusing = "the client is closed"
            shared.session.closed = True

    def drain(self) -> None:
        """Refuse new calls and return when those under way have ended: what a service does on SIGTERM."""
        self._bridge.run(self._async_client.drain())

    def with_options(
        self,
        *,
        api_key: KeyInput | Unset = UNSET,
        org_id: str | Unset | None = UNSET,
        timeout: float | Unset = UNSET,
        attempt_timeout: float | Unset = UNSET,
        retry: RetryPolicy | Unset = UNSET,
    ) -> Self:
        """Return a view of this client with other settings.

        It shares connections, queue, retry budget, hooks and thread, and costs next to nothing: make one
        per organization, or per call. With another key, and no `org_id`, its organization is that key's.

        Args:
            api_key: `str`, `Secret`, or a callable (sync or async) that returns one; `None` is the
                environment's.
            org_id: organization for calls that name none; `None` is the key's own.
            timeout: seconds for a whole call.
            attempt_timeout: seconds for one attempt.
            retry: how often and how patiently a call is tried again; the budget stays that of all views.

        Raises:
            ConfigurationError: an argument that cannot work. It names the argument, never a key.
        """
        view = object.__new__(type(self))
        try:
            view._async_client = self._async_client.with_options(
                api_key=api_key, org_id=org_id, timeout=timeout, attempt_timeout=attempt_timeout, retry=retry
            )
        finally:
            del api_key
        view._bridge = self._bridge
        view._owns_connections = False
        return view

    def record_responses(self) -> AbstractContextManager[list[RecordedResponse]]:
        """Collect every answer that this client and its views get in the current context, retries included.

            with client.record_responses() as responses:
                client.vms.get(vm_id)
            responses[-1].request_id

        Other threads have other contexts: their answers are not among them.
        """
        return self._async_client.record_responses()

    def request(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        params: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> object:
        """Send a request that has no method here yet, with all that the other calls have.

        Args:
            method: HTTP method. GET, HEAD, PUT and DELETE may be resent; POST and PATCH only with a key.
            path: from `/`, percent-encoded, without a query.
            json: the body's JSON value, `None` for no body; models, times and `Secret` are understood.
            params: the query; booleans become `true` and `false`, `None` is left out.
            headers: sent too, `str` or `Secret`; they replace the client's own of the same name.
            idempotency_key: sent as `Idempotency-Key`.
            timeout: seconds for the whole call; by default the client's.

        Returns:
            The answer's JSON value, its text if it is not JSON, its `bytes` if it is not UTF-8 text either,
            `None` if it is empty.

        Raises:
            ConfigurationError, TypeError, ValueError: an argument that cannot work; nothing was sent.
            OpenRelayError: the service refuses, or gives no answer in time.
        """
        call = self._async_client.request(
            method,
            path,
            json=json,
            params=params,
            headers=headers,
            idempotency_key=idempotency_key,
            timeout=timeout,
        )
        # No frame of a failing call shows what they hold.
        del json, params, headers, idempotency_key
        return self._bridge.run(call)

    def bulk(
        self, make_calls: Callable[[AsyncClient], Iterable[Awaitable[T]]], *, limit: int = 100
    ) -> BulkResult[T]:
        """Run many calls at once, without a thread for each, and return what became of each.

        `make_calls` gets the client behind this one, and gives the calls as they are begun:

            results, errors = client.bulk(lambda each: (each.vms.get(id) for id in ids), limit=200)

        It runs in the loop's thread, so nothing in it may block or use the sync client. Ctrl-C cancels the
        calls that run; those not begun are not sent.

        Args:
            make_calls: returns the calls; a generator of many is read as calls end.
            limit: most calls at a time.

        Returns:
            The results and the errors of the calls, by their position.

        Raises:
            ConfigurationError: `limit` is no integer above zero.
            BridgeError: the client is closed, or this is the loop's own thread.
            Exception: what `make_calls` or its generator raises; what a call raises is in `errors`.
        """
        return self._bridge.run(_bulk(self._async_client, make_calls, limit))


async def _bulk(
    client: AsyncClient, make_calls: Callable[[AsyncClient], Iterable[Awaitable[T]]], limit: int
) -> BulkResult[T]:
    with importing:
        from openrelay_async.bulk_calls import bulk  # seldom needed
    return await bulk(make_calls(client), limit=limit)
