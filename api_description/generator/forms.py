"""The typed form of the API description, between its JSON and the generated code.

Everything here is a frozen value that has been checked: whatever reads a form need not look for mistakes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import field, frozen

Kind = Literal[
    "string", "integer", "number", "boolean", "time", "time_or_text", "date", "binary", "json", "list", "map",
    "model",
]  # fmt: skip
"""`time_or_text` is no form of the description: an override makes it of an argument that is a text there."""
Answer = Literal["model", "list", "nothing", "secret_text", "download", "page"]
"""What success gives: a schema, a JSON list, nothing, a text with credentials, bytes, or a page of a list."""


@frozen
class Shape:
    """What a JSON value may be."""

    kind: Kind
    nullable: bool = False
    secret: bool = False
    enum: tuple[str, ...] = ()
    """The known values of a text; a service may send others."""
    item: Shape | None = None
    """Of a list or map: what it holds."""
    model: str | None = None
    """Of an object: its schema's name."""

    @property
    def models(self) -> tuple[str, ...]:
        """The schemas that the shape names."""
        if self.item is not None:
            return self.item.models
        return () if self.model is None else (self.model,)


@frozen
class Property:
    """A named value of a schema or a request."""

    wire: str
    name: str
    """The Python name."""
    shape: Shape
    required: bool
    pointer: str
    """Where the description says it, as a JSON pointer."""
    unit: str | None = None
    text: str | None = None
    """What prose says of it."""


@frozen
class Schema:
    """An object of the API."""

    name: str
    properties: tuple[Property, ...]
    generations: tuple[str, ...]
    pointer: str
    required_in: Mapping[str, tuple[str, ...]] = field(factory=dict)
    """What each generation sends beyond what both do."""
    summary: str | None = None
    sent: bool = False
    """Whether some request holds it."""
    received: bool = False
    """Whether some answer holds it."""
    is_argument: bool = False
    """Whether it is the value of an argument, or stands in one."""
    resources: frozenset[str] = frozenset()
    """The resources whose operations use it."""


@frozen
class Pagination:
    style: Literal["cursor", "after", "offset"]
    items: str | None
    request: str
    response: str | None
    more: str | None
    size: str
    default_size: int | None


@frozen
class IdempotencyKey:
    place: Literal["header", "body"]
    name: str


@frozen
class Operation:
    """One operation, with its parameters divided by where they go."""

    id: str
    resource: str
    method: str
    http_method: str
    path: str
    generations: tuple[str, ...]
    idempotent: bool
    answer: Answer
    pointer: str
    returns: Shape | None = None
    """The answer's schema, or a list's or page's item."""
    may_be_empty: bool = False
    """Whether success may also come without a body (204)."""
    path_ids: tuple[Property, ...] = ()
    """The path's ids in the template's order, without the organization."""
    takes_org: bool = False
    org_required: bool = False
    query: tuple[Property, ...] = ()
    body: tuple[Property, ...] = ()
    """The JSON body's or form's properties, required ones first, without file and idempotency key."""
    body_kind: Literal["required", "optional", "multipart"] | None = None
    body_model: str | None = None
    page_model: str | None = None
    """Of a paged list: the schema of a page, which users do not see."""
    idempotency_key: IdempotencyKey | None = None
    pagination: Pagination | None = None
    host: Literal["api", "inference"] = "api"
    session_only: bool = False
    authentication: Literal["required", "optional", "none"] = "required"
    scope: str | None = None
    permission: str | None = None
    failures: tuple[str, ...] = ()
    """The documented error statuses."""
    summary: str = ""
    notes: str | None = None
    returned: str | None = None
    """What prose says of the answer's schema."""

    @property
    def public_name(self) -> str:
        return f"client.{self.resource}.{self.method}"


@frozen
class Description:
    """The whole API."""

    version: str
    operations: tuple[Operation, ...]
    schemas: Mapping[str, Schema]

    @property
    def resources(self) -> tuple[str, ...]:
        return tuple(sorted({operation.resource for operation in self.operations}))
