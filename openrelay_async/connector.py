"""aiohttp's connector, with the five things this library needs of it and aiohttp does not do.

It says whether a connection was there (before that, no byte of a request was sent), gives out none on which
something came while it was idle, ends the reading of answers when it is closed, lets go of connections whose
loop or process is gone, and has no finalizer that talks to a loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import socket
import struct
import sys
from typing import Any

import aiohttp
from aiohttp import ClientRequest, ClientTimeout
from aiohttp.connector import Connection
from aiohttp.tracing import Trace


class AttemptState:
    """What an attempt has come to."""

    __slots__ = ("_unsent", "connected", "file_error", "transport")

    def __init__(self) -> None:
        self.connected = False
        self.transport: asyncio.BaseTransport | None = None
        self._unsent: int | None = None
        self.file_error: Exception | None = None
        """What reading the caller's file raised while it was uploaded."""

    def sends(self) -> bool:
        """Return whether something was sent since it was asked last.

        The operating system takes megabytes of a request at once, and sends them for as long as a slow line
        takes.
        """
        unsent = 0 if self.transport is None else count_unsent(self.transport)
        before, self._unsent = self._unsent, unsent
        return unsent > 0 and (before is None or unsent < before)


def count_unsent(transport: asyncio.BaseTransport) -> int:
    """Return the bytes that a transport's socket has taken and the other side has not, 0 if unknown."""
    if sys.platform == "win32":
        return 0
    import fcntl  # here, because it is asked for seldom, and not on every system
    import termios

    own_socket = transport.get_extra_info("socket")
    try:
        answer = fcntl.ioctl(own_socket.fileno(), termios.TIOCOUTQ, bytes(struct.calcsize("i")))
    except (AttributeError, OSError, ValueError):
        # Closed, or a system that does not tell.
        return 0
    return int.from_bytes(answer, sys.byteorder)


current_attempt: contextvars.ContextVar[AttemptState] = contextvars.ContextVar("openrelay_attempt")
"""The attempt for which aiohttp's session works: the connector has no other way to know for whom it does."""


class PoolConnector(aiohttp.TCPConnector):
    """A connection pool of one event loop."""

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout) -> Connection:
        connection = await super().connect(req, traces, timeout)
        while _was_spoken_on(connection):
            connection.close()
            connection = await super().connect(req, traces, timeout)
        state = current_attempt.get(None)
        if state is not None:
            # From here on the request is being written: what fails later may have reached the server.
            state.connected = True
            state.transport = connection.transport
        return connection

    def break_off_answers(self) -> None:
        """Tell those who read the body of an answer that its rest does not come.

        A connection that aiohttp closes by itself forgets its reader, who would wait until a time limit.
        """
        for protocol in self._acquired:
            body = protocol._payload
            if body is not None and not body.is_eof():
                body.set_exception(aiohttp.ClientPayloadError())

    def abandon(self) -> None:
        """Drop all connections without touching their loop, which is closed or another process's."""
        protocols = [protocol for queue in self._conns.values() for protocol, _ in queue]
        for protocol in [*protocols, *self._acquired]:
            if protocol.transport is not None:
                _abandon_transport(protocol.transport)
        self._conns.clear()
        self._acquired.clear()
        self._closed = True

    def __del__(self, _warnings: Any = None) -> None:
        """Do nothing: aiohttp's own reports to a loop that may be gone. Our client warns by itself."""


def _was_spoken_on(connection: Connection) -> bool:
    """Return whether something came on a kept connection while it was idle.

    It would be taken for the answer to the next request: a 408 that says goodbye, or an answer sent twice.
    aiohttp asks this when a connection is given back, and not when it is taken again. A new connection has
    no parser yet: what a server says there at once, such as that it is full, is about this request.
    """
    protocol = connection.protocol
    return protocol is not None and protocol.should_close and protocol._parser is not None


def _abandon_transport(transport: asyncio.BaseTransport) -> None:
    """Close a transport's socket behind its back.

    `transport.close()` would unregister it from its loop's selector: that raises on a closed loop, and in
    a forked child it would unregister the parent's connection. asyncio has no public way; these attributes
    are CPython's since 3.7, and a transport without them (uvloop's) is closed together with its loop.
    """
    ssl_protocol = getattr(transport, "_ssl_protocol", None)
    if ssl_protocol is not None:
        setattr(transport, "_closed", True)  # noqa: B010 - not in typeshed
        transport = getattr(ssl_protocol, "_transport", None) or transport
    own_socket = getattr(transport, "_sock", None)
    if isinstance(own_socket, socket.socket):
        setattr(transport, "_sock", None)  # noqa: B010 - not in typeshed
        own_socket.close()
