"""One pace for all processes that share a Redis: `AsyncClient(shared_pace=RedisPace("redis://…"))`.

    from openrelay_async.redis_pace import RedisPace

Needs the extra: `pip install 'openrelay-async[redis]'`. The rate is kept in Redis with Redis' own time, and
changed by scripts that run there as one step. Without Redis a client goes on by itself, at a slow fixed pace
while a limit was known.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from string import Template
from typing import Protocol, TypeVar, cast
from urllib.parse import urlsplit

from openrelay_async import pace_rate
from openrelay_async.config import check_readable, conceal_text
from openrelay_async.errors import ConfigurationError
from openrelay_async.redaction import Secret

try:
    from redis import asyncio as redis
except ImportError as error:
    raise ImportError("RedisPace needs the extra: pip install 'openrelay-async[redis]'") from error

logger = logging.getLogger("openrelay_async")

T = TypeVar("T")

_KNOWN_FOR = 1.0
"""Seconds for which a client believes what Redis said of a limit."""
_PATIENCE = 1.0
"""Seconds in which Redis has to answer: calls must not wait for one that is stuck."""
_WITHOUT_REDIS = (1, 0.1)
_UNREADABLE = (
    "has a host, port or database that cannot be read: it must be like redis://:password@localhost:6379/0, "
    "with %2F, %3F and %23 for /, ? and # in the password"
)


def _with_numbers(script: str) -> str:
    """Return a script with the numbers by which a client paces itself, so that both go by the same."""
    return Template(script).substitute(
        first_growth=pace_rate.FIRST_GROWTH,
        growth=pace_rate.GROWTH,
        growth_doubles=pace_rate.GROWTH_DOUBLES,
        fastest_growth=pace_rate.FASTEST_GROWTH,
        quiet=pace_rate.QUIET,
        lowest=pace_rate.LOWEST,
        first=pace_rate.FIRST,
        soon=pace_rate.SOON,
        sharp_decrease=pace_rate.SHARP_DECREASE,
        decrease=pace_rate.DECREASE,
        burst=pace_rate.BURST,
        stride=pace_rate.STRIDE,
    )


# KEYS[1]: the pace. ARGV[1]: how many want to go. Returns how many may, and milliseconds until more may;
# -1 for the milliseconds where nothing limits.
_RESERVE = _with_numbers("""
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local wanted = tonumber(ARGV[1])
local row = redis.call('HMGET', KEYS[1], 'rate', 'blocked', 'refused', 'grown', 'tokens', 'at', 'probing')
if not row[1] then return {wanted, -1} end
local rate, blocked, refused = tonumber(row[1]), tonumber(row[2]), tonumber(row[3])
local grown, tokens, at = tonumber(row[4]), tonumber(row[5]), tonumber(row[6])
if now < blocked then return {0, math.ceil((blocked - now) * 1000)} end
if now - refused > $quiet and now - grown > 10 then
  redis.call('DEL', KEYS[1])
  return {wanted, -1}
end
local growth = $first_growth
if row[7] ~= '1' then growth = math.min($growth * 2 ^ ((now - refused) / $growth_doubles), $fastest_growth) end
rate = rate * (1 + growth * math.min(now - grown, 1))
tokens = math.min(tokens + (now - at) * rate, math.max(1, rate * $burst))
local count = math.min(wanted, math.floor(tokens + 1e-9))
tokens = tokens - count
redis.call('HSET', KEYS[1], 'rate', tostring(rate), 'grown', tostring(now), 'tokens', tostring(tokens), 'at', tostring(now))
local missing = math.min(math.max(wanted - count, 1), math.max(1, rate * $stride)) - tokens
return {count, math.max(1, math.ceil(missing / rate * 1000))}
""")  # noqa: E501 - Lua

# KEYS[1]: the pace. ARGV[1]: seconds to wait. ARGV[2]: requests a second that this client had through.
_REFUSE = _with_numbers("""
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local wait, taken = tonumber(ARGV[1]), tonumber(ARGV[2])
local row = redis.call('HMGET', KEYS[1], 'rate', 'blocked', 'refused', 'probing')
local rate, blocked, refused = tonumber(row[1] or '0'), tonumber(row[2] or '0'), tonumber(row[3] or '0')
if now <= blocked then
  redis.call('HSET', KEYS[1], 'blocked', tostring(math.max(blocked, now + wait)))
  return 0
end
local probing = '0'
if not row[1] then
  rate, probing = math.max(taken, $first), '1'
elseif row[4] == '1' or now - refused < $soon then
  rate = math.max(rate * $sharp_decrease, $lowest)
else
  rate = math.max(rate * $decrease, $lowest)
