"""Receivers of webhooks for aiohttp and for ASGI (Starlette, FastAPI): the raw body in, a status out.

Both refuse what is too large or too slow before looking at it, and compressed bodies: what is signed is the
body as sent, and unpacking it is work that a stranger could order.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    MutableMapping,
)
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack

from openrelay_async.config import check_integer
from openrelay_async.signatures import HeadersInput, find_header
from openrelay_async.webhook_inbox import Inbox, InboxOptions, OnEvent, Receipt
from openrelay_async.webhook_secrets import SecretsInput, conceal_secrets, keep_secrets

if TYPE_CHECKING:
    from aiohttp import web

LARGEST_BODY = 1024 * 1024
"""Bytes; the service's own events have under two thousand."""

_SLOWEST_BODY = 10.0

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
AsgiReceive: TypeAlias = Callable[[], Awaitable[Message]]
AsgiSend: TypeAlias = Callable[[Message], Awaitable[None]]


class ASGIReceiver:
    """An ASGI application that receives webhooks.

        receiver = ASGIReceiver(on_event, secrets=[secret])
        app = FastAPI(lifespan=receiver.lifespan)                 # Starlette likewise
        app.add_route("/webhooks", receiver, methods=["POST"])

    It can also be served alone, or be mounted. The lifespan hands over what the store has at start and lets
    events under way end at shutdown; without it the first delivery starts the receiver.

    Args:
        on_event: async callback.
        secrets: the webhook's secret, several while one is rolled, or `WebhookSecrets`, which can change.
        max_body: largest body in bytes; a larger one is answered 413.
        options: those of `Inbox`: tolerance, queue_size, concurrency, attempts, store, clock,
            signature_header.

    Raises:
        ConfigurationError: an option that cannot work, or a blank secret.
    """

    def __init__(
        self,
        on_event: OnEvent,
        *,
        secrets: SecretsInput,
        max_body: int = LARGEST_BODY,
        **options: Unpack[InboxOptions],
    ) -> None:
        secrets = conceal_secrets(secrets)
        given = keep_secrets(secrets)
        self._max_body = check_integer("max_body", max_body, minimum=1)
        self.inbox = Inbox(on_event, secrets=given, **options)

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncIterator[None]:
        """Run the receiver as long as the application runs."""
        async with self.inbox:
            yield

    async def __call__(self, scope: Scope, receive: AsgiReceive, send: AsgiSend) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            receipt = await self._receive(scope, receive)
            if receipt is not None:
                await _send_receipt(receipt, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _receive(self, scope: Scope, receive: AsgiReceive) -> Receipt | None:
        headers: list[tuple[bytes, bytes]] = list(scope["headers"])
        if refusal := check_request(scope["method"], headers, self._max_body):
            return refusal
        chunks = _read_messages(receive)
        raw = await read_body(chunks, self._max_body)
        if raw is None:
            return None
        return raw if isinstance(raw, Receipt) else await self.inbox.accept(raw, headers)

    async def _live(self, receive: AsgiReceive, send: AsgiSend) -> None:
        await receive()
        problem = ""
        try:
            await self.inbox.start()
        except Exception as error:
            problem = str(error)
        if problem:
            await send({"type": "lifespan.startup.failed", "message": problem})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.inbox.aclose()
        await send({"type": "lifespan.shutdown.complete"})


class AiohttpHandler(functools.partial["Awaitable[web.StreamResponse]"]):
    """A handler for `app.router.add_post`; `cleanup_ctx` goes to `app.cleanup_ctx`.

    It is a `partial` of an async function because aiohttp takes no other callable for an async one.
    """

    inbox: Inbox

    async def cleanup_ctx(self, app: object = None) -> AsyncIterator[None]:
        """Run the receiver as long as the application runs."""
        async with self.inbox:
            yield


def aiohttp_handler(
    on_event: OnEvent,
    *,
    secrets: SecretsInput,
    max_body: int = LARGEST_BODY,
    **options: Unpack[InboxOptions],
) -> AiohttpHandler:
    """Return a handler for an `aiohttp.web` application.

        handler = aiohttp_handler(on_event, secrets=[secret])
        app.router.add_post("/webhooks", handler)
        app.cleanup_ctx.append(handler.cleanup_ctx)

    The last line hands over what the store has at start and lets events under way end at shutdown; without
    it the first delivery starts the receiver.

    Args:
        on_event: async callback.
        secrets: the webhook's secret, several while one is rolled, or `WebhookSecrets`, which can change.
        max_body: largest body in bytes; a larger one is answered 413.
        options: those of `Inbox`: tolerance, queue_size, concurrency, attempts, store, clock,
            signature_header.

    Raises:
        ConfigurationError: an option that cannot work, or a blank secret.
    """
    secrets = conceal_secrets(secrets)
    given = keep_secrets(secrets)
    inbox = Inbox(on_event, secrets=given, **options)
    handler = AiohttpHandler(_handle_request, inbox, check_integer("max_body", max_body, minimum=1))
    handler.inbox = inbox
    return handler


async def _handle_request(inbox: Inbox, max_body: int, request: web.Request) -> web.StreamResponse:
    from aiohttp import web

    receipt = check_request(request.method, request.headers, max_body)
    if receipt is None:
        raw = await read_body(_read_chunks(request), max_body)
        if raw is None:
            return web.Response(status=400)  # nobody is there to read it
        receipt = raw if isinstance(raw, Receipt) else await inbox.accept(raw, request.headers)
    response = web.Response(status=receipt.status, text=f"{receipt.message}\n", headers=receipt.headers)
    if receipt.status in _UNREAD:
        response.force_close()
    return response


# After these, part of the body may still be on its way: the connection serves no other request.
_UNREAD = (405, 408, 413, 415)


def check_request(method: str, headers: HeadersInput, max_body: int) -> Receipt | None:
    """Return the refusal of a request whose body need not be read."""
    if method != "POST":
        return Receipt(405, "send webhooks with POST")
    if any(
        value.strip().lower() not in ("", "identity") for value in find_header(headers, "Content-Encoding")
    ):
        return Receipt(415, "send the body as it was signed, without Content-Encoding")
    lengths = find_header(headers, "Content-Length")
    if any(len(value) > 18 or (value.isdecimal() and int(value) > max_body) for value in lengths):
        return _too_large(max_body)
    return None


async def read_body(
    chunks: AsyncGenerator[bytes, None], max_body: int, *, seconds: float = _SLOWEST_BODY
) -> bytes | Receipt | None:
    """Return the whole body, the refusal of it, or `None` if the sender has gone."""
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds), aclosing(chunks):
            async for chunk in chunks:
                size += len(chunk)
                if size > max_body:
                    return _too_large(max_body)
                parts.append(chunk)
    except TimeoutError:
        return Receipt(408, f"the body took longer than {seconds:g} s")
    except _Gone:
        return None
    return b"".join(parts)


