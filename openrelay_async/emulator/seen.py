"""What tests may look at afterwards: the requests that came in, without the credentials they came with."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Mapping
from urllib.parse import parse_qsl

import attrs
import orjson
from multidict import CIMultiDict, CIMultiDictProxy, MultiDict, MultiDictProxy

from openrelay_async.emulator.faults import Fault
from openrelay_async.emulator.storage import EmulatorError
from openrelay_async.redaction import Payload, Secret, mask_secret, scrub_text

_REQUESTS = 20_000
_BODIES = 64 * 1024 * 1024
"""Bytes of bodies that are kept."""

_PLAIN = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "host",
        "idempotency-key",
        "traceparent",
        "transfer-encoding",
        "user-agent",
    }
)
"""Headers that are shown as they are."""
_PLAIN_AS_SENT = _PLAIN | {name.title() for name in _PLAIN}

_CREDENTIAL = re.compile(
    r"authori[sz]|authent|cookie|token|secret|passw|credential|session|signature|jwt|(^|[-_])(auth|(api)?key)([-_]|$)"
)
"""Names of headers that carry a credential, in lower case."""


@attrs.frozen
class SeenRequest:
    """One request as it arrived, and how it was answered. Its repr shows nothing that the caller made up."""

    method: str
    path: str
    """Percent-encoded as it came, without the query."""
    operation: str | None
    """Operation id; None if no operation has this path."""
    status: int | None
    """None if the connection was reset instead of an answer."""
    headers: CIMultiDictProxy[str] = attrs.field(repr=False)
    """Names in any case; credentials masked as a `Secret` is: `Bearer vl_abc1…(sha256:26ed1345e3b8)`."""
    request_id: str
    at: float
    """On the emulator's clock, seconds since 1970."""
    fault: Fault | None = None
    _query: Secret = attrs.field(default=Secret(""), alias="query", repr=False)
    _body: Payload | None = attrs.field(default=None, alias="body", repr=False)

    @property
    def query(self) -> MultiDictProxy[str]:
        """The query parameters, decoded: `request.query["limit"]`, `.getall` for what was sent twice."""
        return MultiDictProxy(MultiDict(parse_qsl(self._query.reveal(), keep_blank_values=True)))

    @property
    def body(self) -> bytes:
        """The body, unpacked; empty if there was none.

        Raises:
            EmulatorError: it was not kept. Files are not, nor what was larger than a request may be or broke
                off; of the others the last 64 MiB are.
        """
        if self._body is None:
            raise EmulatorError(f"the body of {self.request_id} was not kept: a file, too large, or too old")
        return self._body.data

    def json(self) -> object:
        """What the body says, read as JSON.

        Raises:
            ValueError: it is no JSON.
            EmulatorError: as for `body`.
        """
        found: object = orjson.loads(self.body)
        return found

    @property
    def size(self) -> int:
        """Bytes of the body that are kept."""
        return 0 if self._body is None else len(self._body)

    def without_body(self) -> SeenRequest:
        return attrs.evolve(self, body=None)


class RequestLog:
    """The last requests; the older ones without their bodies, once these are too many bytes."""

    def __init__(self, *, requests: int = _REQUESTS, bodies: int = _BODIES) -> None:
        self._most, self._room = requests, bodies
        self._bare: deque[SeenRequest] = deque()
        self._whole: deque[SeenRequest] = deque()
        self._lock = threading.Lock()  # tests look at it from threads of their own

    def add(self, seen: SeenRequest) -> None:
        with self._lock:
            self._whole.append(seen)
            self._room -= seen.size
            if len(self._bare) + len(self._whole) > self._most:
                self._room += (self._bare or self._whole).popleft().size
            while self._room < 0:
                oldest = self._whole.popleft()
                self._room += oldest.size
                self._bare.append(oldest.without_body())

    def list_all(self) -> list[SeenRequest]:
        """Oldest first."""
        with self._lock:
            return [*self._bare, *self._whole]

    def clear(self) -> None:
        with self._lock:
            self._room += sum(seen.size for seen in self._whole)
            self._bare.clear()
            self._whole.clear()


def mask_headers(headers: Mapping[str, str]) -> CIMultiDictProxy[str]:
    """The headers with credentials masked: known by the header's name, their looks, or as the request's."""
    token = headers.get("Authorization", "").rpartition(" ")[2]
    known = [Secret(token)] if token else []
    masked: CIMultiDict[str] = CIMultiDict()
    for name, value in headers.items():
        masked.add(name, value if name in _PLAIN_AS_SENT else _mask(name.lower(), value, known))
    return CIMultiDictProxy(masked)


def _mask(name: str, value: str, known: list[Secret]) -> str:
    if name == "authorization":
        scheme, space, credential = value.partition(" ")
        return f"{scheme} {mask_secret(credential)}" if space else mask_secret(value)
    if name in _PLAIN:
        return value
    return mask_secret(value) if _CREDENTIAL.search(name) else scrub_text(value, known)