end
local after = tostring(now + wait)
redis.call('HSET', KEYS[1], 'rate', tostring(rate), 'blocked', after, 'refused', after, 'grown', after, 'tokens', '0', 'at', after, 'probing', probing)
redis.call('EXPIRE', KEYS[1], 3600)
return 1
""")  # noqa: E501 - Lua


class _Redis(Protocol):
    """What is used of `redis.asyncio.Redis`, whose own types leave open whether a result is awaited."""

    async def eval(self, script: str, numkeys: int, *keys_and_args: str) -> object: ...
    async def exists(self, *names: str) -> int: ...
    async def aclose(self) -> None: ...


class RedisPace:
    """A pace in Redis.

    It keeps connections: `await pace.aclose()` when its clients are closed.

    Args:
        url: of the Redis server, such as `redis://localhost:6379/0`; a password in it is never shown.
        name: clients with the same name share a pace: use one for each API key, whose limit it is.

    Raises:
        ConfigurationError: `url` is none of a Redis server.
    """

    def __init__(self, url: str | Secret, *, name: str = "default") -> None:
        given = conceal_text(url)
        del url
        self.name = name
        self._url = _check_url(given)
        self._clients: dict[asyncio.AbstractEventLoop, _Redis] = {}
        self._limited: dict[str, float] = {}
        self._asked: dict[str, float] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._is_answering = True
        """Whether Redis answered last: calls wait for its answers only then."""

    def __repr__(self) -> str:
        return f"RedisPace(name={self.name!r})"

    def limits(self, host: str) -> bool:
        """Return whether requests are to be reserved; asks Redis once a second in the background."""
        now = time.monotonic()
        if now - self._asked.get(host, -1e9) > _KNOWN_FOR:
            self._asked[host] = now
            task = asyncio.get_running_loop().create_task(self._ask(host))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
        return now < self._limited.get(host, -1e9)

    async def reserve(self, host: str, wanted: int) -> tuple[int, float]:
        """Return how many requests may go now, and the seconds until more may.

        Args:
            host: of the service, as in a URL.
            wanted: how many requests wait here to be sent.
        """
        row = None
        if self._is_answering:
            row = await self._answer(lambda client: client.eval(_RESERVE, 1, self._key(host), str(wanted)))
        else:
            self.limits(host)  # whose question in the background finds out when Redis answers again
        if row is None:
            return _WITHOUT_REDIS if host in self._limited else (wanted, 0.001)
        count, pause = cast("tuple[int, int]", row)
        if pause < 0:
            self._limited.pop(host, None)
            return count, 0.001
        self._limited[host] = time.monotonic() + 10 * _KNOWN_FOR
        return count, pause / 1000

    async def refuse(self, host: str, wait: float, taken: float) -> None:
        """Tell all of a 429.

        Args:
            host: that answered it.
            wait: seconds that it asks to wait.
            taken: requests a second that it took from this client lately.
        """
        self._limited[host] = time.monotonic() + wait + 10 * _KNOWN_FOR
        await self._answer(lambda client: client.eval(_REFUSE, 1, self._key(host), str(wait), str(taken)))

    async def aclose(self) -> None:
        """Close the connections of the running loop."""
        loop = asyncio.get_running_loop()
        client = self._clients.pop(loop, None)
        asking = [task for task in list(self._asking) if task.get_loop() is loop]
        for task in asking:
            task.cancel()
        try:
            await asyncio.gather(*asking, return_exceptions=True)
        finally:
            if client is not None:
                await client.aclose()

    async def _ask(self, host: str) -> None:
        if await self._answer(lambda client: client.exists(self._key(host))):
            self._limited[host] = max(time.monotonic() + 10 * _KNOWN_FOR, self._limited.get(host, 0.0))

    async def _answer(self, ask: Callable[[_Redis], Awaitable[T]]) -> T | None:
        """Return what Redis answers, `None` where it does not, or not in time."""
        try:
            async with asyncio.timeout(_PATIENCE):
                answer = await ask(self._redis())
        except Exception as error:  # not only redis-py's own: an option of the URL may be none
            logger.debug("no shared pace: %s", type(error).__name__)
            self._is_answering = False
            return None
        self._is_answering = True
        return answer

    def _key(self, host: str) -> str:
        return f"openrelay:pace:{self.name}:{host}"

    def _redis(self) -> _Redis:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            for other in [other for other in list(self._clients) if other.is_closed()]:
                self._clients.pop(other, None)
            client = self._clients[loop] = cast("_Redis", redis.from_url(self._url.reveal()))
        return client


def _check_url(url: object) -> Secret:
    """Return a URL that redis-py can read.

    Raises:
        ConfigurationError: it cannot.
    """
    if not isinstance(url, Secret):
        raise ConfigurationError(f"url must be str, not {type(url).__name__}")
    problem = _find_url_problem(check_readable(url, "url"))
    if problem is not None:
        raise ConfigurationError(f"url {problem}")
    return url


def _find_url_problem(given: Secret) -> str | None:
    """Return what is wrong with a URL, without a word of it: any of it may belong to a password."""
    try:
        parts = urlsplit(given.reveal())
        port_is_valid = parts.port != 0
    except ValueError:
        return _UNREADABLE
    if parts.scheme not in {"redis", "rediss", "unix"}:
        return "must begin with redis://, rediss:// or unix://, such as redis://localhost:6379/0"
    # The rest of a password with a `/` or `#` stands where the database does, and redis-py reads over it.
    database_is_valid = parts.scheme == "unix" or (parts.path.strip("/ ") or "0").isdecimal()
    if not port_is_valid or not database_is_valid or parts.fragment:
        return _UNREADABLE
    return None
