"""Host names become addresses in threads that nothing waits for.

asyncio looks names up in its default executor, whose threads are joined when the loop and the interpreter
end: a name server that does not answer would keep a program from ending for half a minute, long after the
call's own limit has passed.
"""

from __future__ import annotations

import functools
import socket

from aiohttp.abc import AbstractResolver, ResolveResult

from openrelay_async.off_loop import run_off_loop

_NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class OffLoopResolver(AbstractResolver):
    """Looks names up as the operating system does, `/etc/hosts` included."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return a host's addresses.

        Raises:
            OSError: there are none, or the name servers cannot be asked.
        """
        return await run_off_loop(functools.partial(_look_up, host, port, family))

    async def close(self) -> None:
        """Do nothing: nothing is held."""


def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [
        ResolveResult(
            hostname=host,
            host=_spell(address),
            port=int(address[1]),
            family=kind,
            proto=protocol,
            flags=_NUMERIC,
        )
        for kind, _, protocol, _, address in found
        # Otherwise Python was built without IPv6, and this address cannot be used.
        if kind == socket.AF_INET or len(address) == 4
    ]


def _spell(address: tuple[object, ...]) -> str:
    """Return the address as text; a link-local one of IPv6 means nothing without its interface."""
    host = str(address[0])
    if len(address) == 4 and address[3] and "%" not in host:
        return f"{host}%{address[3]}"
    return host
