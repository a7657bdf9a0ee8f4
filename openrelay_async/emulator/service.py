"""The service without HTTP: find the operation, ask who calls and whether they may, carry it out in one
transaction.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Mapping

import attrs

from openrelay_async.clock import Clock
from openrelay_async.emulator.answers import Answer, Refusal
from openrelay_async.emulator.areas.api_keys.storage import API_KEYS
from openrelay_async.emulator.areas.billing.enforcement import BillingWatch
from openrelay_async.emulator.authentication import NOBODY, Principal, authenticate, authorize
from openrelay_async.emulator.call import Call, Settings
from openrelay_async.emulator.faults import Fault, FaultPlan, RateLimit
from openrelay_async.emulator.generated.routes import OPERATIONS
from openrelay_async.emulator.generated.schemas import SHAPES
from openrelay_async.emulator.modelled import extra_operations, list_handlers
from openrelay_async.emulator.operations import Operation
from openrelay_async.emulator.routing import Router
from openrelay_async.emulator.storage import Database
from openrelay_async.emulator.uploads import Upload
from openrelay_async.emulator.validation import Validator
from openrelay_async.redaction import Payload

# The clock's time is written down this often at most, so that a database never sees its time go back.
_TIME_KEPT_EVERY = 1.0


@attrs.define
class Exchange:
    """One request and what became of it."""

    request_id: str
    method: str
    raw_path: str
    headers: Mapping[str, str] = attrs.field(repr=False)
    base_url: str
    source_ip: str | None
    at: float
    raw_query: str = attrs.field(default="", repr=False)
    body: Payload | None = None
    """What is no file; None until it was received."""
    operation: Operation | None = None
    path: Mapping[str, str] = attrs.field(factory=dict[str, str])
    principal: Principal = NOBODY
    fault: Fault | None = None
    extra_headers: dict[str, str] = attrs.field(factory=dict[str, str])


class Service:
    """All state is in the database; all decisions are made by the areas."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        faults: FaultPlan,
        rate_limit: RateLimit | None,
        *,
        watch: BillingWatch,
        on_commit: Callable[[], None],
    ) -> None:
        self.database = database
        self.clock = clock
        self.settings = settings
        self.faults = faults
        self._rate_limit = rate_limit
        self._watch = watch
        self._on_commit = on_commit
        served = [operation for operation in OPERATIONS if operation.serves(settings.generation)]
        self._router = Router([*served, *extra_operations()])
        self._handlers = list_handlers()
        self._validator = Validator(SHAPES, settings.generation)
        self._request_ids = map(f"req_{secrets.token_hex(4)}{{:08x}}".format, itertools.count(1))
        self._time_kept = 0.0
        # Kept here and written with the next change: a read must not become a write.
        self._last_used: dict[str, float] = {}

    def begin(
        self, method: str, raw_path: str, headers: Mapping[str, str], base_url: str, source_ip: str | None
    ) -> Exchange:
        return Exchange(
            next(self._request_ids), method, raw_path, headers, base_url, source_ip, self.clock.wall()
        )

    def route(self, exchange: Exchange) -> Fault | None:
        """Find the operation, and what shall go wrong with it.

        Raises:
            Refusal: 404 or 405.
        """
        exchange.operation, exchange.path = self._router.find(exchange.method, exchange.raw_path)
        exchange.fault = self.faults.strike(exchange.operation.id)
        return exchange.fault

    def admit(self, exchange: Exchange) -> None:
        """Let the caller in: 401, 429 for who calls too often, 403, then 501 for what is not modelled."""
        operation = _operation_of(exchange)
        authorization = exchange.headers.get("Authorization")
        needed = operation.security != "open"
        if needed and not (operation.security == "optional" and authorization is None):
            exchange.principal = authenticate(self.database, authorization, self.clock.wall())
            self._limit_rate(exchange, exchange.principal)
            authorize(self.database, operation, exchange.principal, exchange.path, exchange.source_ip)
            if exchange.principal.key is not None:
                self._last_used[exchange.principal.key.id] = exchange.at
        if operation.id not in self._handlers:
            raise Refusal(501, f"the emulator does not model {operation.id}", "NOT_IMPLEMENTED_BY_EMULATOR")

    def _limit_rate(self, exchange: Exchange, principal: Principal) -> None:
        if self._rate_limit is None:
            return
        holder = principal.key.id if principal.key else f"{principal.user_id}"
        allowed, headers = self._rate_limit.take(holder, self.clock.monotonic())
        exchange.extra_headers.update(headers)
        if not allowed:
            raise Refusal(429, "too many requests with this key", "RATE_LIMITED")

    def perform(self, exchange: Exchange, upload: Upload | None = None) -> Answer:
        """Carry the operation out: all of it and its answer, or nothing.

        Raises:
            Refusal: the request is refused, and nothing was changed.
        """
        operation = _operation_of(exchange)
        now = self.clock.wall()
        self._watch.catch_up(now)
        call = Call(
            operation=operation,
            request_id=exchange.request_id,
            database=self.database,
            settings=self.settings,
            validator=self._validator,
            now=now,
            path=exchange.path,
            headers=exchange.headers,
            base_url=exchange.base_url,
            source_ip=exchange.source_ip,
            principal=exchange.principal,
            raw_query=exchange.raw_query,
            raw_body=exchange.body.data if exchange.body else b"",
            upload=upload,
            last_used=self._last_used,
        )
        handler = self._handlers[operation.id]
        if operation.method == "GET":
            # Handlers do not await, so nothing comes between its reads: no transaction is needed to see one
            # state.
            answer = handler(call)
            call.check()
            return answer
        with self.database.transaction():
            answer = handler(call)
            call.check()
            self._keep_time(now)
        self._watch.refresh(now)
        self._on_commit()
        return answer

    def _keep_time(self, now: float) -> None:
        if now - self._time_kept >= _TIME_KEPT_EVERY:
            self.database.write_meta("time", repr(now))
            self._time_kept = now
            for key_id, at in self._last_used.items():
                key = API_KEYS.get(self.database, key_id)
                if key is not None:
                    API_KEYS.update(self.database, attrs.evolve(key, last_used_at=at))
            self._last_used.clear()


def _operation_of(exchange: Exchange) -> Operation:
    if exchange.operation is None:
        raise RuntimeError("route() comes first")
    return exchange.operation


def list_operations(generation: str = "both") -> list[tuple[Operation, bool]]:
    """Every operation of a generation, and whether it is modelled."""
    handlers = list_handlers()
    return [(operation, operation.id in handlers) for operation in OPERATIONS if operation.serves(generation)]
