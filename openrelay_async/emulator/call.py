"""One request on its way through a handler: who calls, what was sent, and the database it may change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import attrs

from openrelay_async.emulator.answers import bad_request, not_found
from openrelay_async.emulator.areas.audit.storage import AUDIT_EVENTS, AuditEvent
from openrelay_async.emulator.authentication import NOBODY, Principal, organization_of
from openrelay_async.emulator.cursors import make_cursor, read_cursor
from openrelay_async.emulator.fields import Fields
from openrelay_async.emulator.fleet import Fleet
from openrelay_async.emulator.operations import Operation
from openrelay_async.emulator.storage import Collection, Database, Record
from openrelay_async.emulator.uploads import Upload
from openrelay_async.emulator.validation import Validator

R = TypeVar("R", bound=Record)

PAGE_SIZE = 50
LARGEST_PAGE = 1000


@attrs.frozen
class Settings:
    """What an emulator was started with and handlers have to know."""

    generation: str = "both"
    fleet: Fleet = attrs.field(factory=Fleet)
    credit_cents: int = 10_000_000
    """What a new organization begins with."""

    @property
    def key_prefix(self) -> str:
        return "or_" if self.generation == "2026-10" else "vl_"


@attrs.define
class Call:
    """What a handler gets. Body and query are checked at their first use, and by the service at the latest
    before it commits; so a resource that is absent is 404 whatever the body says.
    """

    operation: Operation
    request_id: str
    database: Database
    settings: Settings
    validator: Validator
    now: float
    path: Mapping[str, str]
    headers: Mapping[str, str]
    base_url: str
    source_ip: str | None = None
    principal: Principal = NOBODY
    raw_query: str = attrs.field(default="", repr=False)
    raw_body: bytes = attrs.field(default=b"", repr=False)
    upload: Upload | None = None
    last_used: Mapping[str, float] = attrs.field(factory=dict[str, float])
    """Key → when it was last used, where that is not written down yet."""
    _body: Fields | None = None
    _query: Fields | None = None

    @property
    def org_id(self) -> str:
        """The organization of the path, or the caller's."""
        return organization_of(self.operation, self.path) or self.principal.org_id

    @property
    def body(self) -> Fields:
        """The JSON body.

        Raises:
            Refusal: 400 naming the field that is wrong.
        """
        if self._body is None:
            value = self.validator.body(self.operation, self.raw_body, self.headers.get("Content-Type", ""))
            self._body = Fields(value if isinstance(value, dict) else {})
        return self._body

    @property
    def query(self) -> Fields:
        """The query parameters.

        Raises:
            Refusal: 400 naming the parameter that is wrong.
        """
        if self._query is None:
            self._query = Fields(self.validator.query(self.operation, self.raw_query))
        return self._query

    def check(self) -> None:
        """Check what the handler did not look at."""
        _ = self.query
        if self.operation.body is not None and self.operation.media == "application/json":
            _ = self.body

    def new_id(self, prefix: str) -> str:
        return self.database.new_id(prefix)

    def require(self, collection: Collection[R], id: str, what: str) -> R:
        """The record with this id.

        Raises:
            Refusal: 404, also if it is another organization's.
        """
        record = collection.get(self.database, id)
        if record is None or not self.may_see(record):
            raise not_found(what)
        return record

    def may_see(self, record: Record) -> bool:
        named = organization_of(self.operation, self.path)
        if named is not None and record.org_id != named:
            return False
        return self.principal.may_do(self.operation, record.org_id)

    def page(
        self, collection: Collection[R], *, keep: Callable[[R], bool] | None = None, **equal: str | None
    ) -> tuple[list[R], str | None]:
        """The page that `limit` and `cursor` of the query ask for, and the cursor of the next one.

        Raises:
            Refusal: 400 for a limit out of bounds, and for a cursor that is not of this list.
        """
        limit = self.query.bounded("limit", PAGE_SIZE, least=1, most=LARGEST_PAGE)
        scope = "\n".join((self.operation.id, *(f"{name}={value}" for name, value in sorted(equal.items()))))
        cursor = self.query.text("cursor")
        before = read_cursor(self.database.vault, scope, cursor) if cursor else None
        records, last = collection.page(self.database, before=before, limit=limit, keep=keep, **equal)
        return records, None if last is None else make_cursor(self.database.vault, scope, last)

    def audit(
        self,
        event: str,
        target_type: str,
        target_id: str,
        *,
        before: str | None = None,
        after: str | None = None,
        org_id: str | None = None,
    ) -> None:
        """Write down a change of access."""
        record = AuditEvent(
            id=self.new_id("aud_"),
            org_id=org_id or self.org_id,
            actor=self.principal.actor,
            event=event,
            target_type=target_type,
            target_id=target_id,
            created_at=self.now,
            request_id=self.request_id,
            source_ip=self.source_ip,
            before=before,
            after=after,
        )
        AUDIT_EVENTS.insert(self.database, record)

    def header(self, name: str, *, longest: int = 255) -> str | None:
        """A header that the operation takes.

        Raises:
            Refusal: 400 if it is blank, too long, or has unprintable characters.
        """
        value = self.headers.get(name)
        if value is None:
            return None
        if not value.strip() or len(value) > longest or not value.isprintable():
            raise bad_request(name, f"must have 1 to {longest} printable characters")
        return value
