"""The long way of a request: through aiohttp's session, for uploads, downloads, proxies and observers."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from openrelay_async.attempt_timer import AttemptTimer
from openrelay_async.connector import AttemptState, current_attempt
from openrelay_async.credentials import Credential
from openrelay_async.loop_pool import LoopPool
from openrelay_async.messages import HttpRequest
from openrelay_async.proxies import Proxy
from openrelay_async.request_target import WITHOUT_BODY, write_target


async def open_answer(
    pool: LoopPool,
    base_url: str,
    request: HttpRequest,
    credential: Credential | None,
    proxy: Proxy | None,
    *,
    state: AttemptState,
    timer: AttemptTimer,
) -> aiohttp.ClientResponse:
    """Send a request; return the answer when its head is there.

    Args:
        timer: is told when a piece of an upload is asked for.

    Raises:
        Exception: aiohttp's and the operating system's; `state` says whether anything was sent.
    """
    token = current_attempt.set(state)
    try:
        return await pool.session.request(
            request.operation.http_method,
            URL(base_url + write_target(request), encoded=True),
            headers=_headers_of(
                pool.headers, request, credential, proxy if base_url.startswith("http:") else None
            ),
            data=_body_of(request, timer, state),
            skip_auto_headers=_doubtful_headers(request),
            allow_redirects=False,
            proxy=None if proxy is None else proxy.url,
            proxy_headers={"User-Agent": pool.headers["User-Agent"], **_introduction(proxy)},
        )
    finally:
        current_attempt.reset(token)


def _headers_of(
    own: CIMultiDict[str], request: HttpRequest, credential: Credential | None, reader: Proxy | None
) -> CIMultiDict[str]:
    """Return the request's headers.

    Args:
        own: what every request has.
        reader: a proxy that reads the request itself, as one does that opens no tunnel for it.
    """
    headers = own.copy()
    headers.update({**request.headers, **_introduction(reader)})
    if credential is not None:
        headers["Authorization"] = credential.header
    return headers


def _introduction(proxy: Proxy | None) -> dict[str, str]:
    """Return what a proxy wants to know of who asks."""
    if proxy is None or proxy.authorization is None:
        return {}
    return {"Proxy-Authorization": proxy.authorization}


def _doubtful_headers(request: HttpRequest) -> tuple[str, ...] | None:
    """Return what aiohttp must not add: it gives a POST without a body a content type."""
    if request.has_body or request.operation.http_method in WITHOUT_BODY:
        return None
    return ("Content-Type",)


def _body_of(
    request: HttpRequest, timer: AttemptTimer, state: AttemptState
) -> bytes | AsyncGenerator[bytes, None] | None:
    if request.upload is not None:
        return _touching(request.upload.chunks(), timer, state)
    return None if request.body is None else request.body.data


async def _touching(
    chunks: AsyncGenerator[bytes, None], timer: AttemptTimer, state: AttemptState
) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in chunks:
            timer.touch()
            yield chunk
    except Exception as error:
        # aiohttp wraps it in one of its own, whose text would be all that is left of it.
        state.file_error = error.with_traceback(error.__traceback__)
        raise