def _too_large(max_body: int) -> Receipt:
    return Receipt(413, f"the body is larger than {max_body} bytes")


class _Gone(Exception):  # noqa: N818 - it never leaves this module
    """The sender hung up, or sent what is no HTTP body."""


async def _read_messages(receive: AsgiReceive) -> AsyncGenerator[bytes, None]:
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise _Gone
        yield message.get("body") or b""  # some servers say so that there is none: `None`
        if not message.get("more_body", False):
            return


async def _read_chunks(request: web.Request) -> AsyncGenerator[bytes, None]:
    from aiohttp import ClientError

    is_gone = False
    try:
        async for chunk in request.content.iter_any():
            yield chunk
    except (ClientError, ConnectionError, ValueError):
        is_gone = True
    if is_gone:
        raise _Gone


async def _send_receipt(receipt: Receipt, send: AsgiSend) -> None:
    body = f"{receipt.message}\n".encode()
    headers: Mapping[str, str] = {
        "content-type": "text/plain; charset=utf-8",
        "content-length": str(len(body)),
        **receipt.headers,
        **({"connection": "close"} if receipt.status in _UNREAD else {}),
    }
    await send({"type": "http.response.start", "status": receipt.status, "headers": _encode(headers.items())})
    await send({"type": "http.response.body", "body": body})


def _encode(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
