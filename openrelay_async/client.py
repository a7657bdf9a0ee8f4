"""The client: settings, connections, and the API's resources as attributes."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Self, TypeVar

import attrs

from openrelay_async import recording
from openrelay_async.calls import ClientCalls
from openrelay_async.client_state import Shared
from openrelay_async.clock import Clock, SystemClock
from openrelay_async.config import (
    Endpoints,
    PoolLimits,
    check_clock,
    check_headers,
    check_rate,
    check_seconds,
    conceal_headers,
    conceal_text,
    make_user_agent,
    merge_headers,
    resolve_endpoints,
)
from openrelay_async.errors import ConfigurationError
from openrelay_async.fork_guard import importing
from openrelay_async.generated.client_resources import ClientResources
from openrelay_async.http_session import HttpSession
from openrelay_async.key_source import (
    KeyInput,
    KeyProvider,
    KeySource,
    StaticKey,
    conceal_key,
    make_key_source,
)
from openrelay_async.observers import Hooks
from openrelay_async.organization import DefaultOrganization
from openrelay_async.pacing import Pacing, SharedPace
from openrelay_async.proxies import check_proxy
from openrelay_async.redaction import Secret, scrub_text
from openrelay_async.request_path import is_path_id
from openrelay_async.retry import RetryBudget, RetryPolicy
from openrelay_async.transport import Transport
from openrelay_async.unset import UNSET, Unset

if TYPE_CHECKING:
    from openrelay_async.recorded_response import RecordedResponse

T = TypeVar("T")


class AsyncClient(ClientResources):
    """The OpenRelay API for asyncio.

    One client serves any number of loops, threads and tasks. Use it with `async with`, or `await aclose()`
    at the end. Without `api_key` the environment's `OPENRELAY_API_KEY` is used, without `base_url` its
    `OPENRELAY_API_URL`, without `org_id` its `OPENRELAY_ORG_ID`, else the organization of the key.

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
        hooks: observers, see `openrelay_async.hooks`.
        clock: time and chance, for tests.
        default_headers: sent with every request; they replace the client's own `Accept`, `User-Agent`.
        app_name: put in front of the User-Agent, such as `trainer/1.4`.
        max_requests_per_second: a pace never to exceed; without it, only the service's refusals set one.
        shared_pace: keeps one pace for several processes, such as `openrelay_async.redis_pace.RedisPace`.

    Raises:
        ConfigurationError: an argument that cannot work. It names the argument, never a key.
    """

    _calls: ClientCalls
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
    ) -> None:
        # First of all, so that no frame that can fail shows a credential.
        given_key, given_proxy = conceal_key(api_key), conceal_text(proxy)
        given_url, given_inference_url = conceal_text(base_url), conceal_text(inference_url)
        given_headers = conceal_headers(default_headers)
        del api_key, proxy, base_url, inference_url, default_headers
        in_environment = Secret(os.environ.get("OPENRELAY_API_URL", ""))
        endpoints = resolve_endpoints(
            (in_environment or None) if given_url is None else given_url, given_inference_url
        )
        key_source = _find_key(given_key, check_clock(clock))
        _refuse_clear_text(endpoints, key_source)
        session = HttpSession(
            _check_type(limits, PoolLimits, "limits"),
            headers=merge_headers(
                {
                    "User-Agent": make_user_agent(app_name),
                    "Accept": "application/json",
                    "Accept-Encoding": "gzip, deflate",
                },
                check_headers(given_headers, name="default_headers"),
            ),
            proxy=None if given_proxy is None else check_proxy(given_proxy, source="proxy"),
            ssl_context=ssl_context,
            uses_tls=endpoints.uses_tls(),
            made_at=_find_caller(),
        )
        policy = _check_type(retry, RetryPolicy, "retry")
        if max_requests_per_second is not None:
            check_rate("max_requests_per_second", max_requests_per_second)
        shared = Shared(
            session=session,
            budget=RetryBudget(policy),
            hooks=Hooks(hooks),
            clock=clock,
            pacing=Pacing(endpoints, clock, maximum=max_requests_per_second, shared=shared_pace),
            timeout=check_seconds("timeout", timeout),
            attempt_timeout=check_seconds("attempt_timeout", attempt_timeout),
        )
        shared.watch(key_source)
        transport = Transport(
            shared=shared,
            endpoints=endpoints,
            key_source=key_source,
            retry=policy,
            timeout=shared.timeout,
            attempt_timeout=shared.attempt_timeout,
        )
        if org_id is None and os.environ.get("OPENRELAY_ORG_ID"):
            org_id = _check_org(os.environ["OPENRELAY_ORG_ID"], source="OPENRELAY_ORG_ID")
        elif org_id is not None:
            org_id = _check_org(org_id)
        self._calls = ClientCalls.over(transport, org_id)
        self._owns_connections = True
        if "IPython" in sys.modules:
            from openrelay_async.display import show_lists_in_notebook  # only notebooks need it

            show_lists_in_notebook()

    def __repr__(self) -> str:
        if "_calls" not in self.__dict__:
            # Its constructor raised, and a traceback shows it.
            return f"<{type(self).__name__} that was not made>"
        transport = self._calls.transport
        return f"<{type(self).__name__} of {transport.endpoints.api} with {transport.key_source!r}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a client holds connections and a key, so it cannot be pickled: make one in each process, "
            "with its key from the environment or a file (EnvironmentKey, FileKey)"
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections. Calls under way fail, later ones are refused; a view closes nothing.

        First it terminates what open leases hold, for which it takes a minute at most.

        Raises:
            LeaseError: something could not be terminated and may still run: it is named.
        """
        try:
            if self._owns_connections and self._calls.transport.shared.leases:
                with importing:
                    from openrelay_async.lease_closing import end_leases  # seldom needed
                await end_leases(self._calls.transport.shared, "the client is closed")
        finally:
            await self._close()

    async def _close(self) -> None:
        """Close all connections; what leases hold is left to them."""
        if self._owns_connections:
            shared = self._calls.transport.shared
            shared.refuse("the client is closed")
            try:
                await shared.session.aclose()
            finally:
                await shared.pacing.aclose()

    async def drain(self) -> None:
        """Refuse new calls and return when those under way have ended: what a service does on SIGTERM."""
        shared = self._calls.transport.shared
        shared.refuse(shared.refusing or "the client is draining: it takes no more calls")
        await shared.session.drain()

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

        It shares connections, queue, retry budget and hooks, and costs next to nothing: make one per
        organization, or per call. With another key, and no `org_id`, its organization is that key's.

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
        given_key = api_key if isinstance(api_key, Unset) else conceal_key(api_key)
        del api_key
        transport = self._calls.transport
        organization: DefaultOrganization | None = self._calls.organization
        if not isinstance(given_key, Unset):
            key_source = _find_key(given_key, transport.shared.clock)
            _refuse_clear_text(transport.endpoints, key_source)
            transport.shared.watch(key_source)
            transport, organization = attrs.evolve(transport, key_source=key_source), None
        if not isinstance(timeout, Unset):
            transport = attrs.evolve(transport, timeout=check_seconds("timeout", timeout))
        if not isinstance(attempt_timeout, Unset):
            limit = check_seconds("attempt_timeout", attempt_timeout)
            transport = attrs.evolve(transport, attempt_timeout=limit)
        if not isinstance(retry, Unset):
            transport = attrs.evolve(transport, retry=_check_type(retry, RetryPolicy, "retry"))
        view = object.__new__(type(self))
        view._owns_connections = False
        if not isinstance(org_id, Unset):
            view._calls = ClientCalls.over(transport, None if org_id is None else _check_org(org_id))
        elif organization is None:
            view._calls = ClientCalls.over(transport, None)
        else:
            view._calls = ClientCalls(transport, organization)
        return view

    def record_responses(self) -> AbstractContextManager[list[RecordedResponse]]:
        """Collect every answer that this client and its views get in the current context, retries included.

            with client.record_responses() as responses:
                await client.vms.get(vm_id)
            responses[-1].request_id

        Tasks that the block begins are of its context; those that ran before are not.
        """
        return recording.record(self._calls.transport.shared)

    async def request(
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
            params: the query; booleans become `true` and `false`, `None` is left out, lists repeat the name.
            headers: sent too, `str` or `Secret`; they replace the client's own of the same name.
            idempotency_key: sent as `Idempotency-Key`; or give that header.
            timeout: seconds for the whole call; by default the client's.

        Returns:
            The answer's JSON value, its text if it is not JSON, its `bytes` if it is not UTF-8 text either,
            `None` if it is empty.

        Raises:
            ConfigurationError, TypeError, ValueError: an argument that cannot work; nothing was sent.
            OpenRelayError: the service refuses, or gives no answer in time.
        """
        with importing:
            from openrelay_async.raw_request import make_raw_request, read_raw_answer  # seldom needed
        made = make_raw_request(
            method, path, json=json, params=params, headers=headers, idempotency_key=idempotency_key
        )
        # From here on they travel masked: no frame of a failing call shows them.
        del json, params, headers, idempotency_key
        if isinstance(made, Exception):
            raise made
        limit = None if timeout is None else check_seconds("timeout", timeout)
        return read_raw_answer(await self._calls.transport.send(made, limit))


def _find_key(given: Secret | KeyProvider | None, clock: Clock) -> KeySource:
    if given is None:
        # Empty is what a variable becomes that a deployment forgot to fill: as good as not set.
        in_environment = Secret(os.environ.get("OPENRELAY_API_KEY", ""))
        return make_key_source(in_environment or None, clock, source="OPENRELAY_API_KEY")
    return make_key_source(given, clock)


def _refuse_clear_text(endpoints: Endpoints, key_source: KeySource) -> None:
    in_clear = endpoints.sends_in_clear()
    if in_clear is not None and not (isinstance(key_source, StaticKey) and key_source.current is None):
        raise ConfigurationError(
            f"{scrub_text(in_clear)} would get the API key unencrypted: use https:// (http:// is for this "
            "machine only)"
        )


def _check_org(org_id: object, *, source: str = "org_id") -> str:
    if isinstance(org_id, str) and org_id.strip() and is_path_id(org_id):
        return org_id
    raise ConfigurationError(f"{source} must be the id of an organization; leave it out for the key's own")


def _check_type(value: T, kind: type[T], name: str) -> T:
    if not isinstance(value, kind):
        raise ConfigurationError(f"{name} must be {kind.__name__}, not {type(value).__name__}")
    return value


def _find_caller() -> str:
    """Return file and line of the code outside this project that makes a client."""
    own = Path(__file__).parent.parent
    packages = (f"{own / 'openrelay_async'}{os.sep}", f"{own / 'openrelay_sync'}{os.sep}")
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(packages):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
